#include "eval/methods.h"

#include "base/check.h"
#include "base/elapsed.h"
#include "session/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace pie {
namespace {

constexpr int32_t engine_batch = 0;

// Everything again, in batches of `n_batch` tokens. Two batch sizes sum in different orders, so that the
// difference between them is the noise below which no method can be told from full recompute.
Result<UpdateReport> full(const MethodInput& input, int32_t n_batch) {
    input.sequence.clear();
    if (n_batch == engine_batch) {
        return input.sequence.update(input.after, {.method = ReuseMethod::full});
    }
    UpdateReport sum;
    for (size_t end = 0; end < input.after.size();) {
        end = std::min(end + static_cast<size_t>(n_batch), input.after.size());
        PIE_ASSIGN(const UpdateReport report,
                   input.sequence.update(input.after.first(end), {.method = ReuseMethod::pie}));
        sum.tokens_context = report.tokens_context;
        sum.tokens_encoded += report.tokens_encoded;
        sum.milliseconds += report.milliseconds;
    }
    return sum;
}

// What serving engines do: the unchanged beginning is kept, all behind the edit is encoded again.
Result<UpdateReport> prefix(const MethodInput& input, int32_t /*number*/) {
    const std::span<const TokenId> cached = input.sequence.tokens();
    const auto same = std::ranges::mismatch(cached, input.after).in1 - cached.begin();
    input.sequence.rewind(static_cast<int32_t>(std::min(same, std::ssize(input.after) - 1)), {});
    return input.sequence.update(input.after, {.method = ReuseMethod::pie});
}

template <ReuseMethod method>
Result<UpdateReport> update(const MethodInput& input, int32_t /*number*/) {
    return input.sequence.update(input.after, {.method = method});
}

Result<UpdateReport> pie_seam(const MethodInput& input, int32_t seam) {
    return input.sequence.update(input.after, {.method = ReuseMethod::pie_seam, .seam = seam, .repair = 0});
}

// Idle time changed what stands before the last token, whose logits are from before: it looks again.
Result<void> look_again(LiveSequence& sequence, UpdateReport& report) {
    const TokenId last = sequence.tokens().back();
    sequence.rewind(sequence.n_tokens() - 1, {});
    PIE_TRY(sequence.extend(std::array{last}));
    ++report.tokens_encoded;
    return {};
}

// The usual seam, a completion, and then the `budget` tokens that it looked at most encoded again, as happens
// in idle time.
Result<UpdateReport> repaired_later(const MethodInput& input, int32_t budget) {
    LiveSequence& sequence = input.sequence;
    PIE_ASSIGN(UpdateReport report, sequence.update(input.after, {.repair = 0}));
    PIE_TRY(complete(sequence, {.n_predict = input.n_completion_tokens}));
    const auto start = std::chrono::steady_clock::now();
    PIE_ASSIGN(const int32_t n_repaired, sequence.repair(sequence.worth_repairing(budget)));
    report.tokens_encoded += n_repaired;
    PIE_TRY(look_again(sequence, report));
    report.milliseconds += milliseconds_since(start);
    return report;
}

constexpr int32_t heal_all = 0;

// The usual seam, and then the first `n_tokens` that are not exact encoded again, as happens in idle time.
Result<UpdateReport> healed(const MethodInput& input, int32_t n_tokens) {
    LiveSequence& sequence = input.sequence;
    PIE_ASSIGN(UpdateReport report, sequence.update(input.after, {.repair = 0}));
    const auto start = std::chrono::steady_clock::now();
    for (int32_t left = n_tokens == heal_all ? sequence.n_tokens() : n_tokens; left > 0;) {
        PIE_ASSIGN(const int32_t n_healed, sequence.heal(std::min(left, sequence.engine().n_batch())));
        report.tokens_encoded += n_healed;
        left = n_healed == 0 ? 0 : left - n_healed;
    }
    if (sequence.n_exact() < sequence.n_tokens()) {
        PIE_TRY(look_again(sequence, report));
    }
    report.milliseconds += milliseconds_since(start);
    return report;
}

// Wrong on purpose: what a harness that can see anything must see. Another row's prompt is in the cache.
Result<UpdateReport> other_sample(const MethodInput& input, int32_t /*number*/) {
    input.sequence.clear();
    return input.sequence.update(input.other, {.method = ReuseMethod::full});
}

// Wrong on purpose: PIE, but keys behind the last edit are rotated by one position too many. They are moved
// behind one more token, which then goes while they stay as they are.
Result<UpdateReport> rotated_too_far(const MethodInput& input, int32_t /*number*/) {
    const std::span<const TokenId> cached = input.sequence.tokens();
    const auto n_same =
        std::ranges::mismatch(cached.rbegin(), cached.rend(), input.after.rbegin(), input.after.rend()).in1 -
        cached.rbegin();
    TokenId stranger(0);
    while (std::ranges::find(input.after, stranger) != input.after.end()) {
        stranger = TokenId(stranger.value + 1);
    }
    std::vector<TokenId> too_long(input.after.begin(), input.after.end());
    too_long.insert(too_long.end() - n_same, stranger);
    PIE_ASSIGN(const UpdateReport moved, input.sequence.update(too_long, {.method = ReuseMethod::pie}));
    PIE_ASSIGN(UpdateReport report, input.sequence.update(input.after, {.method = ReuseMethod::cfe}));
    report.tokens_encoded += moved.tokens_encoded;
    report.milliseconds += moved.milliseconds;
    return report;
}

// The usual seam, and as many tokens as `budget` where the policy says.
Result<UpdateReport> repaired(const MethodInput& input, int32_t budget, RepairPolicy policy) {
    return input.sequence.update(
        input.after, {.method = ReuseMethod::pie_seam, .repair = budget, .policy = std::move(policy)});
}

Result<UpdateReport> by_attention(const MethodInput& input, int32_t budget) {
    return repaired(input, budget, repair_by_attention);
}

Result<UpdateReport> by_occurrences(const MethodInput& input, int32_t budget) {
    return repaired(input, budget, repair_later_occurrences);
}

Result<UpdateReport> by_value_change(const MethodInput& input, int32_t budget, LayerRange layers) {
    PIE_CHECK(input.full_state != nullptr, "an oracle is given the full state");
    return repaired(input, budget, [&input, layers](const RepairRequest& request) {
        std::vector<Position> positions =
            rank_by_value_change(input.cache, request.plan.keep, *input.full_state, layers);
        positions.resize(std::min(positions.size(), static_cast<size_t>(request.budget)));
        std::ranges::sort(positions);
        return positions;
    });
}

// What there is to gain: where the values changed most, all layers together.
Result<UpdateReport> oracle(const MethodInput& input, int32_t budget) {
    return by_value_change(input, budget, {.begin = 0, .end = input.full_state->n_layer()});
}

// As CacheBlend (arXiv 2405.16444) chooses: by a pass over the first layers alone, which is not made here.
Result<UpdateReport> shallow(const MethodInput& input, int32_t budget) {
    return by_value_change(input, budget, {.begin = 0, .end = std::min(3, input.full_state->n_layer())});
}

// What the number behind a name may be.
struct NumberRange {
    int32_t least = 0;
    int32_t usual = 0; // where the name has no number
};

struct MethodFamily {
    std::string_view name;
    std::optional<NumberRange> number; // empty: the name takes none
    MethodNeed need;
    DependsOn depends_on;
    Result<UpdateReport> (*apply)(const MethodInput& input, int32_t number);
};

const std::vector<MethodFamily>& families() {
    using enum MethodNeed;
    using enum DependsOn;
    constexpr NumberRange budget = {.least = 1, .usual = 64};
    const NumberRange seam = {.least = 0, .usual = ReuseOptions().seam};
    static const std::vector<MethodFamily> all = {
        {"full", NumberRange{.least = 1, .usual = engine_batch}, nothing, edited_prompt, full},
        {"prefix", std::nullopt, nothing, last_edit, prefix},
        {"reuse", std::nullopt, nothing, history, update<ReuseMethod::reuse>},
        {"cfe", std::nullopt, nothing, history, update<ReuseMethod::cfe>},
        {"pie", std::nullopt, nothing, history, update<ReuseMethod::pie>},
        {"pie+seam", seam, nothing, history, pie_seam},
        {"pie+attention", budget, completion, history, by_attention},
        {"pie+later", budget, completion, history, repaired_later},
        {"pie+occurrences", budget, nothing, history, by_occurrences},
        {"pie+shallow", budget, full_state, history, shallow},
        {"pie+oracle", budget, full_state, history, oracle},
        {"pie+heal", NumberRange{.least = 1, .usual = heal_all}, nothing, history, healed},
        {"other-sample", std::nullopt, other_row, last_edit, other_sample},
        {"rotate+1", std::nullopt, nothing, history, rotated_too_far},
    };
    return all;
}

std::string family_names() {
    std::vector<std::string> names;
    for (const MethodFamily& family : families()) {
        names.push_back(fmt::format("{}{}", family.name, family.number ? "[:N]" : ""));
    }
    return fmt::format("{}", fmt::join(names, ", "));
}

Result<int32_t> parse_number(std::string_view text, const MethodFamily& family) {
    if (!family.number) {
        return fail(ErrorCode::invalid_argument, fmt::format("the method '{}' takes no number", family.name));
    }
    int32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < family.number->least) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("'{}' is no number of tokens for the method '{}'; it takes {} or more", text,
                                family.name, family.number->least));
    }
    return number;
}

} // namespace

Method full_recompute() {
    return *parse_method("full");
}

Result<Method> parse_method(std::string_view name) {
    const size_t colon = name.find(':');
    const auto family = std::ranges::find(families(), name.substr(0, colon), &MethodFamily::name);
    if (family == families().end()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("there is no method '{}'; the methods are {}", name, family_names()));
    }
    int32_t number = family->number ? family->number->usual : 0;
    if (colon != std::string_view::npos) {
        PIE_ASSIGN(number, parse_number(name.substr(colon + 1), *family));
    }
    return Method{
        .name = std::string(name),
        .need = family->need,
        .depends_on = family->depends_on,
        .apply = [apply = family->apply, number](const MethodInput& input) { return apply(input, number); }};
}

Result<std::vector<Method>> parse_methods(std::string_view names) {
    std::vector<Method> methods;
    for (size_t begin = 0; begin <= names.size();) {
        const size_t end = std::min(names.find(',', begin), names.size());
        PIE_ASSIGN(Method method, parse_method(names.substr(begin, end - begin)));
        if (std::ranges::find(methods, method.name, &Method::name) != methods.end()) {
            return fail(ErrorCode::invalid_argument,
                        fmt::format("the method '{}' is named twice", method.name));
        }
        methods.push_back(std::move(method));
        begin = end + 1;
    }
    return methods;
}

} // namespace pie
