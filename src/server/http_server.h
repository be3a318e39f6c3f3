#pragma once

// cpp-httplib's server with bounds on clients that send slowly. It gives each connection a thread, and a
// client that drips a byte of its request now and then would keep one for as long as it likes. Here a request
// must have arrived within a time that grows with its bytes alone, and no more than half of the threads wait
// for their clients: where one more would, the one that has waited for longest is closed.
//
// Thread rule: that of httplib::Server.

#include <memory>

namespace httplib {
class Server;
} // namespace httplib

namespace pie {

struct ServerOptions;

std::unique_ptr<httplib::Server> make_http_server(const ServerOptions& options);

} // namespace pie
