#pragma once

// SHA-256, by OpenSSL. One Sha256 belongs to one thread and gives its digest once.

#include <pie/result.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace pie {

class Sha256 {
  public:
    Sha256();

    void update(std::string_view bytes);
    std::string hex_digest(); // 64 lower-case digits; ends this digest

  private:
    struct ContextDeleter {
        void operator()(evp_md_ctx_st* context) const;
    };
    std::unique_ptr<evp_md_ctx_st, ContextDeleter> context_;
};

// Of a whole file. `on_bytes` hears how many bytes were read so far. Polls interrupted().
Result<std::string> sha256_of_file(const std::filesystem::path& path,
                                   const std::function<void(uint64_t)>& on_bytes = {});

} // namespace pie
