// pie model list | pull NAME | path NAME: the models that pie knows by name.

#include "base/progress.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "model/catalogue.h"
#include "model/store.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <memory>

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

nlohmann::json list_as_json(const StoreSettings& settings) {
    nlohmann::json list = nlohmann::json::array();
    for (const CatalogueEntry& entry : catalogue().models) {
        const bool pulled = is_pulled(entry, settings);
        list.push_back({{"name", entry.name},
                        {"description", entry.description},
                        {"licence", entry.licence},
                        {"size_bytes", entry.size_bytes},
                        {"sha256", entry.sha256},
                        {"default", entry.name == catalogue().default_model},
                        {"pulled", pulled},
                        {"path", pulled ? nlohmann::json(path_in_store(entry, settings).string())
                                        : nlohmann::json(nullptr)}});
    }
    return list;
}

void print_table(const StoreSettings& settings) {
    size_t name_width = 0;
    size_t licence_width = std::string_view("LICENCE").size();
    for (const CatalogueEntry& entry : catalogue().models) {
        name_width = std::max(name_width, entry.name.size());
        licence_width = std::max(licence_width, entry.licence.size());
    }
    // Padded before it is coloured: the escape sequences have no width.
    fmt::print("{}\n", coloured(Stream::out, Colour::bold,
                                fmt::format("{:<{}}  {:>7}  {:<{}}  {:<6}  {}", "NAME", name_width, "SIZE",
                                            "LICENCE", licence_width, "PULLED", "WHAT IT IS")));
    for (const CatalogueEntry& entry : catalogue().models) {
        const bool pulled = is_pulled(entry, settings);
        fmt::print("{:<{}}  {:>7}  {:<{}}  {}  {}{}\n", entry.name, name_width,
                   format_bytes(entry.size_bytes), entry.licence, licence_width,
                   coloured(Stream::out, pulled ? Colour::green : Colour::dim,
                            fmt::format("{:<6}", pulled ? "yes" : "no")),
                   entry.description, entry.name == catalogue().default_model ? " (default)" : "");
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

void print_path(const CatalogueEntry& entry, const std::filesystem::path& path, OutputForm form) {
    if (form == OutputForm::json) {
        print_json({{"name", entry.name},
                    {"path", path.string()},
                    {"size_bytes", entry.size_bytes},
                    {"sha256", entry.sha256}});
    } else {
        fmt::print("{}\n", path.string());
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
    PIE_ASSIGN(const std::filesystem::path path, pull_model(*entry, settings, progress));
    print_path(*entry, path, form);
    return {};
}

Result<void> show_path(const std::string& name, OutputForm form) {
    PIE_ASSIGN(const CatalogueEntry* entry, entry_called(name));
    PIE_ASSIGN(const std::filesystem::path path, resolve_model(name));
    print_path(*entry, path, form);
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
