// The paper's ordering on a real model: how far each way of reusing the cache is from full recompute, for the
// edits that tell them apart. A fixed small sample with wide margins; the figures themselves are pie-lab
// eval's business.

#include "cache/kv_cache.h"
#include "engine/engine.h"
#include "engine/logits.h"
#include "eval/saved_state.h"
#include "model/store.h"
#include "prompt/layout.h"
#include "session/live_sequence.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace pie {
namespace {

constexpr int32_t n_ctx = 2048;

std::string read_fixture() {
    std::ifstream file(PIE_TEST_DATA "/inventory.py");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        text.replace(at, from.size(), to);
    }
}

// One edit: the prompt before and after it, and the text that follows, on which distributions are compared.
struct Sample {
    LayoutKind layout;
    std::string prefix_before;
    std::string prefix_after;
    std::string suffix;
    std::string target;
};

class Fidelity {
  public:
    Fidelity() {
        const auto path = resolve_model("qwen2.5-coder-0.5b");
        REQUIRE_MESSAGE(path.has_value(), "run: pie model pull qwen2.5-coder-0.5b");
        model_ = LoadedModel::load(*path).value();
        cache_ = KvCache::create(*model_, {.n_cells = n_ctx}).value();
        engine_ = Engine::create(*model_).value();
        REQUIRE(engine_->reserve(*cache_).has_value());
    }

    // Mean KL(full || method) per token of the target, for each method.
    std::map<ReuseMethod, double> measure(const Sample& sample) {
        PromptLayout layout = PromptLayout::create(model_->vocabulary(), sample.layout).value();
        const std::vector<TokenId> before = layout.tokens({sample.prefix_before, sample.suffix});
        const std::vector<TokenId> after = layout.tokens({sample.prefix_after, sample.suffix});
        const std::vector<TokenId> target = model_->vocabulary().tokenize(sample.target);

        const std::vector<std::vector<float>> full = logits_on(after, target, ReuseMethod::full);
        LiveSequence sequence(*engine_, *cache_);
        REQUIRE(sequence.update(before, {.method = ReuseMethod::full}).has_value());
        const SavedState encoded = SavedState::save(sequence, *cache_);
        std::map<ReuseMethod, double> divergence;
        for (const ReuseMethod method : {ReuseMethod::cfe, ReuseMethod::pie, ReuseMethod::pie_seam}) {
            encoded.restore(sequence, *cache_);
            const std::vector<std::vector<float>> logits = logits_on(after, target, method);
            for (size_t i = 0; i < full.size(); ++i) {
                divergence[method] += kl_divergence(full[i], logits[i]) / static_cast<double>(full.size());
            }
        }
        return divergence;
    }

  private:
    // Logits before each token of the target.
    std::vector<std::vector<float>> logits_on(std::span<const TokenId> prompt,
                                              std::span<const TokenId> target, ReuseMethod method) {
        LiveSequence sequence(*engine_, *cache_);
        REQUIRE(sequence.update(prompt, {.method = method}).has_value());
        std::vector<std::vector<float>> result;
        result.emplace_back(sequence.logits().begin(), sequence.logits().end());
        const auto rest = sequence.extend(target.first(target.size() - 1));
        REQUIRE(rest.has_value());
        const size_t n_vocab = result.front().size();
        for (size_t i = 0; i < rest->size(); i += n_vocab) {
            const auto row = rest->subspan(i, n_vocab);
            result.emplace_back(row.begin(), row.end());
        }
        return result;
    }

    std::unique_ptr<LoadedModel> model_;
    std::unique_ptr<KvCache> cache_;
    std::unique_ptr<Engine> engine_;
};

// A piece of the fixture's text around `line`, which is the target: what comes before it, itself, what
// follows.
struct Split {
    std::string prefix;
    std::string line;
    std::string suffix;
};

Split split_at(const std::string& text, const std::string& line) {
    const size_t at = text.find(line);
    REQUIRE(at != std::string::npos);
    return {text.substr(0, at), line, text.substr(at + line.size())};
}

} // namespace

TEST_CASE("seam repair, then PIE, then far off CFE: insertion and rename, left to right") {
    Fidelity fidelity;
    const std::string text = read_fixture();
    Split split =
        split_at(text, "            turnover += warehouse.find(movement.code).value_of(-movement.amount)\n");

    Sample insertion{LayoutKind::plain, split.prefix, split.prefix, "", split.line};
    const std::string lines =
        "        self.reorder_level = reorder_level\n\n    def value_of(self, amount):\n"
        "        return round(self.unit_price * amount, 2)\n";
    insertion.prefix_before.erase(insertion.prefix_before.find(lines), lines.size());

    Sample rename{LayoutKind::plain, split.prefix, split.prefix, "", split.line};
    replace_all(rename.prefix_before, "value_of", "worth");
    replace_all(rename.prefix_before, "movement", "change");

    std::map<ReuseMethod, double> mean;
    for (const Sample& sample : {insertion, rename}) {
        for (const auto& [method, divergence] : fidelity.measure(sample)) {
            MESSAGE("method " << static_cast<int>(method) << ": KL " << divergence);
            mean[method] += divergence / 2;
        }
    }
    CHECK(mean[ReuseMethod::pie_seam] < mean[ReuseMethod::pie]);
    CHECK(mean[ReuseMethod::pie] < 0.5);
    CHECK(mean[ReuseMethod::cfe] > 4 * mean[ReuseMethod::pie]);
}

TEST_CASE("typing at a fill-in-the-middle cursor: plain PIE fails behind the marker, the seam mends it") {
    Fidelity fidelity;
    const std::string text = read_fixture();
    const std::string typed = "        if amount > self.amounts[code]:\n";
    Split split =
        split_at(text, "            raise StockError(f\"there are only {self.amounts[code]} of {code}\")\n");
    Sample typing{LayoutKind::psm, split.prefix, split.prefix, split.suffix, split.line};
    typing.prefix_before.resize(split.prefix.size() - typed.size());
    REQUIRE(split.prefix.ends_with(typed));

    const std::map<ReuseMethod, double> divergence = fidelity.measure(typing);
    for (const auto& [method, kl] : divergence) {
        MESSAGE("method " << static_cast<int>(method) << ": KL " << kl);
    }
    CHECK(divergence.at(ReuseMethod::pie_seam) * 50 < divergence.at(ReuseMethod::pie));
    CHECK(divergence.at(ReuseMethod::pie_seam) < 0.1);
}

} // namespace pie
