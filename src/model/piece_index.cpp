#include "model/piece_index.h"

#include <algorithm>

namespace pie {

PieceIndex::PieceIndex(const Vocabulary& vocabulary) {
    for (int32_t i = 0; i < vocabulary.size(); ++i) {
        if (std::string piece = vocabulary.piece(TokenId(i)); !piece.empty()) {
            pieces_.emplace_back(std::move(piece), TokenId(i));
        }
    }
    std::ranges::sort(pieces_);
}

std::vector<TokenId> PieceIndex::compatible(std::string_view text) const {
    std::vector<TokenId> tokens;
    const auto text_of = [](const auto& entry) { return std::string_view(entry.first); };
    const auto begin = std::ranges::lower_bound(pieces_, text, {}, text_of);
    for (auto entry = begin; entry != pieces_.end() && entry->first.starts_with(text); ++entry) {
        tokens.push_back(entry->second);
    }
    for (size_t length = 1; length < text.size(); ++length) {
        for (const auto& entry : std::ranges::equal_range(pieces_, text.substr(0, length), {}, text_of)) {
            tokens.push_back(entry.second);
        }
    }
    return tokens;
}

} // namespace pie
