#include "bench/serving_results.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <system_error>
#include <utility>

namespace pie {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr uint64_t file_bytes_max = 1'000'000'000;
constexpr const char* file_name = "serving.jsonl";

// What the first results did not have.
constexpr std::string_view since_then = "joules";

constexpr std::string_view line_start = R"({"commit":")";

tl::unexpected<Error> fail_no_result(const std::string& place) {
    return fail(ErrorCode::corrupt,
                fmt::format("{}: this is no result of 'pie-lab bench'; give another folder", place));
}

// Calls visit(name, member) for everything that a line holds.
template <typename M, typename Visit>
void visit_fields(M& m, const Visit& visit) {
    visit("commit", m.conditions.commit);
    visit("model", m.conditions.model);
    visit("fingerprint", m.conditions.fingerprint);
    visit("llama_server", m.conditions.llama_server);
    visit("machine", m.conditions.machine);
    visit("threads", m.conditions.n_threads);
    visit("n_predict", m.conditions.n_predict);
    visit("seed", m.conditions.seed);
    visit("date", m.date);
    visit("document", m.document);
    visit("workload", m.workload);
    visit("context", m.context);
    visit("system", m.system);
    visit("steps", m.n_steps);
    visit("first_ms", m.first_ms);
    visit("total_ms", m.total_ms);
    visit("prompt_ms", m.prompt_ms);
    visit("tokens_encoded", m.tokens_encoded);
    visit("tokens_context", m.tokens_context);
    visit("tokens_written", m.tokens_written);
    visit("joules", m.joules);
    visit("checked", m.n_checked);
    visit("equal_first_lines", m.equal_first_lines);
    visit("equal_tokens", m.equal_tokens);
    visit("peak_memory_bytes", m.peak_memory_bytes);
}

struct Content {
    std::vector<ServingMeasurement> measurements;
    size_t bytes = 0;       // of whole lines
    size_t bytes_whole = 0; // of the file
};

Result<Content> read_lines(const std::filesystem::path& path) {
    PIE_ASSIGN(const std::string text, read_file(path, file_bytes_max));
    Content content{.measurements = {}, .bytes = text.rfind('\n') + 1, .bytes_whole = text.size()};
    const std::string_view torn = std::string_view(text).substr(content.bytes);
    if (torn.substr(0, line_start.size()) != line_start.substr(0, torn.size())) {
        return fail_no_result(path.string()); // somebody else's file: nothing of it is dropped
    }
    std::string_view rest = std::string_view(text).substr(0, content.bytes);
    for (size_t number = 1; !rest.empty(); ++number) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(line.size() + 1);
        PIE_ASSIGN(auto measurement,
                   parse_serving_measurement(line, fmt::format("{}:{}", path.string(), number)));
        content.measurements.push_back(std::move(measurement));
    }
    return content;
}

} // namespace

std::string measurement_line(const ServingMeasurement& measurement) {
    OrderedJson object;
    visit_fields(measurement, [&object](const char* name, const auto& member) { object[name] = member; });
    return object.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

Result<ServingMeasurement> parse_serving_measurement(std::string_view line, const std::string& place) {
    const OrderedJson object = OrderedJson::parse(line, nullptr, false);
    ServingMeasurement measurement;
    try {
        visit_fields(measurement, [&object](const char* name, auto& member) {
            if (name != since_then || object.contains(name)) {
                object.at(name).get_to(member);
            }
        });
    } catch (const OrderedJson::exception&) {
        return fail_no_result(place);
    }
    return measurement;
}

Result<ServingResults> ServingResults::open(const std::filesystem::path& folder) {
    PIE_TRY(create_folder(folder));
    const std::filesystem::path path = folder / file_name;
    ServingResults results;
    auto content = read_lines(path);
    if (content) {
        results.measurements_ = std::move(content->measurements);
        std::error_code error;
        if (content->bytes < content->bytes_whole) {
            std::filesystem::resize_file(path, content->bytes, error);
        }
        if (error) {
            return tl::unexpected(file_error("repair", path, error.value()));
        }
    } else if (content.error().code != ErrorCode::not_found) {
        return tl::unexpected(std::move(content).error());
    }
    PIE_ASSIGN(results.file_, FileWriter::open(path, WriteFrom::end));
    return results;
}

Result<ServingResults> ServingResults::read(const std::filesystem::path& folder) {
    PIE_ASSIGN(Content content, read_lines(folder / file_name));
    ServingResults results;
    results.measurements_ = std::move(content.measurements);
    return results;
}

bool ServingResults::holds(const ServingMeasurement& wanted) const {
    return std::ranges::any_of(measurements_, [&wanted](const ServingMeasurement& m) {
        return m.conditions == wanted.conditions && m.workload == wanted.workload &&
               m.context == wanted.context && m.system == wanted.system && m.document == wanted.document &&
               m.n_steps == wanted.n_steps;
    });
}

Result<void> ServingResults::add(ServingMeasurement measurement) {
    if (file_) {
        PIE_TRY(file_->write(measurement_line(measurement) + "\n"));
    }
    measurements_.push_back(std::move(measurement));
    return {};
}

} // namespace pie
