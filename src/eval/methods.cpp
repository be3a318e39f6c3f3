#include "eval/methods.h"

#include "base/check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
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

template <ReuseMethod method>
Result<UpdateReport> update(const MethodInput& input, int32_t /*number*/) {
    return input.sequence.update(input.after, {.method = method});
}

Result<UpdateReport> pie_seam(const MethodInput& input, int32_t seam) {
    return input.sequence.update(input.after, {.method = ReuseMethod::pie_seam, .seam = seam, .repair = 0});
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
    Result<UpdateReport> (*apply)(const MethodInput& input, int32_t number);
};

const std::vector<MethodFamily>& families() {
    using enum MethodNeed;
    constexpr NumberRange budget = {.least = 1, .usual = 64};
    const NumberRange seam = {.least = 0, .usual = ReuseOptions().seam};
    static const std::vector<MethodFamily> all = {
        {"full", NumberRange{.least = 1, .usual = engine_batch}, nothing, full},
        {"reuse", std::nullopt, nothing, update<ReuseMethod::reuse>},
        {"cfe", std::nullopt, nothing, update<ReuseMethod::cfe>},
        {"pie", std::nullopt, nothing, update<ReuseMethod::pie>},
        {"pie+seam", seam, nothing, pie_seam},
        {"pie+attention", budget, completion, by_attention},
        {"pie+occurrences", budget, nothing, by_occurrences},
        {"pie+shallow", budget, full_state, shallow},
        {"pie+oracle", budget, full_state, oracle},
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
