#include "base/files.h"

#include "base/interrupt.h"
#include "base/units.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

namespace pie {
namespace {

std::string reason_of(int error_number) {
    switch (error_number) {
    case ENOSPC:
    case EDQUOT:
        return "the disk is full; free some space and try again";
    case EFBIG:
        return "the file would exceed the size limit of this shell (see 'ulimit -f')";
    case EACCES:
    case EPERM:
        return "no permission; check who owns it";
    case EROFS:
        return "the file system is read-only";
    default:
        return std::generic_category().message(error_number);
    }
}

ErrorCode code_of(int error_number) {
    return error_number == ENOENT ? ErrorCode::not_found : ErrorCode::io;
}

tl::unexpected<Error> fail_file(std::string_view action, const std::filesystem::path& path,
                                int error_number) {
    return tl::unexpected<Error>(file_error(action, path, error_number));
}

mode_t file_mode(FileAccess access) {
    return access == FileAccess::owner_only ? 0600 : 0666;
}

int open_retrying(const std::filesystem::path& path, int flags, FileAccess access = FileAccess::shared) {
    int number = -1;
    do {
        number = ::open(path.c_str(), flags | O_CLOEXEC, file_mode(access));
    } while (number < 0 && errno == EINTR);
    return number;
}

// Makes a rename last: the folder that holds the name is flushed too. A file system that cannot is not at
// fault.
void flush_folder(const std::filesystem::path& folder) {
    const Descriptor descriptor(open_retrying(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY));
    if (descriptor.number() >= 0) {
        fsync(descriptor.number());
    }
}

bool is_regular(int descriptor) {
    struct stat status = {};
    return ::fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

Result<void> create_private_folders(const std::filesystem::path& path) {
    std::filesystem::path made;
    for (const std::filesystem::path& name : path) {
        made /= name;
        if (::mkdir(made.c_str(), 0700) != 0 && errno != EEXIST) {
            return fail_file("create the folder", path, errno);
        }
    }
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
        return fail_file("create the folder", path, ENOTDIR);
    }
    return {};
}

} // namespace

Error file_error(std::string_view action, const std::filesystem::path& path, int error_number) {
    return Error{code_of(error_number),
                 fmt::format("cannot {} '{}': {}", action, path.string(), reason_of(error_number))};
}

std::string_view file_error_reason(const Error& error) {
    constexpr std::string_view behind_path = "': ";
    const std::string_view message = error.message;
    const size_t found = message.rfind(behind_path);
    return found == std::string_view::npos ? "" : message.substr(found + behind_path.size());
}

Descriptor::~Descriptor() {
    if (number_ >= 0) {
        ::close(number_);
    }
}

Result<FileReader> FileReader::open(const std::filesystem::path& path, FileKind kind) {
    FileReader reader;
    reader.path_ = path;
    // A pipe is opened without waiting for its writer.
    reader.descriptor_ =
        Descriptor(open_retrying(path, O_RDONLY | (kind == FileKind::regular ? O_NONBLOCK : 0)));
    if (reader.descriptor_.number() < 0) {
        return fail_file("read", path, errno);
    }
    if (kind == FileKind::regular && !is_regular(reader.descriptor_.number())) {
        return fail(ErrorCode::io, fmt::format("cannot read '{}': it is no regular file", path.string()));
    }
    return reader;
}

Result<size_t> FileReader::read(char* buffer, size_t size_bytes) {
    ssize_t count = -1;
    do {
        count = ::read(descriptor_.number(), buffer, size_bytes);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        return fail_file("read", path_, errno);
    }
    return static_cast<size_t>(count);
}

Result<FileWriter> FileWriter::open(const std::filesystem::path& path, WriteFrom from) {
    FileWriter writer;
    writer.path_ = path;
    writer.descriptor_ =
        Descriptor(open_retrying(path, O_WRONLY | O_CREAT | (from == WriteFrom::start ? O_TRUNC : O_APPEND)));
    if (writer.descriptor_.number() < 0) {
        return fail_file("write", path, errno);
    }
    return writer;
}

Result<void> FileWriter::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(descriptor_.number(), bytes.data(), bytes.size());
        if (count < 0 && errno != EINTR) {
            return fail_file("write", path_, errno);
        }
        bytes.remove_prefix(count < 0 ? 0 : static_cast<size_t>(count));
    }
    return {};
}

Result<void> FileWriter::close() {
    // EINVAL: a device or pipe, which has nothing to flush.
    if (fsync(descriptor_.number()) != 0 && errno != EINVAL && errno != EROFS) {
        return fail_file("write", path_, errno);
    }
    if (::close(descriptor_.release()) != 0) {
        return fail_file("write", path_, errno);
    }
    return {};
}

Result<std::string> read_file(const std::filesystem::path& path, uint64_t size_bytes_max, FileKind kind) {
    PIE_ASSIGN(FileReader reader, FileReader::open(path, kind));
    std::string content;
    constexpr size_t chunk_bytes = size_t{1} << 16;
    while (true) {
        const size_t size_before = content.size();
        content.resize(size_before + chunk_bytes);
        PIE_ASSIGN(const size_t count, reader.read(content.data() + size_before, chunk_bytes));
        content.resize(size_before + count);
        if (count == 0) {
            return content;
        }
        if (content.size() > size_bytes_max) {
            return fail(ErrorCode::too_large, fmt::format("'{}' is larger than the {} that are read",
                                                          path.string(), format_bytes(size_bytes_max)));
        }
    }
}

Result<UnfinishedFile> create_unfinished(const std::filesystem::path& place, FileAccess access) {
    static std::atomic<uint64_t> count = 0;
    constexpr int tries_max = 1000; // killed processes of the same number may have left some
    for (int i = 0; i < tries_max; ++i) {
        UnfinishedFile file;
        file.path = fmt::format("{}.{}.{}{}", place.string(), getpid(), ++count, unfinished_suffix);
        file.writer.path_ = file.path;
        file.writer.descriptor_ = Descriptor(open_retrying(file.path, O_WRONLY | O_CREAT | O_EXCL, access));
        if (file.writer.descriptor_.number() >= 0) {
            return file;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    return fail_file("write", place, errno);
}

Result<void> write_file_atomic(const std::filesystem::path& path, std::string_view content,
                               FileAccess access) {
    PIE_ASSIGN(UnfinishedFile file, create_unfinished(path, access));
    const auto write_whole = [&]() -> Result<void> {
        PIE_TRY(file.writer.write(content));
        PIE_TRY(file.writer.close());
        return move_into_place(file.path, path);
    };
    auto written = write_whole();
    if (!written) {
        ::unlink(file.path.c_str());
    }
    return written;
}

Result<void> create_folder(const std::filesystem::path& path, FileAccess access) {
    if (access == FileAccess::owner_only) {
        return create_private_folders(path);
    }
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) {
        return fail_file("create the folder", path, error.value());
    }
    return {};
}

uint64_t file_size_or_zero(const std::filesystem::path& path) {
    std::error_code error;
    const uintmax_t size_bytes = std::filesystem::file_size(path, error);
    return error ? 0 : size_bytes;
}

Result<void> check_free_space(const std::filesystem::path& folder, uint64_t needed_bytes,
                              std::string_view way_out) {
    std::error_code error;
    const uint64_t free_bytes = std::filesystem::space(folder, error).available;
    if (error || needed_bytes <= free_bytes) {
        return {};
    }
    return fail(ErrorCode::io,
                fmt::format("it takes {} in '{}', where {} are free; free some space, or {}",
                            format_bytes(needed_bytes), folder.string(), format_bytes(free_bytes), way_out));
}

Result<void> move_into_place(const std::filesystem::path& from, const std::filesystem::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) {
        return fail_file("write", to, errno);
    }
    flush_folder(to.parent_path());
    return {};
}

Result<FileLock> FileLock::acquire(const std::filesystem::path& path, const std::function<void()>& on_wait) {
    FileLock lock;
    lock.descriptor_ = Descriptor(open_retrying(path, O_RDWR | O_CREAT));
    if (lock.descriptor_.number() < 0) {
        return fail_file("lock", path, errno);
    }
    bool told = false;
    while (::flock(lock.descriptor_.number(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return fail_file("lock", path, errno);
        }
        if (interrupted()) {
            return fail_interrupted("nothing was changed");
        }
        if (!std::exchange(told, true)) {
            on_wait();
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return lock;
}

} // namespace pie
