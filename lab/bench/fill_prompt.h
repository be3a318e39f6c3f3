#pragma once

// The requests that servers are sent for a state of a document: /infill as editors' plugins send it, and
// prompts for /completion that hold the same in several orders. llama-server's own /infill keeps no more than
// three quarters of a batch of the text before the cursor and a quarter of what is behind it, so it is asked
// through /completion, with the prompt that its /infill makes of texts that fit.
//
// Thread rule: pure functions.

#include "bench/workloads.h"
#include "model/vocabulary.h"

#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace pie {

enum class FillOrder {
    infill,       // whatever the server makes of it
    prefix_first, // <PRE> before the cursor <SUF> behind it <MID>: what llama-server's /infill sends
    suffix_first, // <SUF> behind the cursor <PRE> before it <MID>
    line_last,    // <PRE> the lines before the cursor's <SUF> behind the cursor <MID> its line up to it
};

// The texts that a server takes for control tokens.
struct MarkerNames {
    std::string prefix;
    std::string suffix;
    std::string middle;
    std::string repository;     // empty where the model has none
    std::string file_separator; // likewise
};

// Errors: unsupported (the model cannot fill in the middle).
Result<MarkerNames> marker_names(const Vocabulary& vocabulary);

std::string fill_prompt(const DocumentState& state, FillOrder order, const MarkerNames& names);

enum class CacheUse { reuse, recompute };

struct FillRequestBody {
    std::string path;
    std::string body;
};

struct FillOptions {
    int32_t n_predict = 0;
    CacheUse cache = CacheUse::reuse;
    size_t slot = 0;
};

// A streamed completion of the likeliest tokens.
FillRequestBody fill_request(const DocumentState& state, FillOrder order, const MarkerNames& names,
                             const FillOptions& options);

} // namespace pie
