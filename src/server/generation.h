#pragma once

// One request for completions, from the session that serves it to the texts.
//
// Thread rule: any thread; the calls wait for the model.

#include "server/request.h"
#include "server/session_pool.h"

#include <pie/completion.h>
#include <pie/model.h>
#include <pie/result.h>
#include <pie/session.h>

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

namespace pie {

// A prompt as it is.
struct TokenPrompt {
    std::vector<TokenId> tokens;
    TokenHealing healing = TokenHealing::off;
};

// A text with a cursor, which the model's layout makes a prompt of, or a prompt as it is.
using Prompt = std::variant<PromptContent, TokenPrompt>;

struct Generated {
    std::vector<Completion> completions; // at least one
    UpdateReport update;                 // what it took to have the prompt in the cache
    int32_t n_predict = 0;               // that the request settled on, where the context has room
    int32_t slot = -1;                   // -1: a session that the request had for itself
    double milliseconds = 0;             // of all of it, the wait for others too
};

struct GenerationContext {
    const Model& model;
    SessionPool& pool;
    int32_t n_predict_max; // of ModelOptions
};

// `receive` hears the texts of the completions as they come. Errors: those of SessionPool::acquire and
// Session::complete.
Result<Generated> generate(const GenerationContext& context, const Prompt& prompt,
                           const GenerationRequest& request, const std::string& peer,
                           const SeveralReceiver& receive, const std::stop_source& stop);

// The completions of several prompts, in their order, made one prompt after the other.
Result<Generated> generate_each(const GenerationContext& context, const std::vector<Prompt>& prompts,
                                const GenerationRequest& request, const std::string& peer,
                                const SeveralReceiver& receive, const std::stop_source& stop);

// The same on a session that is there, with the text that it has at `version`.
Result<Generated> generate_on(Session& session, int64_t version, const GenerationRequest& request,
                              int32_t n_predict_max, const SeveralReceiver& receive,
                              const std::stop_source& stop);

// Makes the request's biases of texts biases of tokens. Errors: those of Model::tokenize.
Result<void> take_text_biases(const Model& model, GenerationRequest& request);

// What /infill shows the model.
PromptContent fill_content(FillRequest&& request);

// The tokens of a prompt that begins a sequence. Errors: those of Model::tokenize.
enum class Beginning { with, without };
Result<std::vector<TokenId>> prompt_tokens(const Model& model, const std::vector<PromptPart>& parts,
                                           Model::Markup markup, Beginning beginning);

// Of what a chat template wrote, which may hold the beginning of the sequence already. Errors: as above.
Result<std::vector<TokenId>> chat_tokens(const Model& model, const std::string& prompt);

} // namespace pie
