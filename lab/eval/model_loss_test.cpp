// On tiny random models: the sums against those of logits that libllama's own decode gives, and lines against
// a model's that is the same.

#include "base/interrupt.h"
#include "engine/logits.h"
#include "eval/model_loss.h"
#include "support/reference.h"

#include <doctest/doctest.h>

#include <csignal>
#include <numeric>

namespace pie {
namespace {

SourceFile made_file(int n_lines) {
    SourceFile file{.path = "made.py", .language = language_of("made.py"), .lines = {}};
    for (int i = 0; i < n_lines; ++i) {
        file.lines.push_back("value_" + std::to_string(i) + " = " + std::to_string(i * i) + "\n");
    }
    return file;
}

struct Pair {
    std::unique_ptr<LoadedModel> original;
    std::unique_ptr<LoadedModel> other;
    std::unique_ptr<Engine> original_engine = *Engine::create(*original, {.n_threads = 1});
    std::unique_ptr<Engine> other_engine = *Engine::create(*other, {.n_threads = 1});
    Progress progress;

    explicit Pair(uint32_t other_seed)
        : original(testing::load_tiny_model({})), other(testing::load_tiny_model({.seed = other_seed})) {}

    Result<void> measure(const std::vector<SourceFile>& files, const LossOptions& options, ModelLoss& loss) {
        return measure_loss(*original_engine, *other_engine, files, options, loss, progress);
    }
};

} // namespace

TEST_CASE("a model loses nothing against itself") {
    Pair pair(1);
    ModelLoss loss;
    REQUIRE(
        pair.measure({made_file(30), made_file(16)}, {.n_lines = 4, .n_line_tokens = 8}, loss).has_value());
    CHECK(loss.kl() == doctest::Approx(0).epsilon(1e-6));
    CHECK(loss.top1_agreement() == 1.0);
    CHECK(loss.n_lines == 8);
    CHECK(loss.n_same_lines == 8);
    CHECK(loss.n_original_lines == loss.n_other_lines);
    std::string text;
    for (const std::string& line : made_file(30).lines) {
        text += line;
    }
    CHECK(loss.n_tokens > static_cast<int>(pair.original->vocabulary().tokenize(text).size()));
}

TEST_CASE("divergence and agreement are those of two plain readings") {
    Pair pair(2);
    const SourceFile file = made_file(8);
    ModelLoss loss;
    REQUIRE(pair.measure({file}, {.n_lines = 0}, loss).has_value());

    const std::vector<TokenId> tokens = pair.original->vocabulary().tokenize(joined(file.lines));
    REQUIRE(loss.n_tokens == static_cast<int32_t>(tokens.size()));
    std::vector<int32_t> all(tokens.size());
    std::iota(all.begin(), all.end(), 0);
    const std::vector<float> p = testing::Reference(*pair.original, {}).decode(tokens, all);
    const std::vector<float> q = testing::Reference(*pair.other, {}).decode(tokens, all);
    const size_t n_vocab = p.size() / tokens.size();
    double kl_sum = 0;
    int n_same = 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
        const auto p_row = std::span(p).subspan(i * n_vocab, n_vocab);
        const auto q_row = std::span(q).subspan(i * n_vocab, n_vocab);
        kl_sum += kl_divergence(p_row, q_row);
        n_same += likeliest(p_row) == likeliest(q_row) ? 1 : 0;
    }
    CHECK(kl_sum > 0.1);
    CHECK(loss.kl_sum == doctest::Approx(kl_sum).epsilon(1e-3));
    CHECK(loss.n_same_top1 == n_same);
    CHECK(loss.n_lines == 0);
}

TEST_CASE("a file is read as far as is asked for, and an interruption keeps the sums") {
    Pair pair(2);
    ModelLoss loss;
    REQUIRE(pair.measure({made_file(100)}, {.n_tokens_max = 200, .n_lines = 2, .n_line_tokens = 4}, loss)
                .has_value());
    CHECK(loss.n_tokens <= 200);
    CHECK(loss.n_tokens > 150);
    CHECK(loss.n_lines == 2);

    install_interrupt_handlers();
    std::raise(SIGINT);
    const ModelLoss before = loss;
    const auto stopped = pair.measure({made_file(100)}, {}, loss);
    clear_interrupt();
    REQUIRE_FALSE(stopped);
    CHECK(stopped.error().code == ErrorCode::cancelled);
    CHECK(loss.n_tokens == before.n_tokens);
}

} // namespace pie
