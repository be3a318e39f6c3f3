#include "model/catalogue.h"

#include "base/check.h"
#include "models_json.h" // made from models.json by CMake

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace pie {
namespace {

using nlohmann::json;

HubSource parse_hub(const json& node) {
    return {node.at("repository"), node.at("file")};
}

PackageSource parse_packages(const json& node) {
    PackageSource source;
    for (const json& part : node) {
        source.parts.push_back({part.at("package"), part.at("version"), part.at("size_bytes"),
                                part.at("sha256"), part.at("member")});
    }
    return source;
}

CatalogueEntry parse_entry(const json& node) {
    CatalogueEntry entry;
    entry.name = node.at("name");
    entry.description = node.at("description");
    entry.licence = node.at("licence");
    entry.size_bytes = node.at("size_bytes");
    entry.sha256 = node.at("sha256");
    for (const json& source : node.at("sources")) {
        if (source.contains("hub")) {
            entry.sources.emplace_back(parse_hub(source.at("hub")));
        } else {
            entry.sources.emplace_back(parse_packages(source.at("packages")));
        }
    }
    return entry;
}

} // namespace

Result<Catalogue> parse_catalogue(std::string_view json_text) {
    try {
        const json document = json::parse(json_text);
        Catalogue parsed;
        parsed.default_model = document.at("default");
        for (const json& node : document.at("models")) {
            parsed.models.push_back(parse_entry(node));
        }
        return parsed;
    } catch (const json::exception& exception) {
        return fail(ErrorCode::corrupt,
                    fmt::format("the catalogue of models is malformed: {}", exception.what()));
    }
}

const Catalogue& catalogue() {
    static const Catalogue built_in = [] {
        auto parsed = parse_catalogue(models_json);
        PIE_CHECK(parsed, "models.json is malformed");
        return *std::move(parsed);
    }();
    return built_in;
}

const CatalogueEntry* find_in_catalogue(std::string_view name) {
    const auto& models = catalogue().models;
    const auto found = std::find_if(models.begin(), models.end(),
                                    [&](const CatalogueEntry& entry) { return entry.name == name; });
    return found == models.end() ? nullptr : &*found;
}

std::string catalogue_names() {
    std::string names;
    for (const CatalogueEntry& entry : catalogue().models) {
        names += (names.empty() ? "" : ", ") + entry.name;
    }
    return names;
}

} // namespace pie
