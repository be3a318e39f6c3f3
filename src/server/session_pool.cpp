#include "server/session_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <list>
#include <utility>

namespace pie {
namespace {

// Below it, the session's own text is worth more than what the request would save.
constexpr double share_min = 0.5;

tl::unexpected<Error> no_such_slot(int32_t slot) {
    return fail(ErrorCode::not_found, fmt::format("there is no slot {}", slot));
}

} // namespace

struct SessionPool::Ticket {
    SessionRequest request;
    bool is_typed_over = false;
};

struct SessionPool::Slot {
    int32_t index;
    Session session;
    ContentPrint content = {};   // of the request that came last
    std::list<Ticket> line = {}; // the first one is served
    uint64_t last_use = 0;
};

SessionPool::SessionPool(Model model, size_t sessions_max, size_t requests_max,
                         std::vector<SlotContent> known)
    : model_(std::move(model)), sessions_max_(sessions_max), requests_max_(requests_max) {
    for (SlotContent& former : known) {
        const auto index = static_cast<size_t>(former.slot);
        if (index >= sessions_max_) {
            continue;
        }
        while (slots_.size() <= index) {
            make_slot();
        }
        slots_[index]->content = ContentPrint(std::move(former.content));
        slots_[index]->last_use = ++n_uses_;
    }
}

SessionPool::~SessionPool() = default;

SessionPool::Lease::Lease(Lease&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), slot_(other.slot_), ticket_(other.ticket_) {}

SessionPool::Lease::~Lease() {
    if (pool_ != nullptr) {
        pool_->release(*slot_, ticket_);
    }
}

Session& SessionPool::Lease::session() {
    return slot_->session;
}

int32_t SessionPool::Lease::slot() const {
    return slot_->index;
}

bool SessionPool::Lease::is_typed_over() const {
    const Lock lock(pool_->mutex_);
    return ticket_->is_typed_over;
}

PromptContent SessionPool::Lease::content() const {
    const Lock lock(pool_->mutex_);
    return slot_->content.content();
}

void SessionPool::Lease::set_content(PromptContent content) {
    ContentPrint print(std::move(content));
    const Lock lock(pool_->mutex_);
    slot_->content = std::move(print);
    slot_->last_use = ++pool_->n_uses_; // for those who keep records
}

SessionPool::Slot* SessionPool::find_best(const SessionRequest& request) {
    Slot* best = nullptr;
    double best_share = 0;
    for (const auto& slot : slots_) {
        const double share = request.content.share_with(slot->content);
        const bool is_hinted = slot->index == request.slot_hint;
        if (share >= share_min && (share > best_share || (share == best_share && is_hinted))) {
            best = slot.get();
            best_share = share;
        }
    }
    return best;
}

// A new one, as long as there may be more, else the one that was not used for longest. Null: all are at work.
SessionPool::Slot* SessionPool::find_free() {
    if (slots_.size() < sessions_max_) {
        return &make_slot();
    }
    Slot* oldest = nullptr;
    for (const auto& slot : slots_) {
        if (slot->line.empty() && (oldest == nullptr || slot->last_use < oldest->last_use)) {
            oldest = slot.get();
        }
    }
    return oldest;
}

SessionPool::Slot& SessionPool::make_slot() {
    const auto index = static_cast<int32_t>(slots_.size());
    return *slots_.emplace_back(
        new Slot{.index = index, .session = model_.open(fmt::format("slot {}", index))});
}

Result<void> SessionPool::check_room() const {
    if (n_requests_ >= requests_max_) {
        return fail(ErrorCode::busy,
                    fmt::format("{} requests are being served already; try again later", n_requests_));
    }
    return {};
}

Result<SessionPool::Lease> SessionPool::acquire(SessionRequest request, const std::stop_source& stop) {
    Lock lock(mutex_);
    PIE_TRY(check_room());
    Slot* slot = find_best(request);
    if (slot == nullptr) {
        slot = find_free();
    }
    if (slot == nullptr) {
        return fail(ErrorCode::busy, "all sessions are at work; try again later");
    }
    for (Ticket& older : slot->line) {
        older.is_typed_over |= request.is_typed && older.request.is_typed &&
                               request.peer == older.request.peer &&
                               request.content.continues(older.request.content);
    }
    slot->content = request.content;
    return wait_for_turn(lock, *slot, std::move(request), stop);
}

Result<SessionPool::Lease> SessionPool::acquire_slot(int32_t slot, Missing missing,
                                                     const std::stop_source& stop) {
    Lock lock(mutex_);
    PIE_TRY(check_room());
    const size_t n_slots = missing == Missing::make ? sessions_max_ : slots_.size();
    if (slot < 0 || static_cast<size_t>(slot) >= n_slots) {
        return no_such_slot(slot);
    }
    const auto index = static_cast<size_t>(slot);
    while (slots_.size() <= index) {
        make_slot();
    }
    return wait_for_turn(lock, *slots_[index], {}, stop);
}

Result<SessionPool::Lease> SessionPool::wait_for_turn(Lock& lock, Slot& slot, SessionRequest request,
                                                      const std::stop_source& stop) {
    Lease lease = stand_in_line(slot, std::move(request));
    const auto is_first = [&] { return lease.ticket_ == &slot.line.front(); };
    if (!turn_.wait(lock, stop.get_token(), is_first)) {
        lock.unlock(); // the lease takes the ticket back
        return fail(ErrorCode::cancelled, "cancelled before its turn");
    }
    return lease;
}

std::optional<SessionPool::Lease> SessionPool::acquire_for_chunks(SessionRequest request) {
    const Lock lock(mutex_);
    Slot* best = nullptr;
    size_t best_bytes = 0;
    for (const auto& slot : slots_) {
        const size_t bytes = slot->content.chunk_bytes_shared_with(request.content);
        const bool is_hinted = slot->index == request.slot_hint;
        if (best == nullptr || bytes > best_bytes || (bytes == best_bytes && is_hinted)) {
            best = slot.get();
            best_bytes = bytes;
        }
    }
    if (best == nullptr) {
        best = find_free();
    }
    if (!best->line.empty() || n_requests_ >= requests_max_) {
        return std::nullopt;
    }
    best->content = ContentPrint(
        {best->content.content().text, best->content.content().cursor, request.content.content().chunks});
    return stand_in_line(*best, std::move(request));
}

SessionPool::Lease SessionPool::stand_in_line(Slot& slot, SessionRequest request) {
    slot.last_use = ++n_uses_;
    ++n_requests_;
    slot.line.push_back({std::move(request)});
    return {this, &slot, &slot.line.back()};
}

void SessionPool::release(Slot& slot, const Ticket* ticket) {
    {
        const Lock lock(mutex_);
        slot.line.remove_if([&](const Ticket& other) { return &other == ticket; });
        --n_requests_;
    }
    turn_.notify_all();
}

std::vector<SessionPool::SlotState> SessionPool::slots() const {
    const Lock lock(mutex_);
    std::vector<SlotState> states;
    for (const auto& slot : slots_) {
        states.push_back({slot->index, slot->line.size(), slot->session.stats()});
    }
    return states;
}

std::vector<SlotContent> SessionPool::contents_since(uint64_t use) const {
    const Lock lock(mutex_);
    std::vector<SlotContent> contents;
    for (const auto& slot : slots_) {
        if (slot->last_use > use) {
            contents.push_back({slot->index, slot->content.content(), slot->last_use});
        }
    }
    return contents;
}

Result<Session> SessionPool::session_of(int32_t slot) const {
    const Lock lock(mutex_);
    if (slot < 0 || static_cast<size_t>(slot) >= slots_.size()) {
        return no_such_slot(slot);
    }
    return slots_[static_cast<size_t>(slot)]->session;
}

} // namespace pie
