#pragma once

// What was measured: one JSON object a line of a file that grows while the work goes on, so that whoever
// interrupts it loses nothing, and the same command goes on where it was. A line that a crash cut off is
// dropped; of two lines on the same thing the later one counts.
//
// Thread rule: one thread at a time; one program at a time writes to a file.

#include "base/files.h"

#include <pie/result.h>

#include <compare>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// What a measurement is of.
struct MeasurementKey {
    std::string model;
    std::string row;    // its id
    std::string digest; // of the row's texts
    std::string method;

    auto operator<=>(const MeasurementKey&) const = default;
};

struct Measurement {
    MeasurementKey key;
    std::string kind;     // of edit
    std::string setting;  // of the sample; may be empty
    std::string language; // may be empty
    std::string failure;  // why there are no figures; empty where there are
    int32_t tokens_before = 0;
    int32_t tokens_after = 0;
    int32_t tokens_scored = 0;  // of the target
    int32_t n_edits = 1;        // one after the other
    double kl = 0;              // KL(full || method), mean of the scored tokens
    double kl_first = 0;        // of the first of them
    double top1_agreement = 0;  // share of scored tokens for which both hold the same one the likeliest
    double exact_match = 0;     // 1 if the likeliest token was the target's everywhere, else 0
    double loss = 0;            // on the target's tokens, mean
    double line_match = 0;      // 1 if the line that was completed is the target, else 0
    double edit_similarity = 0; // of the two, 0 to 100
    std::optional<bool> passed; // tests, where there are any
    double tokens_encoded = 0;  // an edit
    double flops = 0;           // an edit, by eval/flops.h
    double milliseconds = 0;    // an edit: of bringing the cache from the one prompt to the other
    std::string prediction;     // the line that was completed
    std::string target;         // the line that it was to be
    std::string edit = {};      // the edit as text, for people; with full recompute alone, once a row
    std::vector<double> key_cosines = {}; // by layer; empty where the cache holds another text
    std::vector<double> value_cosines = {};

    bool failed() const { return !failure.empty(); }
};

std::string measurement_line(const Measurement& measurement);
// Errors: corrupt; the message begins with `place`.
Result<Measurement> parse_measurement(std::string_view line, const std::string& place);

// All of a text of such lines, each place begun with `name`. Errors: corrupt.
Result<std::vector<Measurement>> parse_measurements(std::string_view text, const std::string& name);

// Of all files of a folder that end in .jsonl or .jsonl.gz, by name; of two on the same thing the later one
// counts, unless it failed and the other did not. Errors: not_found (no such file, or no result in them), io,
// corrupt, too_large.
Result<std::vector<Measurement>> read_measurements(const std::filesystem::path& folder);

class Results {
  public:
    // Kept in memory alone.
    Results() = default;
    // With what the file holds already; it is made if it is not there. Errors: io, corrupt.
    static Result<Results> open(const std::filesystem::path& path);

    // Null where nothing is known, or only that it failed: what failed may be tried again.
    const Measurement* find_success(const MeasurementKey& key) const;
    const Measurement* find(const MeasurementKey& key) const;
    // Errors: io.
    Result<void> add(Measurement measurement);

  private:
    std::map<MeasurementKey, Measurement> measurements_;
    std::optional<FileWriter> file_;
};

} // namespace pie
