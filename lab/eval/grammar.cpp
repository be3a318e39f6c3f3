#include "eval/grammar.h"

#include "base/check.h"

#include <fmt/format.h>

#include <map>

// Each is defined by the sources of its grammar, which have no header.
extern "C" {
const TSLanguage* tree_sitter_c();
const TSLanguage* tree_sitter_cpp();
const TSLanguage* tree_sitter_go();
const TSLanguage* tree_sitter_java();
const TSLanguage* tree_sitter_javascript();
const TSLanguage* tree_sitter_python();
const TSLanguage* tree_sitter_rust();
}

namespace pie {
namespace {

constexpr std::string_view python_query = R"(
(comment) @comment
[(string_start) (string_content) (string_end)] @text
[(import_statement) (import_from_statement) (future_import_statement)] @import
(import_statement name: (dotted_name) @module)
(import_statement name: (aliased_import name: (dotted_name) @module alias: (identifier) @alias))
(import_from_statement module_name: (_) @module name: (dotted_name) @name)
(import_from_statement module_name: (_) @module
    name: (aliased_import name: (dotted_name) @name alias: (identifier) @alias))
(import_from_statement module_name: (_) @module (wildcard_import) @all)
[(function_definition name: (identifier) @defined) (class_definition name: (identifier) @defined)] @definition
(decorated_definition definition: (_ name: (identifier) @defined)) @definition
(expression_statement (assignment left: (identifier) @defined)) @definition
(identifier) @free
(attribute object: (_) @object attribute: (identifier) @member)
(keyword_argument name: (identifier) @member)
)";

constexpr std::string_view java_query = R"(
[(line_comment) (block_comment)] @comment
[(string_literal) (character_literal)] @text
(import_declaration) @import
(import_declaration (scoped_identifier scope: (_) @module name: (identifier) @name))
(import_declaration [(scoped_identifier) (identifier)] @module (asterisk) @all)
[(class_declaration name: (identifier) @defined) (interface_declaration name: (identifier) @defined)
 (enum_declaration name: (identifier) @defined) (record_declaration name: (identifier) @defined)
 (annotation_type_declaration name: (identifier) @defined)] @definition
[(identifier) (type_identifier)] @free
(field_access object: (_) @object field: (identifier) @member)
(method_invocation object: (_) @object name: (identifier) @member)
)";

// What C and C++ have in common.
constexpr std::string_view c_query = R"(
(comment) @comment
[(string_literal) (char_literal) (system_lib_string)] @text
(preproc_include) @import
(preproc_include path: (_) @module @all)
(function_definition declarator: (function_declarator declarator: (identifier) @defined)) @definition
(function_definition
    declarator: (_ declarator: (function_declarator declarator: (identifier) @defined))) @definition
(function_definition) @scope
(declaration declarator: (function_declarator declarator: (identifier) @defined)) @definition
(declaration declarator: (_ declarator: (function_declarator declarator: (identifier) @defined))) @definition
(declaration declarator: (init_declarator declarator: (identifier) @defined)) @definition
[(struct_specifier name: (type_identifier) @defined body: (_))
 (union_specifier name: (type_identifier) @defined body: (_))
 (enum_specifier name: (type_identifier) @defined body: (_))] @definition
(type_definition declarator: (type_identifier) @defined) @definition
[(preproc_def name: (identifier) @defined) (preproc_function_def name: (identifier) @defined)] @definition
[(identifier) (type_identifier)] @free
(field_identifier) @member
)";

constexpr std::string_view cpp_query = R"(
(raw_string_literal) @text
(function_definition declarator: (reference_declarator
    (function_declarator declarator: (identifier) @defined))) @definition
(declaration declarator: (reference_declarator
    (function_declarator declarator: (identifier) @defined))) @definition
[(class_specifier name: (type_identifier) @defined body: (_)) (alias_declaration name: (type_identifier) @defined)
 (concept_definition name: (identifier) @defined)] @definition
(template_declaration
    [(class_specifier name: (type_identifier) @defined body: (_))
     (struct_specifier name: (type_identifier) @defined body: (_))
     (alias_declaration name: (type_identifier) @defined)
     (concept_definition name: (identifier) @defined)
     (function_definition declarator: (function_declarator declarator: (identifier) @defined))
     (declaration declarator: (function_declarator declarator: (identifier) @defined))]) @definition
(template_declaration) @scope
(namespace_identifier) @free
)";

constexpr std::string_view javascript_query = R"(
[(comment) (hash_bang_line)] @comment
[(string) (string_fragment) (regex) (jsx_text)] @text
(import_statement) @import
(import_statement (import_clause (identifier) @alias) source: (string (string_fragment) @module))
(import_statement (import_clause (namespace_import (identifier) @alias))
    source: (string (string_fragment) @module))
(import_statement
    (import_clause (named_imports (import_specifier name: (identifier) @name !alias)))
    source: (string (string_fragment) @module))
(import_statement
    (import_clause (named_imports (import_specifier name: (identifier) @name alias: (identifier) @alias)))
    source: (string (string_fragment) @module))
(export_statement (export_clause (export_specifier name: (identifier) @name !alias))
    source: (string (string_fragment) @module)) @import
(export_statement (export_clause (export_specifier name: (identifier) @name alias: (identifier) @alias))
    source: (string (string_fragment) @module)) @import
(_ (variable_declarator name: (identifier) @alias value: (call_expression
    function: (identifier) @require arguments: (arguments (string (string_fragment) @module))))) @import
(_ (variable_declarator name: (object_pattern (shorthand_property_identifier_pattern) @name)
    value: (call_expression
        function: (identifier) @require arguments: (arguments (string (string_fragment) @module))))) @import
(_ (variable_declarator
    name: (object_pattern (pair_pattern key: (property_identifier) @name value: (identifier) @alias))
    value: (call_expression
        function: (identifier) @require arguments: (arguments (string (string_fragment) @module))))) @import
[(function_declaration name: (identifier) @defined)
 (generator_function_declaration name: (identifier) @defined)
 (class_declaration name: (identifier) @defined)
 (lexical_declaration (variable_declarator name: (identifier) @defined))
 (variable_declaration (variable_declarator name: (identifier) @defined))] @definition
[(function_expression) (arrow_function) (class)] @scope
[(identifier) (shorthand_property_identifier)] @free
(property_identifier) @member
(member_expression object: (_) @object property: (property_identifier) @member)
)";

constexpr std::string_view go_query = R"(
(comment) @comment
[(interpreted_string_literal) (raw_string_literal) (rune_literal)] @text
(import_declaration) @import
(import_spec !name path: (interpreted_string_literal) @module)
(import_spec name: (package_identifier) @alias path: (interpreted_string_literal) @module)
(import_spec name: (dot) @all path: (interpreted_string_literal) @module)
[(function_declaration name: (identifier) @defined)
 (type_declaration (type_spec name: (type_identifier) @defined))
 (type_declaration (type_alias name: (type_identifier) @defined))
 (const_declaration (const_spec name: (identifier) @defined))
 (var_declaration (var_spec name: (identifier) @defined))
 (var_declaration (var_spec_list (var_spec name: (identifier) @defined)))] @definition
(method_declaration) @scope
[(identifier) (type_identifier)] @free
(field_identifier) @member
(selector_expression operand: (_) @object field: (field_identifier) @member)
(qualified_type package: (_) @object name: (type_identifier) @member)
)";

constexpr std::string_view rust_query = R"(
[(line_comment) (block_comment)] @comment
[(string_literal) (raw_string_literal) (char_literal)] @text
(use_declaration) @import
(source_file (use_declaration argument: (_) @use))
(mod_item name: (identifier) @module !body) @import
[(function_item name: (identifier) @defined) (struct_item name: (type_identifier) @defined)
 (enum_item name: (type_identifier) @defined) (union_item name: (type_identifier) @defined)
 (trait_item name: (type_identifier) @defined) (type_item name: (type_identifier) @defined)
 (const_item name: (identifier) @defined) (static_item name: (identifier) @defined)
 (macro_definition name: (identifier) @defined)] @definition
[(impl_item) (mod_item)] @scope
[(identifier) (type_identifier)] @free
(field_identifier) @member
(scoped_identifier path: (_) @object name: (identifier) @member)
(scoped_type_identifier path: (_) @object name: (type_identifier) @member)
)";

} // namespace

Grammar::Grammar(const TSLanguage* language, std::string_view query) : language_(language) {
    uint32_t offset = 0;
    TSQueryError error = TSQueryErrorNone;
    query_.reset(ts_query_new(language, query.data(), static_cast<uint32_t>(query.size()), &offset, &error));
    PIE_CHECK(query_ != nullptr, std::string(query.substr(offset, 60)).c_str());
    for (uint32_t i = 0; i < ts_query_capture_count(query_.get()); ++i) {
        uint32_t length = 0;
        const char* name = ts_query_capture_name_for_id(query_.get(), i, &length);
        capture_names_.emplace_back(name, length);
    }
}

const Grammar* Grammar::find(std::string_view language, std::string_view path) {
    static const std::map<std::string_view, Grammar> grammars = [] {
        std::map<std::string_view, Grammar> made;
        const auto add = [&made](std::string_view name, const TSLanguage* tree, std::string_view query) {
            made.emplace(name, Grammar(tree, query));
        };
        add("c", tree_sitter_c(), c_query);
        add("cpp", tree_sitter_cpp(), fmt::format("{}{}", c_query, cpp_query));
        add("go", tree_sitter_go(), go_query);
        add("java", tree_sitter_java(), java_query);
        add("javascript", tree_sitter_javascript(), javascript_query);
        add("python", tree_sitter_python(), python_query);
        add("rust", tree_sitter_rust(), rust_query);
        return made;
    }();
    const auto found = grammars.find(path.ends_with(".h") ? "cpp" : language);
    return found == grammars.end() ? nullptr : &found->second;
}

} // namespace pie
