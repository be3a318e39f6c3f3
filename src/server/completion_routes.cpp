// Endpoints that complete what a request brings along: llama-server's and OpenAI's.

#include "server/chat_request.h"
#include "server/exchange.h"
#include "server/fill_prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pie {
namespace {

AnswerContext answer_context(Exchange& exchange, GenerationRequest request, Dialect dialect) {
    ServerState& state = exchange.state;
    return {
        .model = state.model,
        .request = std::move(request),
        .dialect = dialect,
        .model_name = state.options.model_name,
        .id = fmt::format("{}-{}", dialect == Dialect::openai_chat ? "chatcmpl" : "cmpl", ++state.n_answers),
        .created_s = std::time(nullptr)};
}

// A prompt as it is leaves room for the completion that it asks for, or for the server's own most, which is
// all that a text is cut for. Who says no number takes what there is.
bool refuse_too_long(Exchange& exchange, const Prompt& prompt, int32_t n_predict) {
    const auto* as_it_is = std::get_if<TokenPrompt>(&prompt);
    const size_t n_tokens = as_it_is == nullptr ? 0 : as_it_is->tokens.size();
    const int32_t n_ctx = exchange.state.model.n_ctx();
    const int32_t n_reserved = n_predict < 0 ? 1 : std::min(n_predict, exchange.state.options.n_predict_max);
    if (n_tokens + static_cast<size_t>(n_reserved) <= static_cast<size_t>(n_ctx)) {
        return false;
    }
    exchange.fail(400, prompt_too_long_json(n_tokens, n_reserved, n_ctx));
    return true;
}

void complete(Exchange& exchange, std::vector<Prompt> prompts, GenerationRequest request, Dialect dialect) {
    if (const auto taken = take_text_biases(exchange.state.model, request); !taken) {
        exchange.fail(taken.error());
        return;
    }
    for (const Prompt& prompt : prompts) {
        if (refuse_too_long(exchange, prompt, request.options.n_predict)) {
            return;
        }
    }
    auto context = answer_context(exchange, std::move(request), dialect);
    exchange.answer_with(
        context, [&state = exchange.state, peer = exchange.peer(), prompts = std::move(prompts),
                  request = context.request](const SeveralReceiver& receive, const std::stop_source& stop) {
            return generate_each(state.generation_context(), prompts, request, peer, receive, stop);
        });
}

bool refuse_without_markers(Exchange& exchange) {
    if (exchange.state.model.fills_in_the_middle()) {
        return false;
    }
    exchange.fail(
        {ErrorCode::unsupported,
         "this model was not trained to fill in the middle: its file names no token of its vocabulary as "
         "tokenizer.ggml.fim_pre_token_id, fim_suf_token_id and fim_mid_token_id; use another, or leave "
         "the suffix out"});
    return true;
}

void infill(Exchange& exchange) {
    auto request = exchange.parse(parse_fill_request);
    if (!request) {
        exchange.fail(request.error());
        return;
    }
    if (refuse_without_markers(exchange)) {
        return;
    }
    GenerationRequest generation = std::move(request->generation);
    complete(exchange, {fill_content(*std::move(request))}, std::move(generation), Dialect::llama_server);
}

// An empty suffix is the end of a file, where the model can fill in and the prompt does not hold its control
// tokens: clients that write these themselves, or that know one prompt for all models, send it too.
bool is_filled_in(const Model& model, const std::string& text, const std::optional<std::string>& suffix) {
    if (!suffix || !suffix->empty()) {
        return suffix.has_value();
    }
    return model.fills_in_the_middle() && is_plain_text(model, text);
}

Result<Prompt> prompt_of(const Model& model, const std::vector<PromptPart>& parts,
                         const PromptRequest& request) {
    const auto* text = parts.size() == 1 ? std::get_if<std::string>(&parts.front()) : nullptr;
    if (text != nullptr && is_filled_in(model, *text, request.suffix)) {
        return PromptContent{.text = *text + *request.suffix, .cursor = text->size()};
    }
    if (text != nullptr) {
        if (auto content = fill_in_prompt(model, *text)) {
            return *std::move(content);
        }
    }
    PIE_ASSIGN(auto tokens, prompt_tokens(model, parts, Model::Markup::control_tokens, Beginning::with));
    if (tokens.empty()) { // a model without a token for the beginning begins a line
        PIE_ASSIGN(tokens, model.tokenize("\n", Model::Markup::text));
    }
    const bool heals = text != nullptr && request.token_healing;
    return TokenPrompt{std::move(tokens), heals ? TokenHealing::on : TokenHealing::off};
}

Result<std::vector<Prompt>> prompts_of(const Model& model, const PromptRequest& request) {
    std::vector<Prompt> prompts;
    for (const auto& parts : request.prompts) {
        PIE_ASSIGN(prompts.emplace_back(), prompt_of(model, parts, request));
    }
    return prompts;
}

void complete_prompt(Exchange& exchange, Dialect dialect) {
    auto request = exchange.parse(parse_prompt_request);
    if (!request) {
        exchange.fail(request.error());
        return;
    }
    if (!request->suffix.value_or("").empty() && refuse_without_markers(exchange)) {
        return;
    }
    auto prompts = prompts_of(exchange.state.model, *request);
    if (!prompts) {
        exchange.fail(prompts.error());
        return;
    }
    request->prompts = {}; // they may be large, and the answer takes a while
    complete(exchange, *std::move(prompts), std::move(request->generation), dialect);
}

void completion(Exchange& exchange) {
    complete_prompt(exchange, Dialect::llama_server);
}

void openai_completion(Exchange& exchange) {
    complete_prompt(exchange, Dialect::openai);
}

// The request, and its messages as the model wants them. Nothing, where the exchange failed already.
std::optional<std::pair<ChatRequest, std::string>> read_chat(Exchange& exchange) {
    auto request = exchange.parse(parse_chat_request);
    if (!request) {
        exchange.fail(request.error());
        return std::nullopt;
    }
    auto prompt = exchange.state.model.chat_prompt(request->messages);
    if (!prompt) {
        exchange.fail(prompt.error());
        return std::nullopt;
    }
    return std::pair(*std::move(request), *std::move(prompt));
}

void chat(Exchange& exchange) {
    auto read = read_chat(exchange);
    if (!read) {
        return;
    }
    auto& [request, prompt] = *read;
    auto tokens = chat_tokens(exchange.state.model, prompt);
    if (!tokens) {
        exchange.fail(tokens.error());
        return;
    }
    complete(exchange, {TokenPrompt{*std::move(tokens)}}, std::move(request.generation),
             Dialect::openai_chat);
}

void apply_template(Exchange& exchange) {
    if (const auto read = read_chat(exchange)) {
        exchange.answer(prompt_json(read->second));
    }
}

void tokenize(Exchange& exchange) {
    const auto request = exchange.parse(parse_tokenize_request);
    if (!request) {
        exchange.fail(request.error());
        return;
    }
    const auto markup = request->parse_special ? Model::Markup::control_tokens : Model::Markup::text;
    const auto beginning = request->add_special ? Beginning::with : Beginning::without;
    const auto tokens = prompt_tokens(exchange.state.model, request->content, markup, beginning);
    if (!tokens) {
        exchange.fail(tokens.error());
        return;
    }
    exchange.answer(tokens_json(exchange.state.model, *tokens, request->with_pieces));
}

void detokenize(Exchange& exchange) {
    const auto tokens = exchange.parse(parse_detokenize_request);
    if (!tokens) {
        exchange.fail(tokens.error());
        return;
    }
    const auto content = exchange.state.model.detokenize(*tokens);
    if (!content) {
        exchange.fail(content.error());
        return;
    }
    exchange.answer(content_json(*content));
}

} // namespace

void add_completion_routes(httplib::Server& server, ServerState& state) {
    const auto post = [&](const char* path, Handler handler) {
        add_route(server, state, Method::post, path, path, handler);
    };
    post("/infill", infill);
    post("/completion", completion);
    post("/completions", completion);
    post("/v1/completions", openai_completion);
    post("/chat/completions", chat);
    post("/v1/chat/completions", chat);
    post("/apply-template", apply_template);
    post("/tokenize", tokenize);
    post("/detokenize", detokenize);
}

} // namespace pie
