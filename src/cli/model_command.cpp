// pie model list | pull NAME | path NAME: the models that pie knows by name.

#include "base/progress.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "model/catalogue.h"
#include "model/optimized.h"
#include "model/store.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace pie {
namespace {

enum class OutputForm { text, json };

struct ModelArguments {
    std::string name;
    bool as_json = false;

    OutputForm form() const { return as_json ? OutputForm::json : OutputForm::text; }
};

void print_json(const nlohmann::json& value) {
    fmt::print("{}\n", value.dump(2));
}

// One of the catalogue, here or not, or one that `pie-lab optimize` made here.
struct ListedModel {
    std::string name;
    std::string description;
    std::string licence;
    std::string sha256; // empty where no one published it
    uint64_t size_bytes = 0;
    std::filesystem::path path; // empty where it is not here

    bool is_here() const { return !path.empty(); }
};

ListedModel listed(const CatalogueEntry& entry, const StoreSettings& settings) {
    return {.name = entry.name,
            .description = entry.description,
            .licence = entry.licence,
            .sha256 = entry.sha256,
            .size_bytes = entry.size_bytes,
            .path = is_pulled(entry, settings) ? path_in_store(entry, settings) : ""};
}

ListedModel listed(const OptimizedModel& model, const StoreSettings& settings) {
    const CatalogueEntry* source = find_in_catalogue(model.source);
    const std::filesystem::path path = path_in_store(model, settings);
    std::error_code error;
    const auto size_bytes = std::filesystem::file_size(path, error);
    return {.name = model.name(),
            .description = fmt::format("{} of {}", model.type.name, printable(model.source)),
            .licence = source == nullptr ? "" : source->licence,
            .sha256 = "",
            .size_bytes = error ? 0 : size_bytes,
            .path = path};
}

std::vector<ListedModel> listed_models(const StoreSettings& settings) {
    std::vector<ListedModel> models;
    for (const CatalogueEntry& entry : catalogue().models) {
        models.push_back(listed(entry, settings));
    }
    for (const OptimizedModel& model : optimized_models(settings)) {
        models.push_back(listed(model, settings));
    }
    return models;
}

nlohmann::json text_or_null(const std::string& text) {
    return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}

nlohmann::json list_as_json(const StoreSettings& settings) {
    nlohmann::json list = nlohmann::json::array();
    for (const ListedModel& model : listed_models(settings)) {
        list.push_back({{"name", model.name},
                        {"description", model.description},
                        {"licence", text_or_null(model.licence)},
                        {"size_bytes", model.size_bytes},
                        {"sha256", text_or_null(model.sha256)},
                        {"default", model.name == catalogue().default_model},
                        {"pulled", model.is_here()},
                        {"path", text_or_null(model.path.string())}});
    }
    return list;
}

void print_table(const StoreSettings& settings) {
    const std::vector<ListedModel> models = listed_models(settings);
    size_t name_width = 0;
    size_t licence_width = std::string_view("LICENCE").size();
    for (const ListedModel& model : models) {
        name_width = std::max(name_width, model.name.size());
        licence_width = std::max(licence_width, model.licence.size());
    }
    // Padded before it is coloured: the escape sequences have no width.
    fmt::print("{}\n", coloured(Stream::out, Colour::bold,
                                fmt::format("{:<{}}  {:>7}  {:<{}}  {:<6}  {}", "NAME", name_width, "SIZE",
                                            "LICENCE", licence_width, "PULLED", "WHAT IT IS")));
    for (const ListedModel& model : models) {
        fmt::print("{:<{}}  {:>7}  {:<{}}  {}  {}{}\n", printable(model.name), name_width,
                   format_bytes(model.size_bytes), model.licence, licence_width,
                   coloured(Stream::out, model.is_here() ? Colour::green : Colour::dim,
                            fmt::format("{:<6}", model.is_here() ? "yes" : "no")),
                   model.description, model.name == catalogue().default_model ? " (default)" : "");
    }
}

Result<void> list_models(OutputForm form) {
    PIE_ASSIGN(const StoreSettings settings, store_settings_from_environment());
    if (form == OutputForm::json) {
        print_json(list_as_json(settings));
    } else {
        print_table(settings);
    }
    return {};
}

void print_path(const ListedModel& model, OutputForm form) {
    if (form == OutputForm::json) {
        print_json({{"name", model.name},
                    {"path", model.path.string()},
                    {"size_bytes", model.size_bytes},
                    {"sha256", text_or_null(model.sha256)}});
    } else {
        fmt::print("{}\n", model.path.string());
    }
}

Result<const CatalogueEntry*> entry_called(const std::string& name) {
    const CatalogueEntry* entry = find_in_catalogue(name);
    if (entry == nullptr) {
        return fail(ErrorCode::not_found,
                    fmt::format("no model is called '{}'; the catalogue has {}", name, catalogue_names()));
    }
    return entry;
}

Result<void> pull(const std::string& name, OutputForm form) {
    PIE_ASSIGN(const CatalogueEntry* entry, entry_called(name));
    PIE_ASSIGN(const StoreSettings settings, store_settings_from_environment());
    Progress progress(progress_on_stderr());
    PIE_TRY(pull_model(*entry, settings, progress));
    print_path(listed(*entry, settings), form);
    return {};
}

Result<void> show_path(const std::string& name, OutputForm form) {
    PIE_ASSIGN(const StoreSettings settings, store_settings_from_environment());
    if (const auto optimized = parse_optimized(name)) {
        PIE_TRY(resolve_model(name, settings));
        print_path(listed(*optimized, settings), form);
        return {};
    }
    PIE_ASSIGN(const CatalogueEntry* entry, entry_called(name));
    PIE_TRY(resolve_model(name, settings));
    print_path(listed(*entry, settings), form);
    return {};
}

int status_of(const Result<void>& result) {
    return result ? 0 : print_error(result.error());
}

} // namespace

void add_model_command(CLI::App& app, CommandRun& run) {
    auto arguments = std::make_shared<ModelArguments>();
    CLI::App* model = app.add_subcommand("model", "List and fetch models")->require_subcommand(1);
    model->footer(
        "Models are kept in $XDG_CACHE_HOME/pie/models (default ~/.cache/pie/models).\n\n"
        "Examples:\n  pie model list\n  pie model pull qwen2.5-coder-0.5b\n  pie model path smollm2-135m");

    CLI::App* list =
        model->add_subcommand("list", "Show the models of the catalogue, and which of them are here");
    CLI::App* pull_one = model->add_subcommand(
        "pull",
        "Fetch a model, or what is missing of it, and check it; prints its path. Ctrl-C keeps what came");
    CLI::App* path = model->add_subcommand("path", "Print the path of a model that is here");
    for (CLI::App* command : {pull_one, path}) {
        command->add_option("NAME", arguments->name, "A name of 'pie model list'")->required();
    }
    for (CLI::App* command : {list, pull_one, path}) {
        command->add_flag("--json", arguments->as_json, "Print the result as JSON");
    }
    list->callback(
        [&run, arguments] { run = [arguments] { return status_of(list_models(arguments->form())); }; });
    pull_one->callback([&run, arguments] {
        run = [arguments] { return status_of(pull(arguments->name, arguments->form())); };
    });
    path->callback([&run, arguments] {
        run = [arguments] { return status_of(show_path(arguments->name, arguments->form())); };
    });
}

} // namespace pie
