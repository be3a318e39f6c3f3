#pragma once

// Files, with every failure told as an Error that names the file, the reason and the way out. A file written
// here is either whole or not there: it is made under another name, flushed to the disk and then moved into
// place. A reader, writer or lock belongs to one thread.

#include <pie/result.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace pie {

// The whole file; too_large beyond `size_bytes_max`.
Result<std::string> read_file(const std::filesystem::path& path, uint64_t size_bytes_max);

Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view content);

// With its parents; a folder that is there already is fine.
Result<void> create_folder(const std::filesystem::path& path);

// Renames within a file system, and makes the new name last through a power cut.
Result<void> move_into_place(const std::filesystem::path& from, const std::filesystem::path& to);

// Whether a folder's disk has room for so much more. Errors: io, with `way_out` as what else can be done
// about it; where the system does not tell, none.
Result<void> check_free_space(const std::filesystem::path& folder, uint64_t needed_bytes,
                              std::string_view way_out);

// "cannot `action` 'path': reason", from an errno.
Error file_error(std::string_view action, const std::filesystem::path& path, int error_number);

// Owns a file descriptor.
class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~Descriptor();

    int number() const { return number_; }
    int release() { return std::exchange(number_, -1); }

  private:
    int number_ = -1;
};

class FileReader {
  public:
    static Result<FileReader> open(const std::filesystem::path& path);
    Result<size_t> read(char* buffer, size_t size_bytes); // 0 at the end of the file

  private:
    std::filesystem::path path_;
    Descriptor descriptor_;
};

enum class WriteFrom { start, end }; // an empty file, or behind what the file holds

class FileWriter {
  public:
    static Result<FileWriter> open(const std::filesystem::path& path, WriteFrom from);
    Result<void> write(std::string_view bytes);
    Result<void> close(); // flushed to the disk; without it, what was written may be lost in a power cut

  private:
    std::filesystem::path path_;
    Descriptor descriptor_;
};

// Held by one process at a time, for as long as the object lives; the lock goes with the process, however it
// ends.
class FileLock {
  public:
    // Waits until the lock is free, and calls `on_wait` once if it is not free at first. Polls interrupted().
    static Result<FileLock> acquire(const std::filesystem::path& path, const std::function<void()>& on_wait);

  private:
    Descriptor descriptor_;
};

} // namespace pie
