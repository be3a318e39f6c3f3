#include "model/optimized.h"

#include <algorithm>
#include <system_error>

namespace pie {

namespace fs = std::filesystem;

std::optional<OptimizedModel> parse_optimized(std::string_view name) {
    for (const QuantType& type : quant_types()) {
        const std::string ending = "-" + std::string(type.name);
        if (name.size() > ending.size() && name.ends_with(ending) &&
            name.find('/') == std::string_view::npos) {
            return OptimizedModel{std::string(name.substr(0, name.size() - ending.size())), type};
        }
    }
    return std::nullopt;
}

fs::path path_in_store(const OptimizedModel& model, const StoreSettings& settings) {
    return settings.folder / (model.name() + ".gguf");
}

std::vector<OptimizedModel> optimized_models(const StoreSettings& settings) {
    std::vector<OptimizedModel> models;
    std::error_code error;
    for (auto entry = fs::directory_iterator(settings.folder, error);
         !error && entry != fs::directory_iterator(); entry.increment(error)) {
        const auto model = parse_optimized(entry->path().stem().string());
        if (model && entry->path().extension() == ".gguf") {
            models.push_back(*model);
        }
    }
    std::ranges::sort(models, {}, &OptimizedModel::name);
    return models;
}

} // namespace pie
