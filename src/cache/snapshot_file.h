#pragma once

// The file format of snapshots: a header, then sections of bytes, each compressed with zstd and preceded by
// its size in the file and its checksum (XXH3). The checksums also depend on the header and on the place in
// the file, so that sections of different files, or in another order, are no snapshot. All numbers are little
// endian.
//
// A writer or reader belongs to one thread.

#include "base/files.h"

#include <pie/result.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace pie {

struct SnapshotHeader {
    std::array<char, 8> magic = {'p', 'i', 'e', '-', 'k', 'v', '\r', '\n'};
    uint32_t version = 3; // a new one for every change of what a file, or a key in it, means
    uint32_t type_k = 0;  // a ggml_type
    uint32_t type_v = 0;
    uint32_t n_layer = 0;
    uint32_t n_embd_kv = 0;
    uint32_t n_logits = 0;
    uint64_t n_tokens = 0;
    std::array<char, 64> model = {}; // its fingerprint
    uint64_t checksum = 0;           // of what stands before it
};
static_assert(sizeof(SnapshotHeader) == 112, "a header lies in the file as in memory");

// Writes under a temporary name in the same folder; finish() puts the file in its place, and without it
// nothing remains.
class SnapshotWriter {
  public:
    static Result<SnapshotWriter> open(const std::filesystem::path& path, SnapshotHeader header);

    Result<void> write(std::span<const char> section);
    Result<void> finish();

  private:
    // Gone with its owner, unless it was moved into its place.
    class UnfinishedName {
      public:
        explicit UnfinishedName(std::filesystem::path path) : path_(std::move(path)) {}
        UnfinishedName(UnfinishedName&& other) noexcept : path_(std::exchange(other.path_, {})) {}
        UnfinishedName& operator=(UnfinishedName&&) = delete;
        ~UnfinishedName();

        const std::filesystem::path& path() const { return path_; }

      private:
        std::filesystem::path path_;
    };

    SnapshotWriter(const std::filesystem::path& path, UnfinishedFile file);

    std::filesystem::path path_;
    UnfinishedName unfinished_;
    FileWriter file_;
    uint64_t seed_ = 0; // of the next section's checksum
    std::vector<char> compressed_;
};

class SnapshotReader {
  public:
    // Errors: those of load_snapshot that need no cache.
    static Result<SnapshotReader> open(const std::filesystem::path& path);

    const SnapshotHeader& header() const { return header_; }
    // The next section, which must have this size.
    Result<void> read(std::span<char> section);
    Result<void> finish(); // there is nothing behind the last section

  private:
    SnapshotReader(std::filesystem::path path, FileReader file)
        : path_(std::move(path)), file_(std::move(file)) {}

    Result<void> read_header();
    Result<void> read_bytes(std::span<char> bytes);

    std::filesystem::path path_;
    FileReader file_;
    SnapshotHeader header_;
    uint64_t seed_ = 0;
    std::vector<char> compressed_;
};

// "snapshot 'path' is damaged: what; delete it, and the text is encoded anew"
tl::unexpected<Error> fail_damaged(const std::filesystem::path& path, std::string_view what);

} // namespace pie
