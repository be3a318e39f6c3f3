#pragma once

// What `pie-lab optimize` says of a model that it made: what it gains beside the one that it was made from,
// and what it loses.
//
// Thread rule: pure functions, and output.

#include "bench/paired_batches.h"
#include "eval/model_loss.h"
#include "model/repacking.h"

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

struct ComparedModel {
    std::string name; // as -m takes it
    std::filesystem::path path;
    uint64_t size_bytes = 0;
    RepackedShare repacked;
};

struct OptimizeReport {
    ComparedModel before;
    ComparedModel after;
    std::string_view type;
    bool made_now = false;
    // Of what was interrupted there is less, or nothing.
    std::vector<PairedBatch> batches = {};
    ModelLoss loss = {};
    bool is_complete = false;
};

nlohmann::json as_json(const OptimizeReport& report);
void print_text(const OptimizeReport& report);

} // namespace pie
