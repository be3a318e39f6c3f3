#include "eval/methods.h"

#include <doctest/doctest.h>

namespace pie {
namespace {

bool contains(const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("names of methods, with and without numbers") {
    const auto methods = parse_methods("full,full:64,reuse,cfe,pie,pie+seam,pie+seam:0,pie+attention:16");
    REQUIRE(methods.has_value());
    REQUIRE(methods->size() == 8);
    CHECK(methods->at(1).name == "full:64");
    CHECK(methods->at(6).name == "pie+seam:0");
    CHECK(parse_method("pie+seam")->need == MethodNeed::nothing);
    CHECK(parse_method("pie+attention")->need == MethodNeed::completion);
    CHECK(parse_method("pie+later")->need == MethodNeed::completion);
    CHECK(parse_method("pie+oracle:8")->need == MethodNeed::full_state);
    CHECK(parse_method("pie+shallow")->need == MethodNeed::full_state);
    CHECK(parse_method("other-sample")->need == MethodNeed::other_row);
    CHECK(parse_method("full:8")->depends_on == DependsOn::edited_prompt);
    CHECK(parse_method("prefix")->depends_on == DependsOn::last_edit);
    CHECK(parse_method("pie+heal:5")->depends_on == DependsOn::history);
    CHECK(full_recompute().name == "full");
}

TEST_CASE("bad names say what is wrong") {
    const auto expect = [](const std::string& names, const std::string& message) {
        const auto methods = parse_methods(names);
        REQUIRE(!methods.has_value());
        CHECK(methods.error().code == ErrorCode::invalid_argument);
        CHECK(contains(methods.error().message, message));
    };
    expect("magic", "pie+seam[:N]");
    expect("", "there is no method ''");
    expect("pie,", "there is no method ''");
    expect("pie:3", "takes no number");
    expect("full:0", "'0'");
    expect("prefix:1", "takes no number");
    expect("pie+seam:-1", "'-1'");
    expect("pie+seam:4x", "'4x'");
    expect("pie+seam:", "''");
    expect("pie+seam:99999999999", "99999999999");
    expect("pie,cfe,pie", "named twice");
}

} // namespace pie
