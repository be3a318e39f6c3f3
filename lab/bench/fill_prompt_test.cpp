#include "bench/fill_prompt.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

namespace pie {
namespace {

const MarkerNames names{
    .prefix = "<P>", .suffix = "<S>", .middle = "<M>", .repository = "<R>", .file_separator = "<F>"};
const DocumentState state{
    .text = "one\ntwo three\nfour\n", .cursor = 8, .chunks = {{.file_name = "a.c", .text = "chunk\n"}}};
const std::string before = "<R>myproject\n<F>a.c\nchunk\n<F>filename\n";

} // namespace

TEST_CASE("the same text in every order") {
    CHECK(fill_prompt(state, FillOrder::prefix_first, names) == before + "<P>one\ntwo <S>three\nfour\n<M>");
    CHECK(fill_prompt(state, FillOrder::suffix_first, names) == before + "<S>three\nfour\n<P>one\ntwo <M>");
    CHECK(fill_prompt(state, FillOrder::line_last, names) == before + "<P>one\n<S>three\nfour\n<M>two ");
}

TEST_CASE("a model without markers of repositories is shown chunks as llama-server shows them") {
    const MarkerNames plain{
        .prefix = "<P>", .suffix = "<S>", .middle = "<M>", .repository = "", .file_separator = ""};
    CHECK(fill_prompt(state, FillOrder::line_last, plain) ==
          "\n\n--- snippet ---\n\nchunk\n<P>one\n<S>three\nfour\n<M>two ");
}

TEST_CASE("the cursor at either end of the text") {
    const DocumentState front{.text = "a\n", .cursor = 0};
    CHECK(fill_prompt(front, FillOrder::line_last, names) == "<R>myproject\n<F>filename\n<P><S>a\n<M>");
    const DocumentState back{.text = "a\n", .cursor = 2};
    CHECK(fill_prompt(back, FillOrder::line_last, names) == "<R>myproject\n<F>filename\n<P>a\n<S><M>");
}

TEST_CASE("requests as llama.vim sends them, and as prompts") {
    const auto infill = fill_request(state, FillOrder::infill, names, {.n_predict = 7});
    CHECK(infill.path == "/infill");
    const auto body = nlohmann::json::parse(infill.body);
    CHECK(body["input_prefix"] == "one\n");
    CHECK(body["prompt"] == "two ");
    CHECK(body["input_suffix"] == "three\nfour\n");
    CHECK(body["input_extra"] == nlohmann::json::parse(R"([{"filename":"a.c","text":"chunk\n"}])"));
    CHECK(body["n_predict"] == 7);
    CHECK(body["id_slot"] == 0);
    CHECK(body["cache_prompt"] == true);
    CHECK(body["temperature"] == 0.0);
    const auto raw = fill_request(state, FillOrder::suffix_first, names,
                                  {.n_predict = 7, .cache = CacheUse::recompute, .slot = 3});
    CHECK(raw.path == "/completion");
    const auto prompt = nlohmann::json::parse(raw.body);
    CHECK(prompt["prompt"] == fill_prompt(state, FillOrder::suffix_first, names));
    CHECK(prompt["cache_prompt"] == false);
    CHECK(prompt["stream"] == true);
    CHECK(prompt["id_slot"] == 3);
}

} // namespace pie
