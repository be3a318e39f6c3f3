#pragma once

// Finds tokens by how their text begins, for completions that must go on from a half-typed word (token
// healing).
//
// Thread rule: immutable; any thread may look.

#include "model/vocabulary.h"

#include <pie/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pie {

class PieceIndex {
  public:
    explicit PieceIndex(const Vocabulary& vocabulary);

    // What may come next where `text` must be written: the tokens whose text begins with it. Only where there
    // are none, those that it begins with itself. Tokens without text are none of them. In no particular
    // order.
    std::vector<TokenId> going_on_with(std::string_view text) const;

  private:
    std::vector<std::pair<std::string, TokenId>> pieces_; // ascending
};

} // namespace pie
