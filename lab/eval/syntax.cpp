#include "eval/syntax.h"

#include "base/check.h"
#include "eval/grammar.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

namespace pie {
namespace {

constexpr size_t line_length_min = 3;

struct Free {
    void operator()(TSParser* parser) const { ts_parser_delete(parser); }
    void operator()(TSTree* tree) const { ts_tree_delete(tree); }
    void operator()(TSQueryCursor* cursor) const { ts_query_cursor_delete(cursor); }
};

using Tree = std::unique_ptr<TSTree, Free>;

Tree parse(const Grammar& grammar, const std::string& text) {
    const std::unique_ptr<TSParser, Free> parser(ts_parser_new());
    PIE_CHECK(ts_parser_set_language(parser.get(), grammar.language()), "the runtime reads the grammar");
    Tree tree(ts_parser_parse_string(parser.get(), nullptr, text.data(), static_cast<uint32_t>(text.size())));
    PIE_CHECK(tree != nullptr, "a parser with a language and without a limit makes a tree");
    return tree;
}

// Some nodes end with the line break, which belongs to no other line.
LineRange lines_of(TSNode node) {
    const TSPoint begin = ts_node_start_point(node);
    const TSPoint end = ts_node_end_point(node);
    return {begin.row, end.column == 0 && end.row > begin.row ? end.row : end.row + 1};
}

// The statements of Rust nest: use a::{b, c::{d as e, f::*}};
class UseTree {
  public:
    UseTree(std::string_view text, std::vector<Import>& imports) : text_(text), imports_(imports) {}

    // Where a statement has errors, nodes are missing; what is left of it counts.
    void read(TSNode node, const std::string& prefix) {
        if (ts_node_is_null(node)) {
            return;
        }
        const std::string_view kind = ts_node_type(node);
        if (kind == "scoped_use_list") {
            const std::string path = text_of(child(node, "path"));
            read(child(node, "list"), path.empty() ? prefix : prefix + path + "::");
        } else if (kind == "use_list") {
            for (uint32_t i = 0; i < ts_node_named_child_count(node); ++i) {
                read(ts_node_named_child(node, i), prefix);
            }
        } else if (kind == "use_as_clause") {
            add(prefix + text_of(child(node, "path")), text_of(child(node, "alias")));
        } else if (kind == "use_wildcard") {
            imports_.push_back({prefix + text_of(ts_node_named_child(node, 0)), "", "", true});
        } else {
            add(prefix + text_of(node), "");
        }
    }

  private:
    static TSNode child(TSNode node, std::string_view field) {
        return ts_node_child_by_field_name(node, field.data(), static_cast<uint32_t>(field.size()));
    }

    std::string text_of(TSNode node) const {
        const uint32_t begin = ts_node_is_null(node) ? 0 : ts_node_start_byte(node);
        return std::string(text_.substr(begin, ts_node_is_null(node) ? 0 : ts_node_end_byte(node) - begin));
    }

    void add(std::string path, std::string local_name) {
        constexpr std::string_view itself = "::self";
        if (path.ends_with(itself)) {
            path.resize(path.size() - itself.size());
        }
        const size_t split = path.rfind("::");
        if (split != std::string::npos) {
            imports_.push_back({path.substr(0, split), path.substr(split + 2), std::move(local_name)});
        }
    }

    std::string_view text_;
    std::vector<Import>& imports_;
};

// Takes the matches of the grammar's query, which come in no order that one could rely on, and puts together
// what they say.
class SyntaxReader {
  public:
    SyntaxReader(const SourceFile& file, const Grammar& grammar)
        : file_(file), grammar_(grammar), text_(joined(file.lines)), code_(text_) {}

    FileSyntax read() {
        syntax_.is_import.resize(file_.lines.size());
        syntax_.is_code.assign(file_.lines.size(), true);
        const Tree tree = parse(grammar_, text_);
        const std::unique_ptr<TSQueryCursor, Free> cursor(ts_query_cursor_new());
        ts_query_cursor_exec(cursor.get(), grammar_.query(), ts_tree_root_node(tree.get()));
        TSQueryMatch match;
        while (ts_query_cursor_next_match(cursor.get(), &match)) {
            take(match);
        }
        for (auto& [position, imports] : imports_) {
            std::ranges::move(imports, std::back_inserter(syntax_.imports));
        }
        put_definitions();
        put_names();
        put_code();
        return std::move(syntax_);
    }

  private:
    using Captures = std::map<std::string_view, TSNode>;

    struct Defined {
        TSNode node;
        std::string name; // empty where it only hides what is in it
    };

    struct PlacedName {
        size_t line = 0;
        NameUse use;
    };

    std::string text_of(TSNode node) const {
        const uint32_t begin = ts_node_start_byte(node);
        return text_.substr(begin, ts_node_end_byte(node) - begin);
    }

    std::string text_of(const Captures& captures, std::string_view name) const {
        const auto found = captures.find(name);
        return found == captures.end() ? "" : text_of(found->second);
    }

    void take(const TSQueryMatch& match) {
        Captures captures;
        for (uint16_t i = 0; i < match.capture_count; ++i) {
            if (ts_node_is_missing(match.captures[i].node)) {
                return; // a grammar's guess at what an error left out
            }
            captures.emplace(grammar_.capture_name(match.captures[i].index), match.captures[i].node);
        }
        if (captures.contains("require") && text_of(captures, "require") != "require") {
            return;
        }
        for (const auto& [name, node] : captures) {
            if (name == "comment" || name == "text") {
                take_text(node, name == "comment");
            } else if (name == "import") {
                take_statement(node);
            } else if (name == "module") {
                take_import(captures);
            } else if (name == "use") {
                UseTree(text_, imports_[ts_node_start_byte(node)]).read(node, "");
            } else if (name == "definition" || name == "scope") {
                definitions_.push_back({node, text_of(captures, "defined")});
            } else if (name == "free" || name == "member") {
                take_name(node, name == "member", text_of(captures, "object"));
            }
        }
    }

    // Lines that begin in a text, or in a comment, hold no line of code, whatever stands behind its end.
    void take_text(TSNode node, bool is_comment) {
        const TSPoint begin = ts_node_start_point(node);
        const TSPoint end = ts_node_end_point(node);
        // A text may be without its end, and go on to the file's.
        const size_t end_row = is_comment && end.column == 0 ? end.row : end.row + 1;
        for (size_t row = begin.row + 1; row < std::min(end_row, file_.lines.size()); ++row) {
            syntax_.is_code[row] = false;
        }
        const std::string_view ahead = std::string_view(file_.lines[begin.row]).substr(0, begin.column);
        if (is_comment && trimmed(ahead).empty()) {
            syntax_.is_code[begin.row] = false;
        }
        std::fill(code_.begin() + ts_node_start_byte(node), code_.begin() + ts_node_end_byte(node), ' ');
    }

    void take_statement(TSNode node) {
        const LineRange lines = lines_of(node);
        for (size_t line = lines.begin; line < lines.end; ++line) {
            syntax_.is_import[line] = ts_node_start_point(node).column == 0;
            syntax_.is_code[line] = false;
        }
    }

    void take_import(const Captures& captures) {
        const auto name = captures.find("name");
        const auto alias = captures.find("alias");
        const TSNode place = name != captures.end()    ? name->second
                             : alias != captures.end() ? alias->second
                                                       : captures.at("module");
        imports_[ts_node_start_byte(place)].push_back({.module = text_of(captures, "module"),
                                                       .name = text_of(captures, "name"),
                                                       .local_name = text_of(captures, "alias"),
                                                       .takes_all = captures.contains("all")});
    }

    // More than one pattern may match a name; the one that says most of it counts.
    void take_name(TSNode node, bool is_member, const std::string& object) {
        PlacedName& name = names_[ts_node_start_byte(node)];
        name.line = ts_node_start_point(node).row;
        name.use.name = text_of(node);
        if (!object.empty()) {
            name.use.object = object;
        } else if (is_member && name.use.object.empty()) {
            name.use.object = "?";
        }
    }

    void put_definitions() {
        std::ranges::stable_sort(definitions_, {}, [](const Defined& d) {
            return std::pair(ts_node_start_byte(d.node), -int64_t{ts_node_end_byte(d.node)});
        });
        TSNode outer{};
        for (Defined& defined : definitions_) {
            const bool is_outer = ts_node_is_null(outer) ||
                                  ts_node_start_byte(defined.node) >= ts_node_end_byte(outer) ||
                                  ts_node_eq(defined.node, outer);
            if (!is_outer) {
                continue;
            }
            outer = defined.node;
            const LineRange lines = lines_of(defined.node);
            if (!defined.name.empty() && !syntax_.is_import[lines.begin]) {
                syntax_.definitions.push_back({std::move(defined.name), lines});
            }
        }
    }

    void put_names() {
        syntax_.names.resize(file_.lines.size());
        for (auto& [position, name] : names_) {
            syntax_.names[name.line].push_back(std::move(name.use));
        }
    }

    void put_code() {
        const auto is_word_byte = [](char c) {
            const auto byte = static_cast<unsigned char>(c);
            return byte >= 0x80 || std::isalnum(byte) != 0;
        };
        auto begin = code_.begin();
        for (size_t i = 0; i < file_.lines.size(); ++i) {
            const auto end = begin + static_cast<std::ptrdiff_t>(file_.lines[i].size());
            if (trimmed(file_.lines[i]).size() < line_length_min || std::none_of(begin, end, is_word_byte)) {
                syntax_.is_code[i] = false;
            }
            begin = end;
        }
    }

    const SourceFile& file_;
    const Grammar& grammar_;
    const std::string text_;
    std::string code_; // the text with blanks for comments and what strings hold
    std::map<uint32_t, std::vector<Import>> imports_; // by place in the text
    std::vector<Defined> definitions_;
    std::map<uint32_t, PlacedName> names_; // by place in the text
    FileSyntax syntax_;
};

} // namespace

FileSyntax read_syntax(const SourceFile& file) {
    const Grammar* grammar = Grammar::find(file.language->name, file.path);
    if (grammar != nullptr) {
        return SyntaxReader(file, *grammar).read();
    }
    FileSyntax nothing;
    nothing.is_import.resize(file.lines.size());
    nothing.is_code.resize(file.lines.size());
    nothing.names.resize(file.lines.size());
    return nothing;
}

std::vector<bool> code_lines(const SourceFile& file) {
    return read_syntax(file).is_code;
}

} // namespace pie
