#pragma once

// A live document: a text and a cursor in it, kept encoded in a cache of its own. Whatever changes is put
// into the cache at once, in the background, before anyone asks for a completion; only what an edit brought
// in is encoded, and what it moved is rotated to its new position (Positional Integrity Encoding, arXiv
// 2407.03157). In idle time, what an edit left approximate is healed.
//
// Thread rule: any thread may call. A newer edit or completion of the same session cancels the completion
// that is at work. A Session is a handle: copies speak of the same document.

#include <pie/completion.h>
#include <pie/context.h>
#include <pie/result.h>
#include <pie/text_edit.h>
#include <pie/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace pie {

// What becomes of a cache while nobody asks for anything.
enum class CacheState {
    empty,  // there is nothing in it
    behind, // it does not hold the last text yet, which is being encoded
    stale,  // some of it is not what a full recompute would hold; it is healed (ModelOptions::heal_when_idle)
    put_away, // for want of memory (ModelOptions::ram_bytes_max): as it is, until the session is used again
    healed,   // nothing is left to do
};

struct SessionStats {
    int64_t version = 0;         // of the text: counts the calls that changed text, cursor or context
    int64_t version_encoded = 0; // the last one that the cache held
    int32_t tokens = 0;          // in the cache
    int32_t tokens_exact =
        0; // of them, from the start on: what a full recompute would hold, but for rounding
    int32_t tokens_bit_exact = 0; // of these: to the bit
    CacheState cache_state = CacheState::empty;
    size_t cache_bytes = 0;   // that the cache takes in memory
    UpdateReport last_update; // that encoded anything
    int64_t last_update_version = 0;
    size_t lines_cut_at_start = 0; // that the context had no room for
    size_t lines_cut_at_end = 0;
    size_t chunks_left_out = 0; // of set_context()
};

// A cache in a file.
struct SavedCache {
    int32_t tokens = 0;
    uint64_t bytes = 0;
};

// Whether completions write the last token of a prompt anew, because it may be half a word, which no model
// was trained to go on from: `import nu` then goes on with `mpy`. The end of a line stays, and so does a
// control token.
enum class TokenHealing { off, on };

class Session {
  public:
    // The whole text as it is now. Returns its version, at once; so do edit() and the others here. Errors:
    // corrupt (binary, or not UTF-8), too_large, invalid_argument (cursor outside, or inside a character);
    // nothing has changed then.
    Result<int64_t> set_text(std::string text, ByteOffset cursor);

    // Edits, each of the text that those before it made; none just moves the cursor. Errors: as above, with
    // ranges too; none of the edits is made then.
    Result<int64_t> edit(std::span<const TextEdit> edits, ByteOffset cursor);

    // A prompt that the caller tokenised, continued as it is, but for healing. It takes the place of the
    // text. Errors: invalid_argument (none, or one that the model does not have).
    Result<int64_t> set_tokens(std::vector<TokenId> tokens, TokenHealing healing = TokenHealing::off);

    // Parts of other files that stand ahead of the document in its prompt. Those that were there before are
    // not encoded again, wherever they stand now. Errors: corrupt (a chunk that is not UTF-8).
    Result<int64_t> set_context(DocumentContext context);

    // Text and context at once, so that neither is encoded beside an old other one. Errors: those of both.
    Result<int64_t> set_document(std::string text, ByteOffset cursor, DocumentContext context);

    // Waits until the last text is in the cache. Errors: too_large, cancelled (by `stop`, cancel() or a newer
    // change), busy, invalid_argument (nothing to continue), internal.
    Result<void> encode(const std::stop_token& stop = {});

    // What comes at the cursor. `receive` is called on the model's thread, which waits for it, and must not
    // call what waits for the model. Errors: those of encode(), and invalid_argument and unsupported for
    // options that no sampler can follow.
    Result<Completion> complete(const CompletionOptions& options = {}, const TextReceiver& receive = {},
                                const std::stop_token& stop = {});

    // `n` alternatives from one cache, with the seeds sampling.seed, + 1, …. Errors: as above.
    Result<std::vector<Completion>> complete_several(const CompletionOptions& options, int32_t n,
                                                     const SeveralReceiver& receive = {},
                                                     const std::stop_token& stop = {});

    // Waits until the cache is what a full recompute would hold. Errors: cancelled (by `stop`), and those of
    // encode().
    Result<void> heal(const std::stop_token& stop = {});

    // Ends the completion that is at work or waits. The session stays as it is.
    void cancel();

    // What is cached, as a file that restore() takes. It holds the text, and only its owner can read it; a
    // file of this name is replaced. Errors: io, invalid_argument (nothing is cached), and those of encode().
    Result<SavedCache> save(const std::filesystem::path& path, const std::stop_token& stop = {});

    // Takes a saved cache in the place of what there is. The session is like a new one then: it has no text
    // until it is given one, of which what the cache holds is not encoded. Errors: not_found, io, corrupt
    // (damaged, or no saved cache), unsupported (another version's), invalid_argument (of another model, or
    // of other types), too_large (for the context), cancelled, busy. The text stays then, and may have to be
    // encoded anew.
    Result<SavedCache> restore(const std::filesystem::path& path, const std::stop_token& stop = {});

    // Drops what is cached, the snapshot included. The text stays, and is encoded anew when it is asked for.
    void forget();

    SessionStats stats() const;

    // A session of the text, cursor and context that this one has now, which holds nothing cached and takes
    // nothing over from others or from snapshots: what it answers is a full recompute's. Nobody else can open
    // it, and it is forgotten with its last handle.
    Session fresh_copy() const;

  private:
    friend class Model;
    struct Handle;

    explicit Session(std::shared_ptr<Handle> handle) : handle_(std::move(handle)) {}

    std::shared_ptr<Handle> handle_;
};

} // namespace pie
