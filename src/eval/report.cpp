#include "eval/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

namespace pie {
namespace {

using Json = nlohmann::ordered_json;
using Group = std::vector<const Measurement*>;

MeanInterval interval_of(const Group& group, const std::function<double(const Measurement&)>& figure) {
    std::vector<double> values;
    values.reserve(group.size());
    std::ranges::transform(group, std::back_inserter(values),
                           [&](const Measurement* m) { return figure(*m); });
    return bootstrap_mean(values);
}

double mean_of(const Group& group, const std::function<double(const Measurement&)>& figure) {
    double sum = 0;
    for (const Measurement* m : group) {
        sum += figure(*m);
    }
    return sum / static_cast<double>(group.size());
}

void fill_figures(Summary& summary, const Group& group) {
    using M = Measurement;
    summary.kl = interval_of(group, &M::kl);
    summary.kl_first = interval_of(group, &M::kl_first);
    summary.top1_agreement = interval_of(group, &M::top1_agreement);
    summary.exact_match = interval_of(group, &M::exact_match);
    summary.exact_match_to_full =
        interval_of(group, [](const M& m) { return m.exact_match - m.full_exact_match; });
    summary.loss = interval_of(group, &M::loss);
    summary.loss_to_full = interval_of(group, [](const M& m) { return m.loss - m.full_loss; });
    summary.tokens_after = mean_of(group, [](const M& m) { return static_cast<double>(m.tokens_after); });
    summary.tokens_encoded = mean_of(group, [](const M& m) { return static_cast<double>(m.tokens_encoded); });
    summary.milliseconds = mean_of(group, &M::milliseconds);
}

// "0.0213 [0.0101, 0.0340]"
std::string interval_text(const MeanInterval& interval) {
    return fmt::format("{:.4f} [{:.4f}, {:.4f}]", interval.mean, interval.low, interval.high);
}

Json interval_json(const MeanInterval& interval) {
    return {{"mean", interval.mean}, {"low", interval.low}, {"high", interval.high}};
}

} // namespace

std::vector<Summary> summarise(std::span<const Measurement> measurements) {
    std::vector<Summary> summaries;
    std::vector<Group> groups;
    std::vector<std::string> kinds;
    for (const Measurement& m : measurements) {
        auto found = std::ranges::find_if(summaries, [&m](const Summary& s) {
            return s.model == m.key.model && s.kind == m.kind && s.method == m.key.method;
        });
        if (found == summaries.end()) {
            Summary fresh;
            fresh.model = m.key.model;
            fresh.kind = m.kind;
            fresh.method = m.key.method;
            found = summaries.insert(summaries.end(), std::move(fresh));
            groups.emplace_back();
        }
        if (std::ranges::find(kinds, m.kind) == kinds.end()) {
            kinds.push_back(m.kind);
        }
        if (m.failed()) {
            ++found->n_failed;
        } else {
            groups[static_cast<size_t>(found - summaries.begin())].push_back(&m);
        }
    }
    for (size_t i = 0; i < summaries.size(); ++i) {
        summaries[i].n_rows = groups[i].size();
        if (!groups[i].empty()) {
            fill_figures(summaries[i], groups[i]);
        }
    }
    std::ranges::stable_sort(summaries, {},
                             [&kinds](const Summary& s) { return std::ranges::find(kinds, s.kind); });
    return summaries;
}

std::string summary_table(std::span<const Summary> summaries) {
    std::string table;
    std::string kind;
    for (const Summary& s : summaries) {
        if (s.kind != kind || table.empty()) {
            kind = s.kind;
            table += fmt::format("{}{}, {:.0f} tokens a prompt, {}\n", table.empty() ? "" : "\n", kind,
                                 s.tokens_after, s.model);
            table += fmt::format("  {:<16} {:>5} {:<25} {:<25} {:>6} {:>6} {:>7} {:>6} {:<25} {:>8} {:>9}\n",
                                 "method", "rows", "KL a token", "KL of the first", "top-1", "exact",
                                 "to full", "loss", "loss to full", "encoded", "ms");
        }
        if (s.n_rows == 0) {
            table += fmt::format("  {:<16} {:>5} no figures, {} failed\n", s.method, 0, s.n_failed);
            continue;
        }
        table += fmt::format(
            "  {:<16} {:>5} {:<25} {:<25} {:>6.1f} {:>6.1f} {:>+7.1f} {:>6.3f} {:<25} {:>8.0f} {:>9.1f}",
            s.method, s.n_rows, interval_text(s.kl), interval_text(s.kl_first), 100 * s.top1_agreement.mean,
            100 * s.exact_match.mean, 100 * s.exact_match_to_full.mean, s.loss.mean,
            interval_text(s.loss_to_full), s.tokens_encoded, s.milliseconds);
        table += s.n_failed > 0 ? fmt::format("  {} failed\n", s.n_failed) : "\n";
    }
    return table;
}

std::string summary_lines(std::span<const Summary> summaries) {
    std::string lines;
    for (const Summary& s : summaries) {
        Json object = {{"model", s.model},
                       {"kind", s.kind},
                       {"method", s.method},
                       {"rows", s.n_rows},
                       {"failed", s.n_failed}};
        if (s.n_rows > 0) {
            object["kl"] = interval_json(s.kl);
            object["kl_first"] = interval_json(s.kl_first);
            object["top1_agreement"] = interval_json(s.top1_agreement);
            object["exact_match"] = interval_json(s.exact_match);
            object["exact_match_to_full"] = interval_json(s.exact_match_to_full);
            object["loss"] = interval_json(s.loss);
            object["loss_to_full"] = interval_json(s.loss_to_full);
            object["tokens_after"] = s.tokens_after;
            object["tokens_encoded"] = s.tokens_encoded;
            object["ms"] = s.milliseconds;
        }
        lines += object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    return lines;
}

} // namespace pie
