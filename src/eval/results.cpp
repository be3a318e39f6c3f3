#include "eval/results.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <system_error>
#include <utility>

namespace pie {
namespace {

constexpr uint64_t file_bytes_max = 4'000'000'000;

using Json = nlohmann::ordered_json;

template <typename T>
struct Field {
    const char* name;
    T Measurement::*member;
};

constexpr std::string_view line_start = R"({"model":")";

constexpr Field<int32_t> counts[] = {{"tokens_before", &Measurement::tokens_before},
                                     {"tokens_after", &Measurement::tokens_after},
                                     {"tokens_scored", &Measurement::tokens_scored},
                                     {"tokens_encoded", &Measurement::tokens_encoded}};

constexpr Field<double> figures[] = {{"kl", &Measurement::kl},
                                     {"kl_first", &Measurement::kl_first},
                                     {"top1_agreement", &Measurement::top1_agreement},
                                     {"exact_match", &Measurement::exact_match},
                                     {"loss", &Measurement::loss},
                                     {"full_exact_match", &Measurement::full_exact_match},
                                     {"full_loss", &Measurement::full_loss},
                                     {"ms", &Measurement::milliseconds}};

tl::unexpected<Error> fail_no_result(const std::string& place) {
    return fail(ErrorCode::corrupt,
                fmt::format("{}: this is no result of 'pie eval'; give another file to --out", place));
}

} // namespace

std::string measurement_line(const Measurement& measurement) {
    Json object = {{"model", measurement.key.model},   {"row", measurement.key.row},
                   {"digest", measurement.key.digest}, {"method", measurement.key.method},
                   {"kind", measurement.kind},         {"language", measurement.language}};
    if (measurement.failed()) {
        object["failure"] = measurement.failure;
    } else {
        for (const auto& [name, member] : counts) {
            object[name] = measurement.*member;
        }
        for (const auto& [name, member] : figures) {
            object[name] = measurement.*member;
        }
    }
    return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Measurement> parse_measurement(std::string_view line, const std::string& place) {
    const Json object = Json::parse(line, nullptr, false);
    if (!object.is_object()) {
        return fail_no_result(place);
    }
    Measurement measurement;
    try {
        object.at("model").get_to(measurement.key.model);
        object.at("row").get_to(measurement.key.row);
        object.at("digest").get_to(measurement.key.digest);
        object.at("method").get_to(measurement.key.method);
        object.at("kind").get_to(measurement.kind);
        object.at("language").get_to(measurement.language);
        if (object.contains("failure")) {
            object.at("failure").get_to(measurement.failure);
            return measurement;
        }
        for (const auto& [name, member] : counts) {
            object.at(name).get_to(measurement.*member);
        }
        for (const auto& [name, member] : figures) {
            object.at(name).get_to(measurement.*member);
        }
    } catch (const Json::exception&) {
        return fail_no_result(place);
    }
    return measurement;
}

Result<Results> Results::open(const std::filesystem::path& path) {
    Results results;
    auto content = read_file(path, file_bytes_max);
    if (!content && content.error().code != ErrorCode::not_found) {
        return tl::unexpected(std::move(content).error());
    }
    if (content) {
        const size_t whole = content->rfind('\n') + 1; // 0 if there is no line break
        std::string_view rest = std::string_view(*content).substr(0, whole);
        for (size_t number = 1; !rest.empty(); ++number) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(line.size() + 1);
            PIE_ASSIGN(Measurement measurement,
                       parse_measurement(line, fmt::format("{}:{}", path.string(), number)));
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
