#include "eval/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

namespace pie {
namespace {

using Summaries = std::vector<Summary>;
using Text = std::function<std::string(const Summary&)>;

std::string table_line(const std::vector<std::string>& cells) {
    return fmt::format("| {} |\n", fmt::join(cells, " | "));
}

std::string table_head(const std::vector<std::string>& cells) {
    return table_line(cells) + table_line(std::vector<std::string>(cells.size(), "---"));
}

template <typename T>
std::vector<std::string> distinct(const Summaries& summaries, T Summary::*member) {
    std::vector<std::string> found;
    for (const Summary& s : summaries) {
        if (std::ranges::find(found, s.*member) == found.end()) {
            found.push_back(s.*member);
        }
    }
    return found;
}

Summaries those(const Summaries& summaries, const std::function<bool(const Summary&)>& wanted) {
    Summaries found;
    std::ranges::copy_if(summaries, std::back_inserter(found), wanted);
    return found;
}

std::string cell(const Summaries& summaries, std::string Summary::*member, const std::string& name,
                 const Text& text) {
    const auto found = std::ranges::find(summaries, name, member);
    return found == summaries.end() || found->n_rows == 0 ? "" : text(*found);
}

std::string match_and_similarity(const Summary& s) {
    return fmt::format("{:.2f}/{:.2f}", 100 * s.line_match.mean, s.edit_similarity.mean);
}

bool is_contextual(const Summary& s) {
    return s.kind.starts_with("contextual");
}

std::string setting_title(const std::string& setting) {
    const std::map<std::string, std::string> short_names = {
        {"cross_file_first", "XF-F"}, {"cross_file_random", "XF-R"}, {"in_file", "IF"}, {"", "all"}};
    const auto found = short_names.find(setting);
    return found == short_names.end() ? setting : found->second;
}

// The paper's main tables: methods down, settings across.
std::string task_table(const Summaries& of_kind) {
    const std::vector<std::string> settings = distinct(of_kind, &Summary::setting);
    std::vector<std::string> head = {"method"};
    for (const std::string& setting : settings) {
        head.push_back(setting_title(setting) + " EM/ES");
        head.emplace_back("rows");
        head.emplace_back("ms");
    }
    std::string table = table_head(head);
    for (const std::string& method : distinct(of_kind, &Summary::method)) {
        const Summaries own = those(of_kind, [&](const Summary& s) { return s.method == method; });
        std::vector<std::string> cells = {method};
        for (const std::string& setting : settings) {
            cells.push_back(cell(own, &Summary::setting, setting, match_and_similarity));
            cells.push_back(cell(own, &Summary::setting, setting,
                                 [](const Summary& s) { return fmt::format("{}", s.n_rows); }));
            cells.push_back(cell(own, &Summary::setting, setting,
                                 [](const Summary& s) { return fmt::format("{:.0f}", s.milliseconds); }));
        }
        table += table_line(cells);
    }
    return table;
}

// The paper's contextual table: cases down, methods across.
std::string contextual_table(const Summaries& contextual) {
    const std::vector<std::string> methods = distinct(contextual, &Summary::method);
    std::vector<std::string> head = {"case", "setting", "rows"};
    head.insert(head.end(), methods.begin(), methods.end());
    std::string table = table_head(head);
    for (const std::string& setting : distinct(contextual, &Summary::setting)) {
        for (const std::string& kind : distinct(contextual, &Summary::kind)) {
            const Summaries own =
                those(contextual, [&](const Summary& s) { return s.kind == kind && s.setting == setting; });
            if (own.empty()) {
                continue;
            }
            std::vector<std::string> cells = {kind, setting_title(setting),
                                              fmt::format("{}", own.front().n_rows)};
            for (const std::string& method : methods) {
                cells.push_back(cell(own, &Summary::method, method, match_and_similarity));
            }
            table += table_line(cells);
        }
    }
    return table;
}

std::string with_interval(const MeanInterval& i, int digits, double factor = 1) {
    return fmt::format("{:.{}f} [{:.{}f}, {:.{}f}]", factor * i.mean, digits, factor * i.low, digits,
                       factor * i.high, digits);
}

std::string fidelity_table(const Summaries& of_kind) {
    std::string table =
        table_head({"method", "rows", "KL a token", "KL of the first", "top-1", "loss to full",
                    "exact to full, points", "ES to full", "tokens encoded", "GFLOP", "ms"});
    for (const Summary& s : of_kind) {
        const std::string rows = s.n_failed == 0 ? fmt::format("{}", s.n_rows)
                                                 : fmt::format("{}, {} failed", s.n_rows, s.n_failed);
        if (s.n_rows == 0) {
            table += table_line({s.method, rows, "", "", "", "", "", "", "", "", ""});
            continue;
        }
        table +=
            table_line({s.method, rows, with_interval(s.kl, 4), with_interval(s.kl_first, 4),
                        fmt::format("{:.1f}", 100 * s.top1_agreement.mean), with_interval(s.loss_to_full, 4),
                        with_interval(s.line_match_to_full, 1, 100),
                        with_interval(s.edit_similarity_to_full, 1), fmt::format("{:.0f}", s.tokens_encoded),
                        fmt::format("{:.1f}", s.flops / 1e9), fmt::format("{:.1f}", s.milliseconds)});
    }
    return table;
}

std::string tests_table(const Summaries& tested) {
    std::string table = table_head({"edit", "method", "problems", "passed, %", "to full, points"});
    for (const Summary& s : tested) {
        table += table_line({s.kind, s.method, fmt::format("{}", s.n_tested), with_interval(s.passed, 1, 100),
                             with_interval(s.passed_to_full, 1, 100)});
    }
    return table;
}

std::string losses_table(const Losses& losses) {
    std::string table = table_head({"edit", "rows", "lost to full", "won", "KL a token"});
    for (const KindLosses& of_kind : losses.kinds) {
        table +=
            table_line({of_kind.kind, fmt::format("{}", of_kind.n_rows), fmt::format("{}", of_kind.n_lost),
                        fmt::format("{}", of_kind.n_won), fmt::format("{:.4f}", of_kind.kl)});
    }
    return table;
}

// Between tildes, as source text may hold backticks.
std::string loss_text(const Loss& loss) {
    const Measurement& own = loss.own;
    const std::string edit = loss.full.edit.empty() ? "" : fmt::format("~~~~diff\n{}~~~~\n", loss.full.edit);
    return fmt::format(
        "\n**{}**, {}, KL {:.4f} a token. The edit, the line that was to come, and what was written:\n\n"
        "{}~~~~text\n{:<10}{}\n{:<10}{}\n{:<10}{}\n~~~~\n",
        own.kind, own.key.row, own.kl, edit, "expected", own.target, "full", loss.full.prediction,
        own.key.method, own.prediction);
}

std::string losses_of(const Losses& losses) {
    std::string text = fmt::format("\n### Where {} still loses\n{}", losses.method, losses_table(losses));
    for (const Loss& loss : losses.examples) {
        text += loss_text(loss);
    }
    return text;
}

std::string failures_table(const Report& report) {
    if (report.failures.empty()) {
        return {};
    }
    std::string table = "\n## What failed\n" + table_head({"measurements", "reason"});
    for (const auto& [reason, count] : report.failures) {
        table += table_line({fmt::format("{}", count), reason});
    }
    return table;
}

std::string tables_of_language(const Summaries& summaries) {
    std::string text;
    for (const std::string& kind : distinct(summaries, &Summary::kind)) {
        const Summaries of_kind = those(summaries, [&](const Summary& s) { return s.kind == kind; });
        if (!is_contextual(of_kind.front())) {
            text += fmt::format("\n### {}\n{}", kind, task_table(of_kind));
        }
    }
    const Summaries contextual = those(summaries, is_contextual);
    if (!contextual.empty()) {
        text += "\n### Contextually related insertions, EM/ES\n" + contextual_table(contextual);
    }
    return text;
}

std::string csv_field(std::string_view text) {
    if (text.find_first_of(",\"\n") == std::string_view::npos) {
        return std::string(text);
    }
    std::string quoted = "\"";
    for (const char c : text) {
        quoted += c == '"' ? "\"\"" : std::string(1, c);
    }
    return quoted + "\"";
}

} // namespace

Report make_report(std::span<const Measurement> measurements) {
    Report report{.by_edit = summarise(measurements, Grouping::edit),
                  .by_setting = summarise(measurements, Grouping::edit_in_setting),
                  .losses = find_losses(measurements),
                  .failures = {}};
    for (const Measurement& m : measurements) {
        if (m.failed()) {
            ++report.failures[m.failure];
        }
    }
    return report;
}

std::string report_markdown(const Report& report) {
    std::string text;
    for (const std::string& model : distinct(report.by_edit, &Summary::model)) {
        const Summaries own = those(report.by_setting, [&](const Summary& s) { return s.model == model; });
        for (const std::string& language : distinct(own, &Summary::language)) {
            text +=
                fmt::format("## {}{}{}: completed lines\n", model, language.empty() ? "" : ", ", language);
            text += tables_of_language(those(own, [&](const Summary& s) { return s.language == language; }));
            text += "\n";
        }
        text += fmt::format("## {}: distance from full recompute\n", model);
        const Summaries pooled = those(report.by_edit, [&](const Summary& s) { return s.model == model; });
        for (const std::string& kind : distinct(pooled, &Summary::kind)) {
            const Summaries of_kind = those(pooled, [&](const Summary& s) { return s.kind == kind; });
            text += fmt::format("\n### {}, {:.0f} tokens a prompt\n", kind, of_kind.front().tokens_after);
            text += fidelity_table(of_kind);
        }
        const Summaries tested = those(pooled, [](const Summary& s) { return s.n_tested > 0; });
        text += tested.empty() ? "" : "\n### Tests passed\n" + tests_table(tested);
        for (const Losses& losses : report.losses) {
            text += losses.model == model ? losses_of(losses) : "";
        }
    }
    return text + failures_table(report);
}

std::string report_csv(const Report& report) {
    std::string text =
        "model,language,setting,edit,method,rows,failed,tested,tokens,edits,tokens_encoded,flops,ms";
    for (const IntervalFigure& figure : interval_figures()) {
        text += fmt::format(",{0},{0}_low,{0}_high", figure.name);
    }
    text += "\n";
    for (const Summary& s : report.by_setting) {
        text +=
            fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{}", csv_field(s.model), csv_field(s.language),
                        csv_field(s.setting), csv_field(s.kind), csv_field(s.method), s.n_rows, s.n_failed,
                        s.n_tested, s.tokens_after, s.n_edits, s.tokens_encoded, s.flops, s.milliseconds);
        for (const IntervalFigure& figure : interval_figures()) {
            const MeanInterval& i = s.*figure.member;
            text += fmt::format(",{},{},{}", i.mean, i.low, i.high);
        }
        text += "\n";
    }
    return text;
}

std::string layers_csv(const Report& report) {
    std::string text = "model,edit,method,layer,key_cosine,value_cosine\n";
    for (const Summary& s : report.by_edit) {
        for (size_t layer = 0; layer < s.key_cosines.size(); ++layer) {
            text += fmt::format("{},{},{},{},{},{}\n", csv_field(s.model), csv_field(s.kind),
                                csv_field(s.method), layer, s.key_cosines[layer], s.value_cosines[layer]);
        }
    }
    return text;
}

} // namespace pie
