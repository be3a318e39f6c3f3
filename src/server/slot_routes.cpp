// Endpoints of the sessions that requests without a name are served from: what they are at, and their caches
// as files that clients name.

#include "base/elapsed.h"
#include "base/files.h"
#include "server/exchange.h"
#include "server/json_fields.h"
#include "server/slot_records.h"

#include <fmt/format.h>
#include <httplib.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <stop_token>
#include <string>
#include <string_view>

namespace pie {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr size_t name_bytes_max = 200;

json slot_json(const ServerState& state, const SessionPool::SlotState& slot) {
    return {{"id", slot.slot},
            {"n_ctx", state.model.n_ctx()},
            {"is_processing", slot.n_waiting > 0},
            {"requests_waiting", slot.n_waiting},
            {"tokens_cached", slot.stats.tokens},
            {"tokens_exact", slot.stats.tokens_exact},
            {"tokens_bit_exact", slot.stats.tokens_bit_exact},
            {"cache_bytes", slot.stats.cache_bytes}};
}

void slots(Exchange& exchange) {
    json answer = json::array();
    for (const auto& slot : exchange.state.pool.slots()) {
        answer.push_back(slot_json(exchange.state, slot));
    }
    exchange.answer(answer.dump());
}

// A file of a client's must not leave its folder, hide in it, or surprise whoever lists it.
bool is_plain_name(std::string_view name) {
    const auto is_bad = [](char c) {
        return c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    };
    return !name.empty() && name.size() <= name_bytes_max && name.front() != '.' &&
           std::ranges::none_of(name, is_bad);
}

Result<std::string> read_name(std::string_view body) {
    PIE_ASSIGN(const json object, parse_json_object(body));
    JsonFields fields(object);
    std::string name;
    fields.string("filename", name);
    if (!is_plain_name(name)) {
        fields.fail(
            ErrorCode::invalid_argument, "filename",
            fmt::format("must be the name of a file, without folders, of at most {} bytes that do not "
                        "begin with a dot",
                        name_bytes_max));
    }
    PIE_TRY(fields.result());
    return name;
}

// A saved slot: its cache, and what that is of. Apart from the model's own snapshots, which come and go.
struct SavedSlot {
    std::filesystem::path cache;
    std::filesystem::path content;
};

SavedSlot saved_slot(const ServerState& state, const std::string& name) {
    const auto folder = state.model.snapshot_folder() / "saved";
    return {folder / "caches" / name, folder / "contents" / name};
}

// What is wrong with a file, without the paths of this machine, which the log has.
template <typename T>
Result<T> told(Result<T> result) {
    if (result) {
        return result;
    }
    const Error& error = result.error();
    spdlog::info("a saved slot: {}", error.message);
    switch (error.code) {
    case ErrorCode::not_found:
        return fail(error.code, "there is no saved slot of this name");
    case ErrorCode::corrupt:
        return fail(ErrorCode::invalid_argument, "the file is damaged, or no saved slot; save it again");
    case ErrorCode::unsupported:
        return fail(ErrorCode::invalid_argument, "the file is of another version of pie; save it again");
    case ErrorCode::invalid_argument:
        return fail(error.code, "the slot was saved with another model, or another type of cache");
    case ErrorCode::too_large:
        return fail(ErrorCode::invalid_argument,
                    "the slot was saved with a larger context than this server's");
    default:
        return result;
    }
}

Result<json> save(ServerState& state, int32_t slot, const std::string& name) {
    const SavedSlot files = saved_slot(state, name);
    PIE_ASSIGN(auto lease, state.pool.acquire_slot(slot, SessionPool::Missing::refuse, std::stop_source()));
    const auto start = Clock::now();
    for (const auto& path : {files.cache.parent_path(), files.content.parent_path()}) {
        PIE_TRY(create_folder(path, FileAccess::owner_only));
    }
    PIE_ASSIGN(const SavedCache saved, lease.session().save(files.cache));
    PIE_TRY(write_content(files.content, lease.content()));
    return json{{"id_slot", slot},
                {"filename", name},
                {"n_saved", saved.tokens},
                {"n_written", saved.bytes},
                {"timings", {{"save_ms", milliseconds_since(start)}}}};
}

Result<json> restore(ServerState& state, int32_t slot, const std::string& name) {
    const SavedSlot files = saved_slot(state, name);
    PIE_ASSIGN(PromptContent content, told(read_content(files.content)));
    PIE_ASSIGN(auto lease, state.pool.acquire_slot(slot, SessionPool::Missing::make, std::stop_source()));
    const auto start = Clock::now();
    PIE_ASSIGN(const SavedCache restored, told(lease.session().restore(files.cache)));
    lease.set_content(std::move(content));
    return json{{"id_slot", slot},
                {"filename", name},
                {"n_restored", restored.tokens},
                {"n_read", restored.bytes},
                {"timings", {{"restore_ms", milliseconds_since(start)}}}};
}

Result<json> erase(ServerState& state, int32_t slot) {
    PIE_ASSIGN(Session session, state.pool.session_of(slot));
    const int32_t n_erased = session.stats().tokens;
    session.forget();
    return json{{"id_slot", slot}, {"n_erased", n_erased}};
}

Result<int32_t> read_slot(const std::string& number) {
    int32_t slot = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), slot);
    if (error != std::errc() || end != number.data() + number.size()) {
        return fail(ErrorCode::invalid_argument, "a slot is a number");
    }
    return slot;
}

Result<json> change_slot(Exchange& exchange) {
    ServerState& state = exchange.state;
    PIE_ASSIGN(const int32_t slot, read_slot(exchange.request.path_params.at("slot")));
    const std::string action = exchange.request.get_param_value("action");
    if (action == "erase") {
        return erase(state, slot);
    }
    if (action != "save" && action != "restore") {
        return fail(ErrorCode::invalid_argument, "the action is none of save, restore and erase");
    }
    if (state.model.snapshot_folder().empty()) {
        return fail(ErrorCode::unsupported,
                    "slots are saved and restored by a server that was started with --snapshots FOLDER");
    }
    PIE_ASSIGN(const std::string name, exchange.parse(read_name));
    return action == "save" ? save(state, slot, name) : restore(state, slot, name);
}

void answer_slot(Exchange& exchange) {
    const auto changed = change_slot(exchange);
    if (changed) {
        exchange.answer(changed->dump());
    } else if (const auto reason = file_error_reason(changed.error());
               changed.error().code == ErrorCode::io && !reason.empty()) {
        // Without the paths of this machine, which the log has.
        spdlog::error("a slot's file: {}", changed.error().message);
        exchange.fail(500, error_json(500, fmt::format("the slot's file cannot be used: {}", reason)));
    } else {
        exchange.fail(changed.error());
    }
}

} // namespace

void add_slot_routes(httplib::Server& server, ServerState& state) {
    add_route(server, state, Method::get, "/slots", "/slots", slots);
    add_route(server, state, Method::post, "/slots/:slot", "/slots", answer_slot);
}

} // namespace pie
