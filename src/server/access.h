#pragma once

// Who may use the server: only this machine, or whoever holds the API key.
//
// Pure functions and values; any thread.

#include <pie/result.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// "localhost", 127.0.0.0/8 or ::1.
bool is_loopback(std::string_view host);

// A key that requests must carry, or none. What it is can be asked of it only by comparing.
class ApiKey {
  public:
    ApiKey() = default;
    explicit ApiKey(std::string_view key);

    // The first line of the file. Errors: not_found, io, invalid_argument (an empty file, or one that others
    // may read).
    static Result<ApiKey> from_file(const std::filesystem::path& path);
    // The same, for who must write it down.
    static Result<std::string> text_in_file(const std::filesystem::path& path);

    bool is_set() const { return !digest_.empty(); }
    // In a time that tells nothing about the key.
    bool matches(std::string_view presented) const;

  private:
    std::string digest_; // SHA-256; empty: no key
};

// Without a key only programs of this machine may reach the server, and a web page that the user visits is
// none of them: a page's name may be made to resolve to 127.0.0.1, so the name that a request came to is
// checked.
bool is_local_name(std::string_view host_header);
// The name in the header Host, without the port.
std::string_view name_of_host(std::string_view host_header);
// Whether it is one of the names.
bool is_host(std::string_view host_header, const std::vector<std::string>& names);

} // namespace pie
