#pragma once

// What the model thread does for nobody in particular: which document is encoded or healed next. The one used
// last goes first, until it is healed; so texts that nobody came back for hold up nothing.
//
// Thread rule: that of the documents, whose Worker guards them.

#include <pie/session.h>

#include <cstdint>
#include <memory>
#include <span>

namespace pie {

struct DocumentState;

enum class IdleWork { none, encode, heal };

struct IdleChoice {
    IdleWork work = IdleWork::none;
    std::shared_ptr<DocumentState> document; // null for none
};

// Of `documents`, the one used last in front. Those that callers wait for to be healed go before all others;
// others are healed where `heals_unasked` says so.
IdleChoice choose_idle_work(std::span<const std::shared_ptr<DocumentState>> documents, bool heals_unasked);

} // namespace pie
