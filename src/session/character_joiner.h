#pragma once

// Joins the pieces of tokens to text. Tokens may split characters, and a model may write bytes that are none:
// only whole characters come out, and U+FFFD in place of what cannot become one.
//
// Thread rule: one thread at a time.

#include <string>
#include <string_view>

namespace pie {

class CharacterJoiner {
  public:
    // The text that `piece` completes.
    std::string push(std::string_view piece);

  private:
    std::string pending_; // the beginning of a character
};

} // namespace pie
