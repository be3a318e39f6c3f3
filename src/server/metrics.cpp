#include "server/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace pie {
namespace {

void append_head(std::string& text, const char* name, const char* help, const char* type) {
    fmt::format_to(std::back_inserter(text), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

template <typename T>
void append_value(std::string& text, const char* name, const char* help, const char* type, T value) {
    append_head(text, name, help, type);
    fmt::format_to(std::back_inserter(text), "{} {}\n", name, value);
}

} // namespace

void Metrics::Histogram::add(double seconds) {
    const auto bucket = std::ranges::lower_bound(bucket_seconds, seconds) - bucket_seconds.begin();
    ++counts[static_cast<size_t>(bucket)];
    sum_seconds += seconds;
}

void Metrics::append(std::string& text, const char* name, const char* help, const Histogram& histogram) {
    append_head(text, name, help, "histogram");
    uint64_t total = 0;
    for (size_t i = 0; i < histogram.counts.size(); ++i) {
        total += histogram.counts[i];
        const std::string limit = i < bucket_seconds.size() ? fmt::format("{}", bucket_seconds[i]) : "+Inf";
        fmt::format_to(std::back_inserter(text), "{}_bucket{{le=\"{}\"}} {}\n", name, limit, total);
    }
    fmt::format_to(std::back_inserter(text), "{}_sum {}\n{}_count {}\n", name, histogram.sum_seconds, name,
                   total);
}

void Metrics::count(const ServedRequest& request) {
    const std::lock_guard lock(mutex_);
    ++requests_[{request.endpoint, request.status}];
    if (!request.is_completion) {
        return;
    }
    if (request.tokens_predicted > 0) {
        first_token_.add(request.first_token_milliseconds / 1000);
    }
    completions_.add(request.milliseconds / 1000);
    tokens_kept_ += static_cast<uint64_t>(request.update.tokens_kept);
    tokens_moved_ += static_cast<uint64_t>(request.update.tokens_moved);
    tokens_encoded_ += static_cast<uint64_t>(request.update.tokens_encoded);
    tokens_predicted_ += request.tokens_predicted;
    encode_seconds_ += request.update.milliseconds / 1000;
    predict_seconds_ += request.predicted_milliseconds / 1000;
}

std::string Metrics::text(const ServerGauges& gauges) const {
    const std::lock_guard lock(mutex_);
    std::string text;
    append_head(text, "pie_requests_total", "Requests answered.", "counter");
    for (const auto& [key, count] : requests_) {
        fmt::format_to(std::back_inserter(text), "pie_requests_total{{endpoint=\"{}\",status=\"{}\"}} {}\n",
                       key.first, key.second, count);
    }
    append_value(text, "pie_tokens_kept_total", "Prompt tokens served from caches.", "counter", tokens_kept_);
    append_value(text, "pie_tokens_moved_total", "Kept tokens whose position changed.", "counter",
                 tokens_moved_);
    append_value(text, "pie_tokens_encoded_total", "Prompt tokens encoded.", "counter", tokens_encoded_);
    append_value(text, "pie_tokens_predicted_total", "Tokens written.", "counter", tokens_predicted_);
    append_value(text, "pie_encode_seconds_total", "Time spent on prompts.", "counter", encode_seconds_);
    append_value(text, "pie_predict_seconds_total", "Time spent on writing.", "counter", predict_seconds_);
    append(text, "pie_first_token_seconds", "From the text's arrival at the model to the first token.",
           first_token_);
    append(text, "pie_completion_seconds", "From the request to the whole answer.", completions_);
    append_value(text, "pie_requests_waiting", "Requests that are served or wait.", "gauge",
                 gauges.requests_waiting);
    append_value(text, "pie_sessions", "Sessions for requests that name none.", "gauge", gauges.sessions);
    append_value(text, "pie_documents", "Live documents.", "gauge", gauges.documents);
    append_value(text, "pie_tokens_cached", "Tokens in the sessions' caches.", "gauge", gauges.tokens_cached);
    append_value(text, "pie_tokens_exact", "Of them, what a full recompute would hold.", "gauge",
                 gauges.tokens_exact);
    append_value(text, "pie_cache_bytes", "Memory that the caches of all sessions take.", "gauge",
                 gauges.memory.cache_bytes);
    append_value(text, "pie_cache_session_bytes_max", "Of it, what a session with a full context takes.",
                 "gauge", gauges.memory.session_bytes_max);
    append_value(text, "pie_compute_bytes", "Memory that batches are computed in.", "gauge",
                 gauges.memory.compute_bytes);
    return text;
}

} // namespace pie
