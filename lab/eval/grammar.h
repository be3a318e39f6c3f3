#pragma once

// tree-sitter's grammars, and for each a query that finds in a syntax tree what the builder of samples asks
// for. Queries of all languages use the same names for what they capture:
//
//   comment, text      a comment; what a string holds, which is no code
//   import             a statement that imports; within it: module, name, alias, all (every name of the
//   module),
//                      use (a tree of Rust's), and require, which holds only where it is that word
//   definition, scope  what has a name, `defined`, that others may import; what hides definitions in it
//   free, member       a name by itself; a name of something else, `object`
//
// Thread rule: any thread; nothing changes once made.

#include <tree_sitter/api.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

class Grammar {
  public:
    // Of the language, by its name, and of a header's, which both C and C++ may be; null if there is none.
    static const Grammar* find(std::string_view language, std::string_view path);

    const TSLanguage* language() const { return language_; }
    const TSQuery* query() const { return query_.get(); }
    std::string_view capture_name(uint32_t index) const { return capture_names_[index]; }

  private:
    struct Deleter {
        void operator()(TSQuery* query) const { ts_query_delete(query); }
    };

    Grammar(const TSLanguage* language, std::string_view query);

    const TSLanguage* language_;
    std::unique_ptr<TSQuery, Deleter> query_;
    std::vector<std::string> capture_names_;
};

} // namespace pie
