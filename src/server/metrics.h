#pragma once

// Counts what was served, and tells it to Prometheus in its text format.
//
// Thread rule: any thread.

#include <pie/completion.h>
#include <pie/model.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace pie {

// One request that was answered.
struct ServedRequest {
    std::string endpoint; // a route's pattern, not what the client sent
    int status = 0;
    double milliseconds = 0;
    bool is_completion = false; // the rest is of one
    UpdateReport update = {};
    double first_token_milliseconds = 0; // from the beginning of the update
    double predicted_milliseconds = 0;
    size_t tokens_predicted = 0;
    int32_t slot = -1;
};

// What is read when somebody asks.
struct ServerGauges {
    size_t requests_waiting = 0;
    size_t sessions = 0;
    size_t documents = 0;
    size_t tokens_cached = 0;
    size_t tokens_exact = 0; // of them
    MemoryUse memory;
};

class Metrics {
  public:
    void count(const ServedRequest& request);
    std::string text(const ServerGauges& gauges) const;

  private:
    static constexpr std::array bucket_seconds = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0};

    struct Histogram {
        std::array<uint64_t, bucket_seconds.size() + 1> counts{};
        double sum_seconds = 0;
        void add(double seconds);
    };
    static void append(std::string& text, const char* name, const char* help, const Histogram& histogram);

    mutable std::mutex mutex_;
    std::map<std::pair<std::string, int>, uint64_t> requests_; // by endpoint and status
    Histogram first_token_;
    Histogram completions_;
    uint64_t tokens_kept_ = 0;
    uint64_t tokens_moved_ = 0;
    uint64_t tokens_encoded_ = 0;
    uint64_t tokens_predicted_ = 0;
    double encode_seconds_ = 0;
    double predict_seconds_ = 0;
};

} // namespace pie
