// Endpoints that tell of the server: health, the model, the sessions, metrics.

#include "server/exchange.h"

#include <httplib.h>
#include <nlohmann/json.hpp>

#include <charconv>

namespace pie {
namespace {

using nlohmann::json;

void health(Exchange& exchange) {
    exchange.answer(json{{"status", "ok"}}.dump());
}

void props(Exchange& exchange) {
    const ServerState& state = exchange.state;
    const json settings = json::parse(generation_settings_json(state.model, {}));
    const json answer = {
        {"default_generation_settings", {{"n_ctx", state.model.n_ctx()}, {"params", settings}}},
        {"total_slots", state.options.sessions_max},
        {"model_path", state.options.model_name}, // a name: the machine's paths are nobody's business
        {"modalities", {{"vision", false}, {"audio", false}}},
        {"build_info", "pie " PIE_VERSION},
        {"is_sleeping", false}};
    exchange.answer(answer.dump());
}

void models(Exchange& exchange) {
    const ServerState& state = exchange.state;
    const json model = {{"id", state.options.model_name},
                        {"object", "model"},
                        {"created", 0},
                        {"owned_by", "pie"},
                        {"meta",
                         {{"n_vocab", state.model.vocabulary_size()},
                          {"n_ctx", state.model.n_ctx()},
                          {"fill_in_the_middle", state.model.fills_in_the_middle()}}}};
    exchange.answer(json{{"object", "list"}, {"data", json::array({model})}}.dump());
}

json slot_json(const ServerState& state, const SessionPool::SlotState& slot) {
    return {{"id", slot.slot},
            {"n_ctx", state.model.n_ctx()},
            {"is_processing", slot.n_waiting > 0},
            {"requests_waiting", slot.n_waiting},
            {"tokens_cached", slot.stats.tokens},
            {"tokens_exact", slot.stats.tokens_exact}};
}

void slots(Exchange& exchange) {
    json answer = json::array();
    for (const auto& slot : exchange.state.pool.slots()) {
        answer.push_back(slot_json(exchange.state, slot));
    }
    exchange.answer(answer.dump());
}

void change_slot(Exchange& exchange) {
    const std::string& number = exchange.request.path_params.at("slot");
    int32_t slot = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), slot);
    if (error != std::errc() || end != number.data() + number.size()) {
        exchange.fail({ErrorCode::invalid_argument, "a slot is a number"});
        return;
    }
    if (exchange.request.get_param_value("action") != "erase") {
        exchange.fail({ErrorCode::unsupported,
                       "slots can be erased; with --snapshots they are saved and restored by themselves"});
        return;
    }
    auto session = exchange.state.pool.session_of(slot);
    if (!session) {
        exchange.fail(session.error());
        return;
    }
    const int32_t n_erased = session->stats().tokens;
    session->forget();
    exchange.answer(json{{"id_slot", slot}, {"n_erased", n_erased}}.dump());
}

void metrics(Exchange& exchange) {
    ServerGauges gauges;
    for (const auto& slot : exchange.state.pool.slots()) {
        ++gauges.sessions;
        gauges.requests_waiting += slot.n_waiting;
        gauges.tokens_cached += static_cast<size_t>(slot.stats.tokens);
        gauges.tokens_exact += static_cast<size_t>(slot.stats.tokens_exact);
    }
    gauges.documents = exchange.state.documents.size();
    exchange.answer(exchange.state.metrics.text(gauges), "text/plain; version=0.0.4");
}

} // namespace

void add_model_routes(httplib::Server& server, ServerState& state) {
    const auto get = [&](const char* path, Handler handler) {
        add_route(server, state, Method::get, path, path, handler);
    };
    get("/health", health);
    get("/v1/health", health);
    get("/props", props);
    get("/models", models);
    get("/v1/models", models);
    get("/slots", slots);
    get("/metrics", metrics);
    add_route(server, state, Method::post, "/slots/:slot", "/slots", change_slot);
}

} // namespace pie
