// Rows of both published schemas, made by hand; the prompts are what the data set's own program makes of
// them.

#include "eval/repobench.h"
#include "eval/source_tree.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>

namespace pie {
namespace {

using Json = nlohmann::json;

// A token a word, and one a line break.
size_t count_words(std::string_view text) {
    size_t n = 0;
    bool in_word = false;
    for (const char c : text) {
        const bool is_space = c == ' ' || c == '\n';
        n += (c == '\n' ? 1 : 0) + (!is_space && !in_word ? 1 : 0);
        in_word = !is_space;
    }
    return n;
}

const TokenCounter counter = count_words;

Json row_v11() {
    return {{"repo_name", "me/shop"},
            {"file_path", "shop/cart.py"},
            {"context",
             {{{"identifier", "Item"}, {"path", "shop/item.py"}, {"snippet", "class Item:\n    price = 1"}},
              {{"identifier", "tax"},
               {"path", "shop/tax.py"},
               {"snippet", "def tax(x):\n    return x\n\n\n\n"}}}},
            {"import_statement", "from shop.item import Item\nfrom shop.tax import tax"},
            {"token_num", 50},
            {"cropped_code", "\ndef total(items):\n    sum = 0\n    \n"},
            {"all_code",
             "from shop.item import Item\nfrom shop.tax import tax\n\ndef total(items):\n    sum = 0\n"
             "    return tax(sum)\n\nprint(total([]))\n"},
            {"next_line", "    return tax(sum)"},
            {"gold_snippet_index", 1},
            {"created_at", "2023-12-01"},
            {"level", "2k"}};
}

Json row_v0() {
    return {{"repo_name", "me/shop"},
            {"file_path", "src/Cart.java"},
            {"context", "// Path: src/Item.java\n// class Item {\n// }\n"},
            {"import_statement", "import shop.Item;"},
            {"code", "class Cart {\n    Item item;"},
            {"prompt", "unused"},
            {"next_line", "    int n = 1;"}};
}

Sample sample_of(const Json& row, size_t tokens_max = 1000) {
    const auto sample = repobench_sample(row, {tokens_max, counter});
    REQUIRE(sample.has_value());
    return *sample;
}

} // namespace

TEST_CASE("version 1.1: the official prompt, where snippets stand in it, and what follows") {
    REQUIRE(is_repobench_row(row_v11()));
    const Sample sample = sample_of(row_v11());
    CHECK(joined(sample.above) ==
          "# Repo Name: me/shop\n"
          "# Path: shop/item.py\nclass Item:\n    price = 1\n\n"
          "# Path: shop/tax.py\ndef tax(x):\n    return x\n\n" // six breaks became two
          "# Path: shop/cart.py\nfrom shop.item import Item\nfrom shop.tax import tax\n"
          "\ndef total(items):\n    sum = 0\n");
    CHECK(sample.target == "    return tax(sum)\n");
    CHECK(sample.language == "python");
    CHECK(sample.setting.empty());
    CHECK(sample.id.empty());
    REQUIRE(sample.context.size() == 2);
    CHECK(sample.above[sample.context[0].begin] == "# Path: shop/item.py\n");
    CHECK(sample.context[0].end == sample.context[1].begin);
    CHECK(sample.above[sample.context[1].end] == "# Path: shop/cart.py\n");
    CHECK(joined(sample.below) == "\nprint(total([]))\n");
    Json own = row_v11();
    own["id"] = "mine";
    own["setting"] = "in_file";
    CHECK(sample_of(own).id == "mine");
    CHECK(sample_of(own).setting == "in_file");
    own["all_code"] = "something else";
    CHECK(sample_of(own).below.empty());
    own.erase("all_code");
    CHECK(sample_of(own).below.empty());
}

TEST_CASE("version 1.1: too long a prompt loses lines of other files from the end, until it fits") {
    const Json row = row_v11();
    const size_t n_all = count_words(joined(sample_of(row).above));
    const auto prompt = [&](size_t n_max) { return joined(sample_of(row, n_max).above); };
    const std::string in_file = prompt(1000).substr(prompt(1000).find("# Path: shop/cart.py"));
    size_t before = prompt(1000).size();
    for (size_t n_max = n_all; n_max > count_words(in_file) + 10; --n_max) {
        const std::string shorter = prompt(n_max);
        CHECK(shorter.ends_with(in_file));
        CHECK(shorter.size() <= before);
        before = shorter.size();
    }
    CHECK(prompt(1).ends_with("\n\n" + in_file));
    CHECK(prompt(1).find("Repo Name") == std::string::npos);
    // The whole cross-file part goes line by line, the last one first.
    CHECK(prompt(n_all).find("# Repo Name") == 0);
    CHECK(prompt(count_words(in_file) + 12).find("shop/tax.py") == std::string::npos);
}

TEST_CASE("version 0: context, path, imports and code, and Java's comments") {
    const Sample sample = sample_of(row_v0());
    CHECK(joined(sample.above) ==
          "// Path: src/Item.java\n// class Item {\n// }\n\n"
          "// Path: src/Cart.java\nimport shop.Item;\n\nclass Cart {\n    Item item;\n");
    CHECK(sample.target == "    int n = 1;\n");
    CHECK(sample.language == "java");
    REQUIRE(sample.context.size() == 1);
    CHECK(sample.above[sample.context[0].end] == "// Path: src/Cart.java\n");
}

TEST_CASE("rows that lack something are refused") {
    for (const char* field : {"file_path", "context", "import_statement", "next_line"}) {
        for (Json row : {row_v0(), row_v11()}) {
            row.erase(field);
            const auto sample = repobench_sample(row, {1000, counter});
            REQUIRE(!sample.has_value());
            CHECK(sample.error().code == ErrorCode::corrupt);
            CHECK(sample.error().message.find(field) != std::string::npos);
        }
    }
    Json row = row_v11();
    row["context"][0].erase("snippet");
    CHECK(repobench_sample(row, {1000, counter}).error().message.find("snippet") != std::string::npos);
    row["context"][0] = 3;
    CHECK(!repobench_sample(row, {1000, counter}).has_value());
    CHECK(!is_repobench_row({{"id", "a"}}));
}

} // namespace pie
