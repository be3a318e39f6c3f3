#include "base/test_fixtures.h"
#include "eval/source_tree.h"

#include <doctest/doctest.h>

#include <fstream>

namespace pie {
namespace {

void write(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

using Words = std::vector<std::string_view>;

} // namespace

TEST_CASE("a tree holds what is text in a known language, by path") {
    const ScratchFolder folder;
    write(folder.path / "z.py", "a = 1\n\nb = 2");
    write(folder.path / "pkg" / "deep" / "a.cpp", "int a;\r\n");
    write(folder.path / "empty.go", "");
    write(folder.path / "notes.txt", "a = 1\n");
    write(folder.path / "binary.py", std::string("a\0b", 3));
    write(folder.path / "latin.py", "caf\xE9\n");
    write(folder.path / "marker.py", "x = '<SUF>'\n");
    write(folder.path / ".git" / "hidden.py", "a = 1\n");
    write(folder.path / ".hidden.py", "a = 1\n");
    std::filesystem::create_symlink(folder.path / "z.py", folder.path / "link.py");

    const auto tree = read_source_tree(folder.path);
    REQUIRE(tree.has_value());
    CHECK(tree->n_skipped == 3);
    REQUIRE(tree->files.size() == 3);
    CHECK(tree->files[0].path == "empty.go");
    CHECK(tree->files[0].lines.empty());
    CHECK(tree->files[1].path == "pkg/deep/a.cpp");
    CHECK(tree->files[1].language->name == "cpp");
    CHECK(tree->files[1].lines == std::vector<std::string>{"int a;\r\n"});
    CHECK(tree->files[2].path == "z.py");
    CHECK(tree->files[2].lines == std::vector<std::string>{"a = 1\n", "\n", "b = 2\n"});
}

TEST_CASE("a folder without source files, and one that is not there") {
    const ScratchFolder folder;
    write(folder.path / "notes.txt", "a = 1\n");
    CHECK(read_source_tree(folder.path).error().code == ErrorCode::not_found);
    CHECK(read_source_tree(folder.path / "none").error().code == ErrorCode::not_found);
}

TEST_CASE("what language a file has, its name says") {
    CHECK(language_of("dir/a.cc")->name == "cpp");
    CHECK(language_of("README") == nullptr);
    CHECK(language_of("a.PY.txt") == nullptr);
}

TEST_CASE("identifiers are whole words that somebody chose") {
    CHECK(identifiers("for item in self.items: total += item.price * 100 # 3abc") ==
          Words{"item", "items", "total", "item", "price"});
    CHECK(identifiers("int main_2(größe);") == Words{"main_2", "größe"});
    CHECK(identifiers("a.bc+(d)\n").empty());
    CHECK(identifiers("").empty());
}

TEST_CASE("white space goes from both ends") {
    CHECK(trimmed(" \ta b\r\n") == "a b");
    CHECK(trimmed(" \n").empty());
    CHECK(trimmed("").empty());
}

} // namespace pie
