#include "server/answer.h"

#include "server/completion_json.h"
#include "server/openai_answer.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utf8.h>

#include <algorithm>
#include <span>

namespace pie {
namespace {

using nlohmann::json;

std::string dump(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

const char* error_type(int status) {
    switch (status) {
    case 400:
        return "invalid_request_error";
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 409:
        return "conflict_error";
    case 429:
        return "rate_limit_error";
    case 501:
        return "not_supported_error";
    case 503:
        return "unavailable_error";
    default:
        return status < 500 ? "invalid_request_error" : "server_error";
    }
}

json selected_fields(const std::vector<std::string>& paths, const json& object) {
    json selected = json::object();
    for (const std::string& path : paths) {
        const json* value = &object;
        size_t begin = 0;
        while (value != nullptr && begin <= path.size()) {
            const size_t end = std::min(path.find('/', begin), path.size());
            const auto found =
                value->is_object() ? value->find(path.substr(begin, end - begin)) : value->end();
            value = found == value->end() ? nullptr : &*found;
            begin = end + 1;
        }
        if (value != nullptr) {
            selected[path] = *value;
        }
    }
    return selected;
}

// Adds what a completion, or a part of it, consists of.
void add_content(json& object, const AnswerContext& context, const Completion& told) {
    const auto n_shown = n_tokens_shown(told);
    // As llama-server: a stream has its tokens in any case.
    const bool has_tokens = context.request.return_tokens || context.request.stream;
    object["content"] = told.text;
    object["tokens"] = has_tokens ? token_ids(std::span(told.tokens).first(n_shown)) : json::array();
    if (!told.probabilities.empty()) {
        object["completion_probabilities"] = probabilities(context.model, told, context.request);
    }
}

// `told` is what of the completion the client does not have yet.
json llama_completion(const AnswerContext& context, const Generated& generated, size_t index,
                      const Completion& told) {
    const Completion& completion = generated.completions[index];
    const GenerationRequest& request = context.request;
    const int32_t n_free = context.model.n_ctx() - generated.update.tokens_context;
    json object = {{"index", index},
                   {"id_slot", generated.slot},
                   {"stop", true},
                   {"model", context.model_name},
                   {"tokens_predicted", completion.tokens.size()},
                   {"tokens_evaluated", generated.update.tokens_context},
                   {"generation_settings",
                    generation_settings(context.model, request, std::min(generated.n_predict, n_free))},
                   {"has_new_line", completion.text.find('\n') != std::string::npos},
                   {"truncated", completion.finish == FinishReason::context},
                   {"stop_type", stop_type(completion.finish)},
                   {"stopping_word", completion.stop_string},
                   {"tokens_cached", generated.update.tokens_context},
                   {"timings", timings(completion, generated.update)},
                   {"reuse", reuse(generated.update)}};
    add_content(object, context, told);
    return request.response_fields.empty() ? object : selected_fields(request.response_fields, object);
}

json llama_completion(const AnswerContext& context, const Generated& generated, size_t index) {
    return llama_completion(context, generated, index, generated.completions[index]);
}

// What of a completion there is behind its text and the first `n_tokens`: tokens that have no part in it.
Completion rest_behind(const Completion& completion, size_t n_tokens) {
    Completion rest;
    rest.finish = completion.finish;
    const auto skip = static_cast<std::ptrdiff_t>(n_tokens);
    rest.tokens.assign(completion.tokens.begin() + skip, completion.tokens.end());
    rest.text_ends.assign(rest.tokens.size(), 0);
    if (!completion.probabilities.empty()) {
        rest.probabilities.assign(completion.probabilities.begin() + skip, completion.probabilities.end());
    }
    return rest;
}

std::string event(const json& data) {
    return "data: " + dump(data) + "\n\n";
}

std::string events(const std::vector<json>& chunks) {
    std::string text;
    for (const json& chunk : chunks) {
        text += event(chunk);
    }
    return text;
}

} // namespace

int http_status(ErrorCode code) {
    switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::corrupt: // what the client sent is not UTF-8
        return 400;
    case ErrorCode::too_large:
        return 413;
    case ErrorCode::not_found:
        return 404;
    case ErrorCode::cancelled:
        return 409;
    case ErrorCode::busy:
        return 429;
    case ErrorCode::unsupported:
        return 501;
    case ErrorCode::io:
    case ErrorCode::internal:
        return 500;
    }
    return 500;
}

std::string error_json(int status, std::string_view message) {
    return dump({{"error", {{"code", status}, {"message", message}, {"type", error_type(status)}}}});
}

std::string error_json(const Error& error) {
    const int status = http_status(error.code);
    return error_json(status, status == 500 ? "the server failed; its log says why" : error.message);
}

std::string prompt_too_long_json(size_t n_prompt, int32_t n_reserved, int32_t n_ctx) {
    const std::string message =
        fmt::format("the prompt has {} tokens, and {} are for the completion: together they are more than "
                    "the context of {}; send less, or start the server with a larger one (-c)",
                    n_prompt, n_reserved, n_ctx);
    return dump({{"error",
                  {{"code", 400},
                   {"message", message},
                   {"type", "exceed_context_size_error"},
                   {"n_prompt_tokens", n_prompt},
                   {"n_ctx", n_ctx}}}});
}

std::string generation_settings_json(const Model& model, const GenerationRequest& request) {
    return dump(generation_settings(model, request, request.options.n_predict));
}

std::string completions_json(const AnswerContext& context, const Generated& generated) {
    if (context.dialect != Dialect::llama_server) {
        return dump(openai_answer(context, generated));
    }
    if (generated.completions.size() == 1) {
        return dump(llama_completion(context, generated, 0));
    }
    json array = json::array();
    for (size_t i = 0; i < generated.completions.size(); ++i) {
        array.push_back(llama_completion(context, generated, i));
    }
    return dump(array);
}

std::string AnswerEvents::first() const {
    return context_.dialect == Dialect::llama_server ? "" : events(openai_first_chunks(context_));
}

std::string AnswerEvents::part(int32_t index, const Completion& part) {
    Sent& sent = sent_[index];
    const int64_t n_characters_before = sent.n_characters;
    sent.n_tokens += part.tokens.size();
    sent.n_characters += n_characters(part.text);
    if (context_.dialect != Dialect::llama_server) {
        return event(openai_part_chunk(context_, index, part, n_characters_before));
    }
    json object = {{"index", index}, {"stop", false}};
    add_content(object, context_, part);
    return event(object);
}

Completion AnswerEvents::rest(const Generated& generated, size_t index) const {
    const auto found = sent_.find(static_cast<int32_t>(index));
    return rest_behind(generated.completions[index], found == sent_.end() ? 0 : found->second.n_tokens);
}

std::string AnswerEvents::last(const Generated& generated) const {
    std::vector<Completion> rests;
    for (size_t i = 0; i < generated.completions.size(); ++i) {
        rests.push_back(rest(generated, i));
    }
    if (context_.dialect != Dialect::llama_server) {
        return events(openai_last_chunks(context_, generated, rests)) + "data: [DONE]\n\n";
    }
    std::string text;
    for (size_t i = 0; i < rests.size(); ++i) {
        text += event(llama_completion(context_, generated, i, rests[i]));
    }
    return text;
}

std::string error_event(const Error& error) {
    return "data: " + error_json(error) + "\n\n";
}

std::string tokens_json(const Model& model, const std::vector<TokenId>& tokens, bool with_pieces) {
    if (!with_pieces) {
        return dump({{"tokens", token_ids(tokens)}});
    }
    json pieces = json::array();
    for (const TokenId token : tokens) {
        const std::string piece = model.detokenize({token}).value_or("");
        pieces.push_back(
            {{"id", token.value}, {"piece", utf8::is_valid(piece) ? json(piece) : token_bytes(piece)}});
    }
    return dump({{"tokens", std::move(pieces)}});
}

std::string content_json(std::string_view content) {
    return dump({{"content", content}});
}

std::string prompt_json(std::string_view prompt) {
    return dump({{"prompt", prompt}});
}

} // namespace pie
