#pragma once

// What a person does to a file, as requests for completions: the one table of workloads, and the states of
// the document that each of them goes through. The first state is where the work begins; every later one is
// asked a completion for, and timed. The first number of a name is what varies along a curve: workloads whose
// names are equal but for it differ in nothing else.
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
    size_t session = 0;   // whose document it is
};

struct WorkloadInput {
    const SourceDocument& document;
    size_t n_steps = 0;
    TokenCounter count = {};
};

enum class WorkloadSet { standard, extended };

enum class WorkloadServers {
    shared,     // they have been through the workloads before
    own,        // new ones, with a slot for each session
    ours_alone, // a new one: the question is about our cache, and the others would take hours to ask it
};

struct Workload {
    std::string_view name;
    std::string_view what; // in a few words
    WorkloadSet set;       // whether it is run unless others are named
    size_t n_steps;        // unless others are asked for
    size_t n_tokens;       // of an insertion or deletion
    double place;          // of an edit, as a share of the document
    // Where each session begins, and n_steps others, or fewer where the document does not give more.
    std::vector<WorkloadStep> (*steps)(const Workload& workload, const WorkloadInput& input);
    WorkloadServers servers = WorkloadServers::shared;
    size_t n_edits = 0;    // of an Ageing before the first step, which nobody times
    size_t n_sessions = 1; // that have equal parts of the document
};

std::span<const Workload> workloads();

// The name of opening the document: a completion where nothing is cached.
constexpr std::string_view opening = "open";

// Of its states, those at the beginning that servers are shown before the first that is timed.
size_t steps_before(const Workload& workload);

// Where the cursor is, as a share of the document.
constexpr double cursor_place = 0.75;

// The document as all workloads find it, with the cursor at three quarters.
DocumentState untouched(const SourceDocument& document);

// "standard", "all", or names, separated by commas. Errors: invalid_argument (no such workload).
Result<std::vector<const Workload*>> choose_workloads(std::string_view names);

} // namespace pie
