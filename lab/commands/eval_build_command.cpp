#include "base/files.h"
#include "bench/program_output.h"
#include "cli/terminal.h"
#include "commands/eval_commands.h"
#include "eval/git_history.h"
#include "eval/sample_builder.h"
#include "model/catalogue.h"
#include "model/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pie {
namespace {

struct BuildArguments {
    std::string folder;
    std::string repository; // of git, for its commits
    std::string model = catalogue().default_model;
    BuildOptions options;
    std::string out;
};

Result<void> write_lines(const std::vector<std::string>& lines, const std::string& path) {
    const std::string text = fmt::format("{}\n", fmt::join(lines, "\n"));
    if (path.empty()) {
        fmt::print("{}", text);
        return {};
    }
    return write_file_atomic(path, text);
}

void tell(Colour colour, const std::string& text) {
    print_note(coloured(Stream::err, colour, text));
}

Result<void> build_from_commits(const BuildArguments& arguments, const TokenCounter& count_tokens) {
    const Git git = [&arguments](const std::vector<std::string>& words) {
        std::vector<std::string> all = {"-C", arguments.repository};
        all.insert(all.end(), words.begin(), words.end());
        return output_of("git", all);
    };
    const BuildOptions& options = arguments.options;
    PIE_ASSIGN(const std::vector<EvalRow> rows, rows_of_history(git,
                                                                {.languages = options.languages,
                                                                 .n_rows = options.n_samples,
                                                                 .seed = options.seed,
                                                                 .tokens_min = options.tokens_min,
                                                                 .tokens_max = options.tokens_max},
                                                                count_tokens));
    std::vector<std::string> lines;
    std::ranges::transform(rows, std::back_inserter(lines), row_line);
    PIE_TRY(write_lines(lines, arguments.out));
    tell(rows.size() < options.n_samples ? Colour::yellow : Colour::dim,
         fmt::format("{} rows from the commits of {}", rows.size(), arguments.repository));
    return {};
}

Result<void> build_from_files(const BuildArguments& arguments, const TokenCounter& count_tokens) {
    PIE_ASSIGN(const SourceTree tree, read_source_tree(arguments.folder));
    BuildOptions options = arguments.options;
    if (options.repository.empty()) {
        options.repository = std::filesystem::path(arguments.folder).lexically_normal().filename().string();
    }
    PIE_ASSIGN(const BuiltSamples built, build_samples(tree, options, count_tokens));
    PIE_TRY(write_lines(built.rows, arguments.out));
    tell(Colour::dim, fmt::format("{} samples from {} files; {} files are no text that samples can hold",
                                  built.rows.size(), tree.files.size(), tree.n_skipped));
    if (!built.scarce.empty()) {
        tell(Colour::yellow, fmt::format("fewer samples than asked for: {}", fmt::join(built.scarce, ", ")));
    }
    return {};
}

Result<void> run_build(const BuildArguments& arguments) {
    PIE_ASSIGN(const std::filesystem::path path, find_model(arguments.model, ""));
    PIE_ASSIGN(const auto model, LoadedModel::load(path, {.parts = LoadParts::vocabulary}));
    const Vocabulary& vocabulary = model->vocabulary();
    const TokenCounter count = [&vocabulary](std::string_view text) {
        return vocabulary.tokenize(text).size();
    };
    return arguments.folder.empty() ? build_from_commits(arguments, count)
                                    : build_from_files(arguments, count);
}

} // namespace

void add_eval_build_command(CLI::App& eval, CommandRun& run) {
    auto arguments = std::make_shared<BuildArguments>();
    BuildOptions& options = arguments->options;
    CLI::App* command = eval.add_subcommand(
        "build", "Make samples from the source files of a folder, or rows from a history");
    // No option group: CLI11 takes it for a command whose name is empty, and an empty argument never ends
    // there.
    CLI::Option* folder = command->add_option("--repo", arguments->folder, "A folder of source files");
    command
        ->add_option("--git", arguments->repository,
                     "Instead: a git repository; its commits become rows, edits as they were")
        ->excludes(folder);
    command->add_option("--name", options.repository,
                        "The repository's name in the prompts; the default is the folder's");
    command->add_option("--lang", options.languages, "Languages, separated by commas; the default is all")
        ->delimiter(',');
    command
        ->add_option("-n,--samples", options.n_samples,
                     "Samples of each language and setting; of commits, rows")
        ->required()
        ->check(CLI::Range(1, 1'000'000));
    command->add_option("--seed", options.seed, "Seed of the draws")->capture_default_str();
    command->add_option("--tokens-min", options.tokens_min, "Least tokens of a prompt")
        ->check(CLI::Range(1, 1 << 24))
        ->capture_default_str();
    command->add_option("--tokens-max", options.tokens_max, "Most tokens of a prompt")
        ->check(CLI::Range(1, 1 << 24))
        ->capture_default_str();
    command->add_option("-m,--model", arguments->model, "Its vocabulary counts the tokens")
        ->capture_default_str();
    command->add_option("--out", arguments->out, "File to write; the default is standard output");
    command->callback([arguments, &run] {
        if (arguments->folder.empty() && arguments->repository.empty()) {
            throw CLI::RequiredError("--repo or --git");
        }
        run = [arguments] {
            const auto result = run_build(*arguments);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace pie
