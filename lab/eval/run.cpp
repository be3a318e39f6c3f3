#include "eval/run.h"

#include "base/interrupt.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace pie {
namespace {

// Methods that have no figures yet.
std::vector<Method> methods_left(const EvalRow& row, std::span<const Method> methods,
                                 const std::string& model, const Results& results) {
    std::vector<Method> left;
    for (const Method& method : methods) {
        if (results.find_success(blank_measurement(row, method, model).key) == nullptr) {
            left.push_back(method);
        }
    }
    return left;
}

// Of the rows behind this one, round to it, the first with another edited prompt; null if there is none.
const EvalRow* other_row(std::span<const EvalRow> rows, size_t i) {
    for (size_t j = 1; j < rows.size(); ++j) {
        const EvalRow& candidate = rows[(i + j) % rows.size()];
        if (candidate.after != rows[i].after) {
            return &candidate;
        }
    }
    return nullptr;
}

} // namespace

Result<void> run_rows(std::span<const EvalRow> rows, std::span<const Method> methods, RowRunner& runner,
                      Results& results, Progress& progress) {
    size_t done = rows.size() - rows_left(rows, methods, runner.model(), results);
    progress.start("rows", ProgressUnit::items, rows.size(), done);
    for (size_t i = 0; i < rows.size(); ++i) {
        const EvalRow& row = rows[i];
        const std::vector<Method> left = methods_left(row, methods, runner.model(), results);
        if (left.empty()) {
            continue;
        }
        if (interrupted()) {
            return fail_interrupted(std::string(kept_notice));
        }
        std::string told; // a row that cannot be encoded fails with every method for one reason
        PIE_TRY(runner.run(row, other_row(rows, i), left, [&](Measurement measurement) {
            if (measurement.failure != std::exchange(told, measurement.failure) && measurement.failed()) {
                progress.note(fmt::format("{}: {}", row.id, measurement.failure));
            }
            return results.add(std::move(measurement));
        }));
        progress.update(++done);
    }
    progress.finish();
    return {};
}

size_t rows_left(std::span<const EvalRow> rows, std::span<const Method> methods, const std::string& model,
                 const Results& results) {
    return static_cast<size_t>(std::ranges::count_if(
        rows, [&](const EvalRow& row) { return !methods_left(row, methods, model, results).empty(); }));
}

} // namespace pie
