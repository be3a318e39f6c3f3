// A real model and a short source file that is edited at random, again and again, with healing off: healed to
// the end, its cache answers as a fresh one does: to the bit, where products can be made batch-invariant, and
// nowhere further off than rounding is. The noise is measured beside it, between fresh prefills with two
// kernels of attention.

#include "base/files.h"
#include "cache/random_edits.h"
#include "engine/invariant_products.h"
#include "model/store.h"
#include "session/live_sequence.h"
#include "support/reference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace pie {
namespace {

constexpr size_t n_text_min = 240;
constexpr size_t n_text_max = 320; // tokens
constexpr size_t n_probe = 24;     // tokens that follow the text: each gives logits to compare
constexpr int32_t edit_length_max = 4;

// Of the error of a healed cache over the noise. Both are errors of rounding alone, each measured once.
constexpr double margin = 2;

std::unique_ptr<LoadedModel> load_model() {
    const auto path = resolve_model("smollm2-135m");
    REQUIRE_MESSAGE(path.has_value(), "this test needs the model: run `pie model pull smollm2-135m`");
    auto model = LoadedModel::load(*path);
    REQUIRE_MESSAGE(model.has_value(), model.error().message);
    return *std::move(model);
}

Tokens tokens_of_a_file(const LoadedModel& model) {
    const auto text = read_file(PIE_TEST_DATA "/inventory.py", 1 << 20);
    REQUIRE_MESSAGE(text.has_value(), text.error().message);
    return model.vocabulary().tokenize(*text);
}

struct Live {
    std::unique_ptr<KvCache> cache;
    std::unique_ptr<Engine> engine;
    LiveSequence sequence;

    explicit Live(const LoadedModel& model, KernelPath attention = KernelPath::host_first)
        : cache(*KvCache::create(model, {.n_cells = 768})),
          engine(*Engine::create(model, {.attention = attention})), sequence(*engine, *cache) {
        REQUIRE(engine->reserve(*cache));
    }

    void update(const Tokens& wanted, const ReuseOptions& options = {}) {
        const auto report = sequence.update(wanted, options);
        REQUIRE_MESSAGE(report.has_value(), report.error().message);
    }

    void heal() {
        for (int32_t n = 1; n > 0;) {
            const auto healed = sequence.heal(256);
            REQUIRE_MESSAGE(healed.has_value(), healed.error().message);
            n = *healed;
        }
        CHECK(sequence.n_exact() == sequence.n_tokens());
        CHECK(sequence.is_healed());
    }

    // Of the last token, and of each of `probe` behind it.
    std::vector<float> answers(const Tokens& probe) {
        const std::vector<float> last(sequence.logits().begin(), sequence.logits().end());
        const int32_t n_tokens = sequence.n_tokens();
        const auto more = sequence.extend(probe);
        REQUIRE_MESSAGE(more.has_value(), more.error().message);
        std::vector<float> all = last;
        all.insert(all.end(), more->begin(), more->end());
        sequence.rewind(n_tokens, last);
        return all;
    }
};

std::vector<float> fresh_answers(const LoadedModel& model, const Tokens& wanted, const Tokens& probe,
                                 KernelPath attention) {
    Live live(model, attention);
    live.update(wanted);
    return live.answers(probe);
}

// Small ones, as somebody makes who types, with words of the file itself.
void edit(std::mt19937& random, const Tokens& file, Tokens& text) {
    const Cut cut = random_cut(random, file, edit_length_max);
    edit_at_random(random, text, Tokens(file.begin() + cut.begin, file.begin() + cut.end), edit_length_max);
    if (text.size() > n_text_max) {
        text.erase(text.begin() + 10, text.begin() + 10 + static_cast<std::ptrdiff_t>(text.size() / 8));
    } else if (text.size() < n_text_min) {
        insert_at_random(random, text, Tokens(file.begin(), file.begin() + 40));
    }
}

void check_healing(int n_edits, const ReuseOptions& options) {
    CAPTURE(n_edits);
    std::mt19937 random(static_cast<uint32_t>(n_edits));
    const auto model = load_model();
    const Tokens file = tokens_of_a_file(*model);
    REQUIRE(file.size() > n_text_max + n_probe);
    const Tokens probe(file.end() - n_probe, file.end());
    Tokens text(file.begin(), file.begin() + 300);
    Live live(*model);
    live.update(text);
    for (int i = 0; i < n_edits; ++i) {
        edit(random, file, text);
        live.update(text, options);
    }
    const std::vector<float> fresh = fresh_answers(*model, text, probe, KernelPath::host_first);
    const double noise =
        testing::relative_error(fresh_answers(*model, text, probe, KernelPath::graph), fresh);
    const double stale = testing::relative_error(live.answers(probe), fresh);
    live.heal();
    const double healed = testing::relative_error(live.answers(probe), fresh);
    MESSAGE(n_edits << " edits: error " << stale << " before healing, " << healed << " after it; noise "
                    << noise);
    CHECK(healed < margin * noise);
    CHECK((healed == 0 || !InvariantProducts::create(*model)));
    if (n_edits >= 100) { // else there may have been nothing to heal
        CHECK(stale > 1.5 * healed);
    }
}

} // namespace

TEST_CASE("after one edit and after a hundred, a healed cache is a fresh one") {
    check_healing(1, {});
    check_healing(100, {});
}

TEST_CASE("after an edit that was undone, a healed cache is a fresh one") {
    const auto model = load_model();
    const Tokens file = tokens_of_a_file(*model);
    const Tokens probe(file.end() - n_probe, file.end());
    const Tokens text(file.begin(), file.begin() + 300);
    Tokens edited = text;
    edited.insert(edited.begin() + 40, file.begin() + 200, file.begin() + 204);
    Live live(*model);
    for (const Tokens& wanted : {text, edited, text}) {
        live.update(wanted, {.method = ReuseMethod::pie});
    }
    CHECK(live.sequence.n_exact() == live.sequence.n_tokens());
    const std::vector<float> fresh = fresh_answers(*model, text, probe, KernelPath::host_first);
    const double turned = testing::relative_error(live.answers(probe), fresh);
    live.heal();
    const double healed = testing::relative_error(live.answers(probe), fresh);
    MESSAGE("error " << turned << " with keys turned there and back, " << healed << " healed");
    CHECK(turned > 0);
    CHECK(healed < turned);
    CHECK((healed == 0 || !InvariantProducts::create(*model)));
}

// Some minutes, and more of them with seams. Without, there is more to heal.
TEST_CASE("after ten thousand edits a healed cache is a fresh one" * doctest::skip()) {
    check_healing(10'000, {.method = ReuseMethod::pie});
}

} // namespace pie
