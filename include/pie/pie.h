#ifndef PIE_H
#define PIE_H

/* The C interface, for bindings: the calls of pie/model.h and pie/session.h, where each is described in full.
 *
 * Whatever can fail returns a pie_status; pie_last_error() then says why, in the thread that called. Texts
 * are UTF-8 and need no zero byte at their end; places in them are bytes. Any thread may call. */

/* NOLINTBEGIN(readability-identifier-naming): C names */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pie_model pie_model;
typedef struct pie_session pie_session;

typedef enum pie_status {
    PIE_OK = 0,
    PIE_INVALID_ARGUMENT,
    PIE_NOT_FOUND,
    PIE_IO,
    PIE_CORRUPT,
    PIE_UNSUPPORTED,
    PIE_TOO_LARGE,
    PIE_CANCELLED,
    PIE_BUSY,
    PIE_INTERNAL
} pie_status;

/* What failed in this thread last, and what to do about it; valid until the thread's next call. */
const char* pie_last_error(void);

typedef struct pie_model_options {
    int32_t n_gpu_layers;
    int32_t n_threads;          /* 0: one for each physical core */
    int32_t n_ctx;              /* tokens of a session; 0: the model's, but 8,192 at most */
    int32_t n_predict_max;      /* room in the context that texts leave for a completion */
    double update_milliseconds; /* that an edit may take, where stale tokens are repaired along with it */
    bool heal_when_idle;
    uint64_t ram_bytes_max;      /* of all caches together */
    const char* snapshot_folder; /* NULL: what does not fit is forgotten */
} pie_model_options;

pie_model_options pie_model_options_default(void);

/* `options` may be NULL. A model stays loaded until it and all its sessions are freed. */
pie_status pie_model_load(const char* path, const pie_model_options* options, pie_model** model);
void pie_model_free(pie_model* model);

/* `name` may be NULL: the session is nobody else's then. */
pie_status pie_session_open(pie_model* model, const char* name, pie_session** session);
void pie_session_free(pie_session* session);

pie_status pie_session_set_text(pie_session* session, const char* text, size_t n_bytes, size_t cursor);
/* Replaces bytes [begin, end). */
pie_status pie_session_edit(pie_session* session, size_t begin, size_t end, const char* text, size_t n_bytes,
                            size_t cursor);

typedef struct pie_completion_options {
    int32_t n_predict;
    float temperature; /* 0: the likeliest tokens */
    int32_t top_k;
    float top_p;
    float min_p;
    uint32_t seed;
    int32_t n_indent;
    double predict_milliseconds_max; /* 0: none */
    double prompt_milliseconds_max;  /* 0: none; beyond it the completion is empty */
    const char* const* stop_strings; /* n_stop_strings of them; may be NULL */
    size_t n_stop_strings;
} pie_completion_options;

pie_completion_options pie_completion_options_default(void);

/* Receives a piece of the completion, on the model's thread; false ends it. */
typedef bool (*pie_receive)(const char* text, size_t n_bytes, void* user);

/* `options`, `receive` and `text` may be NULL. `*text` is the whole completion, with a zero byte at its end;
 * free it with pie_text_free(). */
pie_status pie_session_complete(pie_session* session, const pie_completion_options* options,
                                pie_receive receive, void* user, char** text);
void pie_text_free(char* text);

/* Waits until the last text is in the cache, or until the cache is what a full recompute would hold. */
pie_status pie_session_encode(pie_session* session);
pie_status pie_session_heal(pie_session* session);
void pie_session_cancel(pie_session* session);

/* What is cached, as a file, and back; a restored session has no text until it is given one, of which what
 * the cache holds is not encoded. */
pie_status pie_session_save(pie_session* session, const char* path);
pie_status pie_session_restore(pie_session* session, const char* path);

typedef struct pie_session_stats {
    int64_t version;
    int64_t version_encoded;
    int32_t tokens;
    int32_t tokens_exact;
    int32_t last_tokens_kept;
    int32_t last_tokens_moved;
    int32_t last_tokens_encoded;
    double last_milliseconds;
} pie_session_stats;

pie_session_stats pie_session_get_stats(const pie_session* session);

#ifdef __cplusplus
}
#endif

/* NOLINTEND(readability-identifier-naming) */

#endif
