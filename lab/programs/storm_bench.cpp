// Somebody types into the middle of a real file, at 10 keys a second, and stops now and then to see a
// completion: how long it takes from the last key to the first token, and how often the first line written is
// what a full recompute writes; once with healing in the pauses and once without.
//
//   storm_bench MODEL.gguf TEXT [KEYSTROKES [CONTEXT]]
//
// The keys are TEXT's own, KEYSTROKES (2,000) bytes from its middle on; TEXT without them is what is there
// before, as much of it as fits into CONTEXT (5,120) tokens beside a completion. Ctrl-C ends a part: typing
// with healing, typing without, recomputing; the report is on what there is by then.

#include "base/elapsed.h"
#include "base/interrupt.h"
#include "base/quantile.h"
#include "bench/number_argument.h"
#include "engine/logits.h"
#include "library/worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace pie {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds key_period(100);
constexpr std::chrono::milliseconds pause_length(1000);
constexpr int keys_to_pause = 25;   // on average
constexpr size_t n_recomputed = 24; // completions, at most, evenly over the session

// What the screen shows when a completion is asked for.
struct Pause {
    size_t n_typed = 0;
    std::string text;
    ByteOffset cursor;
};

struct Answer {
    double milliseconds = 0; // from the last key to the first token
    int32_t tokens_encoded = 0;
    bool from_exact_cache = true;
    std::string line = {};
    std::vector<float> logits = {}; // of the first token
};

struct Script {
    std::string before;
    std::string typed;
    size_t at = 0;
    std::vector<Pause> pauses;
};

// About `n_max` of so many pauses, evenly spread.
std::vector<size_t> sample(size_t n_pauses, size_t n_max) {
    std::vector<size_t> indices;
    const size_t step = std::max<size_t>(1, (n_pauses + n_max - 1) / n_max);
    for (size_t i = step / 2; i < n_pauses; i += step) {
        indices.push_back(i);
    }
    return indices;
}

Script make_script(std::string text, size_t n_keys) {
    std::erase_if(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80U; }); // one key a byte
    Script script;
    script.at = std::min(text.find('\n', text.size() / 2), text.size() - 1) + 1;
    script.typed = text.substr(script.at, n_keys);
    script.before = text.erase(script.at, script.typed.size());
    std::mt19937 random(1);
    for (size_t n = 1; n <= script.typed.size(); ++n) {
        if (random() % keys_to_pause == 0 || n == script.typed.size()) {
            Pause pause{.n_typed = n, .text = script.before, .cursor = ByteOffset(script.at + n)};
            pause.text.insert(script.at, script.typed.substr(0, n));
            script.pauses.push_back(std::move(pause));
        }
    }
    return script;
}

class Typist {
  public:
    explicit Typist(Worker& worker) : worker_(worker), document_(worker.open("")) {}
    ~Typist() { worker_.close(*document_); }
    Typist(const Typist&) = delete;
    Typist& operator=(const Typist&) = delete;

    Result<void> begin(const std::string& text, ByteOffset cursor) {
        PIE_ASSIGN(Document document, Document::from_text(text));
        const auto set = [&](PromptSource& source) -> Result<void> {
            source.text = std::move(document);
            source.cursor = cursor;
            return {};
        };
        PIE_TRY(worker_.change(*document_, set));
        return {};
    }

    Result<void> press(char key) {
        pressed_ = Clock::now();
        const auto add_key = [key](PromptSource& source) {
            auto applied = source.text->apply({source.cursor, source.cursor, std::string(1, key)});
            ++source.cursor;
            return applied;
        };
        PIE_TRY(worker_.change(*document_, add_key));
        return {};
    }

    Result<Answer> complete() {
        Answer answer;
        const auto work = [&](LiveDocument& live, const UpdateReport&) -> Result<void> {
            const double ready = milliseconds_since(pressed_);
            answer.logits.assign(live.sequence().logits().begin(), live.sequence().logits().end());
            answer.from_exact_cache = live.sequence().n_exact() == live.sequence().n_tokens();
            PIE_ASSIGN(const Completion completion,
                       live.complete({.n_predict = 32, .stop = {.strings = {"\n"}}}));
            answer.milliseconds = ready + completion.first_token_milliseconds;
            answer.line = completion.text;
            return {};
        };
        PIE_TRY(worker_.perform(*document_, work, {}));
        answer.tokens_encoded = worker_.stats(*document_).last_update.tokens_encoded;
        return answer;
    }

    Result<void> encode() {
        const auto nothing = [](LiveDocument&, const UpdateReport&) { return Result<void>(); };
        PIE_TRY(worker_.perform(*document_, nothing, {}));
        return {};
    }

  private:
    Worker& worker_;
    std::shared_ptr<DocumentState> document_;
    Clock::time_point pressed_ = Clock::now();
};

// Shows how far a part of the measurement is, and whether that is its end, or Ctrl-C is.
bool is_over(std::string_view part, size_t done, size_t total) {
    const bool ends = done == total || interrupted();
    clear_interrupt();
    if (ends || ::isatty(STDERR_FILENO) == 1) {
        fmt::print(stderr, "\r{}: {} of {}{}", part, done, total, ends ? "\n" : "");
    }
    return ends;
}

Result<std::vector<Answer>> type(Worker& worker, const Script& script, std::string_view name) {
    Typist typist(worker);
    PIE_TRY(typist.begin(script.before, ByteOffset(script.at)));
    PIE_TRY(typist.encode());
    std::vector<Answer> answers;
    for (size_t n = 0; !is_over(name, n, script.typed.size()); ++n) {
        const Clock::time_point next = Clock::now() + key_period;
        PIE_TRY(typist.press(script.typed[n]));
        if (script.pauses[answers.size()].n_typed == n + 1) {
            PIE_ASSIGN(Answer answer, typist.complete());
            answers.push_back(std::move(answer));
            std::this_thread::sleep_for(pause_length);
        }
        std::this_thread::sleep_until(next);
    }
    return answers;
}

void report_times(const std::vector<Answer>& answers) {
    std::vector<double> times;
    for (const Answer& answer : answers) {
        times.push_back(answer.milliseconds);
    }
    fmt::print("    key to first token: p50 {:.1f} ms, p99 {:.1f} ms\n", quantile(times, 0.5),
               quantile(times, 0.99));
}

void report_fidelity(const std::map<size_t, Answer>& full,
                     const std::function<const Answer&(size_t)>& answer_at) {
    std::vector<double> kls;
    size_t n_equal = 0;
    size_t n_exact = 0;
    size_t n_exact_and_equal = 0;
    for (const auto& [index, reference] : full) {
        const Answer& answer = answer_at(index);
        const bool is_equal = answer.line == reference.line;
        kls.push_back(kl_divergence(reference.logits, answer.logits));
        n_equal += is_equal ? 1 : 0;
        n_exact += answer.from_exact_cache ? 1 : 0;
        n_exact_and_equal += answer.from_exact_cache && is_equal ? 1 : 0;
        if (!is_equal) {
            fmt::print("    {:4} is     {}\n         not    {}\n", index, answer.line, reference.line);
        }
    }
    fmt::print("    first line equal to full recompute's: {} of {}; out of an exact cache: {} of {}\n",
               n_equal, full.size(), n_exact_and_equal, n_exact);
    const size_t half = (kls.size() + 1) / 2;
    for (size_t begin = 0; begin < kls.size(); begin += half) {
        const std::vector<double> part(kls.begin() + static_cast<std::ptrdiff_t>(begin),
                                       kls.begin() +
                                           static_cast<std::ptrdiff_t>(std::min(kls.size(), begin + half)));
        fmt::print("    KL of the first token, {} half: p50 {:.5f}, most {:.5f}\n",
                   begin == 0 ? "first" : "second", quantile(part, 0.5), quantile(part, 1));
    }
}

using Recomputed = std::map<size_t, Answer>; // by index of the pause

Result<Recomputed> recompute(const LoadedModel& model, const Script& script, std::span<const size_t> indices,
                             int32_t n_ctx) {
    PIE_ASSIGN(const auto engine, Engine::create(model));
    PIE_ASSIGN(const auto live, LiveDocument::create(*engine, {.n_ctx = n_ctx}));
    Recomputed answers;
    while (!is_over("recomputed", answers.size(), indices.size())) {
        const size_t i = indices[answers.size()];
        const Pause& pause = script.pauses[i];
        const auto start = Clock::now();
        PIE_ASSIGN(const UpdateReport update,
                   live->update(pause.text, pause.cursor, {.method = ReuseMethod::full}));
        Answer answer{.milliseconds = milliseconds_since(start), .tokens_encoded = update.tokens_encoded};
        answer.logits.assign(live->sequence().logits().begin(), live->sequence().logits().end());
        PIE_ASSIGN(const Completion completion,
                   live->complete({.n_predict = 32, .stop = {.strings = {"\n"}}}));
        answer.line = completion.text;
        answers.emplace(i, std::move(answer));
    }
    return answers;
}

struct Results {
    std::vector<std::pair<std::string, std::vector<Answer>>> typed;
    Recomputed full;

    // What each way of typing came to.
    size_t n_pauses() const {
        size_t n = SIZE_MAX;
        for (const auto& [name, answers] : typed) {
            n = std::min(n, answers.size());
        }
        return n;
    }
};

void report(const Results& results) {
    std::vector<double> full_times;
    int32_t n_context = 0;
    for (const auto& [index, answer] : results.full) {
        full_times.push_back(answer.milliseconds);
        n_context = std::max(n_context, answer.tokens_encoded);
    }
    if (!results.full.empty()) {
        fmt::print("a prompt of {} tokens; full recompute p50 {:.0f} ms\n", n_context, median(full_times));
    }
    for (const auto& way : results.typed) {
        const std::vector<Answer>& answers = way.second;
        fmt::print("{}: {} completions\n", way.first, answers.size());
        if (answers.empty()) {
            continue;
        }
        report_times(answers);
        report_fidelity(results.full, [&](size_t i) -> const Answer& { return answers[i]; });
    }
}

Result<void> run(const char* path, const Script& script, int32_t n_ctx) {
    Results results;
    for (const bool heals : {true, false}) {
        const std::string name = heals ? "with healing" : "without healing";
        PIE_ASSIGN(const auto worker, Worker::start(path, {.n_ctx = n_ctx, .heal_when_idle = heals}));
        PIE_ASSIGN(auto answers, type(*worker, script, name));
        results.typed.emplace_back(name, std::move(answers));
    }
    PIE_ASSIGN(const auto model, LoadedModel::load(path));
    PIE_ASSIGN(results.full, recompute(*model, script, sample(results.n_pauses(), n_recomputed), n_ctx));
    report(results);
    return {};
}

} // namespace
} // namespace pie

int main(int argc, char** argv) {
    size_t n_keys = 2000;
    int32_t n_ctx = 5120;
    if (argc < 3 || argc > 5 || !pie::read_argument(argc, argv, 3, n_keys) ||
        !pie::read_argument(argc, argv, 4, n_ctx)) {
        fmt::print(stderr, "usage: storm_bench MODEL.gguf TEXT [KEYSTROKES [CONTEXT]]\n");
        return 2;
    }
    std::ifstream file(argv[2]);
    std::stringstream text;
    text << file.rdbuf();
    if (text.str().empty()) {
        fmt::print(stderr, "there is no text in {}\n", argv[2]);
        return 1;
    }
    pie::install_interrupt_handlers();
    const auto done = pie::run(argv[1], pie::make_script(text.str(), n_keys), n_ctx);
    if (!done) {
        fmt::print(stderr, "{}\n", done.error().message);
        return 1;
    }
    return 0;
}
