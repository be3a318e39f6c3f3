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
    std::string kind;
    std::string language;
    std::string failure; // why there are no figures; empty where there are
    int32_t tokens_before = 0;
    int32_t tokens_after = 0;
    int32_t tokens_scored = 0;   // of the target
    double kl = 0;               // KL(full || method), mean of the scored tokens
    double kl_first = 0;         // of the first of them
    double top1_agreement = 0;   // share of scored tokens for which both hold the same one the likeliest
    double exact_match = 0;      // 1 if the likeliest token was the target's everywhere, else 0
    double loss = 0;             // on the target's tokens, mean
    double full_exact_match = 0; // what full recompute has on the same row
    double full_loss = 0;
    int32_t tokens_encoded = 0;
    double milliseconds = 0; // of bringing the cache from the one prompt to the other

    bool failed() const { return !failure.empty(); }
};

std::string measurement_line(const Measurement& measurement);
// Errors: corrupt; the message begins with `place`.
Result<Measurement> parse_measurement(std::string_view line, const std::string& place);

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
