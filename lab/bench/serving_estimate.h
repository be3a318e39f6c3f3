#pragma once

// How long a run will take, before it begins: what each server has to encode is known from the texts that it
// is sent one after another, and how long a token takes is measured on this machine.
//
// Thread rule: the model thread.

#include "bench/fill_prompt.h"
#include "bench/serving_schedule.h"

#include <pie/result.h>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pie {

struct MachineSpeed {
    double encode_ms = 0; // a token of a large batch
    double decode_ms = 0;
};

// In the middle of such a context. Errors: those of PlainBatch.
Result<MachineSpeed> measure_speed(const LoadedModel& model, int32_t n_threads, int32_t context);

// What servers that know nothing yet take for one request after another.
class WorkEstimate {
  public:
    WorkEstimate(MachineSpeed speed, MarkerNames names, double bytes_per_token)
        : speed_(speed), names_(std::move(names)), bytes_per_token_(bytes_per_token) {}

    // Of a request for n_predict tokens; of ours, whose cache is edited, and of one that knows beginnings.
    double ask_ms(const ServingSystem& system, const WorkloadStep& step, int32_t n_predict);
    double recompute_ms(const WorkloadStep& step, int32_t n_predict) const;

  private:
    MachineSpeed speed_;
    MarkerNames names_;
    double bytes_per_token_;
    std::map<std::pair<std::string_view, size_t>, std::string> seen_; // by system and session
};

// Fills in each task's time. Errors: those of measure_speed(), and unsupported (the model cannot fill in the
// middle).
Result<void> estimate_times(std::vector<ServingGroup>& groups, const ServingPlan& plan,
                            const LoadedModel& model, int32_t n_threads);

double estimated_ms(std::span<const ServingGroup> groups);

// A line for each length of context, and one for all.
std::vector<std::string> estimate_lines(std::span<const ServingGroup> groups);

} // namespace pie
