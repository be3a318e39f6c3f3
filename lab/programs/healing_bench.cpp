// Healing on a real model: its throughput beside that of a plain prefill, how long an edit that arrives in
// the middle of it waits, and how far the healed cache is from a fresh one after many random edits.
//
//   healing_bench MODEL.gguf TEXT [EDITS]

#include "base/elapsed.h"
#include "base/quantile.h"
#include "bench/number_argument.h"
#include "cache/kv_cache.h"
#include "engine/engine.h"
#include "engine/logits.h"
#include "model/model.h"
#include "session/live_document.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace pie {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int rounds = 5;
constexpr int interruptions = 40;

class HealingBench {
  public:
    HealingBench(Engine& engine, std::string text)
        : engine_(engine), session_(*LiveDocument::create(engine, {.n_ctx = 4096})), text_(std::move(text)) {}

    Result<void> run(int n_edits) {
        PIE_TRY(throughput());
        PIE_TRY(waiting());
        return exactness(n_edits);
    }

  private:
    Result<UpdateReport> update(const ReuseOptions& reuse = {}) {
        return session_->update(text_, ByteOffset(text_.size() * 3 / 4), reuse);
    }

    Result<void> heal_all() {
        for (int32_t n = 1; n > 0;) {
            PIE_ASSIGN(n, session_->heal());
        }
        return {};
    }

    Result<void> throughput() {
        std::vector<double> ratios;
        for (int round = 0; round < rounds; ++round) {
            auto start = Clock::now();
            PIE_ASSIGN(const UpdateReport full, update({.method = ReuseMethod::full}));
            const double prefill = full.tokens_encoded / milliseconds_since(start);
            text_.insert(text_.begin(), '\n');
            PIE_TRY(update());
            const int32_t n_stale = session_->sequence().n_tokens() - session_->sequence().n_exact();
            start = Clock::now();
            PIE_TRY(heal_all());
            const double healing = n_stale / milliseconds_since(start);
            ratios.push_back(healing / prefill);
            fmt::print("prefill {:.1f} tokens/s, healing {:.1f}, ratio {:.3f}\n", prefill * 1000,
                       healing * 1000, ratios.back());
        }
        fmt::print("healing / prefill: median {:.3f}\n", median(ratios));
        return {};
    }

    Result<void> waiting() {
        std::vector<double> waits;
        std::mt19937 random(1);
        std::atomic<bool> cancel = false;
        engine_.set_cancel_flag(&cancel);
        for (int i = 0; i < interruptions; ++i) {
            text_.insert(text_.begin(), '\n');
            PIE_TRY(update());
            Clock::time_point asked;
            std::thread editor([&] {
                std::this_thread::sleep_for(
                    std::chrono::milliseconds(std::uniform_int_distribution(20, 400)(random)));
                asked = Clock::now();
                cancel = true;
            });
            const auto healed = heal_all();
            const Clock::time_point free = Clock::now();
            editor.join();
            cancel = false;
            if (!healed && healed.error().code == ErrorCode::cancelled) {
                waits.push_back(std::chrono::duration<double, std::milli>(free - asked).count());
            }
        }
        engine_.set_cancel_flag(nullptr);
        fmt::print(
            "an edit waits for healing to stop: p50 {:.1f} ms, p99 {:.1f} ms, most {:.1f} ms, {} times\n",
            median(waits), quantile(waits, 0.99), quantile(waits, 1), waits.size());
        return {};
    }

    Result<std::vector<float>> fresh_logits(int32_t n_batch) {
        PIE_ASSIGN(const auto engine, Engine::create(engine_.model(), {.n_batch = n_batch}));
        PIE_ASSIGN(const auto cache,
                   KvCache::create(engine_.model(), {.n_cells = session_->sequence().n_tokens()}));
        PIE_TRY(engine->reserve(*cache));
        LiveSequence sequence(*engine, *cache);
        PIE_TRY(sequence.update(session_->sequence().tokens(), {.method = ReuseMethod::full}));
        return std::vector<float>(sequence.logits().begin(), sequence.logits().end());
    }

    // Characters come and go anywhere; the text's length stays about what it is.
    Result<void> exactness(int n_edits) {
        std::mt19937 random(2);
        const size_t n_bytes = text_.size();
        for (int i = 0; i < n_edits; ++i) {
            const size_t at = std::uniform_int_distribution<size_t>(0, text_.size() - 8)(random);
            if (text_.size() > n_bytes) {
                text_.erase(at, 4);
            } else {
                text_.insert(at, "x = ");
            }
            PIE_TRY(update());
        }
        const std::vector<float> stale(session_->sequence().logits().begin(),
                                       session_->sequence().logits().end());
        PIE_TRY(heal_all());
        PIE_ASSIGN(const std::vector<float> fresh, fresh_logits(512));
        PIE_ASSIGN(const std::vector<float> fresh_64, fresh_logits(64));
        fmt::print(
            "after {} edits, KL to a fresh prefill: not healed {:.6f}, healed {:.6f}; between prefills "
            "of two batch sizes {:.6f}\n",
            n_edits, kl_divergence(fresh, stale), kl_divergence(fresh, session_->sequence().logits()),
            kl_divergence(fresh, fresh_64));
        return {};
    }

    Engine& engine_;
    std::unique_ptr<LiveDocument> session_;
    std::string text_;
};

} // namespace
} // namespace pie

int main(int argc, char** argv) {
    int n_edits = 100;
    if (argc < 3 || argc > 4 || !pie::read_argument(argc, argv, 3, n_edits)) {
        fmt::print(stderr, "usage: healing_bench MODEL.gguf TEXT [EDITS]\n");
        return 2;
    }
    std::ifstream file(argv[2]);
    std::stringstream text;
    text << file.rdbuf();
    const auto model = pie::LoadedModel::load(argv[1]);
    const auto engine = model ? pie::Engine::create(**model) : tl::unexpected(model.error());
    const auto done =
        engine ? pie::HealingBench(**engine, text.str()).run(n_edits) : tl::unexpected(engine.error());
    if (!done) {
        fmt::print(stderr, "{}\n", done.error().message);
        return 1;
    }
    return 0;
}
