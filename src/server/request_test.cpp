// JSON bodies and the requests that they mean.

#include "server/client_requests.h"
#include "server/document_request.h"
#include "server/request.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

namespace pie {
namespace {

// A valid /infill body with one more field.
std::string fill_with(const std::string& field) {
    return R"({"input_prefix":"a","input_suffix":"b",)" + field + "}";
}

ErrorCode code_of(const std::string& field) {
    const auto request = parse_fill_request(fill_with(field));
    REQUIRE_FALSE(request.has_value());
    CHECK_FALSE(request.error().message.empty());
    return request.error().code;
}

} // namespace

TEST_CASE("llama.vim's request") {
    const auto request = parse_fill_request(test::vim_infill);
    REQUIRE(request);
    CHECK(request->prefix == "import sys\n\ndef total(items):\n    result = 0\n");
    CHECK(request->prompt == "    for item in ");
    CHECK(request->suffix == "\n    return result\n");
    REQUIRE(request->chunks.size() == 1);
    CHECK(request->chunks[0].file_name == "statistics.py");
    const GenerationRequest& generation = request->generation;
    CHECK(generation.slot_hint == 0);
    CHECK(generation.n_completions == 1);
    CHECK_FALSE(generation.stream);
    CHECK(generation.response_fields.size() == 11);
    const CompletionOptions& options = generation.options;
    CHECK(options.n_predict == 8);
    CHECK(options.stop.strings.empty());
    CHECK(options.stop.n_indent == 4);
    CHECK(options.stop.predict_milliseconds_max == 250);
    CHECK(options.prompt_milliseconds_max == 500);
    CHECK(options.sampling.top_k == 40);
    CHECK(options.sampling.top_p == doctest::Approx(0.9));
    CHECK(options.sampling.order ==
          std::vector{SamplerStage::top_k, SamplerStage::top_p, SamplerStage::infill});
    CHECK(options.sampling.seed == random_seed);
}

TEST_CASE("warm-ups and llama.vscode's request") {
    const auto warm_up = parse_fill_request(test::vim_warm_up);
    REQUIRE(warm_up);
    CHECK(warm_up->generation.options.n_predict == 0);
    CHECK(warm_up->generation.options.sampling.order.empty());
    CHECK(warm_up->generation.response_fields == std::vector<std::string>{""});
    CHECK(parse_fill_request(test::vscode_warm_up));
    const auto request = parse_fill_request(test::vscode_infill);
    REQUIRE(request);
    CHECK(request->generation.n_completions == 3);
    CHECK(request->generation.response_fields.empty());
}

TEST_CASE("what is not said, or null, is as llama-server has it") {
    for (const char* field : {"\"n_predict\":null", "\"temperature\":null", "\"stop\":null",
                              "\"samplers\":null", "\"unknown\":[1,{}]"}) {
        CAPTURE(field);
        const auto request = parse_fill_request(fill_with(field));
        REQUIRE(request);
        const CompletionOptions& options = request->generation.options;
        CHECK(options.n_predict == -1);
        CHECK(options.sampling.temperature == doctest::Approx(0.8));
        CHECK(options.sampling.top_k == 40);
        CHECK(options.sampling.top_p == doctest::Approx(0.95));
        CHECK(options.sampling.min_p == doctest::Approx(0.05));
        CHECK(options.prompt_milliseconds_max == 0);
        CHECK(options.sampling.repeat_penalty == 1.0F);
        CHECK(options.sampling.penalty_last_n == 64);
        CHECK(options.stop.strings.empty());
        CHECK(request->generation.reuse_cache);
        CHECK(request->generation.slot_hint == -1);
    }
}

TEST_CASE("fields in their several spellings") {
    CHECK(parse_fill_request(fill_with("\"max_tokens\":7"))->generation.options.n_predict == 7);
    CHECK(parse_fill_request(fill_with("\"max_tokens\":7,\"n_predict\":9"))->generation.options.n_predict ==
          9);
    CHECK(parse_fill_request(fill_with("\"n\":2"))->generation.n_completions == 2);
    CHECK(
        parse_fill_request(fill_with("\"t_max_prompt_ms\":-1"))->generation.options.prompt_milliseconds_max ==
        0);
    CHECK(parse_fill_request(fill_with("\"n_predict\":12.0"))->generation.options.n_predict == 12);
    CHECK(parse_fill_request(fill_with("\"stop\":\"x\""))->generation.options.stop.strings ==
          std::vector<std::string>{"x"});
    CHECK(parse_fill_request(fill_with("\"samplers\":\"kt\""))->generation.options.sampling.order ==
          std::vector{SamplerStage::top_k, SamplerStage::temperature});
    CHECK(parse_fill_request(fill_with("\"seed\":-1"))->generation.options.sampling.seed == random_seed);
    CHECK(parse_fill_request(fill_with("\"top_p\":7,\"top_k\":-3"))->generation.options.sampling.top_p ==
          1.0F);
    CHECK(parse_fill_request(fill_with("\"top_k\":-3"))->generation.options.sampling.top_k == 0);
    CHECK(parse_fill_request(fill_with("\"input_extra\":[{\"text\":\"t\"}]"))->chunks[0].file_name == "tmp");
}

TEST_CASE("what clients of llama-server and OpenAI send out of the usual range is taken") {
    const auto options = [](const std::string& field) {
        const auto request = parse_fill_request(fill_with(field));
        REQUIRE(request);
        return request->generation.options;
    };
    CHECK(options("\"seed\":4294967298").sampling.seed == 2);
    CHECK(options("\"seed\":18446744073709551615").sampling.seed == random_seed);
    CHECK(options("\"seed\":-9223372036854775807").sampling.seed == 1);
    CHECK(options("\"seed\":7.0").sampling.seed == 7);
    CHECK(options("\"repeat_last_n\":-1").sampling.penalty_last_n >= 1 << 20);
    CHECK(options("\"repeat_last_n\":0").sampling.penalty_last_n == 0);
    CHECK(options("\"n_predict\":-2").n_predict == -1);
    CHECK(options("\"n_probs\":200").n_probs == 100);
    CHECK(options("\"logprobs\":true,\"top_logprobs\":200").n_probs == 100);
    CHECK(options("\"ignore_eos\":true").sampling.ignore_end);
    CHECK(parse_fill_request(fill_with("\"id_slot\":4000000000"))->generation.slot_hint > 1000);
    CHECK(parse_fill_request(fill_with("\"id_slot\":-5"))->generation.slot_hint == -1);
    for (const char* samplers :
         {"\"kfypmt\"", R"(["top_k","magic","typ_p","top_p","min_p","temperature"])"}) {
        CHECK(options("\"samplers\":" + std::string(samplers)).sampling.order ==
              std::vector{SamplerStage::top_k, SamplerStage::typical_p, SamplerStage::top_p,
                          SamplerStage::min_p, SamplerStage::temperature});
    }
    const auto biases = options(R"("logit_bias":[[15,-0.5],[3,false]])").sampling.logit_bias;
    REQUIRE(biases.size() == 2);
    CHECK(biases[0] == LogitBias{TokenId(15), -0.5F});
    CHECK(biases[1] == LogitBias{TokenId(3), -std::numeric_limits<float>::infinity()});
    const auto of_texts = [](const std::string& field) {
        return parse_fill_request(fill_with(field))->generation.text_biases;
    };
    CHECK(of_texts(R"("logit_bias":[["Hello",-1.0],["15",2],[15,3]])") ==
          std::vector<TextBias>{{"Hello", -1}, {"15", 2}});
    CHECK(of_texts(R"("logit_bias":{"Hello":-1,"15":2," 15":3})") ==
          std::vector<TextBias>{{" 15", 3}, {"Hello", -1}});
    CHECK(options(R"("logit_bias":{"15":-100})").sampling.logit_bias ==
          std::vector{LogitBias{TokenId(15), -100}});
}

TEST_CASE("wrong fields are named") {
    for (const char* field : {"\"n_predict\":-3",
                              "\"n_predict\":1.5",
                              "\"seed\":1.5",
                              "\"seed\":\"1\"",
                              "\"logit_bias\":{\"a\":\"1\"}",
                              "\"logit_bias\":[[\"a\\u0000\",1]]",
                              "\"logit_bias\":[[1.5,1]]",
                              "\"logit_bias\":[[1]]",
                              "\"logit_bias\":[[1,true]]",
                              "\"logit_bias\":7",
                              "\"ignore_eos\":1",
                              "\"n_predict\":\"8\"",
                              "\"n_predict\":99999999999",
                              "\"n_predict\":[1]",
                              "\"n_cmpl\":0",
                              "\"n_cmpl\":1000",
                              "\"temperature\":\"hot\"",
                              "\"stop\":7",
                              "\"stop\":[7]",
                              "\"samplers\":{}",
                              "\"input_extra\":{}",
                              "\"input_extra\":[7]",
                              "\"input_extra\":[{}]",
                              "\"input_extra\":[{\"text\":7}]",
                              "\"input_extra\":[{\"text\":\"\",\"filename\":7}]",
                              "\"prompt\":7",
                              "\"stream\":\"yes\"",
                              "\"response_fields\":\"content\"",
                              "\"stream_options\":7",
                              "\"cache_prompt\":0"}) {
        CAPTURE(field);
        CHECK(code_of(field) == ErrorCode::invalid_argument);
    }
    const auto extra = parse_fill_request(fill_with("\"input_extra\":[{\"text\":\"\"},{\"text\":7}]"));
    CHECK(extra.error().message.find("input_extra[1].text") != std::string::npos);
}

TEST_CASE("options that would change the answer, and that nothing follows, are refused; off, they are not") {
    for (const char* field :
         {"\"grammar\":\"root ::= x\"", "\"json_schema\":{}", "\"mirostat\":2", "\"tools\":[{}]",
          "\"response_format\":{\"type\":\"json_object\"}", "\"response_format\":7"}) {
        CAPTURE(field);
        CHECK(code_of(field) == ErrorCode::unsupported);
    }
    for (const char* field :
         {"\"grammar\":\"\"", "\"logit_bias\":{}", "\"ignore_eos\":false", "\"logit_bias\":[]",
          "\"mirostat\":0", "\"tools\":[]", "\"response_format\":{\"type\":\"text\"}"}) {
        CAPTURE(field);
        CHECK(parse_fill_request(fill_with(field)));
    }
}

TEST_CASE("bodies that are no request") {
    for (const std::string& body :
         {std::string(), std::string("{"), std::string("[]"), std::string("null"), std::string("7"),
          std::string("{}"), std::string(R"({"input_prefix":"a"})"), std::string(R"({"input_suffix":"a"})"),
          std::string("{\"input_prefix\":\"\xff\",\"input_suffix\":\"\"}"),
          std::string(R"({"input_prefix":"\ud83","input_suffix":""})"),
          std::string(R"({"input_prefix":"a","input_suffix":""}\ud83d)"),
          std::string(R"({"input_prefix":"","input_suffix":"","top_p":1e999})"),
          R"({"input_prefix":"","input_suffix":"","x":)" + std::string(100'000, '['),
          R"({"input_prefix":"","input_suffix":"","x":)" + std::string(33, '[') + std::string(33, ']') +
              "}"}) {
        CAPTURE(body.substr(0, 60));
        const auto request = parse_fill_request(body);
        REQUIRE_FALSE(request.has_value());
        CHECK(request.error().code == ErrorCode::invalid_argument);
    }
    // Brackets within a string nest nothing.
    CHECK(parse_fill_request(R"({"input_suffix":"","input_prefix":"\"[[[)" + std::string(100, '[') + "\"}"));
}

TEST_CASE("half a surrogate pair, which a window that is cut within a character has, is read as U+FFFD") {
    const auto read = [](const std::string& escaped) {
        CAPTURE(escaped);
        const auto request = parse_prompt_request(R"({"prompt":")" + escaped + R"("})");
        REQUIRE(request);
        return std::get<std::string>(request->prompts[0][0]);
    };
    const std::string replacement = "\xEF\xBF\xBD";
    const std::string emoji = "\xF0\x9F\x98\x80";
    CHECK(read(R"(\ud83d)") == replacement);
    CHECK(read(R"(a\uD83Db)") == "a" + replacement + "b");
    CHECK(read(R"(\ude00 tail)") == replacement + " tail");
    CHECK(read(R"(\ud83d\ude00)") == emoji);
    CHECK(read(R"(\uD83D\uDE00\ud83d)") == emoji + replacement);
    CHECK(read(R"(\ud83d\ud83d\ude00)") == replacement + emoji);
    CHECK(read(R"(\ude00\ud83d)") == replacement + replacement);
    CHECK(read(R"(\ud83d\u0041)") == replacement + "A");
    CHECK(read(R"(\ud83d\n)") == replacement + "\n");
    CHECK(read(R"(\\ud83d)") == R"(\ud83d)"); // a backslash, and letters
    CHECK(read(R"(\\\ud83d)") == "\\" + replacement);
    CHECK(read(R"(\"\ud83d\")") == "\"" + replacement + "\"");
    const auto fill = parse_fill_request(
        R"({"input_prefix":"\udfff","input_suffix":"\udbff","input_extra":[{"text":"\ud800"}]})");
    REQUIRE(fill);
    CHECK(fill->prefix == replacement);
    CHECK(fill->suffix == replacement);
    CHECK(fill->chunks[0].text == replacement);
    CHECK(parse_put_document(R"({"text":"a\ud83d","cursor":4})")->text == "a" + replacement);
}

TEST_CASE("a NUL character is refused in every string, and its field is named") {
    const auto check = [](const auto& request, const char* field) {
        CAPTURE(field);
        REQUIRE_FALSE(request.has_value());
        CHECK(request.error().code == ErrorCode::invalid_argument);
        CHECK(request.error().message.find(std::string("\"") + field + "\" holds a NUL") == 0);
    };
    check(parse_fill_request(R"({"input_prefix":"a\u0000","input_suffix":""})"), "input_prefix");
    check(parse_fill_request(R"({"input_prefix":"","input_suffix":"\u0000"})"), "input_suffix");
    check(parse_fill_request(fill_with(R"("prompt":"\u0000")")), "prompt");
    check(parse_fill_request(fill_with(R"("stop":"\u0000")")), "stop");
    check(parse_fill_request(fill_with(R"("stop":["a","\u0000"])")), "stop");
    check(parse_fill_request(fill_with(R"("input_extra":[{"text":"\u0000"}])")), "input_extra[0].text");
    check(parse_fill_request(fill_with(R"("input_extra":[{"text":"","filename":"\u0000"}])")),
          "input_extra[0].filename");
    check(parse_prompt_request(R"({"prompt":"a\u0000b"})"), "prompt");
    check(parse_prompt_request(R"({"prompt":["a",[1,"\u0000"]]})"), "prompt");
    check(parse_prompt_request(R"({"prompt":"","suffix":"\u0000"})"), "suffix");
    check(parse_tokenize_request(R"({"content":"\u0000"})"), "content");
    check(parse_put_document(R"({"text":"\u0000"})"), "text");
    check(parse_patch_document(R"({"version":2,"edits":[{"begin":0,"end":0,"text":"\u0000"}]})"),
          "edits[0].text");
    // A field that nobody here knows is ignored, whatever it holds.
    CHECK(parse_fill_request(fill_with(R"("x":"\u0000")")));
}

TEST_CASE("prompts of texts and tokens") {
    const auto text = parse_prompt_request(R"({"prompt":"abc","suffix":null})");
    REQUIRE(text);
    REQUIRE(text->prompts.size() == 1);
    CHECK(text->prompts[0] == std::vector<PromptPart>{"abc"});
    CHECK_FALSE(text->suffix.has_value());
    const auto mixed = parse_prompt_request(R"({"prompt":[12,"abc",0]})");
    REQUIRE(mixed);
    REQUIRE(mixed->prompts.size() == 1);
    CHECK(mixed->prompts[0] == std::vector<PromptPart>{TokenId(12), "abc", TokenId(0)});
    const auto several = parse_prompt_request(R"({"prompt":["a",[1,2],["b",3]],"n":2,"best_of":2})");
    REQUIRE(several);
    CHECK(several->prompts ==
          std::vector<std::vector<PromptPart>>{{"a"}, {TokenId(1), TokenId(2)}, {"b", TokenId(3)}});
    CHECK(parse_prompt_request(R"({"prompt":[[7]]})")->prompts[0] == std::vector<PromptPart>{TokenId(7)});
    CHECK(parse_prompt_request(R"({"prompt":""})")->prompts[0] == std::vector<PromptPart>{""});
    CHECK(parse_prompt_request(R"({"prompt":[]})")->prompts[0].empty());
    CHECK(parse_prompt_request(R"({"prompt":["a","b"],"suffix":"c"})"));
    CHECK(*parse_prompt_request(R"({"prompt":"abc","suffix":"def"})")->suffix == "def");
    CHECK(parse_prompt_request(R"({"prompt":["abc"],"best_of":1,"echo":false})"));
    for (const char* body :
         {R"({})", R"({"prompt":7.5})", R"({"prompt":{"prompt_string":"a"}})", R"({"prompt":[-1]})",
          R"({"prompt":[1.5]})", R"({"prompt":[1],"suffix":"a"})", R"({"prompt":[[1],[[2]]]})"}) {
        CAPTURE(body);
        CHECK(parse_prompt_request(body).error().code == ErrorCode::invalid_argument);
    }
    for (const char* body : {R"({"prompt":"a","echo":true})", R"({"prompt":"a","best_of":2})"}) {
        CAPTURE(body);
        CHECK(parse_prompt_request(body).error().code == ErrorCode::unsupported);
    }
}

TEST_CASE("tokens to and from") {
    CHECK(parse_tokenize_request(R"({})")->content.empty());
    CHECK(parse_tokenize_request(R"({"content":"a","with_pieces":true})")->with_pieces);
    CHECK(parse_detokenize_request(R"({"tokens":[1,2]})") == std::vector{TokenId(1), TokenId(2)});
    CHECK(parse_detokenize_request(R"({})")->empty());
    CHECK_FALSE(parse_detokenize_request(R"({"tokens":["a"]})").has_value());
    CHECK_FALSE(parse_detokenize_request(R"({"tokens":7})").has_value());
    CHECK_FALSE(parse_detokenize_request(R"({"tokens":[99999999999]})").has_value());
}

TEST_CASE("live documents") {
    const auto put = parse_put_document(R"({"text":"abc","context":[{"text":"c","filename":"f"}]})");
    REQUIRE(put);
    CHECK(put->cursor == ByteOffset(3));
    CHECK(put->version == 1);
    CHECK(put->context.chunks.size() == 1);
    CHECK(parse_put_document(R"({"text":"abc","cursor":1,"version":7})")->cursor == ByteOffset(1));
    const auto patch = parse_patch_document(R"({"version":2,"edits":[{"begin":1,"end":2,"text":"xyz"}]})");
    REQUIRE(patch);
    CHECK(patch->version == 2);
    CHECK(patch->cursor == ByteOffset(4));
    REQUIRE(patch->edits.size() == 1);
    CHECK(patch->edits[0].end == ByteOffset(2));
    CHECK(parse_patch_document(R"({"version":2,"cursor":0})")->edits.empty());
    for (const char* body :
         {R"({})", R"({"version":2})", R"({"edits":[{"begin":1,"end":2,"text":""}]})",
          R"({"version":2,"edits":7})", R"({"version":2,"edits":[7]})",
          R"({"version":2,"edits":[{"begin":1}]})",
          R"({"version":2,"edits":[{"begin":-1,"end":2,"text":""}]})", R"({"version":-1,"cursor":0})",
          R"({"version":2,"edits":[{"begin":1,"end":1e300,"text":""}]})"}) {
        CAPTURE(body);
        CHECK(parse_patch_document(body).error().code == ErrorCode::invalid_argument);
    }
    const auto complete = parse_complete_document(R"({"version":3,"cursor":9,"n_predict":4,"stream":true})");
    REQUIRE(complete);
    CHECK(complete->place.version == 3);
    CHECK(complete->place.cursor == ByteOffset(9));
    CHECK(complete->generation.stream);
}

} // namespace pie
