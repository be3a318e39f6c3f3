#pragma once

// What the server says, as JSON: compact, because llama.vim looks for `"content":` in the raw text, and in
// the two dialects that clients read, llama-server's and OpenAI's.
//
// Pure functions; any thread.

#include "server/generation.h"

#include <pie/completion.h>
#include <pie/model.h>
#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pie {

// The HTTP status of an error.
int http_status(ErrorCode code);
// As llama-server's and OpenAI's clients read it. What went wrong inside of the server stays in its log.
std::string error_json(const Error& error);
std::string error_json(int status, std::string_view message);

// With llama-server's fields; its status is 400.
std::string prompt_too_long_json(size_t n_prompt, int32_t n_reserved, int32_t n_ctx);

// What a request settled on; an object.
std::string generation_settings_json(const Model& model, const GenerationRequest& request);

enum class Dialect { llama_server, openai, openai_chat };

// What the answers to one request share.
struct AnswerContext {
    Model model;
    GenerationRequest request;
    Dialect dialect = Dialect::llama_server;
    std::string model_name = {};
    std::string id = {};   // of OpenAI's
    int64_t created_s = 0; // since 1970, OpenAI's too
};

// The whole answer: an object, or in llama-server's dialect an array where several completions were asked
// for.
std::string completions_json(const AnswerContext& context, const Generated& generated);

// A streamed answer, as server-sent events: what comes before the texts, the parts of completions' texts,
// each with its tokens and their probabilities, and what comes behind all of them. One thread at a time.
class AnswerEvents {
  public:
    explicit AnswerEvents(AnswerContext context) : context_(std::move(context)) {}

    std::string first() const;
    std::string part(int32_t index, const Completion& part);
    std::string last(const Generated& generated) const;

  private:
    // Of one completion, in events.
    struct Sent {
        size_t n_tokens = 0;
        int64_t n_characters = 0;
    };

    // What no event had: tokens that brought no text.
    Completion rest(const Generated& generated, size_t index) const;

    AnswerContext context_;
    std::map<int32_t, Sent> sent_;
};

std::string error_event(const Error& error);

std::string tokens_json(const Model& model, const std::vector<TokenId>& tokens, bool with_pieces);
std::string content_json(std::string_view content);
std::string prompt_json(std::string_view prompt);

} // namespace pie
