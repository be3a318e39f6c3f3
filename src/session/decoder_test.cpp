// Drafting on a real model, in a file that repeats itself: some drafts are right, and the completion is that
// without drafts, but where the engine rounds batches otherwise and that could decide either way.

#include "model/store.h"
#include "prompt/layout.h"
#include "session/completion.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace pie {
namespace {

std::string read_fixture() {
    std::ifstream file(PIE_TEST_DATA "/inventory.py");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

// Of the token taken over the next likely one; nats are logits here.
double lead_of(const TokenProbabilities& probabilities) {
    return probabilities.likeliest[0].log_probability - probabilities.likeliest[1].log_probability;
}

} // namespace

TEST_CASE("Qwen2.5-Coder 0.5B writes with drafts what it writes without") {
    const auto path = resolve_model("qwen2.5-coder-0.5b");
    REQUIRE_MESSAGE(path.has_value(), "run: pie model pull qwen2.5-coder-0.5b");
    const auto model = LoadedModel::load(*path).value();
    const auto cache = KvCache::create(*model, {.n_cells = 2048}).value();
    const auto engine = Engine::create(*model).value();
    LiveSequence sequence(*engine, *cache);
    PromptLayout layout = PromptLayout::create(model->vocabulary(), LayoutKind::psm).value();
    const std::string text = read_fixture();
    int32_t n_accepted = 0;
    for (const char* place : {"            raise StockError(\"only positive", "    def movements_of",
                              "            raise StockError(f\"there is no item"}) {
        CAPTURE(place);
        const size_t at = text.find(place);
        REQUIRE(at != std::string::npos);
        const size_t from = at > 1500 ? text.find('\n', at - 1500) + 1 : 0;
        const std::string_view around(text);
        REQUIRE(sequence.update(layout.tokens({around.substr(from, at - from), around.substr(at, 800)}), {})
                    .has_value());
        const Completion plain = complete(sequence, {.n_predict = 48, .n_probs = 2, .draft_max = 0}).value();
        const Completion drafted = complete(sequence, {.n_predict = 48, .draft_max = 15}).value();
        n_accepted += drafted.tokens_accepted;
        const auto [ours, theirs] = std::ranges::mismatch(drafted.tokens, plain.tokens);
        if (theirs != plain.tokens.end()) {
            const auto i = static_cast<size_t>(theirs - plain.tokens.begin());
            CAPTURE(i);
            CHECK_FALSE(engine->is_batch_invariant());
            CHECK(lead_of(plain.probabilities[i]) < 0.5);
        } else {
            CHECK(drafted.text == plain.text);
        }
    }
    CHECK(n_accepted > 0);
}

} // namespace pie
