#include "server/generation.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

namespace pie {
namespace {

Result<int64_t> set_prompt(Session& session, const Prompt& prompt) {
    if (const auto* as_it_is = std::get_if<TokenPrompt>(&prompt)) {
        return session.set_tokens(as_it_is->tokens, as_it_is->healing);
    }
    const PromptContent& content = std::get<PromptContent>(prompt);
    return session.set_document(content.text, ByteOffset(content.cursor),
                                {.chunks = content.chunks, .file_name = "filename"}); // as llama-server says
}

Result<Generated> set_and_generate(Session& session, const Prompt& prompt, const GenerationRequest& request,
                                   int32_t n_predict_max, const SeveralReceiver& receive,
                                   const std::stop_source& stop) {
    PIE_ASSIGN(const int64_t version, set_prompt(session, prompt));
    GenerationRequest settled = request;
    if (std::holds_alternative<PromptContent>(prompt)) {
        settled.options.stop.fence = FenceStop::anywhere;
    }
    return generate_on(session, version, settled, n_predict_max, receive, stop);
}

// Hands texts on. Who typed over the request gets what is written by the end of the first line that says
// something, as if the time for the answer were over: never nothing, which an editor would keep.
class BriefReceiver {
  public:
    BriefReceiver(const SeveralReceiver& receive, const SessionPool::Lease& lease)
        : receive_(receive), lease_(lease) {}

    SeveralReceiver receiver() {
        return [this](int32_t index, const TextPart& part) {
            std::string& written = written_[index];
            written += part.text;
            const StreamControl control = receive_(index, part);
            return holds_line(written) && lease_.is_typed_over() ? StreamControl::stop : control;
        };
    }

    void note_ends(Generated& generated) const {
        for (Completion& completion : generated.completions) {
            if (completion.finish == FinishReason::stopped) {
                completion.finish = FinishReason::time_limit;
            }
        }
    }

  private:
    static bool holds_line(std::string_view text) {
        const size_t begin = text.find_first_not_of(" \t\r\n");
        return begin != std::string_view::npos && text.find('\n', begin) != std::string_view::npos;
    }

    const SeveralReceiver& receive_;
    const SessionPool::Lease& lease_;
    std::map<int32_t, std::string> written_; // by completion
};

UpdateReport sum(const UpdateReport& a, const UpdateReport& b) {
    return {.tokens_context = a.tokens_context + b.tokens_context,
            .tokens_kept = a.tokens_kept + b.tokens_kept,
            .tokens_moved = a.tokens_moved + b.tokens_moved,
            .tokens_encoded = a.tokens_encoded + b.tokens_encoded,
            .tokens_ahead = a.tokens_ahead + b.tokens_ahead,
            .tokens_exact = a.tokens_exact + b.tokens_exact,
            .tokens_bit_exact = a.tokens_bit_exact + b.tokens_bit_exact,
            .milliseconds = a.milliseconds + b.milliseconds};
}

// Editors send their chunks ahead, without a text, while nobody types.
bool shows_chunks_alone(const Prompt& prompt, const GenerationRequest& request) {
    const auto* content = std::get_if<PromptContent>(&prompt);
    return content != nullptr && content->text.empty() && request.options.n_predict == 0 &&
           request.reuse_cache;
}

Result<Generated> warm_up(const GenerationContext& context, SessionRequest&& session_request,
                          const GenerationRequest& request, const std::stop_source& stop) {
    Generated generated;
    generated.completions.emplace_back();
    auto lease = context.pool.acquire_for_chunks(std::move(session_request));
    if (!lease) {
        return generated;
    }
    generated.slot = lease->slot();
    Session& session = lease->session();
    const PromptContent content = lease->content();
    const DocumentContext shown{.chunks = content.chunks, .file_name = "filename"};
    int64_t version = 0;
    if (session.stats().version == 0) { // a new one, or one from before a restart
        PIE_ASSIGN(version, session.set_document(content.text, ByteOffset(content.cursor), shown));
    } else {
        PIE_ASSIGN(version, session.set_context(shown));
    }
    // Who sets a limit does not wait: the chunks come into the cache in the background, where the next
    // request cuts in.
    if (request.options.prompt_milliseconds_max <= 0) {
        PIE_TRY(session.encode(stop.get_token()));
    }
    const SessionStats stats = session.stats();
    generated.update.tokens_context = stats.tokens;
    generated.update.tokens_kept = stats.tokens;
    if (stats.last_update_version == version) {
        generated.update = stats.last_update;
    }
    return generated;
}

} // namespace

Result<Generated> generate_on(Session& session, int64_t version, const GenerationRequest& request,
                              int32_t n_predict_max, const SeveralReceiver& receive,
                              const std::stop_source& stop) {
    CompletionOptions options = request.options;
    if (options.n_predict < 0) {
        options.n_predict = n_predict_max;
    }
    // Editors keep what they are answered and do not ask again for the same text, so that text comes late
    // rather than not at all.
    if (options.n_predict > 0) {
        options.prompt_milliseconds_max = 0;
    }
    Generated generated;
    generated.n_predict = options.n_predict;
    if (request.n_completions > 1) {
        PIE_ASSIGN(generated.completions,
                   session.complete_several(options, request.n_completions, receive, stop.get_token()));
    } else {
        const auto receive_one = [&receive](const TextPart& part) { return receive(0, part); };
        PIE_ASSIGN(generated.completions.emplace_back(),
                   session.complete(options, receive_one, stop.get_token()));
    }
    generated.update = generated.completions.front().update;
    // The background may have put the text into the cache before the request was taken up.
    const SessionStats stats = session.stats();
    if (generated.update.tokens_encoded == 0 && stats.last_update_version == version) {
        generated.update = stats.last_update;
    }
    return generated;
}

Result<Generated> generate(const GenerationContext& context, const Prompt& prompt,
                           const GenerationRequest& request, const std::string& peer,
                           const SeveralReceiver& receive, const std::stop_source& stop) {
    if (!request.reuse_cache) {
        Session session = context.model.open_fresh();
        return set_and_generate(session, prompt, request, context.n_predict_max, receive, stop);
    }
    PromptContent content;
    if (const auto* text = std::get_if<PromptContent>(&prompt)) {
        content = *text;
    } else {
        PIE_ASSIGN(content.text, context.model.detokenize(std::get<TokenPrompt>(prompt).tokens));
        content.cursor = content.text.size();
    }
    SessionRequest session_request{ContentPrint(std::move(content)), request.slot_hint, peer,
                                   request.is_typed};
    if (shows_chunks_alone(prompt, request)) {
        return warm_up(context, std::move(session_request), request, stop);
    }
    PIE_ASSIGN(SessionPool::Lease lease, context.pool.acquire(std::move(session_request), stop));
    BriefReceiver brief(receive, lease);
    PIE_ASSIGN(Generated generated, set_and_generate(lease.session(), prompt, request, context.n_predict_max,
                                                     brief.receiver(), stop));
    brief.note_ends(generated);
    generated.slot = lease.slot();
    return generated;
}

Result<Generated> generate_each(const GenerationContext& context, const std::vector<Prompt>& prompts,
                                const GenerationRequest& request, const std::string& peer,
                                const SeveralReceiver& receive, const std::stop_source& stop) {
    Generated all;
    for (const Prompt& prompt : prompts) {
        const auto n_before = static_cast<int32_t>(all.completions.size());
        const auto receive_behind = [&](int32_t index, const TextPart& part) {
            return receive(n_before + index, part);
        };
        PIE_ASSIGN(Generated one, generate(context, prompt, request, peer, receive_behind, stop));
        std::ranges::move(one.completions, std::back_inserter(all.completions));
        all.update = sum(all.update, one.update);
        all.n_predict = one.n_predict;
        all.slot = one.slot;
    }
    return all;
}

Result<void> take_text_biases(const Model& model, GenerationRequest& request) {
    for (const TextBias& biased : std::exchange(request.text_biases, {})) {
        PIE_ASSIGN(const auto tokens, model.tokenize(biased.text, Model::Markup::text));
        for (const TokenId token : tokens) {
            request.options.sampling.logit_bias.push_back({token, biased.bias});
        }
    }
    return {};
}

PromptContent fill_content(FillRequest&& request) {
    PromptContent content{.text = std::move(request.prefix), .chunks = std::move(request.chunks)};
    content.text += request.prompt;
    content.cursor = content.text.size();
    content.text += request.suffix;
    return content;
}

Result<std::vector<TokenId>> prompt_tokens(const Model& model, const std::vector<PromptPart>& parts,
                                           Model::Markup markup, Beginning beginning) {
    std::vector<TokenId> tokens;
    // As llama-server: what begins with a token begins as its sender wants it.
    const bool begins_with_text = !parts.empty() && std::holds_alternative<std::string>(parts.front());
    if (beginning == Beginning::with && begins_with_text && model.beginning()) {
        tokens.push_back(*model.beginning());
    }
    for (const PromptPart& part : parts) {
        if (const auto* text = std::get_if<std::string>(&part)) {
            PIE_ASSIGN(const auto text_tokens, model.tokenize(*text, markup));
            tokens.insert(tokens.end(), text_tokens.begin(), text_tokens.end());
        } else {
            tokens.push_back(std::get<TokenId>(part));
        }
    }
    return tokens;
}

Result<std::vector<TokenId>> chat_tokens(const Model& model, const std::string& prompt) {
    PIE_ASSIGN(auto tokens, model.tokenize(prompt, Model::Markup::control_tokens));
    const auto beginning = model.beginning();
    if (beginning && (tokens.empty() || tokens.front() != *beginning)) {
        tokens.insert(tokens.begin(), *beginning);
    }
    return tokens;
}

} // namespace pie
