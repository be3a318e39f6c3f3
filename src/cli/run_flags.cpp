#include "cli/run_flags.h"

#include <ggml.h>

#include <algorithm>
#include <map>

namespace pie {
namespace {

const std::map<std::string, ggml_type> cache_types = {{"f32", GGML_TYPE_F32},
                                                      {"f16", GGML_TYPE_F16},
                                                      {"bf16", GGML_TYPE_BF16},
                                                      {"q8_0", GGML_TYPE_Q8_0},
                                                      {"q4_0", GGML_TYPE_Q4_0}};

const std::map<std::string, ReuseMethod> methods = {{"full", ReuseMethod::full},
                                                    {"cfe", ReuseMethod::cfe},
                                                    {"reuse", ReuseMethod::reuse},
                                                    {"pie", ReuseMethod::pie},
                                                    {"pie+seam", ReuseMethod::pie_seam}};

} // namespace

void add_run_flags(CLI::App& command, RunFlags& flags) {
    auto* model =
        command
            .add_option("-m,--model", flags.model, "A model of 'pie model list', or a path to a GGUF file")
            ->capture_default_str();
    command
        .add_option("--hf", flags.hub,
                    "A model of the hub, fetched if it is not here (also -hf): user/repo[:quant]")
        ->excludes(model);
    command.add_option("--gpu-layers", flags.n_gpu_layers, "Layers to place on GPUs (also -ngl)")
        ->capture_default_str();
    command.add_option("-t,--threads", flags.n_threads, "Threads; the default is one a physical core")
        ->check(CLI::Range(1, 1024));
    command
        .add_option("-c,--ctx-size", flags.n_ctx,
                    "Context in tokens; the default is the model's, but 8192 at most")
        ->check(CLI::Range(1, 1 << 24));
    command.add_option("--cache-type-k", flags.type_k, "Type of cached keys")
        ->check(CLI::IsMember(&cache_types))
        ->capture_default_str();
    command.add_option("--cache-type-v", flags.type_v, "Type of cached values")
        ->check(CLI::IsMember(&cache_types))
        ->capture_default_str();
}

void add_completion_flags(CLI::App& command, CompletionOptions& options) {
    SamplingOptions& sampling = options.sampling;
    command.add_option("-n,--n-predict", options.n_predict, "Most tokens to complete")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    command.add_option("--temp", sampling.temperature, "Temperature; 0 takes the likeliest token")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    command.add_option("--top-k", sampling.top_k, "Draw among the k likeliest tokens; 0: all")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    command.add_option("--top-p", sampling.top_p, "Draw among the likeliest that make up this probability")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    command.add_option("--min-p", sampling.min_p, "Leave out tokens below this share of the likeliest one's")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    command.add_option("--seed", sampling.seed, "Seed of the draws")->capture_default_str();
}

void add_reuse_flags(CLI::App& command, ReuseOptions& options) {
    command
        .add_option("--method", options.method, "How the cache is reused: full, cfe, reuse, pie or pie+seam")
        ->transform(CLI::CheckedTransformer(methods))
        ->default_str(method_name(options.method));
    command.add_option("--seam", options.seam, "Tokens encoded again behind each edit, for pie+seam")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
}

std::string method_name(ReuseMethod method) {
    const auto found = std::ranges::find(methods, method, [](const auto& entry) { return entry.second; });
    return found->first;
}

Result<LoadedModel> load_model(const RunFlags& flags) {
    LoadedModel loaded;
    loaded.name = flags.hub.empty() ? flags.model : flags.hub;
    PIE_ASSIGN(const std::filesystem::path path, find_model(flags.model, flags.hub));
    PIE_ASSIGN(loaded.model, Model::load(path, {.n_gpu_layers = flags.n_gpu_layers}));
    PIE_ASSIGN(loaded.engine, Engine::create(*loaded.model, {.n_threads = flags.n_threads}));
    return loaded;
}

Result<std::unique_ptr<Session>> create_session(const LoadedModel& loaded, const RunFlags& flags,
                                                int32_t n_predict) {
    return Session::create(*loaded.engine, {.n_ctx = flags.n_ctx,
                                            .n_predict_max = n_predict,
                                            .type_k = cache_types.at(flags.type_k),
                                            .type_v = cache_types.at(flags.type_v),
                                            .layout = {}});
}

} // namespace pie
