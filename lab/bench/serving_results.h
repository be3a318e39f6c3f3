#pragma once

// What was measured of servers: one JSON object a line for each workload, length of context and system, in a
// file that grows while the work goes on. What it holds is not measured again; a line that a crash cut off is
// dropped.
//
// Thread rule: one thread at a time; one program at a time writes to a file.

#include "base/files.h"

#include <pie/result.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// Under what circumstances. Two runs with equal ones are one run that was interrupted.
struct RunConditions {
    std::string commit;       // of the program that was built, with "-dirty" where the tree was changed
    std::string model;        // its file name
    std::string fingerprint;  // see model/fingerprint.h
    std::string llama_server; // its version
    std::string machine;      // its processor
    int32_t n_threads = 0;
    int32_t n_predict = 0;
    uint64_t seed = 0;

    auto operator<=>(const RunConditions&) const = default;
};

// One system's times, a value a step each.
struct ServingMeasurement {
    RunConditions conditions;
    std::string workload;
    int32_t context = 0; // tokens of the document that was wanted
    std::string system;
    std::string document; // its digest
    int32_t n_steps = 0;
    std::string date;
    std::vector<double> first_ms;  // from sending to the first token; of the limit 0 where there is none
    std::vector<double> total_ms;  // to the end of the completion
    std::vector<double> prompt_ms; // of it, what the server says that its prompt took
    std::vector<int32_t> tokens_encoded;
    std::vector<int32_t> tokens_context;
    std::vector<int32_t> tokens_written; // of the completion: models end some of them at once
    std::vector<double> joules; // with the pause before the step; empty where the machine does not tell
    // Answers out of caches that are not exact, compared with full recompute.
    int32_t n_checked = 0;
    double equal_first_lines = 0; // share of the checked ones
    double equal_tokens = 0;      // share of the tokens before the first difference, mean
    uint64_t peak_memory_bytes = 0;
};

std::string measurement_line(const ServingMeasurement& measurement);
// Errors: corrupt; the message begins with `place`.
Result<ServingMeasurement> parse_serving_measurement(std::string_view line, const std::string& place);

class ServingResults {
  public:
    // Kept in memory alone.
    ServingResults() = default;
    // With what the folder's file holds already; both are made if they are not there. Errors: io, corrupt.
    static Result<ServingResults> open(const std::filesystem::path& folder);
    // Without writing to it. Errors: not_found, io, corrupt.
    static Result<ServingResults> read(const std::filesystem::path& folder);

    // Of equal conditions, document and number of steps.
    bool holds(const ServingMeasurement& measurement) const;
    // Errors: io.
    Result<void> add(ServingMeasurement measurement);
    const std::vector<ServingMeasurement>& all() const { return measurements_; }

  private:
    std::vector<ServingMeasurement> measurements_;
    std::optional<FileWriter> file_;
};

} // namespace pie
