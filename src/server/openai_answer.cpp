#include "server/openai_answer.h"

#include "server/completion_json.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace pie {
namespace {

using nlohmann::json;

enum class Shape { whole, chunk };

bool is_chat(const AnswerContext& context) {
    return context.dialect == Dialect::openai_chat;
}

json object_of(const AnswerContext& context, Shape shape) {
    const char* const chat = shape == Shape::whole ? "chat.completion" : "chat.completion.chunk";
    return {{"id", context.id},
            {"object", is_chat(context) ? chat : "text_completion"},
            {"created", context.created_s},
            {"model", context.model_name},
            {"choices", json::array()}};
}

// The four lists of text completions. Their texts together are the completion's.
json text_logprobs(const AnswerContext& context, const Completion& completion, int64_t n_characters_before) {
    json lists = {{"tokens", json::array()},
                  {"token_logprobs", json::array()},
                  {"top_logprobs", context.request.shows_likeliest ? json::array() : json()},
                  {"text_offset", json::array()}};
    const auto shown = shown_tokens(completion);
    for (size_t i = 0; i < shown.size(); ++i) {
        const TokenProbabilities& place = completion.probabilities[i];
        lists["tokens"].push_back(shown[i].text);
        lists["token_logprobs"].push_back(place.taken.log_probability);
        lists["text_offset"].push_back(
            n_characters_before + n_characters(std::string_view(completion.text).substr(0, shown[i].begin)));
        if (context.request.shows_likeliest) {
            json& likeliest = lists["top_logprobs"].emplace_back(json::object());
            for (const TokenProbability& entry : place.likeliest) {
                likeliest[context.model.detokenize({entry.token}).value_or("")] = entry.log_probability;
            }
        }
    }
    return lists;
}

json logprobs(const AnswerContext& context, const Completion& completion, int64_t n_characters_before = 0) {
    if (completion.probabilities.empty()) {
        return nullptr;
    }
    if (!is_chat(context)) {
        return text_logprobs(context, completion, n_characters_before);
    }
    return {{"content", probabilities(context.model, completion, context.request)}};
}

json chunk_of(const AnswerContext& context, json choice) {
    json object = object_of(context, Shape::chunk);
    object["choices"].push_back(std::move(choice));
    return object;
}

json unfinished_chunk(const AnswerContext& context, int32_t index, const char* key, json value,
                      json logprobs) {
    return chunk_of(context, {{"index", index},
                              {key, std::move(value)},
                              {"logprobs", std::move(logprobs)},
                              {"finish_reason", nullptr}});
}

void add_costs(json& object, const Generated& generated) {
    object["timings"] = timings(generated.completions.front(), generated.update);
    object["reuse"] = reuse(generated.update);
}

} // namespace

json openai_answer(const AnswerContext& context, const Generated& generated) {
    json object = object_of(context, Shape::whole);
    for (const Completion& completion : generated.completions) {
        json choice = {{"index", object["choices"].size()},
                       {"logprobs", logprobs(context, completion)},
                       {"finish_reason", openai_finish_reason(completion.finish)}};
        if (is_chat(context)) {
            choice["message"] = {{"role", "assistant"}, {"content", completion.text}};
        } else {
            choice["text"] = completion.text;
        }
        object["choices"].push_back(std::move(choice));
    }
    object["usage"] = usage(generated);
    add_costs(object, generated);
    return object;
}

std::vector<json> openai_first_chunks(const AnswerContext& context) {
    std::vector<json> chunks;
    for (int32_t i = 0; is_chat(context) && i < context.request.n_completions; ++i) {
        chunks.push_back(
            unfinished_chunk(context, i, "delta", {{"role", "assistant"}, {"content", ""}}, nullptr));
    }
    return chunks;
}

json openai_part_chunk(const AnswerContext& context, int32_t index, const Completion& part,
                       int64_t n_characters_before) {
    json told = logprobs(context, part, n_characters_before);
    return is_chat(context)
               ? unfinished_chunk(context, index, "delta", {{"content", part.text}}, std::move(told))
               : unfinished_chunk(context, index, "text", part.text, std::move(told));
}

std::vector<json> openai_last_chunks(const AnswerContext& context, const Generated& generated,
                                     const std::vector<Completion>& rests) {
    std::vector<json> chunks;
    for (const Completion& completion : generated.completions) {
        const Completion& rest = rests[chunks.size()];
        json choice = {{"index", chunks.size()},
                       {"logprobs", is_chat(context) ? logprobs(context, rest) : json()},
                       {"finish_reason", openai_finish_reason(completion.finish)}};
        choice[is_chat(context) ? "delta" : "text"] = is_chat(context) ? json::object() : json("");
        chunks.push_back(chunk_of(context, std::move(choice)));
    }
    // Who asks for it gets it as OpenAI sends it; text completions had it at the end always.
    if (context.request.stream_usage) {
        chunks.push_back(object_of(context, Shape::chunk));
        chunks.back()["usage"] = usage(generated);
    } else if (!is_chat(context)) {
        chunks.back()["usage"] = usage(generated);
    }
    add_costs(chunks.back(), generated);
    return chunks;
}

} // namespace pie
