#include "library/handle.h"
#include "session/completion.h"

#include <pie/session.h>

#include <fmt/format.h>
#include <utf8.h>

#include <utility>

namespace pie {
namespace {

Result<void> set_cursor(PromptSource& source, ByteOffset cursor) {
    const std::string_view text = source.text->text();
    const bool inside =
        cursor.value < text.size() && (static_cast<unsigned char>(text[cursor.value]) & 0xC0U) == 0x80U;
    if (cursor.value > text.size() || inside) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("byte {} is no place for the cursor in a text of {} bytes{}", cursor.value,
                                text.size(), inside ? ": it is inside of a character" : ""));
    }
    source.cursor = cursor;
    return {};
}

Result<void> check_tokens(const Vocabulary& vocabulary, std::span<const TokenId> tokens) {
    if (tokens.empty()) {
        return fail(ErrorCode::invalid_argument, "a prompt has at least one token");
    }
    for (const TokenId token : tokens) {
        if (!vocabulary.contains(token)) {
            return fail(ErrorCode::invalid_argument, fmt::format("the model has no token {}", token.value));
        }
    }
    return {};
}

Result<void> check_context(const DocumentContext& context) {
    if (!utf8::is_valid(context.file_name) || !utf8::is_valid(context.repository_name)) {
        return fail(ErrorCode::corrupt, "a name in the context is not valid UTF-8");
    }
    for (const ContextChunk& chunk : context.chunks) {
        if (!utf8::is_valid(chunk.text) || !utf8::is_valid(chunk.file_name)) {
            return fail(ErrorCode::corrupt, "a chunk of context is not valid UTF-8");
        }
    }
    return {};
}

// The cache did not hold the text in time.
Completion without_time(const CompletionOptions& options) {
    Completion completion;
    completion.finish = FinishReason::time_limit;
    completion.update.milliseconds = options.prompt_milliseconds_max;
    return completion;
}

} // namespace

Result<int64_t> Session::set_text(std::string text, ByteOffset cursor) {
    PIE_ASSIGN(Document document, Document::from_text(std::move(text)));
    return handle_->worker->change(*handle_->document, [&](PromptSource& source) {
        source.text = std::move(document);
        source.tokens.clear();
        return set_cursor(source, cursor);
    });
}

Result<int64_t> Session::edit(std::span<const TextEdit> edits, ByteOffset cursor) {
    return handle_->worker->change(*handle_->document, [&](PromptSource& source) -> Result<void> {
        if (!source.text) {
            return fail(ErrorCode::invalid_argument,
                        "the session has no text that could be edited; give it one first");
        }
        for (const TextEdit& edit : edits) {
            PIE_TRY(source.text->apply(edit));
        }
        return set_cursor(source, cursor);
    });
}

Result<int64_t> Session::set_tokens(std::vector<TokenId> tokens, TokenHealing healing) {
    PIE_TRY(check_tokens(handle_->worker->model().vocabulary(), tokens));
    return handle_->worker->change(*handle_->document, [&](PromptSource& source) -> Result<void> {
        source.text.reset();
        source.tokens = std::move(tokens);
        source.healing = healing;
        return {};
    });
}

Result<int64_t> Session::set_context(DocumentContext context) {
    PIE_TRY(check_context(context));
    return handle_->worker->change(*handle_->document, [&](PromptSource& source) -> Result<void> {
        source.context = std::move(context);
        return {};
    });
}

Result<int64_t> Session::set_document(std::string text, ByteOffset cursor, DocumentContext context) {
    PIE_TRY(check_context(context));
    PIE_ASSIGN(Document document, Document::from_text(std::move(text)));
    return handle_->worker->change(*handle_->document, [&](PromptSource& source) {
        source.text = std::move(document);
        source.tokens.clear();
        source.context = std::move(context);
        return set_cursor(source, cursor);
    });
}

Result<void> Session::encode(const std::stop_token& stop) {
    PIE_TRY(handle_->worker->perform(
        *handle_->document, [](LiveDocument&, const UpdateReport&) { return Result<void>(); }, stop));
    return {};
}

Result<Completion> Session::complete(const CompletionOptions& options, const TextReceiver& receive,
                                     const std::stop_token& stop) {
    Completion completion;
    PIE_ASSIGN(const Outcome outcome,
               handle_->worker->perform(*handle_->document,
                                        [&](LiveDocument& live, const UpdateReport& update) -> Result<void> {
                                            PIE_ASSIGN(completion, live.complete(options, receive));
                                            completion.update = update;
                                            return {};
                                        },
                                        stop, {.prepare_milliseconds_max = options.prompt_milliseconds_max}));
    return outcome == Outcome::done ? completion : without_time(options);
}

Result<std::vector<Completion>> Session::complete_several(const CompletionOptions& options, int32_t n,
                                                          const SeveralReceiver& receive,
                                                          const std::stop_token& stop) {
    std::vector<Completion> completions;
    PIE_ASSIGN(const Outcome outcome,
               handle_->worker->perform(*handle_->document,
                                        [&](LiveDocument& live, const UpdateReport& update) -> Result<void> {
                                            PIE_ASSIGN(completions,
                                                       live.complete_several(options, n, receive));
                                            for (Completion& completion : completions) {
                                                completion.update = update;
                                            }
                                            return {};
                                        },
                                        stop, {.prepare_milliseconds_max = options.prompt_milliseconds_max}));
    if (outcome == Outcome::out_of_time) {
        completions.assign(static_cast<size_t>(n), without_time(options));
    }
    return completions;
}

Result<SavedCache> Session::save(const std::filesystem::path& path, const std::stop_token& stop) {
    return handle_->worker->save(*handle_->document, path, stop);
}

Result<SavedCache> Session::restore(const std::filesystem::path& path, const std::stop_token& stop) {
    return handle_->worker->restore(*handle_->document, path, stop);
}

Result<void> Session::heal(const std::stop_token& stop) {
    return handle_->worker->heal(*handle_->document, stop);
}

void Session::cancel() {
    handle_->worker->cancel(*handle_->document);
}

void Session::forget() {
    handle_->worker->forget(*handle_->document);
}

Session Session::fresh_copy() const {
    const auto& worker = handle_->worker;
    return Session(std::make_shared<Handle>(worker, worker->open_fresh(handle_->document.get())));
}

SessionStats Session::stats() const {
    return handle_->worker->stats(*handle_->document);
}

} // namespace pie
