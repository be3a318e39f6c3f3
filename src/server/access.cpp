#include "server/access.h"

#include "base/files.h"
#include "base/sha256.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace pie {
namespace {

constexpr uint64_t key_bytes_max = 4096;

std::string digest_of(std::string_view text) {
    Sha256 sha;
    sha.update(text);
    return sha.hex_digest();
}

} // namespace

bool is_loopback(std::string_view host) {
    if (host == "localhost" || host == "::1") {
        return true;
    }
    in_addr address{};
    const bool is_v4 = inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
    return is_v4 && (ntohl(address.s_addr) >> 24U) == 127;
}

ApiKey::ApiKey(std::string_view key) : digest_(key.empty() ? std::string() : digest_of(key)) {}

Result<ApiKey> ApiKey::from_file(const std::filesystem::path& path) {
    PIE_ASSIGN(const std::string text, text_in_file(path));
    return ApiKey(text);
}

Result<std::string> ApiKey::text_in_file(const std::filesystem::path& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("others may read the API key in '{}'; run 'chmod 600' on it", path.string()));
    }
    PIE_ASSIGN(const std::string content, read_file(path, key_bytes_max));
    std::string key = content.substr(0, content.find_first_of("\r\n"));
    if (key.empty()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the first line of '{}' is empty; it must be the API key", path.string()));
    }
    return key;
}

bool ApiKey::matches(std::string_view presented) const {
    // Digests have one length, so the time tells nothing of the key's either.
    const std::string digest = digest_of(presented);
    return digest.size() == digest_.size() &&
           CRYPTO_memcmp(digest.data(), digest_.data(), digest.size()) == 0;
}

std::string_view name_of_host(std::string_view host_header) {
    if (host_header.starts_with('[')) {
        const size_t end = host_header.find(']');
        return host_header.substr(1, end == std::string_view::npos ? 0 : end - 1);
    }
    return host_header.substr(0, host_header.find(':'));
}

bool is_local_name(std::string_view host_header) {
    return is_loopback(name_of_host(host_header)) || host_header.empty();
}

bool is_host(std::string_view host_header, const std::vector<std::string>& names) {
    return std::ranges::find(names, name_of_host(host_header)) != names.end();
}

} // namespace pie
