#include "model/catalogue.h"

#include <doctest/doctest.h>

#include <set>

namespace {

bool is_sha256(const std::string& text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

} // namespace

TEST_CASE("the built-in catalogue is whole") {
    const pie::Catalogue& built_in = pie::catalogue();
    std::set<std::string> names;
    std::set<std::string> wheels;
    for (const pie::CatalogueEntry& entry : built_in.models) {
        CAPTURE(entry.name);
        CHECK(names.insert(entry.name).second);
        CHECK(is_sha256(entry.sha256));
        CHECK(entry.size_bytes > 0);
        CHECK_FALSE(entry.licence.empty());
        REQUIRE_FALSE(entry.sources.empty());
        // A model without a hub can be had by everyone who has a package index, so each has packages last.
        const auto* packages = std::get_if<pie::PackageSource>(&entry.sources.back());
        REQUIRE(packages != nullptr);
        for (const pie::PackagePart& part : packages->parts) {
            CHECK(is_sha256(part.sha256));
            CHECK(wheels.insert(part.sha256).second);
            CHECK(part.size_bytes > 0);
            // A wheel's folder is the package's name with underscores.
            CHECK(part.member.find(part.package.substr(0, part.package.find('-'))) == 0);
        }
    }
    CHECK(names.count(built_in.default_model) == 1);
    CHECK(wheels.size() == 29);
    CHECK(pie::catalogue_names() == "qwen2.5-coder-0.5b, qwen2.5-coder-1.5b, smollm2-135m");
}

TEST_CASE("entries are found by their exact name") {
    const pie::CatalogueEntry* entry = pie::find_in_catalogue("qwen2.5-coder-0.5b");
    REQUIRE(entry != nullptr);
    CHECK(entry->size_bytes == 491'400'064);
    CHECK(entry->sha256 == "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32");
    const auto* hub = std::get_if<pie::HubSource>(&entry->sources.front());
    REQUIRE(hub != nullptr);
    CHECK(hub->repository == "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF");
    CHECK(pie::find_in_catalogue("qwen2.5-coder") == nullptr);
    CHECK(pie::find_in_catalogue("") == nullptr);
}

TEST_CASE("malformed catalogues are refused") {
    const char* whole =
        R"({"default": "a", "models": [{"name": "a", "description": "", "licence": "", "size_bytes": 1,
        "sha256": "", "sources": [{"hub": {"repository": "u/r", "file": "f"}}]}]})";
    CHECK(pie::parse_catalogue(whole));
    for (const char* broken : {"", "[]", R"({"default": "a"})", R"({"default": 1, "models": []})",
                               R"({"default": "a", "models": [{"name": "a"}]})"}) {
        CAPTURE(broken);
        const auto parsed = pie::parse_catalogue(broken);
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == pie::ErrorCode::corrupt);
    }
}
