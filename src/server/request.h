#pragma once

// What clients ask for: JSON bodies turned into structs. Everything that can be wrong with a body is found
// here, before the model is bothered. Fields that nobody here knows are ignored, as llama-server does: its
// clients send times, adapters and names of models along.
//
// Pure functions; any thread.

#include <pie/completion.h>
#include <pie/context.h>
#include <pie/result.h>
#include <pie/text_edit.h>
#include <pie/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pie {

constexpr int32_t completions_max = 16; // of one prompt
constexpr size_t prompts_max = 128;     // of one request

// Added to the logit of each token of a text.
struct TextBias {
    std::string text;
    float bias = 0;

    friend bool operator==(const TextBias&, const TextBias&) = default;
};

// What all requests for completions have in common. The defaults are llama-server's.
struct GenerationRequest {
    CompletionOptions options = {.n_predict = -1, // as many as there is room for
                                 .sampling = {.temperature = 0.8F, .seed = random_seed}};
    std::vector<TextBias> text_biases = {}; // beside the options' own, of tokens; see take_text_biases()
    int32_t n_completions = 1;
    int32_t slot_hint = -1; // the session that the client believes to be its own; -1: none
    bool stream = false;
    bool stream_usage = false; // OpenAI's stream_options.include_usage
    bool reuse_cache = true;
    bool return_tokens = false;
    bool is_typed = false;       // an editor's, whose user may type on; it takes less than the whole answer
    bool shows_likeliest = true; // beside the probability of the token that was taken
    std::vector<std::string> response_fields = {}; // of the answer; empty: all
};

// /infill. The model is shown prefix + prompt before the cursor, and suffix behind it.
struct FillRequest {
    std::string prefix;
    std::string prompt;
    std::string suffix;
    std::vector<ContextChunk> chunks;
    GenerationRequest generation;
};

using PromptPart = std::variant<std::string, TokenId>;

// /completion and /v1/completions.
struct PromptRequest {
    std::vector<std::vector<PromptPart>> prompts; // at least one; completed one after the other
    std::optional<std::string> suffix;            // the model fills in between prompt and suffix
    bool token_healing = true;                    // of prompts that are text
    GenerationRequest generation;
};

struct TokenizeRequest {
    std::vector<PromptPart> content;
    bool add_special = false;
    bool parse_special = true;
    bool with_pieces = false;
};

// Errors of all: invalid_argument, which names the field, too_large (see parse_json_object()), and
// unsupported (an option that would change the answer, and that nothing here can follow).
Result<FillRequest> parse_fill_request(std::string_view body);
Result<PromptRequest> parse_prompt_request(std::string_view body);
Result<TokenizeRequest> parse_tokenize_request(std::string_view body);
Result<std::vector<TokenId>> parse_detokenize_request(std::string_view body);

} // namespace pie
