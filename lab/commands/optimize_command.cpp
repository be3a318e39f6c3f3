// pie-lab optimize: requantises a model for this machine's processor, and measures what that gains and what
// it loses.

#include "base/interrupt.h"
#include "cli/demo_source.h"
#include "cli/terminal.h"
#include "commands/lab_program.h"
#include "commands/optimize_report.h"
#include "commands/optimize_sample.h"
#include "engine/engine.h"
#include "model/metadata.h"
#include "model/model.h"
#include "model/optimized.h"
#include "model/requantize.h"
#include "text/document.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace pie {
namespace {

namespace fs = std::filesystem;

struct OptimizeArguments {
    std::string model;
    std::string type = std::string(quant_types().front().name);
    std::string out;
    std::vector<std::string> texts;
    bool as_json = false;
};

// What the loss is measured on: two files of this project, unless others are named.
Result<std::vector<SourceFile>> texts_of(const OptimizeArguments& arguments) {
    std::vector<SourceFile> files;
    for (const std::string& path : arguments.texts) {
        PIE_ASSIGN(const Document document, Document::open(path));
        files.push_back({path, language_of(path), split_lines(document.text())});
    }
    if (files.empty()) {
        files.push_back({demo_source_name, language_of(demo_source_name), split_lines(demo_source)});
        files.push_back(
            {optimize_sample_name, language_of(optimize_sample_name), split_lines(optimize_sample)});
    }
    return files;
}

Result<ComparedModel> describe(const std::string& name, const fs::path& path) {
    PIE_ASSIGN(const Metadata metadata, Metadata::open(path));
    std::error_code error;
    const auto size_bytes = fs::file_size(path, error);
    return ComparedModel{name, path, error ? 0 : size_bytes, repacked_share(metadata)};
}

// Makes the model, or finds it. No other thread runs yet.
Result<OptimizeReport> optimize(const OptimizeArguments& arguments, Progress& progress) {
    PIE_ASSIGN(const QuantType type, parse_quant_type(arguments.type));
    PIE_ASSIGN(const StoreSettings settings, store_settings_from_environment());
    PIE_ASSIGN(const fs::path source, resolve_model(arguments.model, settings));
    const bool is_of_catalogue = find_in_catalogue(arguments.model) != nullptr;
    const OptimizedModel model{is_of_catalogue ? arguments.model : source.stem().string(), type};
    const fs::path target = arguments.out.empty() ? path_in_store(model, settings) : fs::path(arguments.out);
    PIE_ASSIGN(const Requantized made, requantize(source, target, type, progress));
    PIE_ASSIGN(ComparedModel before, describe(arguments.model, source));
    PIE_ASSIGN(ComparedModel after, describe(arguments.out.empty() ? model.name() : arguments.out, target));
    return OptimizeReport{.before = std::move(before),
                          .after = std::move(after),
                          .type = type.name,
                          .made_now = made == Requantized::now};
}

Result<void> measure(const std::vector<SourceFile>& texts, OptimizeReport& report, Progress& progress) {
    PIE_ASSIGN(const auto before, LoadedModel::load(report.before.path));
    PIE_ASSIGN(const auto after, LoadedModel::load(report.after.path));
    PIE_TRY(measure_paired_batches(*before, *after, {}, report.batches, progress));
    PIE_ASSIGN(const auto engine_before, Engine::create(*before));
    PIE_ASSIGN(const auto engine_after, Engine::create(*after));
    engine_before->set_cancel_flag(&interrupt_flag());
    engine_after->set_cancel_flag(&interrupt_flag());
    return measure_loss(*engine_before, *engine_after, texts, {}, report.loss, progress);
}

Result<void> run_optimize(const OptimizeArguments& arguments) {
    PIE_ASSIGN(const std::vector<SourceFile> texts, texts_of(arguments));
    Progress progress(progress_on_stderr());
    PIE_ASSIGN(OptimizeReport report, optimize(arguments, progress));
    auto measured = measure(texts, report, progress);
    progress.stop();
    report.is_complete = measured.has_value();
    if (arguments.as_json) {
        fmt::print("{}\n", as_json(report).dump(2));
    } else {
        print_text(report);
    }
    if (!measured && measured.error().code == ErrorCode::cancelled) {
        return fail_interrupted("the model is there; the figures are not complete");
    }
    return measured;
}

} // namespace

void add_optimize_command(CLI::App& app, CommandRun& run) {
    auto arguments = std::make_shared<OptimizeArguments>();
    CLI::App* command = app.add_subcommand(
        "optimize", "Make a copy of a model whose weights this processor has faster kernels for, and measure "
                    "what it gains and loses");
    command->footer(
        "The copy is kept beside the models as NAME-TYPE, which -m takes. Ctrl-C while it is made "
        "leaves nothing;\nwhile it is measured, the figures so far.\n\n"
        "Example:\n  pie-lab optimize qwen2.5-coder-0.5b");
    command->add_option("MODEL", arguments->model, "A name of 'pie model list', or a path to a GGUF file")
        ->required();
    std::string names;
    for (const QuantType& type : quant_types()) {
        names += fmt::format("{}{}", names.empty() ? "" : ", ", type.name);
    }
    command->add_option("--type", arguments->type, "Type of the weights: " + names)->capture_default_str();
    command->add_option("--out", arguments->out, "File to make instead");
    command
        ->add_option("--text", arguments->texts,
                     "Files of text to measure the loss on, instead of two of pie's own")
        ->allow_extra_args(true);
    command->add_flag("--json", arguments->as_json, "Print the result as JSON");
    command->callback([&run, arguments] {
        run = [arguments] {
            const auto result = run_optimize(*arguments);
            return result ? 0 : print_error(result.error());
        };
    });
}

} // namespace pie
