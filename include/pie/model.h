#pragma once

// A code model, loaded once and shared by all sessions on it.
//
//     auto model = pie::Model::load("qwen2.5-coder-0.5b.gguf");
//     auto session = model->open("main.cpp");
//     session->set_text(text, cursor);
//     auto completion = session->complete();
//
// Thread rule: any thread may call anything here and in session.h; one thread of the model's own computes,
// and does one thing at a time. A Model is a handle: copies speak of the same model, which stays loaded until
// the last of them and of its sessions is gone.

#include <pie/chat.h>
#include <pie/result.h>
#include <pie/session.h>
#include <pie/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

class Worker;

// How much memory a cached token takes, and how exactly it is held.
enum class CacheType { f32, f16, bf16, q8_0, q4_0 };

// How a text becomes a prompt.
enum class PromptKind {
    automatic,     // fill_line where the model was trained to fill in the middle, else left_to_right
    left_to_right, // the text before the cursor
    fill,          // <PRE> before the cursor <SUF> behind it <MID>
    fill_line,     // <PRE> the lines before the cursor's <SUF> behind the cursor <MID> its line up to it
};

struct ModelOptions {
    int32_t n_gpu_layers = 0;    // the last so many layers go to GPUs, as far as there are any
    int32_t n_threads = 0;       // 0: one for each physical core
    int32_t n_ctx = 0;           // tokens of a session; 0: what the model was trained for, but 8,192 at most
    int32_t n_predict_max = 256; // room in the context that texts leave for a completion
    CacheType keys = CacheType::f16;
    CacheType values = CacheType::f16;
    PromptKind prompt = PromptKind::automatic;
    // Behind an edit, tokens whose values it made stale are encoded again along with it, as many as this time
    // is expected to allow, those first that completions looked at most.
    double update_milliseconds = 100;
    bool heal_when_idle = true; // until every cache is what a full recompute would hold

    // Of all caches, and of copies that are being saved, together; the session in use may exceed it alone.
    size_t ram_bytes_max = 2'000'000'000;
    // Where caches are kept that do not fit, or that a later process may go on with. They hold the user's
    // text, so only its owner can read them. Empty: what does not fit is forgotten.
    std::filesystem::path snapshot_folder = {};
    uint64_t snapshot_bytes_max = 8'000'000'000;
    // In idle time, what changed is written so often; a killed process loses no more than that.
    double snapshot_seconds = 60;
    // Hears, on the model's thread, of snapshots that could not be written or read.
    std::function<void(std::string_view session, const Error& error)> on_trouble = {};
    size_t queue_max = 64; // calls that wait; one more is refused (ErrorCode::busy)
};

// What a model takes beside its weights. A cache takes room as far as it is filled: with what its text has,
// and with up to four times as much that was dropped and may come back.
struct MemoryUse {
    size_t cache_bytes = 0;       // of all sessions in memory
    size_t session_bytes_max = 0; // of one whose context is full
    size_t compute_bytes = 0;     // of batches, shared by all sessions
};

// What a prompt that fills in the middle holds around its texts, as it is written: prefix, text before the
// cursor, suffix, text behind it, middle; or with the suffix and its text first.
struct FillMarkers {
    std::string prefix;
    std::string suffix;
    std::string middle; // empty where the model has none
    bool is_suffix_first = false;
};

class Model {
  public:
    // A GGUF file. Errors: not_found, io, corrupt, unsupported, too_large (no memory for a session),
    // invalid_argument (an option out of its range), internal.
    static Result<Model> load(const std::filesystem::path& path, const ModelOptions& options = {});

    // The live document of this name: the one that is open, or what a snapshot holds, or an empty one.
    // Without a name, one that nobody else can open and that is forgotten with its last handle.
    Session open(std::string_view name = {}) const;
    // One without a name that takes nothing over from others or from snapshots: its first text is encoded
    // from nothing, as a full recompute encodes it, to compare with.
    Session open_fresh() const;

    // Tokens of a text. Where `markup` says so, control tokens are recognised by their names, as in a chat
    // template's output; otherwise they stay text. Errors: corrupt (text that is not UTF-8).
    enum class Markup { text, control_tokens };
    Result<std::vector<TokenId>> tokenize(std::string_view text, Markup markup = Markup::text) const;
    // The bytes of tokens, put together. Errors: invalid_argument (no such token).
    Result<std::string> detokenize(const std::vector<TokenId>& tokens) const;

    // What a prompt that is handed over as tokens should begin with, if the model wants anything.
    std::optional<TokenId> beginning() const;

    // A conversation as the model's own chat template writes it, up to where the answer begins; to be
    // tokenised with Markup::control_tokens. A last message of the assistant is gone on with. Errors:
    // unsupported (no template, or one that is not known), invalid_argument (no message, or one with a zero
    // byte).
    Result<std::string> chat_prompt(const std::vector<ChatMessage>& messages) const;

    int32_t n_ctx() const;
    // As the last call that computed left it.
    MemoryUse memory() const;
    int32_t vocabulary_size() const;
    // Whether the model was trained to fill in the middle; its markers then.
    bool fills_in_the_middle() const;
    std::optional<FillMarkers> fill_markers() const;

    // What is wrong with a file that loads all the same, a sentence each, for the person who chose it.
    const std::vector<std::string>& doubts() const;
    // Of the file: two that are the same compute the same.
    const std::string& fingerprint() const;
    // Of ModelOptions; empty where there is none.
    const std::filesystem::path& snapshot_folder() const;

  private:
    explicit Model(std::shared_ptr<Worker> worker) : worker_(std::move(worker)) {}

    std::shared_ptr<Worker> worker_;
};

} // namespace pie
