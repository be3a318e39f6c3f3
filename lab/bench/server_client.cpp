#include "bench/server_client.h"

#include "base/elapsed.h"
#include "base/interrupt.h"

#include <fmt/format.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>

namespace pie {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr int wait_s_max = 600; // for the first byte: a long prompt on a slow machine
constexpr size_t shown_bytes_max = 300;

void stop_if_interrupted(httplib::Client& client, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
        if (interrupted()) {
            client.stop();
        }
        never.wait_for(lock, stop, std::chrono::milliseconds(20), [] { return false; });
    }
}

} // namespace

Result<void> EventReader::take(std::string_view data) {
    if (data == "[DONE]") {
        return {};
    }
    const Json event = Json::parse(data, nullptr, false);
    if (!event.is_object() || event.contains("error")) {
        return fail(ErrorCode::internal, std::string(data.substr(0, shown_bytes_max)));
    }
    try {
        answer_.text += event.value("content", "");
        if (!event.value("stop", false)) {
            return {};
        }
        is_complete_ = true;
        const Json& timings = event.at("timings");
        answer_.tokens_encoded = timings.at("prompt_n");
        answer_.tokens_kept = timings.at("cache_n");
        answer_.tokens_written = timings.at("predicted_n");
        answer_.prompt_ms = timings.at("prompt_ms");
        answer_.tokens_context = answer_.tokens_encoded + answer_.tokens_kept;
        if (event.contains("reuse")) {
            answer_.tokens_context = event.at("reuse").at("tokens_context");
            answer_.tokens_encoded += event.at("reuse").at("tokens_ahead").get<int32_t>();
            answer_.exact = event.at("reuse").at("exact");
        }
    } catch (const Json::exception&) {
        return fail(ErrorCode::internal,
                    fmt::format("an event without timings: {}", data.substr(0, shown_bytes_max)));
    }
    return {};
}

Result<void> EventReader::read(std::string_view bytes) {
    constexpr std::string_view start = "data: ";
    rest_ += bytes;
    for (size_t end = 0; (end = rest_.find("\n\n")) != std::string::npos;) {
        const std::string event = rest_.substr(0, end);
        rest_.erase(0, end + 2);
        if (event.starts_with(start)) {
            PIE_TRY(take(std::string_view(event).substr(start.size())));
        }
    }
    return {};
}

Result<ServedAnswer> ServerClient::ask(const std::string& path, const std::string& body) const {
    httplib::Client client("127.0.0.1", port_);
    client.set_read_timeout(wait_s_max);
    EventReader events;
    Result<void> heard;
    double first_ms = 0;
    std::string plain; // of an answer that is no stream
    // While the server computes, no byte comes, so somebody else has to look for Ctrl-C.
    const std::jthread watch([&client](const std::stop_token& stop) { stop_if_interrupted(client, stop); });
    const auto start = Clock::now();
    const auto result =
        client.Post(path, httplib::Headers{}, body, "application/json", [&](const char* bytes, size_t n) {
            plain.append(bytes, std::min(n, shown_bytes_max - plain.size()));
            heard = events.read({bytes, n});
            if (first_ms == 0 && events.has_text()) {
                first_ms = milliseconds_since(start);
            }
            return heard.has_value();
        });
    const double total_ms = milliseconds_since(start);
    if (interrupted()) {
        return fail_interrupted("what is in the results stays there");
    }
    if (!heard || !result || result->status != 200 || !events.is_complete()) {
        return fail(ErrorCode::internal,
                    fmt::format("{} did not answer {}: {}", name_, path,
                                !heard   ? heard.error().message
                                : result ? fmt::format("status {} {}", result->status, plain)
                                         : httplib::to_string(result.error())));
    }
    ServedAnswer answer = events.answer();
    answer.total_ms = total_ms;
    answer.first_ms = first_ms == 0 ? total_ms : first_ms;
    return answer;
}

bool ServerClient::is_ready() const {
    httplib::Client client("127.0.0.1", port_);
    const auto result = client.Get("/health");
    return result && result->status == 200;
}

bool ServerClient::is_healing() const {
    httplib::Client client("127.0.0.1", port_);
    const auto result = client.Get("/slots");
    const Json slots = result ? Json::parse(result->body, nullptr, false) : Json();
    return slots.is_array() && std::ranges::any_of(slots, [](const Json& slot) {
               return slot.is_object() && slot.value("tokens_exact", 0) < slot.value("tokens_cached", 0);
           });
}

} // namespace pie
