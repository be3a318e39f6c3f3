#include "eval/human_eval.h"

#include "eval/json_text.h"
#include "eval/source_tree.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pie {

bool is_human_eval_row(const nlohmann::json& object) {
    return object.contains("task_id") && object.contains("entry_point");
}

Result<Sample> human_eval_sample(const nlohmann::json& object) {
    PIE_ASSIGN(const std::string prompt, text_field(object, "prompt"));
    PIE_ASSIGN(const std::string name, text_field(object, "entry_point"));
    PIE_ASSIGN(const std::string test, text_field(object, "test"));
    Sample sample;
    PIE_ASSIGN(sample.id, text_field(object, "task_id"));
    PIE_ASSIGN(sample.target, text_field(object, "canonical_solution"));
    sample.setting = "problem";
    sample.language = "python";
    sample.above = split_lines(prompt);
    sample.test = fmt::format("\n{}\ncheck({})\n", test, name);
    return sample;
}

} // namespace pie
