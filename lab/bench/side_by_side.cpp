#include "bench/side_by_side.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>

namespace pie {
namespace {

// Lets a server run for as long as the object lives.
class Turn {
  public:
    explicit Turn(ChildProcess& process) : process_(process) { process_.go_on(); }
    ~Turn() { process_.pause(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

  private:
    ChildProcess& process_;
};

} // namespace

Result<std::unique_ptr<SideBySide>> SideBySide::start(std::span<const ServingSystem* const> systems,
                                                      const ServerSetting& setting,
                                                      const LoadedModel& model) {
    PIE_ASSIGN(MarkerNames names, marker_names(model.vocabulary()));
    PIE_ASSIGN(auto batch, PlainBatch::create(model, setting.n_threads, setting.n_ctx));
    std::vector<Seat> servers;
    for (const ServingSystem* system : systems) {
        PIE_ASSIGN(RunningServer server, RunningServer::start(*system, setting));
        server.process().pause();
        servers.push_back({std::move(server), std::vector<std::string>(setting.n_slots)});
    }
    return std::unique_ptr<SideBySide>(
        new SideBySide(std::move(servers), std::move(names), model, std::move(batch)));
}

Result<ServedAnswer> SideBySide::ask_running(const Seat& seat, const WorkloadStep& step, int32_t n,
                                             CacheUse cache) {
    const FillRequestBody request = fill_request(step.state, seat.server.system().order, names_,
                                                 {.n_predict = n, .cache = cache, .slot = step.session});
    return seat.server.client().ask(request.path, request.body);
}

// The end of what both begin with may be cut into other tokens in either.
bool SideBySide::went_on_from(const std::string& sequence, const std::string& prompt,
                              int32_t tokens_kept) const {
    constexpr int32_t slack = 2;
    const auto n_same = static_cast<size_t>(std::ranges::mismatch(sequence, prompt).in1 - sequence.begin());
    const auto tokens_same = static_cast<int32_t>(
        model_->vocabulary().tokenize_markup(std::string_view(prompt).substr(0, n_same)).size());
    return tokens_kept <= tokens_same + slack;
}

Result<TimedAnswer> SideBySide::ask(size_t i, const WorkloadStep& step) {
    Seat& seat = servers_[i];
    TimedAnswer timed;
    {
        const Turn turn(seat.server.process());
        meter_.start();
        std::this_thread::sleep_for(std::chrono::milliseconds(step.pause_ms));
        PIE_ASSIGN(timed.answer, ask_running(seat, step, n_predict, CacheUse::reuse));
        timed.joules = meter_.joules();
    }
    if (seat.server.system().program == ServerProgram::pie) {
        timed.exact = timed.answer.exact;
        return timed;
    }
    const std::string prompt = fill_prompt(step.state, seat.server.system().order, names_);
    std::string& sequence = seat.sequences[step.session];
    timed.exact = went_on_from(sequence, prompt, timed.answer.tokens_kept);
    sequence = prompt + timed.answer.text;
    return timed;
}

Result<ServedAnswer> SideBySide::recompute(size_t i, const WorkloadStep& step) {
    const Turn turn(servers_[i].server.process());
    return ask_running(servers_[i], step, n_predict, CacheUse::recompute);
}

Result<void> SideBySide::show(size_t i, const WorkloadStep& step) {
    Seat& seat = servers_[i];
    const Turn turn(seat.server.process());
    PIE_TRY(ask_running(seat, step, 1, CacheUse::reuse));
    seat.sequences[step.session] = fill_prompt(step.state, seat.server.system().order, names_);
    return {};
}

void SideBySide::rest(size_t i) {
    RunningServer& server = servers_[i].server;
    const Turn turn(server.process());
    const auto deadline = std::chrono::steady_clock::now() + rest_time_max;
    while (server.client().is_healing() && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

Result<double> SideBySide::limit(const ServedAnswer& ours) {
    const int32_t n = ours.tokens_encoded;
    if (n == 0 || n > batch_->n_tokens_max()) {
        return 0;
    }
    // Where some were encoded twice, there are more of them than the context has.
    return batch_->milliseconds(std::max(ours.tokens_context - n, 0), n);
}

} // namespace pie
