// Live documents: /v1/documents/ID. An ID may hold slashes, as paths do.

#include "server/document_request.h"
#include "server/exchange.h"
#include "text/fences.h"

#include <fmt/format.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include <ctime>
#include <utility>

namespace pie {
namespace {

using nlohmann::json;

std::string id_of(const Exchange& exchange) {
    return exchange.request.matches[1];
}

void answer_version(Exchange& exchange, int64_t version) {
    exchange.answer(json{{"version", version}}.dump());
}

void fail_conflict(Exchange& exchange, VersionConflict conflict) {
    json answer = json::parse(
        error_json(409, fmt::format("the server has version {}; send what is missing, or PUT the whole text",
                                    conflict.version)));
    answer["version"] = conflict.version;
    exchange.fail(409, answer.dump());
}

void put(Exchange& exchange) {
    auto request = exchange.parse(parse_put_document);
    if (!request) {
        exchange.fail(request.error());
        return;
    }
    const auto found = exchange.state.documents.put(id_of(exchange), *std::move(request));
    if (!found) {
        exchange.fail(found.error());
        return;
    }
    answer_version(exchange, found->version);
}

void patch(Exchange& exchange) {
    const auto request = exchange.parse(parse_patch_document);
    if (!request && exchange.state.documents.contains(id_of(exchange))) {
        exchange.fail(request.error());
        return;
    }
    if (!request) {
        exchange.fail(no_such_document());
        return;
    }
    const auto outcome = exchange.state.documents.patch(id_of(exchange), *request);
    if (!outcome) {
        exchange.fail(outcome.error());
    } else if (outcome->second) {
        fail_conflict(exchange, *outcome->second);
    } else {
        answer_version(exchange, outcome->first.version);
    }
}

void complete(Exchange& exchange) {
    auto request = exchange.parse(parse_complete_document);
    if (!request) {
        exchange.fail(request.error());
        return;
    }
    auto outcome = exchange.state.documents.find(id_of(exchange), request->place);
    if (!outcome) {
        exchange.fail(outcome.error());
        return;
    }
    if (outcome->second) {
        fail_conflict(exchange, *outcome->second);
        return;
    }
    GenerationRequest& generation = request->generation;
    generation.options.stop.fence = is_markdown(id_of(exchange)) ? FenceStop::never : FenceStop::anywhere;
    if (const auto taken = take_text_biases(exchange.state.model, generation); !taken) {
        exchange.fail(taken.error());
        return;
    }
    exchange.answer_with(
        {.model = exchange.state.model,
         .request = generation,
         .model_name = exchange.state.options.model_name,
         .id = {},
         .created_s = std::time(nullptr)},
        [found = std::move(outcome->first), generation, n_predict_max = exchange.state.options.n_predict_max](
            const SeveralReceiver& receive, const std::stop_source& stop) {
            Session session = found.session;
            if (!generation.reuse_cache) {
                session = session.fresh_copy();
                return generate_on(session, session.stats().version, generation, n_predict_max, receive,
                                   stop);
            }
            return generate_on(session, found.session_version, generation, n_predict_max, receive, stop);
        });
}

const char* name_of(CacheState state) {
    switch (state) {
    case CacheState::empty:
        return "empty";
    case CacheState::behind:
        return "behind";
    case CacheState::stale:
        return "stale";
    case CacheState::put_away:
        return "put_away";
    case CacheState::healed:
        return "healed";
    }
    return "";
}

void cache(Exchange& exchange) {
    auto outcome = exchange.state.documents.find(id_of(exchange), {});
    if (!outcome) {
        exchange.fail(outcome.error());
        return;
    }
    const SessionStats stats = outcome->first.session.stats();
    const UpdateReport& last = stats.last_update;
    const json answer = {{"version", outcome->first.version},
                         {"up_to_date", stats.version_encoded == stats.version},
                         {"n_ctx", exchange.state.model.n_ctx()},
                         {"tokens", stats.tokens},
                         {"tokens_exact", stats.tokens_exact},
                         {"tokens_bit_exact", stats.tokens_bit_exact},
                         {"tokens_stale", stats.tokens - stats.tokens_exact},
                         {"state", name_of(stats.cache_state)},
                         {"cache_bytes", stats.cache_bytes},
                         {"lines_cut_at_start", stats.lines_cut_at_start},
                         {"lines_cut_at_end", stats.lines_cut_at_end},
                         {"chunks_left_out", stats.chunks_left_out},
                         {"last_update",
                          {{"tokens_context", last.tokens_context},
                           {"tokens_kept", last.tokens_kept},
                           {"tokens_moved", last.tokens_moved},
                           {"tokens_encoded", last.tokens_encoded},
                           {"milliseconds", last.milliseconds}}}};
    exchange.answer(answer.dump());
}

void list(Exchange& exchange) {
    json documents = json::array();
    for (const auto& document : exchange.state.documents.list()) {
        documents.push_back({{"id", document.id}, {"bytes", document.n_bytes}});
    }
    exchange.answer(
        json{{"documents", std::move(documents)}}.dump(-1, ' ', false, json::error_handler_t::replace));
}

void remove(Exchange& exchange) {
    const auto removed = exchange.state.documents.remove(id_of(exchange));
    if (!removed) {
        exchange.fail(removed.error());
        return;
    }
    exchange.answer("{}");
}

} // namespace

void add_document_routes(httplib::Server& server, ServerState& state) {
    constexpr const char* document = "/v1/documents/(.+)";
    constexpr const char* label = "/v1/documents";
    add_route(server, state, Method::get, label, label, list);
    add_route(server, state, Method::put, document, label, put);
    add_route(server, state, Method::patch, document, label, patch);
    add_route(server, state, Method::remove, document, label, remove);
    add_route(server, state, Method::post, "/v1/documents/(.+)/complete", "/v1/documents/complete", complete);
    add_route(server, state, Method::get, "/v1/documents/(.+)/cache", "/v1/documents/cache", cache);
}

} // namespace pie
