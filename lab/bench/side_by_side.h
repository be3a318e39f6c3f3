#pragma once

// Several servers with the same document, of which one runs at a time: the others are paused, so that none
// disturbs another's times, and what one does in idle time it does in pauses that all are given alike.
//
// Thread rule: one thread at a time.

#include "bench/energy_meter.h"
#include "bench/plain_batch.h"
#include "bench/serving_systems.h"
#include "bench/workloads.h"
#include "model/model.h"

#include <pie/result.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pie {

struct TimedAnswer {
    ServedAnswer answer;
    // Whether it comes out of a cache that holds what a full recompute would: its server says so, or did no
    // more than go on behind what it had encoded.
    bool exact = false;
    std::optional<double> joules = {}; // of the step with its pause, where the machine tells
};

class SideBySide {
  public:
    static constexpr int32_t n_predict = 32;
    static constexpr std::chrono::seconds rest_time_max{5};

    // Starts the servers and a plain batch of our own. Errors: those of RunningServer and PlainBatch.
    static Result<std::unique_ptr<SideBySide>> start(std::span<const ServingSystem* const> systems,
                                                     const ServerSetting& setting, const LoadedModel& model);

    size_t size() const { return servers_.size(); }
    const ServingSystem& system(size_t i) const { return servers_[i].server.system(); }
    ChildProcess& process(size_t i) { return servers_[i].server.process(); }

    // Gives server i the pause of a step, and asks it. Errors: those of ServerClient::ask.
    Result<TimedAnswer> ask(size_t i, const WorkloadStep& step);
    // What it answers where nothing is taken from its cache.
    Result<ServedAnswer> recompute(size_t i, const WorkloadStep& step);
    // Has server i know a state. Not timed, and without a pause.
    Result<void> show(size_t i, const WorkloadStep& step);
    // Gives server i some seconds for what it does when it is idle.
    void rest(size_t i);

    // Milliseconds of a plain batch of what an answer of ours had to encode, at the same place; 0 where that
    // is nothing, or more than one batch. All servers are paused.
    Result<double> limit(const ServedAnswer& ours);

  private:
    struct Seat {
        RunningServer server;
        std::vector<std::string> sequences; // what each slot has seen last, as text: prompt and answer
    };

    SideBySide(std::vector<Seat> servers, MarkerNames names, const LoadedModel& model,
               std::unique_ptr<PlainBatch> batch)
        : servers_(std::move(servers)), names_(std::move(names)), model_(&model), batch_(std::move(batch)) {}

    Result<ServedAnswer> ask_running(const Seat& seat, const WorkloadStep& step, int32_t n, CacheUse cache);
    bool went_on_from(const std::string& sequence, const std::string& prompt, int32_t tokens_kept) const;

    std::vector<Seat> servers_;
    MarkerNames names_;
    const LoadedModel* model_;
    std::unique_ptr<PlainBatch> batch_;
    EnergyMeter meter_;
};

} // namespace pie
