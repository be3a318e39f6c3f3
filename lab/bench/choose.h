#pragma once

// Entries of a table as somebody at a command line chooses them: by names, separated by commas.
//
// Thread rule: pure functions.

#include <pie/result.h>

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

// In the order of `names`. Errors: invalid_argument, which calls the entries `kind` and names all.
template <typename Entry>
Result<std::vector<const Entry*>> choose_by_name(std::span<const Entry> table, std::string_view names,
                                                 std::string_view kind) {
    std::vector<const Entry*> chosen;
    while (!names.empty()) {
        const std::string_view name = names.substr(0, names.find(','));
        names.remove_prefix(std::min(names.size(), name.size() + 1));
        const auto found = std::ranges::find(table, name, &Entry::name);
        if (found == table.end()) {
            std::string known;
            for (const Entry& entry : table) {
                known += (known.empty() ? "" : ", ") + std::string(entry.name);
            }
            return fail(ErrorCode::invalid_argument,
                        fmt::format("there is no {0} '{1}'; the {0}s are {2}", kind, name, known));
        }
        chosen.push_back(&*found);
    }
    return chosen;
}

} // namespace pie
