#pragma once

// The HTTP server: llama-server's endpoints, OpenAI's, and live documents, on one model.
//
// Thread rule: start, stop and the destructor belong to one thread. Requests are served on threads of the
// server's own, which wait for the model's.

#include "server/access.h"

#include <pie/model.h>
#include <pie/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pie {

struct ServerState;

struct ServerOptions {
    std::string host = "127.0.0.1";
    int port = 8012; // where llama.vim looks for llama-server; 0: any that is free
    ApiKey api_key = {};
    bool insecure = false;                       // may listen to other machines without a key
    std::vector<std::string> allowed_hosts = {}; // names beside this machine's own that need no key
    std::string cors_origin = {};                // a web page's, or "*"; empty: no page may use the server
    std::string model_name = {};                 // as clients are told
    int32_t n_predict_max = 256;                 // of ModelOptions
    size_t sessions_max = 64;                    // for requests that name none
    size_t documents_max = 256;                  // live ones
    size_t requests_max = 64;     // for completions, that are served or wait; one more is refused
    size_t connections_max = 128; // each has a thread while it lasts, half of which may wait for requests
    size_t body_bytes_max = 16'000'000;
    size_t bodies_bytes_max = 128'000'000;    // of requests with more than body_bytes_free, at one time
    size_t documents_bytes_max = 128'000'000; // the texts of all live ones
    double record_interval_s = 10;            // between writing down what the sessions' snapshots are of
    int read_timeout_s = 5;                   // between two pieces of a request
    double request_timeout_s = 20;            // for all of it, and a second more for each 100 kB
    int write_timeout_s = 5;
};

// Errors: invalid_argument, where other machines could reach a server that has no key, and that was not
// wanted.
Result<void> check_reach(const ServerOptions& options);

class Server {
  public:
    // Listens from now on; until serve(), every request is answered with 503, "Loading model". Errors: those
    // of check_reach, io (the address cannot be listened on).
    static Result<std::unique_ptr<Server>> listen(ServerOptions options);
    // Once; with this model from now on.
    void serve(Model model);
    // Both.
    static Result<std::unique_ptr<Server>> start(Model model, ServerOptions options);
    ~Server(); // stops
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    int port() const { return port_; }

    // Takes no more requests, cancels those that are served, and waits for their ends.
    void stop();

  private:
    struct Http;
    explicit Server(std::unique_ptr<Http> http);
    Result<void> bind();

    std::unique_ptr<Http> http_;
    std::unique_ptr<ServerState> state_; // null before serve()
    int port_ = 0;
};

} // namespace pie
