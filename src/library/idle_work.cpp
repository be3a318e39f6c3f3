#include "library/idle_work.h"

#include "library/worker.h"

namespace pie {

IdleChoice choose_idle_work(std::span<const std::shared_ptr<DocumentState>> documents, bool heals_unasked) {
    IdleChoice first;
    for (const auto& document : documents) {
        const bool is_waited_for = document->n_waiting_to_heal > 0;
        IdleWork work = IdleWork::none;
        if (document->behind) {
            work = IdleWork::encode;
        } else if (document->stale && (heals_unasked || is_waited_for)) {
            work = IdleWork::heal;
        }
        if (work != IdleWork::none && is_waited_for) {
            return {work, document};
        }
        if (work != IdleWork::none && first.work == IdleWork::none) {
            first = {work, document};
        }
    }
    return first;
}

} // namespace pie
