#pragma once

// Asks a server for a streamed completion and takes the times on the client's side, as an editor would see
// them. Each request has a connection of its own, as with editors' plugins.
//
// Thread rule: one thread at a time.

#include <pie/result.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace pie {

struct ServedAnswer {
    std::string text;
    double first_ms = 0; // from sending to the first event with text; to the end where there is no text
    double total_ms = 0;
    double prompt_ms = 0; // as the server tells: of the prompt alone
    int32_t tokens_context = 0;
    int32_t tokens_encoded = 0;
    int32_t tokens_kept = 0;
    int32_t tokens_written = 0;
    bool exact = false; // the server says that its cache holds what a full recompute would
};

// Reads the events of a stream as they come in, in pieces of any size.
class EventReader {
  public:
    // Errors: internal (the server reports a failure, or sends no JSON).
    Result<void> read(std::string_view bytes);

    bool has_text() const { return !answer_.text.empty(); }
    bool is_complete() const { return is_complete_; }
    const ServedAnswer& answer() const { return answer_; }

  private:
    Result<void> take(std::string_view data);

    std::string rest_;
    ServedAnswer answer_;
    bool is_complete_ = false;
};

class ServerClient {
  public:
    ServerClient(std::string name, int port) : name_(std::move(name)), port_(port) {}

    // Polls interrupted() while it waits. Errors: internal, cancelled.
    Result<ServedAnswer> ask(const std::string& path, const std::string& body) const;
    // Whether the server answers /health, and is done with loading.
    bool is_ready() const;
    // Whether it says of its caches that they are not exact, and so has work to do while nobody asks.
    bool is_healing() const;

  private:
    std::string name_; // of the server, for messages
    int port_;
};

} // namespace pie
