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

struct UnfinishedFile;

// What may be read: from a pipe or a device a reader may wait for ever.
enum class FileKind { any, regular };

// Who may read what is made: as the umask says, or nobody but its owner.
enum class FileAccess { shared, owner_only };

// The whole file; too_large beyond `size_bytes_max`.
Result<std::string> read_file(const std::filesystem::path& path, uint64_t size_bytes_max,
                              FileKind kind = FileKind::any);

Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view content,
                               FileAccess access = FileAccess::shared);

// With its parents; a folder that is there already is fine, and keeps its access.
Result<void> create_folder(const std::filesystem::path& path, FileAccess access = FileAccess::shared);

// Renames within a file system, and makes the new name last through a power cut.
Result<void> move_into_place(const std::filesystem::path& from, const std::filesystem::path& to);

// Of a file that is there; otherwise 0.
uint64_t file_size_or_zero(const std::filesystem::path& path);

// Whether a folder's disk has room for so much more. Errors: io, with `way_out` as what else can be done
// about it; where the system does not tell, none.
Result<void> check_free_space(const std::filesystem::path& folder, uint64_t needed_bytes,
                              std::string_view way_out);

// "cannot `action` 'path': reason", from an errno.
Error file_error(std::string_view action, const std::filesystem::path& path, int error_number);

// Why, of such an error, without the path, for whom that does not concern; empty: it is another error.
std::string_view file_error_reason(const Error& error);

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
    static Result<FileReader> open(const std::filesystem::path& path, FileKind kind = FileKind::any);
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
    friend Result<UnfinishedFile> create_unfinished(const std::filesystem::path&, FileAccess);

    std::filesystem::path path_;
    Descriptor descriptor_;
};

// How the names of unfinished files end; a process that is killed leaves its own.
inline constexpr std::string_view unfinished_suffix = ".partial";

// A file that is to be moved into its place once it is whole.
struct UnfinishedFile {
    std::filesystem::path path;
    FileWriter writer;
};

// Beside `place`, under a name that nobody has: what a stranger put there is not written to.
Result<UnfinishedFile> create_unfinished(const std::filesystem::path& place, FileAccess access);

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
