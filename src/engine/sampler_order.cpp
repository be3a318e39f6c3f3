#include "engine/sampler_order.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <optional>
#include <string_view>

namespace pie {
namespace {

// Without a stage: understood, and never active.
const std::map<std::string_view, std::optional<SamplerStage>> stages = {
    {"penalties", SamplerStage::penalties}, {"top_k", SamplerStage::top_k},
    {"typ_p", SamplerStage::typical_p},     {"top_p", SamplerStage::top_p},
    {"min_p", SamplerStage::min_p},         {"temperature", SamplerStage::temperature},
    {"infill", SamplerStage::infill},       {"dry", std::nullopt},
    {"top_n_sigma", std::nullopt},          {"xtc", std::nullopt},
};
const std::map<std::string_view, std::string_view> other_spellings = {
    {"topk", "top_k"},      {"topp", "top_p"},       {"nucleus", "top_p"},
    {"minp", "min_p"},      {"typp", "typ_p"},       {"typ", "typ_p"},
    {"typical_p", "typ_p"}, {"temp", "temperature"}, {"topnsigma", "top_n_sigma"},
};

std::string canonical_name(std::string name) {
    for (char& c : name) {
        c = c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    const auto found = other_spellings.find(name);
    return found == other_spellings.end() ? name : std::string(found->second);
}

} // namespace

Result<std::vector<SamplerStage>> parse_sampler_order(std::span<const std::string> names) {
    std::vector<SamplerStage> order;
    for (const std::string& name : names) {
        const auto found = stages.find(canonical_name(name));
        if (found == stages.end()) {
            std::vector<std::string_view> known;
            for (const auto& [known_name, stage] : stages) {
                if (stage) {
                    known.push_back(known_name);
                }
            }
            return fail(ErrorCode::invalid_argument,
                        fmt::format("there is no sampler '{}'; there are {}", name, fmt::join(known, ", ")));
        }
        if (found->second) {
            order.push_back(*found->second);
        }
    }
    return order;
}

} // namespace pie
