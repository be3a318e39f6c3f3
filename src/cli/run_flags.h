#pragma once

// Flags that the commands which run a model share, and what they make: the model with its engine, and
// sessions.

#include "cli/command.h"
#include "engine/engine.h"
#include "model/catalogue.h"
#include "model/model.h"
#include "session/live_document.h"

#include <pie/model.h>
#include <pie/result.h>

#include <ggml.h>

#include <memory>
#include <string>

namespace pie {

struct RunFlags {
    std::string model = catalogue().default_model;
    std::string hub; // where not empty, it goes before `model`
    int32_t n_gpu_layers = 0;
    int32_t n_threads = 0; // 0: physical cores
    int32_t n_ctx = 0;     // 0: the session's default
    std::string type_k = "f16";
    std::string type_v = "f16";
};

void add_run_flags(CLI::App& command, RunFlags& flags);
void add_completion_flags(CLI::App& command, CompletionOptions& options);
void add_reuse_flags(CLI::App& command, ReuseOptions& options);

// Of the name that --cache-type-k or --cache-type-v took.
ggml_type cache_type(const std::string& name);

// As --method takes it.
std::string method_name(ReuseMethod method);

// What the flags say of a public Model; the rest is as in `options`.
ModelOptions with_run_flags(ModelOptions options, const RunFlags& flags);

struct RunningModel {
    std::unique_ptr<LoadedModel> model;
    std::unique_ptr<Engine> engine;
    std::string name; // as the user called it
};

Result<RunningModel> load_model(const RunFlags& flags);

// A session whose prompts leave room for n_predict tokens.
Result<std::unique_ptr<LiveDocument>> create_session(const RunningModel& loaded, const RunFlags& flags,
                                                     int32_t n_predict);

} // namespace pie
