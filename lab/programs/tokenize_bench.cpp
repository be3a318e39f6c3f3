// What a keystroke in the middle of a 30 kB source file costs, against tokenising the file from scratch:
//
//     tokenize_bench [--benchmark_filter=keystroke]
//
// Not a test. The vocabularies and the file are those of the llama.cpp tree.

#include "model/model.h"
#include "prompt/tokenized_text.h"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace fs = std::filesystem;

namespace {

constexpr size_t text_bytes = 30'000;

std::string source_text() {
    std::ifstream file(fs::path(PIE_LLAMA_SOURCES) / "src" / "llama-vocab.cpp", std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    // From the middle of the file, where functions are, and whole lines.
    const size_t begin = text.find('\n', std::min(text.size(), size_t{90'000}));
    return begin == std::string::npos ? std::string() : text.substr(begin + 1, text_bytes);
}

void from_scratch(benchmark::State& state, const pie::Vocabulary& vocabulary, const std::string& text) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(vocabulary.tokenize(text).size());
    }
}

// Types a line over and over, so that parts grow and are divided as they are in use.
void keystroke(benchmark::State& state, const std::shared_ptr<const pie::CutRule>& rule, std::string text) {
    const std::string line = "    const size_t count = lines.size() - begin; // kept\n";
    pie::TokenizedText tokenized(rule);
    tokenized.update(text);
    const size_t middle = text.find('\n', text.size() / 2) + 1;
    size_t typed = 0;
    for (auto _ : state) {
        if (typed == line.size()) {
            state.PauseTiming();
            text.erase(middle, typed);
            tokenized.update(text);
            typed = 0;
            state.ResumeTiming();
        }
        text.insert(middle + typed, 1, line[typed]);
        ++typed;
        benchmark::DoNotOptimize(tokenized.update(text).size());
    }
}

void rule_once_per_model(benchmark::State& state, const pie::Vocabulary& vocabulary) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(pie::CutRule(vocabulary).can_cut());
    }
}

} // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    const std::string text = source_text();
    if (text.size() < text_bytes) {
        std::fprintf(stderr, "There is no source file to tokenise in %s.\n", PIE_LLAMA_SOURCES);
        return 1;
    }
    std::vector<std::unique_ptr<pie::LoadedModel>> models;
    for (const char* name : {"qwen2", "starcoder", "llama-bpe", "llama-spm", "deepseek-coder"}) {
        const fs::path path =
            fs::path(PIE_LLAMA_SOURCES) / "models" / ("ggml-vocab-" + std::string(name) + ".gguf");
        auto model = pie::LoadedModel::load(path, {.parts = pie::LoadParts::vocabulary});
        if (!model) {
            std::fprintf(stderr, "%s\n", model.error().message.c_str());
            continue;
        }
        models.push_back(*std::move(model));
        const pie::Vocabulary& vocabulary = models.back()->vocabulary();
        const auto rule = std::make_shared<const pie::CutRule>(vocabulary);
        const auto with_name = [&](const char* what) { return std::string(what) + "/" + name; };
        benchmark::RegisterBenchmark(with_name("from_scratch").c_str(), [&](benchmark::State& state) {
            from_scratch(state, vocabulary, text);
        })->Unit(benchmark::kMicrosecond);
        benchmark::RegisterBenchmark(with_name("keystroke").c_str(), [&text, rule](benchmark::State& state) {
            keystroke(state, rule, text);
        })->Unit(benchmark::kMicrosecond);
        benchmark::RegisterBenchmark(with_name("rule").c_str(), [&](benchmark::State& state) {
            rule_once_per_model(state, vocabulary);
        })->Unit(benchmark::kMicrosecond);
    }
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
