#include "eval/losses.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <utility>

namespace pie {
namespace {

constexpr size_t n_examples = 3;
constexpr std::array<std::string_view, 2> methods = {"pie", "pie+seam"};

struct Pair {
    const Measurement* full;
    const Measurement* own;

    static bool is_right(const Measurement& m) { return m.passed.value_or(m.line_match == 1); }
    bool is_lost() const { return is_right(*full) && !is_right(*own); }
    bool is_won() const { return !is_right(*full) && is_right(*own); }
};

std::vector<KindLosses> by_kind(std::span<const Pair> pairs) {
    std::vector<KindLosses> kinds;
    for (const Pair& pair : pairs) {
        auto of_kind = std::ranges::find(kinds, pair.own->kind, &KindLosses::kind);
        if (of_kind == kinds.end()) {
            kinds.push_back({.kind = pair.own->kind});
            of_kind = kinds.end() - 1;
        }
        ++of_kind->n_rows;
        of_kind->n_lost += pair.is_lost() ? 1 : 0;
        of_kind->n_won += pair.is_won() ? 1 : 0;
        of_kind->kl += pair.own->kl;
    }
    for (KindLosses& of_kind : kinds) {
        of_kind.kl /= static_cast<double>(of_kind.n_rows);
    }
    std::ranges::stable_sort(kinds, std::greater(), [](const KindLosses& k) {
        const double balance = static_cast<double>(k.n_lost) - static_cast<double>(k.n_won);
        return std::pair(balance / static_cast<double>(k.n_rows), k.kl);
    });
    return kinds;
}

std::vector<Loss> worst(std::vector<Pair> pairs) {
    std::ranges::stable_sort(pairs, std::greater(),
                             [](const Pair& pair) { return std::pair(pair.is_lost(), pair.own->kl); });
    std::vector<Loss> found;
    std::set<std::string> kinds;
    for (const Pair& pair : pairs) {
        if (found.size() < n_examples && kinds.insert(pair.own->kind).second) {
            found.push_back({*pair.full, *pair.own});
        }
    }
    return found;
}

} // namespace

std::vector<Losses> find_losses(std::span<const Measurement> measurements) {
    std::map<MeasurementKey, const Measurement*> full;
    for (const Measurement& m : measurements) {
        if (m.key.method == "full" && !m.failed()) {
            full.emplace(m.key, &m);
        }
    }
    // In the order in which models come first, of each the methods in theirs.
    std::vector<Losses> all;
    std::map<std::pair<std::string, std::string>, std::vector<Pair>> pairs;
    for (const Measurement& m : measurements) {
        if (m.failed() || std::ranges::find(methods, m.key.method) == methods.end()) {
            continue;
        }
        MeasurementKey key = m.key;
        key.method = "full";
        if (const auto same_row = full.find(key); same_row != full.end()) {
            std::vector<Pair>& own = pairs[{m.key.model, m.key.method}];
            if (own.empty()) {
                all.push_back({.model = m.key.model, .method = m.key.method, .kinds = {}, .examples = {}});
            }
            own.push_back({same_row->second, &m});
        }
    }
    for (Losses& losses : all) {
        std::vector<Pair>& own = pairs[{losses.model, losses.method}];
        losses.kinds = by_kind(own);
        losses.examples = worst(std::move(own));
    }
    return all;
}

} // namespace pie
