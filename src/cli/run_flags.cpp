#include "cli/run_flags.h"

#include "cli/terminal.h"
#include "cli/validators.h"
#include "engine/sampler_order.h"

#include <ggml.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace pie {
namespace {

// As the engine and as the library call it.
struct CacheTypeFlag {
    ggml_type tensor;
    CacheType cache;
};

const std::map<std::string, CacheTypeFlag> cache_types = {{"f32", {GGML_TYPE_F32, CacheType::f32}},
                                                          {"f16", {GGML_TYPE_F16, CacheType::f16}},
                                                          {"bf16", {GGML_TYPE_BF16, CacheType::bf16}},
                                                          {"q8_0", {GGML_TYPE_Q8_0, CacheType::q8_0}},
                                                          {"q4_0", {GGML_TYPE_Q4_0, CacheType::q4_0}}};

const std::map<std::string, ReuseMethod> methods = {{"full", ReuseMethod::full},
                                                    {"cfe", ReuseMethod::cfe},
                                                    {"reuse", ReuseMethod::reuse},
                                                    {"pie", ReuseMethod::pie},
                                                    {"pie+seam", ReuseMethod::pie_seam}};

void add_sampler_flags(CLI::App& command, SamplingOptions& sampling) {
    command
        .add_option("--repeat-penalty", sampling.repeat_penalty,
                    "Divide the logits of tokens seen lately by this; 1: none")
        ->check(CLI::Range(0.01, 100.0))
        ->capture_default_str();
    command
        .add_option("--repeat-last-n", sampling.penalty_last_n,
                    "Tokens seen lately, the context's among them")
        ->check(at_least(0))
        ->capture_default_str();
    command
        .add_option_function<std::vector<std::string>>(
            "--samplers",
            [&sampling](const std::vector<std::string>& names) {
                auto order = parse_sampler_order(names);
                if (!order) {
                    throw CLI::ValidationError("--samplers", order.error().message);
                }
                sampling.order = *std::move(order);
            },
            "Samplers in their order, as in top_k,top_p,infill; what is not named has no effect")
        ->delimiter(',')
        ->allow_extra_args(false);
}

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
        ->check(at_least(0))
        ->capture_default_str();
    command.add_option("--top-k", sampling.top_k, "Draw among the k likeliest tokens; 0: all")
        ->check(at_least(0))
        ->capture_default_str();
    command.add_option("--top-p", sampling.top_p, "Draw among the likeliest that make up this probability")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    command.add_option("--min-p", sampling.min_p, "Leave out tokens below this share of the likeliest one's")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    command.add_option("--seed", sampling.seed, "Seed of the draws")->capture_default_str();
    add_sampler_flags(command, sampling);
    command.add_option("--stop", options.stop.strings, "End before this text; may be given several times")
        ->allow_extra_args(false);
    command
        .add_option("--indent", options.stop.n_indent,
                    "End at a line, but the first, that is indented by fewer spaces and tabs; 0: never")
        ->check(at_least(0))
        ->capture_default_str();
    command
        .add_option("--predict-ms", options.stop.predict_milliseconds_max,
                    "End with the first line that is complete after this time; 0: never")
        ->check(at_least(0))
        ->capture_default_str();
    command
        .add_option("--draft-max", options.draft_max,
                    "Most tokens to draft from the text and check at once, at temperature 0; 0: none; the "
                    "default is 15 where that saves time")
        ->check(CLI::Range(0, 256));
}

void add_reuse_flags(CLI::App& command, ReuseOptions& options) {
    command.add_option("--method", options.method, "How the cache is reused")
        ->transform(one_of(methods))
        ->default_str(method_name(options.method));
    command.add_option("--seam", options.seam, "Tokens encoded again behind each edit, for pie+seam")
        ->check(at_least(0))
        ->capture_default_str();
    command
        .add_option("--repair", options.repair,
                    "Most tokens beyond the seams that are encoded again because completions looked at them, "
                    "for pie+seam")
        ->check(at_least(0))
        ->capture_default_str();
    command
        .add_option("--update-ms", options.milliseconds,
                    "Shorten seams and repair to what this machine is expected to encode in this time; 0: do "
                    "not")
        ->check(at_least(0))
        ->capture_default_str();
}

ggml_type cache_type(const std::string& name) {
    return cache_types.at(name).tensor;
}

std::string method_name(ReuseMethod method) {
    const auto found = std::ranges::find(methods, method, [](const auto& entry) { return entry.second; });
    return found->first;
}

ModelOptions with_run_flags(ModelOptions options, const RunFlags& flags) {
    options.n_gpu_layers = flags.n_gpu_layers;
    options.n_threads = flags.n_threads;
    options.n_ctx = flags.n_ctx;
    options.keys = cache_types.at(flags.type_k).cache;
    options.values = cache_types.at(flags.type_v).cache;
    return options;
}

Result<RunningModel> load_model(const RunFlags& flags) {
    RunningModel loaded;
    loaded.name = flags.hub.empty() ? flags.model : flags.hub;
    PIE_ASSIGN(const std::filesystem::path path, find_model(flags.model, flags.hub));
    PIE_ASSIGN(loaded.model, LoadedModel::load(path, {.n_gpu_layers = flags.n_gpu_layers}));
    for (const std::string& doubt : loaded.model->doubts()) {
        print_note(coloured(Stream::err, Colour::yellow, printable(doubt)));
    }
    PIE_ASSIGN(loaded.engine, Engine::create(*loaded.model, {.n_threads = flags.n_threads}));
    return loaded;
}

Result<std::unique_ptr<LiveDocument>> create_session(const RunningModel& loaded, const RunFlags& flags,
                                                     int32_t n_predict) {
    return LiveDocument::create(*loaded.engine, {.n_ctx = flags.n_ctx,
                                                 .n_predict_max = n_predict,
                                                 .type_k = cache_type(flags.type_k),
                                                 .type_v = cache_type(flags.type_v),
                                                 .layout = {}});
}

} // namespace pie
