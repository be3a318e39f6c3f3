#include "base/files.h"
#include "base/test_fixtures.h"
#include "model/optimized.h"

#include <doctest/doctest.h>

using pie::ErrorCode;

TEST_CASE("names say what was made from what") {
    const auto model = pie::parse_optimized("qwen2.5-coder-0.5b-q4_0");
    REQUIRE(model);
    CHECK(model->source == "qwen2.5-coder-0.5b");
    CHECK(model->type.type == GGML_TYPE_Q4_0);
    CHECK(model->name() == "qwen2.5-coder-0.5b-q4_0");
    CHECK(pie::parse_optimized("a-iq4_nl")->type.name == "iq4_nl");
    for (const char* other :
         {"qwen2.5-coder-0.5b", "-q4_0", "q4_0", "a-q4_1", "folder/a-q4_0", "a-q4_0.gguf", ""}) {
        CAPTURE(other);
        CHECK_FALSE(pie::parse_optimized(other));
    }
}

TEST_CASE("those of the store are listed, and found by -m") {
    const pie::ScratchFolder scratch;
    pie::StoreSettings settings;
    settings.folder = scratch.path;
    CHECK(pie::optimized_models(settings).empty());
    for (const char* file :
         {"b-q4_0.gguf", "a-q8_0.gguf", "a.gguf", "c-q4_0.gguf.partial", "c-q4_0.gguf.lock"}) {
        REQUIRE(pie::write_file_atomic(scratch.path / file, "x"));
    }
    const auto models = pie::optimized_models(settings);
    REQUIRE(models.size() == 2);
    CHECK(models[0].name() == "a-q8_0");
    CHECK(models[1].name() == "b-q4_0");
    CHECK(pie::resolve_model("b-q4_0", settings).value() == scratch.path / "b-q4_0.gguf");

    const auto missing = pie::resolve_model("smollm2-135m-iq4_nl", settings);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ErrorCode::not_found);
    CHECK(missing.error().message ==
          "the model 'smollm2-135m-iq4_nl' is not on this machine; make it with 'pie-lab "
          "optimize smollm2-135m --type iq4_nl'");
    CHECK(pie::resolve_model("c-q4_0", settings).error().message.find("is neither a GGUF file") !=
          std::string::npos);
}
