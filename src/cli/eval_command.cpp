// pie eval ROWS and pie eval build: how far ways of reusing the cache are from full recompute, and the rows
// to measure that on.

#include "base/files.h"
#include "base/interrupt.h"
#include "cli/command.h"
#include "cli/run_flags.h"
#include "cli/terminal.h"
#include "eval/methods.h"
#include "eval/report.h"
#include "eval/results.h"
#include "eval/row_builder.h"
#include "eval/rows.h"
#include "eval/run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <ggml.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pie {
namespace {

constexpr int32_t n_ctx_default_max = 8192; // as a session's; prompts of code files are smaller

struct EvalArguments {
    std::string rows;
    RunFlags run;
    std::string methods = "full,full:64,reuse,cfe,pie,pie+seam";
    int32_t n_completion_tokens = 0;
    std::string out;
    bool json = false;
};

struct BuildArguments {
    std::string from;
    std::string model = catalogue().default_model;
    BuildOptions options;
    std::string out;
};

// The model's name in the results, with whatever else changes them. The folder that a file lies in does not.
std::string result_name(const EvalArguments& arguments) {
    const RunFlags& run = arguments.run;
    std::string name = run.hub.empty() ? std::filesystem::path(run.model).filename().string() : run.hub;
    if (run.type_k != "f16" || run.type_v != "f16") {
        name += fmt::format(" k={} v={}", run.type_k, run.type_v);
    }
    if (arguments.n_completion_tokens > 0) {
        name += fmt::format(" complete={}", arguments.n_completion_tokens);
    }
    return name;
}

// The flag took nothing but names of types.
ggml_type cache_type(std::string_view name) {
    int type = 0;
    while (name != ggml_type_name(static_cast<ggml_type>(type))) {
        ++type;
    }
    return static_cast<ggml_type>(type);
}

// Full recompute is the reference, and the first row of the table.
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

Result<void> measure(const EvalArguments& arguments, std::span<const EvalRow> rows,
                     std::span<const Method> methods, Results& results) {
    PIE_ASSIGN(const RunningModel loaded, load_model(arguments.run));
    loaded.engine->set_cancel_flag(&interrupt_flag());
    const int32_t trained = loaded.model->hparams().n_ctx_train;
    const int32_t n_ctx =
        arguments.run.n_ctx > 0 ? arguments.run.n_ctx : std::min(trained, n_ctx_default_max);
    if (n_ctx > trained) {
        return fail(
            ErrorCode::invalid_argument,
            fmt::format("the model was trained for a context of {0} tokens, {1} are asked for; give -c "
                        "{0} or less",
                        trained, n_ctx));
    }
    PIE_ASSIGN(const auto runner, RowRunner::create(*loaded.engine,
                                                    {.n_cells = n_ctx,
                                                     .type_k = cache_type(arguments.run.type_k),
                                                     .type_v = cache_type(arguments.run.type_v)},
                                                    {.model = result_name(arguments),
                                                     .n_completion_tokens = arguments.n_completion_tokens}));
    Progress progress(progress_on_stderr());
    return run_rows(rows, methods, *runner, results, progress);
}

Result<void> run_eval(const EvalArguments& arguments) {
    PIE_ASSIGN(const std::vector<Method> methods, methods_of(arguments));
    PIE_ASSIGN(const std::vector<EvalRow> rows, read_rows(arguments.rows));
    Results results;
    if (!arguments.out.empty()) {
        PIE_ASSIGN(results, Results::open(arguments.out));
    }
    const std::string model = result_name(arguments);
    // A run that is finished is reported again without loading the model.
    if (rows_left(rows, methods, model, results) > 0) {
        PIE_TRY(measure(arguments, rows, methods, results));
    }
    std::vector<Measurement> measurements;
    for (const Method& method : methods) {
        for (const EvalRow& row : rows) {
            measurements.push_back(*results.find(blank_measurement(row, method, model).key));
        }
    }
    const std::vector<Summary> summaries = summarise(measurements);
    fmt::print("{}", arguments.json ? summary_lines(summaries) : summary_table(summaries));
    return {};
}

Result<void> run_build(const BuildArguments& arguments) {
    PIE_ASSIGN(const std::filesystem::path path, find_model(arguments.model, ""));
    PIE_ASSIGN(const auto model, LoadedModel::load(path, {.parts = LoadParts::vocabulary}));
    PIE_ASSIGN(const SourceTree tree, read_source_tree(arguments.from));
    const Vocabulary& vocabulary = model->vocabulary();
    PIE_ASSIGN(const BuiltRows built,
               build_rows(tree, arguments.options,
                          [&vocabulary](std::string_view text) { return vocabulary.tokenize(text).size(); }));
    std::string lines;
    for (const EvalRow& row : built.rows) {
        lines += row_line(row) + "\n";
    }
    if (arguments.out.empty()) {
        fmt::print("{}", lines);
    } else {
        PIE_TRY(write_file_atomic(arguments.out, lines));
    }
    fmt::print(stderr, "{}\n",
               coloured(Stream::err, Colour::dim,
                        fmt::format("{} rows from {} files; {} files are no text that rows can hold",
                                    built.rows.size(), tree.files.size(), tree.n_skipped)));
    if (!built.scarce.empty()) {
        fmt::print(stderr, "{}\n",
                   coloured(Stream::err, Colour::yellow,
                            fmt::format("fewer rows than asked for: {}", fmt::join(built.scarce, ", "))));
    }
    return {};
}

void add_build_command(CLI::App& eval, CommandRun& run) {
    auto arguments = std::make_shared<BuildArguments>();
    for (const EditKind& kind : edit_kinds()) {
        arguments->options.kinds.emplace_back(kind.name);
    }
    BuildOptions& options = arguments->options;
    CLI::App* command = eval.add_subcommand("build", "Make rows from the source files of a folder");
    command->add_option("--from", arguments->from, "The folder")->required();
    command->add_option("--kind", options.kinds, "Kinds of edits, separated by commas; the default is all")
        ->delimiter(',');
    command->add_option("--rows", options.n_rows, "Rows of each kind")
        ->required()
        ->check(CLI::Range(1, 1'000'000));
    command->add_option("--seed", options.seed, "Seed of the draws")->capture_default_str();
    command->add_option("--tokens-min", options.tokens_min, "Least tokens of an edited prompt")
        ->check(CLI::Range(1, 1 << 24))
        ->capture_default_str();
    command->add_option("--tokens-max", options.tokens_max, "Most tokens of an edited prompt")
        ->check(CLI::Range(1, 1 << 24))
        ->capture_default_str();
    command->add_option("-m,--model", arguments->model, "Its vocabulary counts the tokens")
        ->capture_default_str();
    command->add_option("--out", arguments->out, "File to write; the default is standard output");
    command->callback([arguments, &run] {
        run = [arguments] {
            const auto result = run_build(*arguments);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace

void add_eval_command(CLI::App& app, CommandRun& run) {
    auto arguments = std::make_shared<EvalArguments>();
    CLI::App* command =
        app.add_subcommand("eval", "Measure how far ways of reusing the cache are from full recompute");
    command->footer("Examples:\n  pie eval build --from SOURCES --rows 20 --out rows.jsonl\n"
                    "  pie eval rows.jsonl --methods full:64,pie,pie+seam:8 --out results.jsonl");
    command->add_option("row_file", arguments->rows, "File of rows, one JSON object a line");
    add_run_flags(*command, arguments->run);
    command->add_option("--methods", arguments->methods, "Ways to compare with full recompute")
        ->capture_default_str();
    command
        ->add_option("--complete", arguments->n_completion_tokens,
                     "Tokens to complete before each edit, for methods that learn from them")
        ->check(CLI::Range(0, 4096))
        ->capture_default_str();
    command->add_option("--out", arguments->out,
                        "File for the result of each row and method; what it holds is not measured again");
    command->add_flag("--json", arguments->json, "Print one JSON object a kind and method");
    add_build_command(*command, run);
    command->callback([arguments, command, &run] {
        if (!command->get_subcommands().empty()) {
            return;
        }
        if (arguments->rows.empty()) {
            throw CLI::RequiredError("row_file");
        }
        run = [arguments] {
            const auto result = run_eval(*arguments);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace pie
