#pragma once

// What a person does to a file, as requests for completions: the one table of workloads, and the states of
// the document that each of them goes through. The first state is where the work begins; every later one is
// asked a completion for, and timed.
//
// Thread rule: pure functions.

#include "bench/source_document.h"

#include <pie/context.h>
#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

struct DocumentState {
    std::string text;
    size_t cursor = 0; // a byte of the text
    std::vector<ContextChunk> chunks = {};

    bool operator==(const DocumentState&) const = default;
};

struct WorkloadStep {
    DocumentState state;
    int32_t pause_ms = 0; // that a person takes before it
};

struct WorkloadInput {
    const SourceDocument& document;
    size_t n_steps = 0;
    TokenCounter count = {};
};

enum class WorkloadSet { standard, extended };

struct Workload {
    std::string_view name;
    std::string_view what; // in a few words
    WorkloadSet set;       // whether it is run unless others are named
    size_t n_steps;        // unless others are asked for
    size_t n_tokens;       // of an insertion or deletion
    double place;          // of an edit, as a share of the document
    // The first state, and n_steps others, or fewer where the document does not give more.
    std::vector<WorkloadStep> (*steps)(const Workload& workload, const WorkloadInput& input);
};

std::span<const Workload> workloads();

// The name of opening the document: a completion where nothing is cached.
constexpr std::string_view opening = "open";

// The document as all workloads find it, with the cursor at three quarters.
DocumentState untouched(const SourceDocument& document);

// "standard", "all", or names, separated by commas. Errors: invalid_argument (no such workload).
Result<std::vector<const Workload*>> choose_workloads(std::string_view names);

} // namespace pie
