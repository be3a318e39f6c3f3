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

std::vector<TokenId> PieceIndex::going_on_with(std::string_view text) const {
    std::vector<TokenId> tokens;
    const auto text_of = [](const auto& entry) { return std::string_view(entry.first); };
    const auto from = [&](std::string_view wanted) {
        return std::ranges::lower_bound(pieces_, wanted, {}, text_of);
    };
    for (auto entry = from(text); entry != pieces_.end() && entry->first.starts_with(text); ++entry) {
        tokens.push_back(entry->second);
    }
    if (!tokens.empty()) {
        return tokens;
    }
    for (size_t length = 1; length < text.size(); ++length) {
        const std::string_view begin = text.substr(0, length);
        for (auto entry = from(begin); entry != pieces_.end() && entry->first == begin; ++entry) {
            tokens.push_back(entry->second);
        }
    }
    return tokens;
}

} // namespace pie
