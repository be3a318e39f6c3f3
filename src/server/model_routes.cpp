// Endpoints that tell of the server: health, the model, metrics.

#include "server/exchange.h"

#include <fmt/format.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include <string>

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

json model_json(const ServerState& state) {
    return {{"id", state.options.model_name},
            {"object", "model"},
            {"created", 0},
            {"owned_by", "pie"},
            {"meta",
             {{"n_vocab", state.model.vocabulary_size()},
              {"n_ctx", state.model.n_ctx()},
              {"fill_in_the_middle", state.model.fills_in_the_middle()}}}};
}

void models(Exchange& exchange) {
    exchange.answer(json{{"object", "list"}, {"data", json::array({model_json(exchange.state)})}}.dump());
}

void model(Exchange& exchange) {
    const std::string& name = exchange.state.options.model_name;
    if (exchange.request.matches[1] != name) {
        exchange.fail({ErrorCode::not_found, fmt::format("there is no such model; there is '{}'", name)});
        return;
    }
    exchange.answer(model_json(exchange.state).dump());
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
    gauges.memory = exchange.state.model.memory();
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
    add_route(server, state, Method::get, "/v1/models/(.+)", "/v1/models", model);
    get("/metrics", metrics);
}

} // namespace pie
