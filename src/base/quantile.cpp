#include "base/quantile.h"

#include "base/check.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

namespace pie {

double quantile(std::vector<double> values, double share) {
    PIE_CHECK(share >= 0 && share <= 1, "a share is between nothing and all");
    if (values.empty()) {
        return 0;
    }
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(std::max<size_t>(rank, 1) - 1);
    std::ranges::nth_element(values, at);
    return *at;
}

double median(std::vector<double> values) {
    return quantile(std::move(values), 0.5);
}

} // namespace pie
