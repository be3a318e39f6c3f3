// What a model file says is what the loaded model says; what is wrong with a file is told as an error that
// names the fault, and never ends the program.

#include "model/model.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>

#include <array>
#include <fstream>
#include <random>
#include <string>
#include <vector>

namespace pie {
namespace {

using testing::TemporaryFolder;
using testing::TinyModel;

using Spoil = std::function<void(gguf_context*)>;

class Files {
  public:
    std::filesystem::path write(const TinyModel& description) {
        auto path = folder_.path() / "tiny.gguf";
        testing::write_tiny_model(description, path);
        return path;
    }
    std::filesystem::path write(const std::string& bytes) {
        auto path = folder_.path() / "bytes.gguf";
        std::ofstream(path, std::ios::binary) << bytes;
        return path;
    }
    const std::filesystem::path& folder() const { return folder_.path(); }

  private:
    testing::TemporaryFolder folder_;
};

std::string read_bytes(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::unique_ptr<LoadedModel> load_good(const TinyModel& description) {
    Files files;
    auto model = LoadedModel::load(files.write(description));
    REQUIRE_MESSAGE(model.has_value(), model.error().message);
    return *std::move(model);
}

void check_refused(const std::filesystem::path& path, ErrorCode code, const std::string& words) {
    const auto model = LoadedModel::load(path);
    REQUIRE_FALSE(model.has_value());
    CAPTURE(model.error().message);
    CHECK(model.error().code == code);
    CHECK(model.error().message.find(words) != std::string::npos);
}

void check_refused(const TinyModel& description, ErrorCode code, const std::string& words) {
    Files files;
    check_refused(files.write(description), code, words);
}

Spoil set_u32(std::string key, uint32_t value) {
    return [key = std::move(key), value](gguf_context* gguf) { gguf_set_val_u32(gguf, key.c_str(), value); };
}

Spoil set_f32(std::string key, float value) {
    return [key = std::move(key), value](gguf_context* gguf) { gguf_set_val_f32(gguf, key.c_str(), value); };
}

Spoil set_string(std::string key, std::string value) {
    return [key = std::move(key), value = std::move(value)](gguf_context* gguf) {
        gguf_set_val_str(gguf, key.c_str(), value.c_str());
    };
}

Spoil remove(std::string key) {
    return [key = std::move(key)](gguf_context* gguf) { gguf_remove_key(gguf, key.c_str()); };
}

// The smallest of its kind, for tests that write many.
TinyModel small(Spoil spoil) {
    return {.n_layer = 1, .n_embd = 64, .n_head = 2, .n_head_kv = 1, .n_ff = 64, .spoil = std::move(spoil)};
}

} // namespace

TEST_CASE("hyperparameters are those of the file") {
    const auto model = load_good({.architecture = "qwen3moe",
                                  .n_layer = 3,
                                  .n_head = 8,
                                  .n_head_kv = 2,
                                  .head_dim = 64,
                                  .n_rot = 64,
                                  .n_expert = 4,
                                  .n_expert_used = 2,
                                  .rope_scaling = "yarn"});
    const Hyperparameters& hp = model->hparams();
    CHECK(std::string(hp.architecture->name) == "qwen3moe");
    CHECK(hp.n_layer == 3);
    CHECK(hp.n_embd == 128);
    CHECK(hp.n_head == 8);
    CHECK(hp.n_head_kv == 2);
    CHECK(hp.head_dim == 64);
    CHECK(hp.n_embd_kv() == 128);
    CHECK(hp.n_ctx_train == 2048);
    CHECK(hp.n_expert == 4);
    CHECK(hp.n_expert_used == 2);
    CHECK(hp.norm_eps == 1e-5F);
    CHECK(hp.attention_scale == 0.125F);
    CHECK(hp.rope.layout == RopeLayout::neox);
    CHECK(hp.rope.n_rot == 64);
    CHECK(hp.rope.freq_scale == 0.25F);
    CHECK(hp.rope.ext_factor == 1.0F);
    CHECK(hp.rope.n_ctx_orig == 512);
    CHECK(model->tensor("output_norm.weight") != nullptr);
    CHECK(model->layer_tensor(2, "attn_q_norm.weight") != nullptr);
    CHECK(model->layer_tensor(3, "attn_q_norm.weight") == nullptr);
}

TEST_CASE("granite's multipliers are read for granite alone") {
    const auto granite = load_good({.architecture = "granite"});
    CHECK(granite->hparams().attention_scale == 0.25F);
    CHECK(granite->hparams().embedding_scale == 3.0F);
    CHECK(granite->hparams().residual_scale == 0.7F);
    CHECK(granite->hparams().logit_scale == 2.5F);
    const auto llama = load_good({.spoil = set_f32("llama.embedding_scale", 3.0F)});
    CHECK(llama->hparams().embedding_scale == 1.0F);
}

TEST_CASE("frequency factors come from the weights") {
    const auto plain = load_good({});
    CHECK(plain->hparams().rope.freq_factors.empty());
    const auto model = load_good({.has_freq_factors = true});
    const std::vector<float>& factors = model->hparams().rope.freq_factors;
    REQUIRE(factors.size() == 16);
    CHECK(factors[0] == static_cast<const float*>(model->tensor("rope_freqs.weight")->data)[0]);
}

TEST_CASE("an embedding that is the output matrix too keeps rows to look up") {
    for (const ggml_type type : {GGML_TYPE_F16, GGML_TYPE_Q4_0, GGML_TYPE_Q8_0}) {
        const auto tied = load_good({.weight_type = type, .has_tied_output = true});
        CHECK(ggml_backend_buffer_is_host(tied->tensor("token_embd.weight")->buffer));
        CHECK(tied->output_matrix() != nullptr);
        const auto own = load_good({.weight_type = type});
        CHECK(own->output_matrix() == own->tensor("output.weight"));
    }
}

TEST_CASE("a vocabulary turns text to tokens and back, and knows its markers") {
    Files files;
    const auto path = files.write(TinyModel{});
    const auto model = LoadedModel::load(path, {.parts = LoadParts::vocabulary});
    REQUIRE(model.has_value());
    const Vocabulary& vocabulary = (*model)->vocabulary();
    CHECK(vocabulary.size() == testing::tiny_vocabulary_size);

    const std::string text = "def main():\n\treturn 'größer, 漢字 <fim_prefix>'\r\n";
    std::string back;
    for (const TokenId token : vocabulary.tokenize(text)) {
        CHECK_FALSE(vocabulary.is_control(token));
        back += vocabulary.piece(token);
    }
    CHECK(back == text);
    CHECK(vocabulary.tokenize("").empty());
    CHECK(vocabulary.tokenize("in").size() == 1); // a pair that the vocabulary merges
    CHECK(vocabulary.tokenize("ni").size() == 2);

    const auto markers = vocabulary.fim();
    REQUIRE(markers.has_value());
    CHECK(markers->order == FimOrder::prefix_first);
    REQUIRE(markers->middle.has_value());
    for (const TokenId marker : {markers->prefix, markers->suffix, *markers->middle}) {
        CHECK(vocabulary.is_control(marker));
        CHECK(vocabulary.piece(marker).empty());
        CHECK_FALSE(vocabulary.ends_generation(marker));
    }
    CHECK_FALSE(markers->repository.has_value());
    CHECK_FALSE(vocabulary.beginning().has_value());
    CHECK(vocabulary.ends_generation(TokenId(testing::tiny_vocabulary_size - 4)));
    CHECK_FALSE(vocabulary.contains(TokenId(testing::tiny_vocabulary_size)));
    CHECK_FALSE(vocabulary.contains(TokenId(-1)));
}

TEST_CASE("markers of models that were trained with the suffix first") {
    const auto load = [](const Spoil& spoil) { return load_good({.spoil = spoil}); };
    const auto seed_coder = load([](gguf_context* gguf) {
        testing::rename_tokens(gguf, {{"<fim_prefix>", "<[fim-prefix]>"},
                                      {"<fim_suffix>", "<[fim-suffix]>"},
                                      {"<fim_middle>", "<[fim-middle]>"}});
    });
    REQUIRE(seed_coder->vocabulary().fim().has_value());
    CHECK(seed_coder->vocabulary().fim()->order == FimOrder::suffix_first);
    CHECK(seed_coder->vocabulary().name(seed_coder->vocabulary().fim()->prefix) == "<[fim-prefix]>");
    CHECK(seed_coder->vocabulary().name(*seed_coder->vocabulary().fim()->middle) == "<[fim-middle]>");

    const auto codestral = load([](gguf_context* gguf) {
        testing::rename_tokens(
            gguf, {{"<fim_prefix>", "[PREFIX]"}, {"<fim_suffix>", "[SUFFIX]"}, {"<fim_middle>", "[MIDDLE]"}});
    });
    REQUIRE(codestral->vocabulary().fim().has_value());
    CHECK(codestral->vocabulary().fim()->order == FimOrder::suffix_first);
    CHECK_FALSE(codestral->vocabulary().fim()->middle.has_value());

    const auto mellum =
        load([](gguf_context* gguf) { gguf_set_val_str(gguf, "general.name", "Mellum 4b Base"); });
    REQUIRE(mellum->vocabulary().fim().has_value());
    CHECK(mellum->vocabulary().fim()->order == FimOrder::suffix_first);
    CHECK(mellum->vocabulary().name(*mellum->vocabulary().fim()->middle) == "<fim_middle>");
}

TEST_CASE("what a file leaves open about its vocabulary is told") {
    CHECK(load_good({})->doubts().empty());
    const auto unsplit =
        load_good({.spoil = [](gguf_context* gguf) { gguf_remove_key(gguf, "tokenizer.ggml.pre"); }});
    REQUIRE(unsplit->doubts().size() == 1);
    CHECK(unsplit->doubts().front().find("tokenizer.ggml.pre") != std::string::npos);
    const auto beyond = load_good({.spoil = [](gguf_context* gguf) {
        gguf_set_val_u32(gguf, "tokenizer.ggml.fim_pad_token_id", 9999);
    }});
    REQUIRE(beyond->doubts().size() == 1);
    CHECK(beyond->doubts().front().find(
              "tokenizer.ggml.fim_pad_token_id is 9999, beyond the vocabulary of 320") != std::string::npos);
}

TEST_CASE("a later part of a split model is refused, and the first one named") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "tiny-00002-of-00003.gguf";
    testing::write_tiny_model({.spoil =
                                   [](gguf_context* gguf) {
                                       gguf_set_val_u16(gguf, "split.no", 1);
                                       gguf_set_val_u16(gguf, "split.count", 3);
                                   }},
                              path);
    check_refused(path, ErrorCode::unsupported,
                  "give the first file, " + (folder.path() / "tiny-00001-of-00003.gguf").string());
    std::filesystem::rename(path, folder.path() / "tiny.gguf");
    check_refused(folder.path() / "tiny.gguf", ErrorCode::unsupported,
                  "part 2 of a split model; give the first file");
}

TEST_CASE("a token between files ends a text") {
    const auto model = load_good({.spoil = [](gguf_context* gguf) {
        testing::rename_tokens(gguf, {{"<fim_middle>", "<file_sep>"}});
    }});
    const Vocabulary& vocabulary = model->vocabulary();
    const std::vector<TokenId> separator = vocabulary.tokenize_markup("<file_sep>");
    REQUIRE(separator.size() == 1);
    CHECK(vocabulary.ends_generation(separator.front()));
    CHECK_FALSE(vocabulary.ends_generation(TokenId('x')));
}

TEST_CASE("what is no model is refused") {
    Files files;
    check_refused(files.folder() / "absent.gguf", ErrorCode::not_found, "absent.gguf");
    check_refused(files.folder(), ErrorCode::invalid_argument, "not a file");
    check_refused(files.write(""), ErrorCode::corrupt, "no GGUF");
    check_refused(files.write("GGUF"), ErrorCode::corrupt, "no GGUF");
    check_refused(files.write("#!/bin/sh\necho no model\n"), ErrorCode::corrupt, "no GGUF");
    std::mt19937 random(1);
    std::string noise = "GGUF";
    for (int i = 0; i < 100'000; ++i) {
        noise += static_cast<char>(random());
    }
    check_refused(files.write(noise), ErrorCode::corrupt, "no GGUF");
}

TEST_CASE("a file cut off anywhere is refused") {
    Files files;
    const std::string whole = read_bytes(files.write(small({})));
    const gguf_init_params params = {.no_alloc = true, .ctx = nullptr};
    gguf_context* gguf = gguf_init_from_file((files.folder() / "tiny.gguf").c_str(), params);
    const size_t data_offset = gguf_get_data_offset(gguf);
    gguf_free(gguf);
    std::vector<size_t> cuts;
    for (size_t cut = 0; cut < data_offset; cut += data_offset / 97) {
        cuts.push_back(cut);
    }
    for (size_t i = 0; i < 8; ++i) {
        cuts.push_back(data_offset + (whole.size() - data_offset) * i / 8);
    }
    cuts.push_back(whole.size() - 64);
    for (const size_t cut : cuts) {
        CAPTURE(cut);
        check_refused(files.write(whole.substr(0, cut)), ErrorCode::corrupt, "again");
    }
    CHECK(LoadedModel::load(files.write(whole)).has_value());
}

TEST_CASE("an unsupported architecture is refused with the list of those supported") {
    for (const char* name : {"gemma3", "mamba", "qwen2vl", "no-such-thing", ""}) {
        CAPTURE(std::string(name));
        const TinyModel description = small(set_string("general.architecture", name));
        check_refused(description, ErrorCode::unsupported, name);
        check_refused(description, ErrorCode::unsupported,
                      "llama (DeepSeek-Coder, CodeLlama, Codestral, Mellum, Yi-Coder");
        check_refused(description, ErrorCode::unsupported, "starcoder2");
    }
    check_refused(small(remove("general.architecture")), ErrorCode::corrupt, "general.architecture");
    check_refused(small(set_u32("general.architecture", 3)), ErrorCode::corrupt, "general.architecture");
}

TEST_CASE("absurd metadata is refused by the name of the key") {
    for (const char* key : {"block_count", "embedding_length", "attention.head_count", "context_length"}) {
        CAPTURE(std::string(key));
        const std::string full = std::string("llama.") + key;
        check_refused(small(remove(full)), ErrorCode::corrupt, full);
        check_refused(small(set_string(full, "two")), ErrorCode::corrupt, full);
        check_refused(small(set_f32(full, 2.0F)), ErrorCode::corrupt, full);
        for (const uint32_t value : {0U, 1U << 25, 1U << 31, UINT32_MAX}) {
            CAPTURE(value);
            check_refused(small(set_u32(full, value)), ErrorCode::corrupt, full);
        }
    }
    for (const char* key : {"attention.head_count_kv", "attention.key_length", "attention.value_length"}) {
        CAPTURE(std::string(key));
        const std::string full = std::string("llama.") + key;
        check_refused(small(set_u32(full, 0)), ErrorCode::unsupported, "heads of this shape");
        check_refused(small(set_u32(full, 3)), ErrorCode::unsupported, "heads of this shape");
        check_refused(small(set_u32(full, UINT32_MAX)), ErrorCode::corrupt, full);
    }
    check_refused(small(set_u32("llama.block_count", 513)), ErrorCode::corrupt, "block_count");
    check_refused(small(set_f32("llama.attention.layer_norm_rms_epsilon", -1.0F)), ErrorCode::corrupt,
                  "epsilon");
    check_refused(small(set_f32("llama.attention.layer_norm_rms_epsilon", NAN)), ErrorCode::corrupt,
                  "epsilon");
    check_refused(small(remove("llama.attention.layer_norm_rms_epsilon")), ErrorCode::corrupt, "epsilon");
}

TEST_CASE("absurd rope parameters are refused") {
    for (const uint32_t n_rot : {0U, 31U, 34U, 64U}) {
        CAPTURE(n_rot);
        check_refused(small(set_u32("llama.rope.dimension_count", n_rot)), ErrorCode::corrupt,
                      "dimension_count");
    }
    check_refused(small(set_u32("llama.rope.dimension_count", UINT32_MAX)), ErrorCode::corrupt,
                  "dimension_count");
    for (const float base : {0.0F, -1.0F, INFINITY, NAN}) {
        CAPTURE(base);
        check_refused(small(set_f32("llama.rope.freq_base", base)), ErrorCode::corrupt, "freq_base");
    }
    for (const float factor : {-1.0F, INFINITY, NAN}) {
        CAPTURE(factor);
        check_refused(small(set_f32("llama.rope.scaling.factor", factor)), ErrorCode::corrupt,
                      "scaling.factor");
    }
    check_refused(small(set_string("llama.rope.scaling.type", "longrope")), ErrorCode::unsupported,
                  "longrope");
    check_refused(small(set_string("llama.rope.scaling.type", "")), ErrorCode::unsupported, "rope scaling");
}

TEST_CASE("experts that do not add up are refused") {
    TinyModel description = small({});
    description.architecture = "qwen3moe";
    description.n_expert = 4;
    description.n_expert_used = 5;
    check_refused(description, ErrorCode::corrupt, "5 of 4 experts");
    description.n_expert_used = 0;
    check_refused(description, ErrorCode::corrupt, "0 of 4 experts");
    check_refused(small(set_u32("llama.expert_used_count", 2)), ErrorCode::corrupt, "2 of 0 experts");
    check_refused(small(set_u32("llama.expert_count", 4096)), ErrorCode::corrupt, "experts");
    check_refused(small(set_u32("llama.expert_group_count", 2)), ErrorCode::unsupported, "groups");
    check_refused(small(set_u32("llama.nextn_predict_layers", 1)), ErrorCode::unsupported, "further tokens");
}

TEST_CASE("missing, foreign and misshapen tensors are refused") {
    for (const char* name :
         {"token_embd.weight", "output_norm.weight", "blk.0.attn_q.weight", "blk.0.ffn_up.weight"}) {
        CAPTURE(std::string(name));
        TinyModel description = small({});
        description.left_out_tensor = name;
        check_refused(description, ErrorCode::corrupt, name);
    }
    TinyModel description = small({});
    description.n_layer = 2;
    description.spoil = set_u32("llama.block_count", 1);
    check_refused(description, ErrorCode::corrupt, "wrong number of tensors");
    description.spoil = set_u32("llama.block_count", 3);
    check_refused(description, ErrorCode::corrupt, "blk.2.");
    check_refused(small(set_u32("llama.embedding_length", 32)), ErrorCode::corrupt, "wrong shape");
    check_refused(small(set_u32("llama.feed_forward_length", 65)), ErrorCode::corrupt, "wrong shape");
    check_refused(small(set_u32("llama.attention.head_count", 4)), ErrorCode::corrupt, "wrong shape");
    description = small([](gguf_context* gguf) {
        gguf_set_val_u32(gguf, "qwen2.attention.head_count", 1); // libllama takes qwen2's queries from n_embd
        gguf_set_val_u32(gguf, "qwen2.attention.key_length", 32);
        gguf_set_val_u32(gguf, "qwen2.attention.value_length", 32);
    });
    description.architecture = "qwen2";
    check_refused(description, ErrorCode::unsupported, "the tensors of layer 0");
    description = small({});
    description.other_types = {{"blk.0.attn_norm.weight", GGML_TYPE_F16}};
    check_refused(description, ErrorCode::unsupported, "blk.0.attn_norm.weight");
    description.has_freq_factors = true;
    description.other_types = {{"rope_freqs.weight", GGML_TYPE_F16}};
    check_refused(description, ErrorCode::corrupt, "rope_freqs.weight");
}

TEST_CASE("unusable vocabularies are refused") {
    check_refused(small(remove("tokenizer.ggml.model")), ErrorCode::corrupt, "tokenizer.ggml.model");
    check_refused(small(remove("tokenizer.ggml.tokens")), ErrorCode::corrupt, "tokenizer.ggml.tokens");
    check_refused(small(remove("tokenizer.ggml.merges")), ErrorCode::corrupt, "merges");
    for (const char* kind : {"no_vocab", "rwkv", "bert", "sesame"}) {
        CAPTURE(std::string(kind));
        check_refused(small(set_string("tokenizer.ggml.model", kind)), ErrorCode::unsupported, kind);
    }
    check_refused(small([](gguf_context* gguf) {
                      std::array<const char*, 3> tokens = {"a", "b", "a"};
                      gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", tokens.data(), tokens.size());
                  }),
                  ErrorCode::corrupt, "twice");
    check_refused(
        small([](gguf_context* gguf) { gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", nullptr, 0); }),
        ErrorCode::corrupt, "no tokens");
    check_refused(small([](gguf_context* gguf) {
                      gguf_set_arr_data(gguf, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, "1234", 1);
                  }),
                  ErrorCode::corrupt, "toktypes");
}

} // namespace pie
