#include <pie/model.h>
#include <pie/pie.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <string_view>

struct pie_model {
    pie::Model model;
};

struct pie_session {
    pie::Session session;
};

namespace {

thread_local std::string last_error;

pie_status status_of(pie::ErrorCode code) {
    switch (code) {
    case pie::ErrorCode::invalid_argument:
        return PIE_INVALID_ARGUMENT;
    case pie::ErrorCode::not_found:
        return PIE_NOT_FOUND;
    case pie::ErrorCode::io:
        return PIE_IO;
    case pie::ErrorCode::corrupt:
        return PIE_CORRUPT;
    case pie::ErrorCode::unsupported:
        return PIE_UNSUPPORTED;
    case pie::ErrorCode::too_large:
        return PIE_TOO_LARGE;
    case pie::ErrorCode::cancelled:
        return PIE_CANCELLED;
    case pie::ErrorCode::busy:
        return PIE_BUSY;
    case pie::ErrorCode::internal:
        return PIE_INTERNAL;
    }
    return PIE_INTERNAL;
}

// No exception, such as that memory is short, may reach C.
template <typename Call>
pie_status guarded(Call call) {
    try {
        const pie::Result<void> result = call();
        last_error = result ? "" : result.error().message;
        return result ? PIE_OK : status_of(result.error().code);
    } catch (const std::exception& exception) {
        last_error = exception.what();
        return PIE_INTERNAL;
    }
}

pie::ModelOptions to_options(const pie_model_options& options) {
    pie::ModelOptions result;
    result.n_gpu_layers = options.n_gpu_layers;
    result.n_threads = options.n_threads;
    result.n_ctx = options.n_ctx;
    result.n_predict_max = options.n_predict_max;
    result.update_milliseconds = options.update_milliseconds;
    result.heal_when_idle = options.heal_when_idle;
    result.ram_bytes_max = options.ram_bytes_max;
    result.snapshot_folder = options.snapshot_folder == nullptr ? "" : options.snapshot_folder;
    return result;
}

pie::CompletionOptions to_options(const pie_completion_options& options) {
    pie::CompletionOptions result;
    result.n_predict = options.n_predict;
    result.sampling.temperature = options.temperature;
    result.sampling.top_k = options.top_k;
    result.sampling.top_p = options.top_p;
    result.sampling.min_p = options.min_p;
    result.sampling.seed = options.seed;
    result.stop.n_indent = options.n_indent;
    result.stop.predict_milliseconds_max = options.predict_milliseconds_max;
    result.prompt_milliseconds_max = options.prompt_milliseconds_max;
    for (size_t i = 0; i < options.n_stop_strings; ++i) {
        result.stop.strings.emplace_back(options.stop_strings[i]);
    }
    return result;
}

// As C callers free it.
char* copy_of(const std::string& text) {
    auto* copy = static_cast<char*>(std::malloc(text.size() + 1));
    if (copy == nullptr) {
        throw std::bad_alloc();
    }
    std::memcpy(copy, text.c_str(), text.size() + 1);
    return copy;
}

} // namespace

const char* pie_last_error(void) {
    return last_error.c_str();
}

pie_model_options pie_model_options_default(void) {
    const pie::ModelOptions options;
    return {.n_gpu_layers = options.n_gpu_layers,
            .n_threads = options.n_threads,
            .n_ctx = options.n_ctx,
            .n_predict_max = options.n_predict_max,
            .update_milliseconds = options.update_milliseconds,
            .heal_when_idle = options.heal_when_idle,
            .ram_bytes_max = options.ram_bytes_max,
            .snapshot_folder = nullptr};
}

pie_status pie_model_load(const char* path, const pie_model_options* options, pie_model** model) {
    return guarded([&]() -> pie::Result<void> {
        PIE_ASSIGN(
            auto loaded,
            pie::Model::load(path, to_options(options == nullptr ? pie_model_options_default() : *options)));
        *model = new pie_model{std::move(loaded)};
        return {};
    });
}

void pie_model_free(pie_model* model) {
    delete model;
}

pie_status pie_session_open(pie_model* model, const char* name, pie_session** session) {
    return guarded([&]() -> pie::Result<void> {
        *session = new pie_session{model->model.open(name == nullptr ? "" : name)};
        return {};
    });
}

void pie_session_free(pie_session* session) {
    delete session;
}

pie_status pie_session_set_text(pie_session* session, const char* text, size_t n_bytes, size_t cursor) {
    return guarded([&]() -> pie::Result<void> {
        PIE_TRY(session->session.set_text(std::string(text, n_bytes), pie::ByteOffset(cursor)));
        return {};
    });
}

pie_status pie_session_edit(pie_session* session, size_t begin, size_t end, const char* text, size_t n_bytes,
                            size_t cursor) {
    return guarded([&]() -> pie::Result<void> {
        const std::array<pie::TextEdit, 1> edits{{{.begin = pie::ByteOffset(begin),
                                                   .end = pie::ByteOffset(end),
                                                   .text = std::string(text, n_bytes)}}};
        PIE_TRY(session->session.edit(edits, pie::ByteOffset(cursor)));
        return {};
    });
}

pie_completion_options pie_completion_options_default(void) {
    const pie::CompletionOptions options;
    return {.n_predict = options.n_predict,
            .temperature = options.sampling.temperature,
            .top_k = options.sampling.top_k,
            .top_p = options.sampling.top_p,
            .min_p = options.sampling.min_p,
            .seed = options.sampling.seed,
            .n_indent = options.stop.n_indent,
            .predict_milliseconds_max = options.stop.predict_milliseconds_max,
            .prompt_milliseconds_max = options.prompt_milliseconds_max,
            .stop_strings = nullptr,
            .n_stop_strings = 0};
}

pie_status pie_session_complete(pie_session* session, const pie_completion_options* options,
                                pie_receive receive, void* user, char** text) {
    return guarded([&]() -> pie::Result<void> {
        pie::TextReceiver receiver;
        if (receive != nullptr) {
            receiver = [&](std::string_view piece) {
                return receive(piece.data(), piece.size(), user) ? pie::StreamControl::go_on
                                                                 : pie::StreamControl::stop;
            };
        }
        PIE_ASSIGN(
            const pie::Completion completion,
            session->session.complete(
                to_options(options == nullptr ? pie_completion_options_default() : *options), receiver));
        if (text != nullptr) {
            *text = copy_of(completion.text);
        }
        return {};
    });
}

void pie_text_free(char* text) {
    std::free(text);
}

pie_status pie_session_encode(pie_session* session) {
    return guarded([&] { return session->session.encode(); });
}

pie_status pie_session_heal(pie_session* session) {
    return guarded([&] { return session->session.heal(); });
}

void pie_session_cancel(pie_session* session) {
    session->session.cancel();
}

pie_status pie_session_save(pie_session* session, const char* path) {
    return guarded([&]() -> pie::Result<void> {
        PIE_TRY(session->session.save(path));
        return {};
    });
}

pie_status pie_session_restore(pie_session* session, const char* path) {
    return guarded([&]() -> pie::Result<void> {
        PIE_TRY(session->session.restore(path));
        return {};
    });
}

pie_session_stats pie_session_get_stats(const pie_session* session) {
    const pie::SessionStats stats = session->session.stats();
    return {.version = stats.version,
            .version_encoded = stats.version_encoded,
            .tokens = stats.tokens,
            .tokens_exact = stats.tokens_exact,
            .last_tokens_kept = stats.last_update.tokens_kept,
            .last_tokens_moved = stats.last_update.tokens_moved,
            .last_tokens_encoded = stats.last_update.tokens_encoded,
            .last_milliseconds = stats.last_update.milliseconds};
}
