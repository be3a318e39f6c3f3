#include "bench/source_document.h"

#include "base/sha256.h"
#include "eval/random.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <utility>

namespace pie {
namespace {

constexpr size_t spare_bytes = 20'000;

bool is_usable(std::string_view line) {
    return line.ends_with('\n') && line.find("<|") == std::string_view::npos &&
           std::ranges::all_of(line, [](char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\t'; });
}

std::vector<std::string> lines_in_drawn_order(const SourceTree& tree, uint64_t seed) {
    std::vector<size_t> order(tree.files.size());
    std::iota(order.begin(), order.end(), size_t{0});
    Random random(seed, "order of files");
    for (size_t i = order.size(); i > 1; --i) {
        std::swap(order[i - 1], order[random.below(i)]);
    }
    std::vector<std::string> lines;
    for (const size_t file : order) {
        std::ranges::copy_if(tree.files[file].lines, std::back_inserter(lines), is_usable);
    }
    return lines;
}

} // namespace

Result<SourceDocument> make_document(const SourceTree& tree, size_t n_tokens, uint64_t seed,
                                     const TokenCounter& count) {
    SourceDocument document;
    size_t n_left = n_tokens;
    bool is_full = false;
    for (std::string& line : lines_in_drawn_order(tree, seed)) {
        const size_t n = is_full ? 0 : count(line);
        is_full = is_full || n > n_left;
        if (!is_full) {
            n_left -= n;
            document.lines.push_back(std::move(line));
        } else if (document.spare.size() < spare_bytes) {
            document.spare += line;
        }
    }
    if (document.spare.size() < spare_bytes) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("the sources are too few for a document of {} tokens; give a larger folder "
                                "to --source, or smaller --contexts",
                                n_tokens));
    }
    Sha256 digest;
    digest.update(fmt::format("{}{}", fmt::join(document.lines, ""), document.spare));
    document.digest = digest.hex_digest().substr(0, 16);
    return document;
}

std::string text_of_tokens(std::string_view text, size_t n_tokens, const TokenCounter& count) {
    size_t length = std::min(n_tokens, text.size()); // a token has a byte at least
    while (length < text.size() && count(text.substr(0, length)) < n_tokens) {
        ++length;
    }
    // As long as the last token grows, the text is still of as many.
    while (length < text.size() && count(text.substr(0, length + 1)) == n_tokens) {
        ++length;
    }
    return std::string(text.substr(0, length));
}

} // namespace pie
