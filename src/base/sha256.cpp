#include "base/sha256.h"

#include "base/check.h"
#include "base/files.h"
#include "base/interrupt.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <vector>

namespace pie {

void Sha256::ContextDeleter::operator()(evp_md_ctx_st* context) const {
    EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    PIE_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
              "OpenSSL has no SHA-256");
}

void Sha256::update(std::string_view bytes) {
    PIE_CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "digest after its end");
}

std::string Sha256::hex_digest() {
    std::array<unsigned char, 32> digest{};
    unsigned length = 0;
    PIE_CHECK(EVP_DigestFinal_ex(context_.get(), digest.data(), &length) == 1 && length == digest.size(),
              "digest after its end");
    std::string hex;
    for (const unsigned char byte : digest) {
        hex += fmt::format("{:02x}", byte);
    }
    return hex;
}

Result<std::string> sha256_of_file(const std::filesystem::path& path,
                                   const std::function<void(uint64_t)>& on_bytes) {
    PIE_ASSIGN(FileReader reader, FileReader::open(path));
    Sha256 digest;
    std::vector<char> buffer(size_t{1} << 20);
    uint64_t size_bytes = 0;
    while (true) {
        if (interrupted()) {
            return fail_interrupted("the checksum was not finished");
        }
        PIE_ASSIGN(const size_t count, reader.read(buffer.data(), buffer.size()));
        if (count == 0) {
            return digest.hex_digest();
        }
        digest.update({buffer.data(), count});
        size_bytes += count;
        if (on_bytes) {
            on_bytes(size_bytes);
        }
    }
}

} // namespace pie
