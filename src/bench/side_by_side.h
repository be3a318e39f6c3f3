#pragma once

// Several servers with the same document, of which one runs at a time: the others are paused, so that none
// disturbs another's times, and what one does in idle time it does in pauses that all are given alike.
//
// Thread rule: one thread at a time.

#include "bench/plain_batch.h"
#include "bench/serving_systems.h"
#include "bench/workloads.h"
#include "model/model.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace pie {

struct TimedAnswer {
    ServedAnswer answer;
    // Whether it comes out of a cache that holds what a full recompute would: its server says so, or did no
    // more than go on behind what it had encoded.
    bool exact = false;
};

class SideBySide {
  public:
    static constexpr int32_t n_predict = 32;

    // Starts all servers and a plain batch of our own. Errors: those of RunningServer and PlainBatch.
    static Result<std::unique_ptr<SideBySide>> start(const ServerSetting& setting, const LoadedModel& model);

    size_t size() const { return servers_.size(); }
    const ServingSystem& system(size_t i) const { return servers_[i].server.system(); }
    ChildProcess& process(size_t i) { return servers_[i].server.process(); }

    // Gives server i the pause of a step, and asks it. Errors: those of ServerClient::ask.
    Result<TimedAnswer> ask(size_t i, const WorkloadStep& step);
    // What it answers where nothing is taken from its cache.
    Result<ServedAnswer> recompute(size_t i, const DocumentState& state);
    // Has server i know a state, with some seconds for what it does when it is idle. Not timed.
    Result<void> settle(size_t i, const DocumentState& state);

    // Milliseconds of a plain batch of what an answer of ours had to encode, at the same place; 0 where that
    // is nothing, or more than one batch. All servers are paused.
    Result<double> limit(const ServedAnswer& ours);

  private:
    struct Seat {
        RunningServer server;
        std::string sequence = {}; // what its cache has seen last, as text: prompt and answer
    };

    SideBySide(std::vector<Seat> servers, MarkerNames names, const LoadedModel& model,
               std::unique_ptr<PlainBatch> batch)
        : servers_(std::move(servers)), names_(std::move(names)), model_(&model), batch_(std::move(batch)) {}

    Result<ServedAnswer> ask_running(const Seat& seat, const DocumentState& state, int32_t n, CacheUse cache);
    bool went_on_from(const std::string& sequence, const std::string& prompt, int32_t tokens_kept) const;

    std::vector<Seat> servers_;
    MarkerNames names_;
    const LoadedModel* model_;
    std::unique_ptr<PlainBatch> batch_;
};

} // namespace pie
