#include "eval/summary.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <tuple>
#include <utility>

namespace pie {
namespace {

struct Pair {
    const Measurement* own;
    const Measurement* full; // of the same row; null if it failed
};

using Group = std::vector<Pair>;
using Figure = std::function<double(const Measurement&)>;

MeanInterval interval_of(const std::vector<double>& values) {
    return values.empty() ? MeanInterval() : bootstrap_mean(values);
}

MeanInterval mean_of(const Group& group, const Figure& figure) {
    std::vector<double> values;
    for (const Pair& pair : group) {
        values.push_back(figure(*pair.own));
    }
    return interval_of(values);
}

MeanInterval difference_of(const Group& group, const Figure& figure) {
    std::vector<double> values;
    for (const Pair& pair : group) {
        if (pair.full != nullptr) {
            values.push_back(figure(*pair.own) - figure(*pair.full));
        }
    }
    return interval_of(values);
}

double plain_mean(const Group& group, const Figure& figure) {
    double sum = 0;
    for (const Pair& pair : group) {
        sum += figure(*pair.own);
    }
    return sum / static_cast<double>(group.size());
}

std::vector<double> layer_means(const Group& group, std::vector<double> Measurement::*layers) {
    std::vector<double> sums;
    double n = 0;
    for (const Pair& pair : group) {
        const std::vector<double>& own = pair.own->*layers;
        sums.resize(std::max(sums.size(), own.size()));
        std::ranges::transform(own, sums, sums.begin(), std::plus<>());
        n += own.empty() ? 0 : 1;
    }
    std::ranges::for_each(sums, [n](double& sum) { sum /= n; });
    return sums;
}

bool is_tested(const Pair& pair) {
    return pair.own->passed.has_value();
}

void fill_figures(Summary& summary, const Group& group) {
    using M = Measurement;
    summary.kl = mean_of(group, &M::kl);
    summary.kl_first = mean_of(group, &M::kl_first);
    summary.top1_agreement = mean_of(group, &M::top1_agreement);
    summary.exact_match = mean_of(group, &M::exact_match);
    summary.exact_match_to_full = difference_of(group, &M::exact_match);
    summary.loss = mean_of(group, &M::loss);
    summary.loss_to_full = difference_of(group, &M::loss);
    summary.line_match = mean_of(group, &M::line_match);
    summary.line_match_to_full = difference_of(group, &M::line_match);
    summary.edit_similarity = mean_of(group, &M::edit_similarity);
    summary.edit_similarity_to_full = difference_of(group, &M::edit_similarity);
    Group tested;
    std::ranges::copy_if(group, std::back_inserter(tested), is_tested);
    const Figure passed = [](const M& m) { return m.passed.value_or(false) ? 1.0 : 0.0; };
    summary.n_tested = tested.size();
    summary.passed = mean_of(tested, passed);
    summary.passed_to_full = difference_of(tested, passed);
    summary.tokens_after = plain_mean(group, [](const M& m) { return static_cast<double>(m.tokens_after); });
    summary.n_edits = plain_mean(group, [](const M& m) { return static_cast<double>(m.n_edits); });
    summary.tokens_encoded = plain_mean(group, &M::tokens_encoded);
    summary.flops = plain_mean(group, &M::flops);
    summary.milliseconds = plain_mean(group, &M::milliseconds);
    summary.key_cosines = layer_means(group, &M::key_cosines);
    summary.value_cosines = layer_means(group, &M::value_cosines);
}

using RowKey = std::tuple<std::string, std::string, std::string>; // model, id, digest

RowKey row_key(const Measurement& m) {
    return {m.key.model, m.key.row, m.key.digest};
}

Summary blank_summary(const Measurement& m, Grouping grouping) {
    Summary summary;
    summary.model = m.key.model;
    summary.kind = m.kind;
    summary.method = m.key.method;
    if (grouping == Grouping::edit_in_setting) {
        summary.language = m.language;
        summary.setting = m.setting;
    }
    return summary;
}

auto group_name(const Summary& s) {
    return std::tie(s.model, s.language, s.setting, s.kind);
}

} // namespace

std::span<const IntervalFigure> interval_figures() {
    static constexpr std::array<IntervalFigure, 13> figures = {{
        {"kl", &Summary::kl},
        {"kl_first", &Summary::kl_first},
        {"top1_agreement", &Summary::top1_agreement},
        {"exact_match", &Summary::exact_match},
        {"exact_match_to_full", &Summary::exact_match_to_full},
        {"loss", &Summary::loss},
        {"loss_to_full", &Summary::loss_to_full},
        {"line_match", &Summary::line_match},
        {"line_match_to_full", &Summary::line_match_to_full},
        {"edit_similarity", &Summary::edit_similarity},
        {"edit_similarity_to_full", &Summary::edit_similarity_to_full},
        {"passed", &Summary::passed},
        {"passed_to_full", &Summary::passed_to_full},
    }};
    return figures;
}

std::vector<Summary> summarise(std::span<const Measurement> measurements, Grouping grouping) {
    std::map<RowKey, const Measurement*> full;
    for (const Measurement& m : measurements) {
        if (m.key.method == "full" && !m.failed()) {
            full[row_key(m)] = &m;
        }
    }
    std::vector<Summary> summaries;
    std::vector<Group> groups;
    for (const Measurement& m : measurements) {
        Summary blank = blank_summary(m, grouping);
        auto found = std::ranges::find_if(summaries, [&blank](const Summary& s) {
            return group_name(s) == group_name(blank) && s.method == blank.method;
        });
        if (found == summaries.end()) {
            found = summaries.insert(summaries.end(), std::move(blank));
            groups.emplace_back();
        }
        if (m.failed()) {
            ++found->n_failed;
            continue;
        }
        const auto same_row = full.find(row_key(m));
        groups[static_cast<size_t>(found - summaries.begin())].push_back(
            {&m, same_row == full.end() ? nullptr : same_row->second});
    }
    for (size_t i = 0; i < summaries.size(); ++i) {
        summaries[i].n_rows = groups[i].size();
        if (!groups[i].empty()) {
            fill_figures(summaries[i], groups[i]);
        }
    }
    std::vector<Summary> ordered;
    for (const Summary& first : summaries) {
        const auto same_group = [&first](const Summary& s) { return group_name(s) == group_name(first); };
        if (std::ranges::none_of(ordered, same_group)) {
            std::ranges::copy_if(summaries, std::back_inserter(ordered), same_group);
        }
    }
    return ordered;
}

} // namespace pie
