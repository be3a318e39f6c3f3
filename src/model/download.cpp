#include "model/download.h"

#include "base/files.h"
#include "base/interrupt.h"
#include "base/units.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

namespace pie {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

// A connection over which nothing comes for this long is broken.
constexpr std::chrono::seconds stall_timeout(30);
constexpr int attempts_max = 4;
constexpr size_t listing_bytes_max = size_t{16} << 20;
constexpr long receive_buffer_bytes = 256L << 10;

struct CurlDeleter {
    void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

// One request and what came of it.
struct Request {
    std::unique_ptr<CURL, CurlDeleter> curl;
    std::array<char, CURL_ERROR_SIZE> detail{};
    CURLcode code = CURLE_OK;

    long status() const {
        long value = 0;
        curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &value);
        return value;
    }
    std::string reason() const { return detail[0] != '\0' ? detail.data() : curl_easy_strerror(code); }
};

extern "C" {
static int stop_when_interrupted(void* /*user*/, curl_off_t /*down_total*/, curl_off_t /*down_now*/,
                                 curl_off_t /*up_total*/, curl_off_t /*up_now*/) {
    return interrupted() ? 1 : 0;
}
}

Result<Request> make_request(const std::string& url, const HubSettings& settings) {
    static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (url.rfind("http://", 0) != 0 && url.rfind("https://", 0) != 0) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("HF_ENDPOINT '{}' is not an http:// or https:// address", settings.endpoint));
    }
    Request request;
    request.curl.reset(initialised == CURLE_OK ? curl_easy_init() : nullptr);
    CURL* curl = request.curl.get();
    if (curl == nullptr) {
        return fail(ErrorCode::internal, "libcurl cannot be started");
    }
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "pie");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    // Name resolution must not raise SIGALRM in a program that has threads.
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings.connect_timeout.count()));
#if LIBCURL_VERSION_NUM >= 0x075700
    // Where no name server answers, the thread that asks it is left alone after the time limit, not waited
    // for.
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
#endif
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(stall_timeout.count()));
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, receive_buffer_bytes);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, stop_when_interrupted);
    if (!settings.token.empty()) {
        // As a bearer token, not as a header of ours: libcurl keeps it from the hosts that a hub redirects
        // to.
        curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, settings.token.c_str());
    }
    return request;
}

void perform(Request& request) {
    // Here, not where the request is made: the buffer moves with the Request until then.
    curl_easy_setopt(request.curl.get(), CURLOPT_ERRORBUFFER, request.detail.data());
    request.code = curl_easy_perform(request.curl.get());
}

// `what` is what was asked for, as in "the file 'a.gguf' of 'user/name'".
Error refusal(const Request& request, const std::string& what, const HubSettings& settings) {
    const long status = request.status();
    if (request.code != CURLE_HTTP_RETURNED_ERROR) {
        return {ErrorCode::io, fmt::format("{} cannot be reached ({})", settings.endpoint, request.reason())};
    }
    if (status == 404) {
        return {ErrorCode::not_found, fmt::format("{} does not have {}", settings.endpoint, what)};
    }
    if (status == 401 || status == 403) {
        return {ErrorCode::not_found,
                fmt::format("{} does not have {}, or wants a token for it; set HF_TOKEN to one that may "
                            "read it",
                            settings.endpoint, what)};
    }
    return {ErrorCode::io,
            fmt::format("{} answered {} for {}; try again later", settings.endpoint, status, what)};
}

std::string escaped_path(const std::string& path) {
    constexpr std::string_view as_it_is =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
    std::string escaped;
    for (const char c : path) {
        if (as_it_is.find(c) != std::string_view::npos) {
            escaped += c;
        } else {
            escaped += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return escaped;
}

void remove_quietly(const fs::path& path) {
    std::error_code ignored;
    fs::remove(path, ignored);
}

// One transfer on its way into the partial file.
struct Transfer {
    CURL* curl;
    FileWriter writer;
    uint64_t size_bytes;
    uint64_t done_bytes;
    bool size_is_checked;
    bool size_is_wrong;
    std::optional<Error> write_error;
    Progress* progress;
};

extern "C" {
static size_t write_to_partial(char* bytes, size_t /*one*/, size_t count, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    if (!transfer.size_is_checked) {
        curl_off_t announced = -1;
        curl_easy_getinfo(transfer.curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
        transfer.size_is_wrong =
            announced >= 0 && transfer.done_bytes + static_cast<uint64_t>(announced) != transfer.size_bytes;
        transfer.size_is_checked = true;
    }
    transfer.size_is_wrong |= transfer.done_bytes + count > transfer.size_bytes;
    if (transfer.size_is_wrong) {
        return 0;
    }
    if (auto written = transfer.writer.write({bytes, count}); !written) {
        transfer.write_error = std::move(written).error();
        return 0;
    }
    transfer.done_bytes += count;
    transfer.progress->update(transfer.done_bytes);
    return count;
}

static size_t write_to_string(char* bytes, size_t /*one*/, size_t count, void* user) {
    auto& text = *static_cast<std::string*>(user);
    if (text.size() + count > listing_bytes_max) {
        return 0;
    }
    text.append(bytes, count);
    return count;
}
}

enum class Outcome { ended, broken, unresumable }; // ended: all bytes that were announced came

tl::expected<Outcome, FetchError> transfer_rest(const std::string& url, const HubSource& source,
                                                uint64_t size_bytes, const fs::path& partial,
                                                const HubSettings& settings, Progress& progress,
                                                std::string& break_reason) {
    auto request = make_request(url, settings);
    if (!request) {
        return local_fault(request.error());
    }
    const uint64_t kept_bytes = file_size_or_zero(partial);
    if (kept_bytes > size_bytes) {
        return Outcome::unresumable;
    }
    auto writer = FileWriter::open(partial, WriteFrom::end);
    if (!writer) {
        return local_fault(writer.error());
    }
    CURL* curl = request->curl.get();
    Transfer transfer = {curl, *std::move(writer), size_bytes, kept_bytes, false, false, {}, &progress};
    curl_easy_setopt(curl, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(transfer.done_bytes));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write_to_partial);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
    perform(*request);
    if (transfer.write_error) {
        return local_fault(*transfer.write_error);
    }
    if (auto closed = transfer.writer.close(); !closed) {
        return local_fault(closed.error());
    }
    const std::string what = fmt::format("the file '{}' of '{}'", source.file, source.repository);
    switch (request->code) {
    case CURLE_OK:
        return Outcome::ended;
    case CURLE_ABORTED_BY_CALLBACK:
        return local_fault(
            fail_interrupted("what was downloaded is kept, and the next pull goes on from there").value());
    case CURLE_WRITE_ERROR:
        // Another file than the one that a pull began with: what came of it is of no use.
        remove_quietly(partial);
        return source_fault(ErrorCode::corrupt,
                            fmt::format("{} is not of the {} bytes that it should have", what, size_bytes));
    case CURLE_RANGE_ERROR:
        return Outcome::unresumable;
    case CURLE_HTTP_RETURNED_ERROR:
        if (request->status() == 416) {
            return Outcome::unresumable;
        }
        return tl::unexpected<FetchError>({FetchFault::source, refusal(*request, what, settings)});
    default:
        break;
    }
    if (request->status() == 0) {
        return tl::unexpected<FetchError>({FetchFault::source, refusal(*request, what, settings)});
    }
    break_reason = request->reason();
    return Outcome::broken;
}

void pause(milliseconds length) {
    constexpr milliseconds step(50);
    for (; length.count() > 0 && !interrupted(); length -= step) {
        std::this_thread::sleep_for(std::min(length, step));
    }
}

} // namespace

FetchResult fetch_from_hub(const HubSource& source, const CatalogueEntry& entry, const fs::path& partial,
                           const HubSettings& settings, Progress& progress) {
    const uint64_t size_bytes = entry.size_bytes;
    const std::string url =
        fmt::format("{}/{}/resolve/main/{}", settings.endpoint, source.repository, escaped_path(source.file));
    std::string break_reason = "it ended early";
    progress.start(entry.name, ProgressUnit::bytes, size_bytes,
                   std::min(file_size_or_zero(partial), size_bytes));
    for (int attempt = 1; file_size_or_zero(partial) != size_bytes; ++attempt) {
        const uint64_t before_bytes = file_size_or_zero(partial);
        const auto outcome =
            transfer_rest(url, source, size_bytes, partial, settings, progress, break_reason);
        if (!outcome) {
            if (file_size_or_zero(partial) == 0) {
                remove_quietly(partial);
            }
            return tl::unexpected<FetchError>(outcome.error());
        }
        const uint64_t after_bytes = file_size_or_zero(partial);
        if (*outcome == Outcome::unresumable) {
            remove_quietly(partial);
        } else if (after_bytes != size_bytes && (after_bytes == before_bytes || attempt == attempts_max)) {
            return source_fault(
                ErrorCode::io,
                fmt::format("the download broke off at {} ({}); what came is kept, and the next pull "
                            "goes on from there",
                            format_bytes_of(after_bytes, size_bytes), break_reason));
        }
        if (after_bytes != size_bytes) {
            pause(settings.retry_pause);
        }
    }
    progress.finish();
    return {};
}

Result<std::vector<HubFile>> list_hub_files(const std::string& repository, const HubSettings& settings) {
    PIE_ASSIGN(Request request, make_request(fmt::format("{}/api/models/{}/tree/main?recursive=true",
                                                         settings.endpoint, repository),
                                             settings));
    std::string body;
    curl_easy_setopt(request.curl.get(), CURLOPT_WRITEFUNCTION, write_to_string);
    curl_easy_setopt(request.curl.get(), CURLOPT_WRITEDATA, &body);
    perform(request);
    if (request.code == CURLE_ABORTED_BY_CALLBACK) {
        return fail_interrupted("nothing was downloaded");
    }
    if (request.code != CURLE_OK) {
        return tl::unexpected<Error>(
            refusal(request, fmt::format("the repository '{}'", repository), settings));
    }
    try {
        std::vector<HubFile> files;
        for (const auto& node : nlohmann::json::parse(body)) {
            if (node.value("type", "") == "file") {
                const auto stored = node.value("lfs", nlohmann::json::object());
                files.push_back({node.at("path"), node.at("size"), stored.value("oid", "")});
            }
        }
        return files;
    } catch (const nlohmann::json::exception& exception) {
        return fail(ErrorCode::corrupt,
                    fmt::format("the model hub {} gave a file list that cannot be read: {}",
                                settings.endpoint, exception.what()));
    }
}

} // namespace pie
