// Diff and plan of a context of 8,192 tokens, for edits of several kinds. best_ms is the fastest of all
// iterations, because that is what the machine does when nobody else uses it; encoded counts the plan's
// tokens.

#include "base/elapsed.h"
#include "cache/plan.h"
#include "cache/random_edits.h"
#include "programs/run_benchmarks.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>
#include <random>

namespace pie {
namespace {

constexpr size_t n_context = 8192;

struct Edit {
    Tokens before;
    Tokens after;
};

void splice(Tokens& tokens, std::ptrdiff_t begin, std::ptrdiff_t n_deleted, const Tokens& inserted) {
    tokens.erase(tokens.begin() + begin, tokens.begin() + begin + n_deleted);
    tokens.insert(tokens.begin() + begin, inserted.begin(), inserted.end());
}

Edit one_edit(std::mt19937& random, std::ptrdiff_t n_deleted, size_t n_inserted) {
    Edit edit{zipf_tokens(random, n_context), {}};
    edit.after = edit.before;
    splice(edit.after, n_context / 4, n_deleted, zipf_tokens(random, n_inserted));
    return edit;
}

Edit hundred_edits(std::mt19937& random) {
    Edit edit{zipf_tokens(random, n_context), {}};
    edit.after = edit.before;
    for (int i = 0; i < 100; ++i) {
        const auto place = static_cast<std::ptrdiff_t>(random() % (edit.after.size() - 20));
        splice(edit.after, place, static_cast<std::ptrdiff_t>(random() % 10),
               zipf_tokens(random, random() % 10));
    }
    return edit;
}

Edit rename(std::mt19937& random) {
    Edit edit{zipf_tokens(random, n_context), {}};
    for (size_t i = 40; i < n_context; i += 80) {
        edit.before[i] = TokenId(7000);
    }
    edit.after = edit.before;
    std::ranges::replace(edit.after, TokenId(7000), TokenId(8000));
    return edit;
}

Edit moved_block(std::mt19937& random) {
    Edit edit{zipf_tokens(random, n_context), {}};
    edit.after = edit.before;
    const auto begin = edit.after.begin() + n_context / 4;
    std::rotate(begin, begin + 300, begin + 3300);
    return edit;
}

Edit swapped_halves(std::mt19937& random) {
    Edit edit{zipf_tokens(random, n_context), {}};
    edit.after = edit.before;
    std::rotate(edit.after.begin(), edit.after.begin() + n_context / 2, edit.after.end());
    return edit;
}

Edit unrelated(std::mt19937& random) {
    return {zipf_tokens(random, n_context), zipf_tokens(random, n_context)};
}

// Two tokens in no order at all: everything matches half of everything else.
Edit two_tokens(std::mt19937& random) {
    return {uniform_tokens(random, n_context, 2), uniform_tokens(random, n_context, 2)};
}

// A loop of five tokens, broken at other places before and after.
Edit broken_loops(std::mt19937& random) {
    Tokens loop(n_context);
    std::ranges::generate(loop, [next = 0]() mutable { return TokenId(next++ % 5); });
    Edit edit{loop, loop};
    for (int i = 0; i < 100; ++i) {
        edit.before[random() % n_context] = TokenId(6000 + i);
        edit.after[random() % n_context] = TokenId(7000 + i);
    }
    return edit;
}

// One token throughout, with a few others at other places before and after.
Edit blank_lines(std::mt19937& random) {
    Edit edit{Tokens(n_context, TokenId(1)), Tokens(n_context, TokenId(1))};
    for (int i = 0; i < 20; ++i) {
        edit.before[random() % n_context] = TokenId(6000 + i);
        edit.after[random() % n_context] = TokenId(7000 + i);
    }
    return edit;
}

void run(benchmark::State& state, const Edit& edit) {
    using Clock = std::chrono::steady_clock;
    double best_ms = std::numeric_limits<double>::infinity();
    size_t n_encoded = 0;
    const std::function<bool(TokenId)> is_control = [](TokenId token) { return token.value >= 100'000; };
    for (auto _ : state) {
        const auto start = Clock::now();
        const EditPlan plan = plan_edit(edit.after, static_cast<int32_t>(edit.before.size()),
                                        diff_tokens(edit.before, edit.after), is_control, {});
        best_ms = std::min(best_ms, milliseconds_since(start));
        n_encoded = plan.encode.size();
    }
    state.counters["best_ms"] = best_ms;
    state.counters["encoded"] = static_cast<double>(n_encoded);
}

void register_edit(const char* name, Edit (*make)(std::mt19937&)) {
    std::mt19937 random(1);
    benchmark::RegisterBenchmark(name, [edit = make(random)](benchmark::State& state) {
        run(state, edit);
    })->Unit(benchmark::kMillisecond);
}

void register_all() {
    register_edit("insert_5", [](std::mt19937& random) { return one_edit(random, 0, 5); });
    register_edit("delete_300", [](std::mt19937& random) { return one_edit(random, 300, 0); });
    register_edit("replace_20", [](std::mt19937& random) { return one_edit(random, 20, 20); });
    register_edit("replace_300", [](std::mt19937& random) { return one_edit(random, 300, 300); });
    register_edit("hundred_edits", hundred_edits);
    register_edit("rename_102", rename);
    register_edit("moved_block_300", moved_block);
    register_edit("swapped_halves", swapped_halves);
    register_edit("unrelated", unrelated);
    register_edit("two_tokens", two_tokens);
    register_edit("broken_loops", broken_loops);
    register_edit("blank_lines", blank_lines);
}

} // namespace
} // namespace pie

int main(int argc, char** argv) {
    pie::register_all();
    return pie::run_benchmarks(argc, argv);
}
