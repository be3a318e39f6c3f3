#pragma once

// The sessions that requests without a name are served from. Clients of /infill and /completion send their
// whole context each time; the pool finds the session that holds most of it already, so that the request
// becomes an edit of it. What matches nothing gets a session of its own, until there are so many that the one
// that was not used for longest is given away.
//
// Requests that match the same session take turns, in the order in which they came: on one model they would
// wait for each other anyway, and so no request is answered for another's text. None ends another: requests
// that are alike are as often several people's, or a program's that sends many at once, as one typist's. Only
// an editor's request that its sender typed over (ContentPrint::continues()) is told so, to be brief.
//
// Thread rule: any thread; a Lease belongs to one. The pool outlives its leases.

#include "server/similarity.h"

#include <pie/model.h>
#include <pie/result.h>
#include <pie/session.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace pie {

struct SessionRequest {
    ContentPrint content;
    int32_t slot_hint = -1; // decides where the content does not
    std::string peer = {};  // the address that it came from
    bool is_typed = false;  // by an editor, for somebody who may type on
};

// What a slot's cache is of.
struct SlotContent {
    int32_t slot = 0;
    PromptContent content = {};
    uint64_t last_use = 0; // larger: later
};

class SessionPool {
    struct Slot;
    struct Ticket;

  public:
    // `known` are slots of a former process, whose caches are in the model's snapshots; the one used last
    // comes last.
    SessionPool(Model model, size_t sessions_max, size_t requests_max, std::vector<SlotContent> known = {});
    ~SessionPool();
    SessionPool(const SessionPool&) = delete;
    SessionPool& operator=(const SessionPool&) = delete;

    // A session whose turn it is. It is given back with the object.
    class Lease {
      public:
        Lease(Lease&& other) noexcept;
        Lease& operator=(Lease&&) = delete;
        ~Lease();

        Session& session();
        int32_t slot() const;
        // Whether a newer request shows that its sender typed on. May change at any time.
        bool is_typed_over() const;
        // What requests are compared with.
        PromptContent content() const;
        void set_content(PromptContent content);

      private:
        friend class SessionPool;
        Lease(SessionPool* pool, Slot* slot, const Ticket* ticket)
            : pool_(pool), slot_(slot), ticket_(ticket) {}

        SessionPool* pool_;
        Slot* slot_;
        const Ticket* ticket_;
    };

    // Waits for the turn of the request. `stop` ends the wait. Errors: cancelled, busy.
    Result<Lease> acquire(SessionRequest request, const std::stop_source& stop);

    // For a request that shows chunks alone, to have them ready: the session that shares most of them, or a
    // new one. None where that is at work; then its next request brings them itself.
    std::optional<Lease> acquire_for_chunks(SessionRequest request);

    // The session of one slot, whatever it holds, when its turn comes. Errors: not_found (no such slot), and
    // those of acquire().
    enum class Missing { refuse, make };
    Result<Lease> acquire_slot(int32_t slot, Missing missing, const std::stop_source& stop);

    // Of slots that were used after `use`.
    std::vector<SlotContent> contents_since(uint64_t use) const;

    // What one session is at.
    struct SlotState {
        int32_t slot;
        size_t n_waiting; // the request that is served counts
        SessionStats stats;
    };
    std::vector<SlotState> slots() const;

    // Errors: not_found (no such slot).
    Result<Session> session_of(int32_t slot) const;

  private:
    using Lock = std::unique_lock<std::mutex>;

    Slot* find_best(const SessionRequest& request);
    Slot* find_free();
    Slot& make_slot();
    Result<Lease> wait_for_turn(Lock& lock, Slot& slot, SessionRequest request, const std::stop_source& stop);
    Result<void> check_room() const;
    Lease stand_in_line(Slot& slot, SessionRequest request);
    void release(Slot& slot, const Ticket* ticket);

    Model model_;
    size_t sessions_max_;
    size_t requests_max_;
    mutable std::mutex mutex_;
    std::condition_variable_any turn_;
    std::vector<std::unique_ptr<Slot>> slots_;
    size_t n_requests_ = 0;
    uint64_t n_uses_ = 0;
};

} // namespace pie
