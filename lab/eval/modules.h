#pragma once

// Which files of a tree a module's name means, by each language's own rules and without its compiler: names
// are paths from the file that imports, or from some folder of the tree that the language would search.
//
// Thread rule: immutable once made; any thread may ask. Outlived by the tree.

#include "eval/source_tree.h"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pie {

using Files = std::vector<const SourceFile*>;

class Modules {
  public:
    explicit Modules(const SourceTree& tree);

    // As a statement of the file names the module. Empty where the tree does not hold it, more than one where
    // a folder is a module; never the file itself.
    Files find(const SourceFile& from, const std::string& module) const;
    // The same of a package of Java, of which every class is meant.
    Files find_package(const SourceFile& from, const std::string& package) const;
    // Files whose names are known in this one without an import, as they are of one package.
    Files neighbours(const SourceFile& from) const;

  private:
    void add(std::string_view space, const std::string& path, const SourceFile& file);
    Files at(std::string_view space, const std::filesystem::path& path, const SourceFile& from) const;
    // In whatever folder, nearest to the file that asks.
    Files below_any_folder(std::string_view space, const std::string& path, const SourceFile& from) const;
    Files find_python(const std::string& module, const SourceFile& from) const;
    Files find_included(const std::string& path, const SourceFile& from) const;
    Files find_go(const std::string& module, const SourceFile& from) const;
    Files find_rust(const std::string& module, const SourceFile& from) const;
    std::optional<std::filesystem::path> rust_root(const SourceFile& from) const;

    // By language, or what else paths are of, and path without what a language leaves out of it.
    std::map<std::pair<std::string_view, std::string>, Files> files_;
    // By language and the last part of the path.
    std::multimap<std::pair<std::string_view, std::string>, std::string> paths_by_end_;
};

// Without the quotation marks or brackets around it.
std::string undelimited(const std::string& module);

// A module in a module, as a statement of the file would name it.
std::string submodule(const SourceFile& from, const std::string& module, const std::string& name);

} // namespace pie
