#include "eval/results.h"

#include "eval/gzip.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <system_error>
#include <utility>

namespace pie {
namespace {

constexpr uint64_t file_bytes_max = 4'000'000'000;

using OrderedJson = nlohmann::ordered_json;

template <typename T>
struct Field {
    const char* name;
    T Measurement::*member;
};

constexpr std::string_view line_start = R"({"model":")";

constexpr Field<int32_t> counts[] = {{"tokens_before", &Measurement::tokens_before},
                                     {"tokens_after", &Measurement::tokens_after},
                                     {"tokens_scored", &Measurement::tokens_scored},
                                     {"edits", &Measurement::n_edits}};

constexpr Field<double> figures[] = {{"kl", &Measurement::kl},
                                     {"kl_first", &Measurement::kl_first},
                                     {"top1_agreement", &Measurement::top1_agreement},
                                     {"exact_match", &Measurement::exact_match},
                                     {"loss", &Measurement::loss},
                                     {"line_match", &Measurement::line_match},
                                     {"edit_similarity", &Measurement::edit_similarity},
                                     {"tokens_encoded", &Measurement::tokens_encoded},
                                     {"flops", &Measurement::flops},
                                     {"ms", &Measurement::milliseconds}};

constexpr Field<std::string> texts[] = {
    {"kind", &Measurement::kind}, {"setting", &Measurement::setting}, {"language", &Measurement::language}};

constexpr Field<std::string> lines[] = {{"prediction", &Measurement::prediction},
                                        {"target", &Measurement::target}};

constexpr Field<std::vector<double>> layers[] = {{"key_cosines", &Measurement::key_cosines},
                                                 {"value_cosines", &Measurement::value_cosines}};

tl::unexpected<Error> fail_no_result(const std::string& place) {
    return fail(ErrorCode::corrupt,
                fmt::format("{}: this is no result of 'pie-lab eval'; give another file to --out", place));
}

} // namespace

std::string measurement_line(const Measurement& measurement) {
    OrderedJson object = {{"model", measurement.key.model},
                          {"row", measurement.key.row},
                          {"digest", measurement.key.digest},
                          {"method", measurement.key.method}};
    const auto put = [&](const auto& fields) {
        for (const auto& [name, member] : fields) {
            object[name] = measurement.*member;
        }
    };
    put(texts);
    if (measurement.failed()) {
        object["failure"] = measurement.failure;
        return object.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
    }
    put(counts);
    put(figures);
    put(lines);
    if (!measurement.edit.empty()) {
        object["edit"] = measurement.edit;
    }
    if (measurement.passed) {
        object["passed"] = *measurement.passed;
    }
    for (const auto& [name, member] : layers) {
        for (const double cosine : measurement.*member) {
            // Five digits tell all that there is to tell, and files of results are kept small.
            object[name].push_back(std::round(cosine * 1e5) / 1e5);
        }
    }
    return object.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

Result<Measurement> parse_measurement(std::string_view line, const std::string& place) {
    const OrderedJson object = OrderedJson::parse(line, nullptr, false);
    if (!object.is_object()) {
        return fail_no_result(place);
    }
    Measurement measurement;
    try {
        object.at("model").get_to(measurement.key.model);
        object.at("row").get_to(measurement.key.row);
        object.at("digest").get_to(measurement.key.digest);
        object.at("method").get_to(measurement.key.method);
        const auto take = [&](const auto& fields) {
            for (const auto& [name, member] : fields) {
                object.at(name).get_to(measurement.*member);
            }
        };
        take(texts);
        if (object.contains("failure")) {
            object.at("failure").get_to(measurement.failure);
            return measurement;
        }
        take(counts);
        take(figures);
        take(lines);
        if (object.contains("edit")) {
            object.at("edit").get_to(measurement.edit);
        }
        if (object.contains("passed")) {
            measurement.passed = object.at("passed").get<bool>();
        }
        for (const auto& [name, member] : layers) {
            if (object.contains(name)) {
                object.at(name).get_to(measurement.*member);
            }
        }
    } catch (const OrderedJson::exception&) {
        return fail_no_result(place);
    }
    return measurement;
}

Result<std::vector<Measurement>> parse_measurements(std::string_view text, const std::string& name) {
    std::vector<Measurement> measurements;
    for (size_t number = 1; !text.empty(); ++number) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        PIE_ASSIGN(measurements.emplace_back(), parse_measurement(line, fmt::format("{}:{}", name, number)));
    }
    return measurements;
}

Result<std::vector<Measurement>> read_measurements(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> paths;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(".jsonl") || name.ends_with(".jsonl.gz")) {
            paths.push_back(entry.path());
        }
    }
    if (error) {
        return tl::unexpected(file_error("read", folder, error.value()));
    }
    std::ranges::sort(paths);
    std::vector<Measurement> kept;
    std::map<MeasurementKey, size_t> place_of;
    for (const std::filesystem::path& path : paths) {
        PIE_ASSIGN(const std::string text, read_text_or_gzip(path, file_bytes_max));
        PIE_ASSIGN(std::vector<Measurement> read, parse_measurements(text, path.string()));
        for (Measurement& m : read) {
            const auto [known, is_new] = place_of.emplace(m.key, kept.size());
            if (is_new) {
                kept.push_back(std::move(m));
            } else if (!m.failed() || kept[known->second].failed()) {
                kept[known->second] = std::move(m);
            }
        }
    }
    if (kept.empty()) {
        return fail(
            ErrorCode::not_found,
            fmt::format("there is no result in '{}'; 'pie-lab eval run' writes some", folder.string()));
    }
    return kept;
}

Result<Results> Results::open(const std::filesystem::path& path) {
    Results results;
    auto content = read_file(path, file_bytes_max);
    if (!content && content.error().code != ErrorCode::not_found) {
        return tl::unexpected(std::move(content).error());
    }
    if (content) {
        const size_t whole = content->rfind('\n') + 1; // 0 if there is no line break
        PIE_ASSIGN(std::vector<Measurement> read,
                   parse_measurements(std::string_view(*content).substr(0, whole), path.string()));
        for (Measurement& measurement : read) {
            const MeasurementKey key = measurement.key;
            results.measurements_.insert_or_assign(key, std::move(measurement));
        }
        if (whole < content->size()) {
            const std::string_view torn = std::string_view(*content).substr(whole);
            if (torn.substr(0, line_start.size()) != line_start.substr(0, torn.size())) {
                return fail_no_result(path.string()); // somebody else's file: nothing of it is dropped
            }
            std::error_code error;
            std::filesystem::resize_file(path, whole, error);
            if (error) {
                return tl::unexpected(file_error("repair", path, error.value()));
            }
        }
    }
    PIE_ASSIGN(results.file_, FileWriter::open(path, WriteFrom::end));
    return results;
}

const Measurement* Results::find(const MeasurementKey& key) const {
    const auto found = measurements_.find(key);
    return found == measurements_.end() ? nullptr : &found->second;
}

const Measurement* Results::find_success(const MeasurementKey& key) const {
    const Measurement* found = find(key);
    return found == nullptr || found->failed() ? nullptr : found;
}

Result<void> Results::add(Measurement measurement) {
    if (file_) {
        PIE_TRY(file_->write(measurement_line(measurement) + "\n"));
    }
    const MeasurementKey key = measurement.key;
    measurements_.insert_or_assign(key, std::move(measurement));
    return {};
}

} // namespace pie
