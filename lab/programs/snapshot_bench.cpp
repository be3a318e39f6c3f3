// Saving and restoring a cache of 4,096 tokens of a real model, against the prefill that made it. The file is
// in the page cache when it is restored, as it is shortly after it was written; `cold` asks the system to
// forget it before each restore. A restore includes making the cache. `copy` is what a snapshot that another
// thread writes costs the model thread; `memory` is having the system hand out what it is copied into, which
// the other thread does too.
//
//   snapshot_bench MODEL.gguf TEXT FOLDER [f16 or q8_0]

#include "base/elapsed.h"
#include "base/quantile.h"
#include "cache/snapshot.h"
#include "engine/engine.h"
#include "session/live_sequence.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace pie {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int32_t n_tokens = 4096;
constexpr int rounds = 11;

void forget_pages(const fs::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    ::close(file);
}

class SnapshotBench {
  public:
    SnapshotBench(Engine& engine, KvCacheOptions options, fs::path file)
        : engine_(engine), options_(options), file_(std::move(file)) {}

    Result<void> run(std::span<const TokenId> tokens) {
        PIE_ASSIGN(const auto cache, KvCache::create(engine_.model(), options_));
        LiveSequence sequence(engine_, *cache);
        PIE_ASSIGN(const UpdateReport prefill, sequence.update(tokens, {.method = ReuseMethod::full}));
        fmt::print("prefill       {:8.0f} ms\n", prefill.milliseconds);
        PIE_TRY(save(*cache, sequence.logits()));
        copy(*cache, sequence.logits());
        fmt::print("file          {:8.1f} MB for {:.1f} MB of keys and values\n",
                   static_cast<double>(fs::file_size(file_)) / 1e6,
                   static_cast<double>(cache->bytes()) / 1e6);
        PIE_ASSIGN(const double warm_ms, restore("restore", [] {}));
        PIE_TRY(restore("restore, cold", [this] { forget_pages(file_); }));
        fmt::print("a restore is {:.0f} times as fast as the prefill\n", prefill.milliseconds / warm_ms);
        return {};
    }

  private:
    Result<void> save(const KvCache& cache, std::span<const float> logits) {
        std::vector<double> times_ms;
        for (int round = 0; round < rounds; ++round) {
            const auto start = Clock::now();
            PIE_TRY(save_snapshot(file_, engine_.model(), cache, logits));
            times_ms.push_back(milliseconds_since(start));
        }
        print("save", times_ms);
        return {};
    }

    void copy(const KvCache& cache, std::span<const float> logits) {
        std::vector<double> memory_ms;
        std::vector<double> copy_ms;
        for (int round = 0; round < rounds; ++round) {
            auto start = Clock::now();
            CacheCopy copy(cache);
            copy.touch();
            memory_ms.push_back(milliseconds_since(start));
            start = Clock::now();
            copy.take(engine_.model(), cache, logits);
            copy_ms.push_back(milliseconds_since(start));
        }
        print("memory", memory_ms);
        print("copy", copy_ms);
    }

    template <typename Prepare>
    Result<double> restore(std::string_view name, const Prepare& prepare) {
        std::vector<double> times_ms;
        for (int round = 0; round < rounds; ++round) {
            prepare();
            const auto start = Clock::now();
            PIE_ASSIGN(const auto cache, KvCache::create(engine_.model(), options_));
            PIE_TRY(load_snapshot(file_, engine_.model(), *cache));
            times_ms.push_back(milliseconds_since(start));
        }
        print(name, times_ms);
        return median(times_ms);
    }

    static void print(std::string_view name, const std::vector<double>& times_ms) {
        fmt::print("{:13} {:8.1f} ms (best {:.1f}, worst {:.1f})\n", name, median(times_ms),
                   std::ranges::min(times_ms), std::ranges::max(times_ms));
    }

    Engine& engine_;
    KvCacheOptions options_;
    fs::path file_;
};

Result<void> run(const fs::path& model_path, const fs::path& text_path, const fs::path& folder,
                 ggml_type type) {
    const auto start = Clock::now();
    PIE_ASSIGN(const auto model, LoadedModel::load(model_path));
    fmt::print("loading       {:8.0f} ms\n", milliseconds_since(start));
    PIE_ASSIGN(const auto engine, Engine::create(*model));
    std::ostringstream text;
    text << std::ifstream(text_path).rdbuf();
    std::vector<TokenId> tokens = model->vocabulary().tokenize(text.str());
    if (tokens.size() < n_tokens) {
        return fail(ErrorCode::invalid_argument, fmt::format("{} has {} tokens, {} are needed",
                                                             text_path.string(), tokens.size(), n_tokens));
    }
    tokens.resize(n_tokens);
    return SnapshotBench(*engine, {.n_cells = n_tokens, .type_k = type, .type_v = type},
                         folder / "bench.snapshot")
        .run(tokens);
}

} // namespace
} // namespace pie

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: %s MODEL.gguf TEXT FOLDER [f16 or q8_0]\n", argv[0]);
        return 2;
    }
    const bool is_quantized = argc > 4 && std::string_view(argv[4]) == "q8_0";
    if (auto done = pie::run(argv[1], argv[2], argv[3], is_quantized ? GGML_TYPE_Q8_0 : GGML_TYPE_F16);
        !done) {
        std::fprintf(stderr, "%s\n", done.error().message.c_str());
        return 1;
    }
    return 0;
}
