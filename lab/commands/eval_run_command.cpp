#include "base/files.h"
#include "base/interrupt.h"
#include "cli/run_flags.h"
#include "cli/terminal.h"
#include "commands/eval_commands.h"
#include "eval/dataset.h"
#include "eval/methods.h"
#include "eval/results.h"
#include "eval/run.h"
#include "eval/sandbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pie {
namespace {

constexpr int32_t n_ctx_default_max = 8192;  // as a session's; prompts of code files are smaller
constexpr int32_t n_ctx_behind_prompt = 512; // for the edit's own tokens, and what is scored or completed

struct EvalArguments {
    DatasetOptions data;
    RunFlags run;
    std::string methods = "full,full:64,prefix,reuse,cfe,pie,pie+seam,pie+attention:16,pie+heal";
    int32_t n_completion_tokens = 8;
    bool runs_code = false;
    std::string out;
};

// The model's name in the results, with whatever else changes them. The folder that a file lies in does not.
std::string result_name(const EvalArguments& arguments) {
    const RunFlags& run = arguments.run;
    std::string name = run.hub.empty() ? std::filesystem::path(run.model).filename().string() : run.hub;
    if (run.type_k != "f16" || run.type_v != "f16") {
        name += fmt::format(" k={} v={}", run.type_k, run.type_v);
    }
    if (arguments.n_completion_tokens != EvalArguments().n_completion_tokens) {
        name += fmt::format(" complete={}", arguments.n_completion_tokens);
    }
    return name;
}

// Full recompute is the reference, and the first row of each table.
Result<std::vector<Method>> methods_of(const EvalArguments& arguments) {
    PIE_ASSIGN(std::vector<Method> methods, parse_methods(arguments.methods));
    std::erase_if(methods, [](const Method& method) { return method.name == full_recompute().name; });
    methods.insert(methods.begin(), full_recompute());
    for (const Method& method : methods) {
        if (method.need == MethodNeed::completion && arguments.n_completion_tokens == 0) {
            return fail(
                ErrorCode::invalid_argument,
                fmt::format("the method '{}' learns from a completion before the edit; give it some tokens "
                            "with --complete",
                            method.name));
        }
    }
    return methods;
}

Result<int32_t> context_of(const RunFlags& flags, int32_t trained) {
    const int32_t n_ctx = flags.n_ctx > 0 ? flags.n_ctx : std::min(trained, n_ctx_default_max);
    if (n_ctx > trained || n_ctx <= n_ctx_behind_prompt) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the model was trained for a context of {} tokens, {} are asked for; give -c "
                                "more than {} and no more than that",
                                trained, n_ctx, n_ctx_behind_prompt));
    }
    return n_ctx;
}

Result<Dataset> load_data(const EvalArguments& arguments, const Vocabulary& vocabulary, int32_t n_ctx) {
    const TokenCounter count = [&vocabulary](std::string_view text) {
        return vocabulary.tokenize(text).size();
    };
    PIE_ASSIGN(Dataset data,
               read_dataset(arguments.data, {.tokens_max = static_cast<size_t>(n_ctx - n_ctx_behind_prompt),
                                             .count_tokens = count}));
    for (const std::string& left_out : data.left_out) {
        print_note(coloured(Stream::err, Colour::dim, "left out: " + left_out));
    }
    return data;
}

Result<bool> run_test(const std::string& program) {
    PIE_ASSIGN(const ProgramEnd end, run_python(program));
    return end == ProgramEnd::passed;
}

Result<void> run_eval(const EvalArguments& arguments) {
    PIE_ASSIGN(const std::vector<Method> methods, methods_of(arguments));
    PIE_TRY(create_folder(arguments.out));
    PIE_ASSIGN(Results results, Results::open(std::filesystem::path(arguments.out) / "results.jsonl"));
    PIE_ASSIGN(const RunningModel loaded, load_model(arguments.run));
    loaded.engine->set_cancel_flag(&interrupt_flag());
    PIE_ASSIGN(const int32_t n_ctx, context_of(arguments.run, loaded.model->hparams().n_ctx_train));
    PIE_ASSIGN(const Dataset data, load_data(arguments, loaded.model->vocabulary(), n_ctx));
    PIE_ASSIGN(const auto runner,
               RowRunner::create(*loaded.engine,
                                 {.n_cells = n_ctx,
                                  .type_k = cache_type(arguments.run.type_k),
                                  .type_v = cache_type(arguments.run.type_v)},
                                 {.model = result_name(arguments),
                                  .n_completion_tokens = arguments.n_completion_tokens,
                                  .run_program = arguments.runs_code ? run_test : ProgramRunner()}));
    Progress progress(progress_on_stderr());
    PIE_TRY(run_rows(data.rows, methods, *runner, results, progress));
    return report_on(arguments.out);
}

} // namespace

void add_eval_run_command(CLI::App& eval, CommandRun& run) {
    auto arguments = std::make_shared<EvalArguments>();
    arguments->data.edits = {
        "insertion",          "deletion",           "edition", "contextual-single-5", "contextual-single-15",
        "contextual-multi-5", "contextual-multi-15"};
    CLI::App* command = eval.add_subcommand("run", "Measure methods on the rows and samples of data files");
    DatasetOptions& data = arguments->data;
    command
        ->add_option("--data", data.files,
                     "Files of rows or samples, one JSON object a line, as they are or packed with gzip")
        ->required();
    command->add_option("--edits", data.edits, "Kinds of edits to make in samples, separated by commas")
        ->delimiter(',')
        ->capture_default_str();
    command->add_option("--methods", arguments->methods, "Ways to compare with full recompute")
        ->capture_default_str();
    command->add_option("-n,--samples", data.n_samples,
                        "Samples of each language and setting, drawn by the seed; the default is all");
    command->add_option("--seed", data.seed, "Seed of the draws")->capture_default_str();
    add_run_flags(*command, arguments->run);
    command
        ->add_option("--complete", arguments->n_completion_tokens,
                     "Tokens to complete before each edit, for methods that learn from them")
        ->check(CLI::Range(0, 4096))
        ->capture_default_str();
    command->add_flag(
        "--run-code", arguments->runs_code,
        "Run what the model writes for problems with tests, by python3, shut off from network and files");
    command
        ->add_option("--out", arguments->out,
                     "Folder for results and tables; what results.jsonl holds is not measured again")
        ->required();
    command->callback([arguments, &run] {
        run = [arguments] {
            const auto result = run_eval(*arguments);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace pie
