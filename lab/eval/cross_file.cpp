#include "eval/cross_file.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace pie {
namespace {

constexpr size_t definition_lines_max = 40;
constexpr int passed_on_max = 4; // from module to module, until a name's definition is found

// Modules of these languages pass on what they import.
bool passes_on(const SourceFile& file) {
    const std::string_view language = file.language->name;
    return language == "python" || language == "javascript" || language == "rust";
}

// What a module is called where it is imported as a whole and given no name.
std::string module_object(const SourceFile& file, const std::string& module) {
    if (file.language->name != "go") {
        return module;
    }
    const std::string path = undelimited(module);
    return path.substr(path.rfind('/') + 1);
}

std::string stem(const SourceFile& file) {
    return std::filesystem::path(file.path).stem().string();
}

// Collects what one file imports.
class Importer {
  public:
    Importer(CrossFile& tree, const Modules& modules, const SourceFile& file)
        : tree_(tree), modules_(modules), file_(file) {
        const FileSyntax& syntax = tree_.syntax_of(file);
        for (size_t line = 0; line < file.lines.size(); ++line) {
            for (const NameUse& use : syntax.is_import[line] ? std::vector<NameUse>() : syntax.names[line]) {
                if (first_lines_.emplace(use, line).second) {
                    uses_.push_back(use);
                }
            }
        }
        // A name that the file itself defines is its own, whatever it imports.
        for (const Definition& own : syntax.definitions) {
            taken_.insert({own.name, ""});
        }
    }

    std::vector<ImportedDefinition> collect() {
        for (const Import& import : tree_.syntax_of(file_).imports) {
            if (!import.name.empty()) {
                take_name(import);
            } else {
                take_module(import);
            }
        }
        take_used(modules_.neighbours(file_), "");
        return std::move(found_);
    }

  private:
    using Found = std::pair<const SourceFile*, const Definition*>;

    // What is taken out of a module may be a module itself.
    void take_name(const Import& import) {
        const NameUse use{import.local_name.empty() ? import.name : import.local_name, ""};
        const Files outer = modules_.find(file_, import.module);
        if (take_first(outer, import.name, use)) {
            return;
        }
        const Files inner = modules_.find(file_, submodule(file_, import.module, import.name));
        if (file_.language->name != "java") {
            take_used(inner, use.name);
            return;
        }
        // A class is in the file that has its name, and what is taken out of a class in the class's file.
        for (const Files& files : {inner, outer}) {
            if (!files.empty() && take_first(files, stem(*files.front()), use)) {
                return;
            }
        }
    }

    // Of the definitions with the name; false if there is none.
    bool take_first(const Files& files, const std::string& name, const NameUse& use) {
        for (const SourceFile* module : files) {
            if (const auto definition = find_definition(*module, name, passed_on_max)) {
                add(*definition, use);
                return true;
            }
        }
        return false;
    }

    void take_module(const Import& import) {
        if (import.takes_all) {
            take_used(file_.language->name == "java" ? modules_.find_package(file_, import.module)
                                                     : modules_.find(file_, import.module),
                      "");
            return;
        }
        const Files files = modules_.find(file_, import.module);
        take_used(files, import.local_name.empty() ? module_object(file_, import.module) : import.local_name);
        // What a module of JavaScript exports by default often has its own name there.
        take_first(files, import.local_name, {import.local_name, ""});
    }

    // What this file names as something of the object and the others hold.
    void take_used(const Files& files, const std::string& object) {
        for (const NameUse& use : uses_) {
            if (use.object == object) {
                take_first(files, use.name, use);
            }
        }
    }

    std::optional<Found> find_definition(const SourceFile& module, const std::string& name,
                                         int passed_on_left) {
        const FileSyntax& syntax = tree_.syntax_of(module);
        const auto own = std::ranges::find(syntax.definitions, name, &Definition::name);
        if (own != syntax.definitions.end()) {
            return Found{&module, &*own};
        }
        if (!passes_on(module) || passed_on_left == 0) {
            return std::nullopt;
        }
        for (const Import& import : syntax.imports) {
            const std::string& local = import.local_name.empty() ? import.name : import.local_name;
            if (local != name && !import.takes_all) {
                continue;
            }
            for (const SourceFile* next : modules_.find(module, import.module)) {
                const std::string& there = import.takes_all ? name : import.name;
                if (auto found = find_definition(*next, there, passed_on_left - 1)) {
                    return found;
                }
            }
        }
        return std::nullopt;
    }

    void add(const Found& definition, const NameUse& use) {
        const auto& [file, defined] = definition;
        if (file != &file_ && taken_.insert(use).second) {
            LineRange lines = defined->lines;
            lines.end = std::min(lines.end, lines.begin + definition_lines_max);
            const auto first = first_lines_.find(use);
            found_.push_back({defined->name, file, lines, use,
                              first == first_lines_.end() ? file_.lines.size() : first->second});
        }
    }

    CrossFile& tree_;
    const Modules& modules_;
    const SourceFile& file_;
    std::vector<NameUse> uses_;             // each once, those of imports aside, in their order
    std::map<NameUse, size_t> first_lines_; // of each of them
    std::set<NameUse> taken_;               // whose meaning is known
    std::vector<ImportedDefinition> found_;
};

} // namespace

const FileSyntax& CrossFile::syntax_of(const SourceFile& file) {
    const auto known = syntax_.find(&file);
    return known != syntax_.end() ? known->second : syntax_.emplace(&file, read_syntax(file)).first->second;
}

std::vector<ImportedDefinition> CrossFile::imported(const SourceFile& file) {
    return Importer(*this, modules_, file).collect();
}

} // namespace pie
