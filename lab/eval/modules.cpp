#include "eval/modules.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>

namespace pie {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view java_packages = "package";

// Headers of C are included by C++, and are C++ themselves where they want to be.
std::string_view space_of(const Language& language) {
    return language.name == "cpp" ? "c" : language.name;
}

// A file's path as modules are named: files that speak for their folder have its path.
std::string module_path(std::string_view language, const fs::path& path) {
    static const std::set<std::pair<std::string_view, std::string>> speakers = {
        {"python", "__init__"}, {"javascript", "index"}, {"rust", "mod"}, {"rust", "lib"}, {"rust", "main"}};
    if (language == "c") {
        return path.generic_string();
    }
    const bool is_folder = language == "go" || speakers.contains({language, path.stem().string()});
    return (is_folder ? path.parent_path() : path.parent_path() / path.stem()).generic_string();
}

std::string last_part(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

std::string with_slashes(std::string_view name, std::string_view separator) {
    std::string path(name);
    for (size_t at = path.find(separator); at != std::string::npos; at = path.find(separator, at)) {
        path.replace(at, separator.size(), "/");
    }
    return path;
}

size_t common_length(std::string_view a, std::string_view b) {
    return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

fs::path folder_of(const SourceFile& file) {
    return fs::path(file.path).parent_path();
}

} // namespace

Modules::Modules(const SourceTree& tree) {
    for (const SourceFile& file : tree.files) {
        const std::string_view space = space_of(*file.language);
        add(space, module_path(space, file.path), file);
        if (space == "java") {
            add(java_packages, folder_of(file).generic_string(), file);
        }
    }
}

void Modules::add(std::string_view space, const std::string& path, const SourceFile& file) {
    Files& files = files_[{space, path}];
    if (files.empty()) {
        paths_by_end_.emplace(std::pair(space, last_part(path)), path);
    }
    files.push_back(&file);
}

Files Modules::at(std::string_view space, const fs::path& path, const SourceFile& from) const {
    std::string name = path.lexically_normal().generic_string();
    if (name.ends_with('/')) {
        name.pop_back();
    }
    const auto found = files_.find({space, name});
    Files files = found == files_.end() ? Files() : found->second;
    std::erase(files, &from);
    return files;
}

Files Modules::below_any_folder(std::string_view space, const std::string& path,
                                const SourceFile& from) const {
    const auto [first, last] = paths_by_end_.equal_range({space, last_part(path)});
    const std::string* nearest = nullptr;
    for (auto known = first; known != last; ++known) {
        const std::string& candidate = known->second;
        const bool is_below = candidate.ends_with("/" + path);
        if (candidate != path && !is_below) {
            continue;
        }
        const std::string folder = is_below ? candidate.substr(0, candidate.size() - path.size() - 1) : "";
        // Python looks for modules beside packages, not in them.
        if (space == "python" && is_below && files_.contains({space, folder})) {
            continue;
        }
        if (nearest == nullptr || common_length(candidate, from.path) > common_length(*nearest, from.path)) {
            nearest = &candidate;
        }
    }
    return nearest == nullptr ? Files() : at(space, *nearest, from);
}

Files Modules::find(const SourceFile& from, const std::string& module) const {
    const std::string_view space = space_of(*from.language);
    if (space == "python") {
        return find_python(module, from);
    }
    if (space == "c") {
        return find_included(module, from);
    }
    if (space == "go") {
        return find_go(module, from);
    }
    if (space == "rust") {
        return find_rust(module, from);
    }
    if (space == "java") {
        return below_any_folder(space, with_slashes(module, "."), from);
    }
    if (!module.starts_with('.')) {
        return {}; // a package of somebody else
    }
    fs::path path = folder_of(from) / module;
    if (language_of(path) != from.language) {
        path += from.language->extensions.front(); // which the path of a module need not have
    }
    return at(space, module_path(space, path.lexically_normal()), from);
}

Files Modules::find_package(const SourceFile& from, const std::string& package) const {
    return below_any_folder(java_packages, with_slashes(package, "."), from);
}

Files Modules::neighbours(const SourceFile& from) const {
    const std::string_view language = from.language->name;
    if (language != "java" && language != "go") {
        return {};
    }
    return at(language == "java" ? java_packages : language, folder_of(from), from);
}

// A dot for the file's folder, one more for each folder above it.
Files Modules::find_python(const std::string& module, const SourceFile& from) const {
    const size_t n_dots = std::min(module.find_first_not_of('.'), module.size());
    const std::string path = with_slashes(module.substr(n_dots), ".");
    if (n_dots == 0) {
        return below_any_folder("python", path, from);
    }
    fs::path folder = folder_of(from);
    for (size_t i = 1; i < n_dots; ++i) {
        folder = folder.parent_path();
    }
    return at("python", path.empty() ? folder : folder / path, from);
}

// Headers of the system have no folder in front; those of a project have.
Files Modules::find_included(const std::string& path, const SourceFile& from) const {
    const std::string name = undelimited(path);
    if (path.starts_with('<')) {
        return name.find('/') == std::string::npos ? Files() : below_any_folder("c", name, from);
    }
    Files files = at("c", folder_of(from) / name, from);
    return files.empty() ? below_any_folder("c", name, from) : files;
}

// The tree may hold any end of the path: its beginning names the repository. Those of one part are the
// language's own.
Files Modules::find_go(const std::string& module, const SourceFile& from) const {
    std::string path = undelimited(module);
    if (path.find('/') == std::string::npos) {
        return {};
    }
    Files files = below_any_folder("go", path, from);
    while (files.empty() && path.find('/') != std::string::npos) {
        path = path.substr(path.find('/') + 1);
        files = below_any_folder("go", path, from);
    }
    return files;
}

// The nearest folder above that holds the file in which a crate begins.
std::optional<fs::path> Modules::rust_root(const SourceFile& from) const {
    fs::path folder = folder_of(from);
    while (true) {
        const auto found = files_.find({"rust", folder.generic_string()});
        if (found != files_.end() && std::ranges::any_of(found->second, [](const SourceFile* file) {
                const fs::path name = fs::path(file->path).stem();
                return name == "lib" || name == "main";
            })) {
            return folder;
        }
        if (folder.empty()) {
            return std::nullopt;
        }
        folder = folder.parent_path();
    }
}

Files Modules::find_rust(const std::string& module, const SourceFile& from) const {
    const std::string path = with_slashes(module, "::");
    const fs::path own = module_path("rust", from.path);
    const auto rest = [&path](std::string_view first) {
        return path.substr(std::min(first.size() + 1, path.size()));
    };
    const auto begins = [&path](const std::string& first) {
        return path == first || path.starts_with(first + "/");
    };
    if (begins("crate")) {
        const auto root = rust_root(from);
        return root ? at("rust", *root / rest("crate"), from) : below_any_folder("rust", rest("crate"), from);
    }
    if (begins("super")) {
        return at("rust", own.parent_path() / rest("super"), from);
    }
    return at("rust", own / (begins("self") ? rest("self") : path), from);
}

std::string undelimited(const std::string& module) {
    return module.size() < 2 ? "" : module.substr(1, module.size() - 2);
}

std::string submodule(const SourceFile& from, const std::string& module, const std::string& name) {
    const bool is_rust = from.language->name == "rust";
    return module + (is_rust ? "::" : module.ends_with('.') ? "" : ".") + name;
}

} // namespace pie
