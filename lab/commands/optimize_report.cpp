#include "commands/optimize_report.h"

#include "base/units.h"
#include "cli/terminal.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pie {
namespace {

void print_row(const std::string& what, const std::string& before, const std::string& after,
               const std::string& more = "") {
    fmt::print("{:<40} {:>10} {:>10}{}\n", what, before, after, more);
}

std::string percent(double share) {
    return fmt::format("{:.0f} %", 100 * share);
}

void print_gain(const OptimizeReport& report) {
    fmt::print("{}\n", coloured(Stream::out, Colour::bold,
                                fmt::format("{:<40} {:>10} {:>10}", "", "before", "after")));
    print_row("size", format_bytes(report.before.size_bytes), format_bytes(report.after.size_bytes));
    print_row("weights repacked for this processor", percent(report.before.repacked.share()),
              percent(report.after.repacked.share()));
    for (const PairedBatch& batch : report.batches) {
        if (batch.first_ms.empty()) {
            continue;
        }
        const double before = batch.first_tokens_per_s();
        const double after = batch.second_tokens_per_s();
        print_row(fmt::format("tokens a second, {}", batch.n_tokens == 1
                                                         ? "one by one"
                                                         : fmt::format("{} at a time", batch.n_tokens)),
                  fmt::format("{:.1f}", before), fmt::format("{:.1f}", after),
                  fmt::format("  {:.2f} times", after / before));
    }
}

void print_loss(const ModelLoss& loss) {
    if (loss.n_lines > 0) {
        print_row(fmt::format("next lines as the source has them, of {}", loss.n_lines),
                  fmt::format("{}", loss.n_original_lines), fmt::format("{}", loss.n_other_lines));
    }
    if (loss.n_tokens == 0) {
        fmt::print("\nWhat it loses was not measured.\n");
        return;
    }
    fmt::print("\nWhat it loses, over {} tokens of source text:\n", loss.n_tokens);
    print_row("KL(before || after) a token, nats", "", fmt::format("{:.4f}", loss.kl()));
    print_row("another likeliest next token", "", fmt::format("{:.1f} %", 100 * (1 - loss.top1_agreement())));
    if (loss.n_lines > 0) {
        print_row("another next line written", "",
                  fmt::format("{} of {}", loss.n_lines - loss.n_same_lines, loss.n_lines));
    }
}

} // namespace

nlohmann::json as_json(const OptimizeReport& report) {
    const auto model = [](const ComparedModel& compared) -> nlohmann::json {
        return {{"name", compared.name},
                {"path", compared.path.string()},
                {"size_bytes", compared.size_bytes},
                {"repacked_share", compared.repacked.share()}};
    };
    nlohmann::json batches = nlohmann::json::array();
    for (const PairedBatch& batch : report.batches) {
        if (!batch.first_ms.empty()) {
            batches.push_back({{"tokens", batch.n_tokens},
                               {"before_tokens_per_s", batch.first_tokens_per_s()},
                               {"after_tokens_per_s", batch.second_tokens_per_s()}});
        }
    }
    nlohmann::json loss = nullptr;
    if (report.loss.n_tokens > 0) {
        loss = {{"tokens", report.loss.n_tokens},
                {"kl_per_token", report.loss.kl()},
                {"top1_agreement", report.loss.top1_agreement()},
                {"lines", report.loss.n_lines},
                {"lines_exact_before", report.loss.n_original_lines},
                {"lines_exact_after", report.loss.n_other_lines},
                {"lines_same", report.loss.n_same_lines}};
    }
    return {{"type", report.type},
            {"made", report.made_now ? "now" : "before"},
            {"before", model(report.before)},
            {"after", model(report.after)},
            {"batches", batches},
            {"loss", loss},
            {"complete", report.is_complete}};
}

void print_text(const OptimizeReport& report) {
    const std::string before = printable(report.before.name);
    const std::string after = printable(report.after.name);
    fmt::print("{}: {} as {}{}\n\n", coloured(Stream::out, Colour::bold, after), before, report.type,
               report.made_now ? "" : ", made before");
    print_gain(report);
    print_loss(report.loss);
    fmt::print("\nUse it with '-m {}'; '{}' stays as it is.\n", after, before);
}

} // namespace pie
