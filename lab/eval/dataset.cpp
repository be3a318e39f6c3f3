#include "eval/dataset.h"

#include "eval/edits.h"
#include "eval/gzip.h"
#include "eval/human_eval.h"
#include "eval/repobench.h"
#include "eval/source_tree.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>
#include <variant>

namespace pie {
namespace {

using Json = nlohmann::json;

constexpr uint64_t file_bytes_max = 4'000'000'000;

// What one line of a file holds.
using Entry = std::variant<EvalRow, Sample>;

const std::string& id_of(const Entry& entry) {
    return std::visit([](const auto& one) -> const std::string& { return one.id; }, entry);
}

// Entries of one group are drawn together.
std::string group_of(const Entry& entry) {
    if (const auto* sample = std::get_if<Sample>(&entry)) {
        return sample->language + "\n" + sample->setting;
    }
    const EvalRow& row = std::get<EvalRow>(entry);
    return fmt::format("{}\n{}\n{}", row.language, row.setting, row.kind);
}

// RepoBench's files are named by their setting.
std::string setting_of(const std::string& file_name) {
    for (const char* setting : {"cross_file_first", "cross_file_random", "in_file"}) {
        if (file_name.find(setting) != std::string::npos) {
            return setting;
        }
    }
    return {};
}

// Of a data file's name, without what says how it is packed.
std::string stem_of(const std::filesystem::path& path) {
    std::filesystem::path stem = path.stem();
    return (path.extension() == ".gz" ? stem.stem() : stem).string();
}

Result<Entry> parse_entry(std::string_view line, const std::filesystem::path& path, size_t number,
                          const PromptLimit& limit) {
    const std::string place = fmt::format("{}:{}", path.string(), number);
    const Json object = Json::parse(line, nullptr, false);
    const bool repobench = object.is_object() && is_repobench_row(object);
    if (!repobench && !(object.is_object() && is_human_eval_row(object))) {
        PIE_ASSIGN(EvalRow row, parse_row(line, place));
        return row;
    }
    auto sample = repobench ? repobench_sample(object, limit) : human_eval_sample(object);
    if (!sample) {
        return fail(sample.error().code, fmt::format("{}: {}", place, sample.error().message));
    }
    const std::string stem = stem_of(path);
    sample->id = sample->id.empty() ? fmt::format("{}:{}", stem, number) : std::move(sample->id);
    sample->setting = sample->setting.empty() ? setting_of(stem) : std::move(sample->setting);
    return *std::move(sample);
}

Result<std::vector<Entry>> read_entries(const DatasetOptions& options, const PromptLimit& limit) {
    std::vector<Entry> entries;
    std::map<std::string, std::string> place_of; // by id
    for (const std::filesystem::path& path : options.files) {
        PIE_ASSIGN(const std::string content, read_text_or_gzip(path, file_bytes_max));
        std::string_view rest = content;
        for (size_t number = 1; !rest.empty(); ++number) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(line.size() + 1, rest.size()));
            if (trimmed(line).empty()) {
                continue;
            }
            PIE_ASSIGN(Entry entry, parse_entry(line, path, number, limit));
            const auto [first, is_new] =
                place_of.emplace(id_of(entry), fmt::format("{}:{}", path.string(), number));
            if (!is_new) {
                return fail(ErrorCode::corrupt,
                            fmt::format("{}:{}: the id '{}' stands at {} already", path.string(), number,
                                        id_of(entry), first->second));
            }
            entries.push_back(std::move(entry));
        }
    }
    return entries;
}

// So many of each group as are asked for, groups in turn, so that a run that is cut short has some of each.
// The first few are the same ones however many are drawn.
std::vector<const Entry*> drawn(const std::vector<Entry>& entries, const DatasetOptions& options) {
    std::vector<std::string> names;
    std::map<std::string, std::vector<const Entry*>> groups;
    for (const Entry& entry : entries) {
        const std::string name = group_of(entry);
        if (!groups.contains(name)) {
            names.push_back(name);
        }
        groups[name].push_back(&entry);
    }
    size_t n_most = 0;
    for (auto& [name, group] : groups) {
        if (options.n_samples > 0) {
            Random random(options.seed, name);
            for (size_t i = 0; i + 1 < group.size(); ++i) {
                std::swap(group[i], group[i + random.below(group.size() - i)]);
            }
            group.resize(std::min(group.size(), options.n_samples));
        }
        n_most = std::max(n_most, group.size());
    }
    std::vector<const Entry*> taken;
    for (size_t i = 0; i < n_most; ++i) {
        for (const std::string& name : names) {
            if (i < groups[name].size()) {
                taken.push_back(groups[name][i]);
            }
        }
    }
    return taken;
}

bool holds_marker(const Sample& sample) {
    const auto holds = [](const std::string& text) {
        return std::ranges::any_of(
            row_markers, [&text](std::string_view marker) { return text.find(marker) != std::string::npos; });
    };
    return std::ranges::any_of(sample.above, holds) || std::ranges::any_of(sample.below, holds);
}

Result<std::vector<const EditKind*>> kinds_called(const std::vector<std::string>& names) {
    std::vector<const EditKind*> kinds;
    for (const std::string& name : names) {
        const EditKind* kind = find_edit_kind(name);
        if (kind == nullptr) {
            std::vector<std::string_view> known;
            std::ranges::transform(edit_kinds(), std::back_inserter(known), &EditKind::name);
            return fail(
                ErrorCode::invalid_argument,
                fmt::format("there is no kind of edit '{}'; the kinds are {}", name, fmt::join(known, ", ")));
        }
        kinds.push_back(kind);
    }
    return kinds;
}

EvalRow edited_row(const Sample& sample, const EditKind& kind, Edit edit) {
    return EvalRow{.id = fmt::format("{}:{}", sample.id, kind.name),
                   .kind = std::string(kind.name),
                   .language = sample.language,
                   .before = std::move(edit.before),
                   .after = std::move(edit.after),
                   .target = sample.target,
                   .setting = sample.setting,
                   .steps = std::move(edit.steps),
                   .test = sample.test,
                   .place = sample.id};
}

} // namespace

Result<Dataset> read_dataset(const DatasetOptions& options, const PromptLimit& limit) {
    PIE_ASSIGN(const std::vector<const EditKind*> kinds, kinds_called(options.edits));
    PIE_ASSIGN(const std::vector<Entry> entries, read_entries(options, limit));
    std::map<std::string, LinePool> pools; // by language
    for (const Entry& entry : entries) {
        if (const auto* sample = std::get_if<Sample>(&entry)) {
            pools[sample->language].emplace_back(sample->above);
        }
    }
    Dataset data;
    for (const Entry* entry : drawn(entries, options)) {
        const auto* sample = std::get_if<Sample>(entry);
        if (sample == nullptr) {
            data.rows.push_back(std::get<EvalRow>(*entry));
            continue;
        }
        if (holds_marker(*sample)) {
            data.left_out.push_back(sample->id + ": its text holds the name of a marker");
            continue;
        }
        for (const EditKind* kind : kinds) {
            Random random(options.seed, fmt::format("{} {}", kind->name, sample->id));
            auto edit = kind->make({*sample, pools[sample->language]}, random);
            if (edit && !edit->before.empty()) {
                data.rows.push_back(edited_row(*sample, *kind, *std::move(edit)));
            } else {
                data.left_out.push_back(fmt::format("{}: '{}' does not fit it", sample->id, kind->name));
            }
        }
    }
    if (data.rows.empty()) {
        return fail(ErrorCode::corrupt,
                    "the data has no row and no sample that the edits fit; 'pie-lab eval build' "
                    "makes samples from a source tree");
    }
    return data;
}

} // namespace pie
