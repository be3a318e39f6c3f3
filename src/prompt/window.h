#pragma once

// The part of a text around the cursor that fits the context: three quarters of the room for what stands
// before the cursor, one quarter for what is behind it, and what one side does not need goes to the other.
// Cut by whole lines, except where a long line would leave much of the room empty.
//
// A window stays where it is while it serves: an eighth of the room is left free when it is placed, and it is
// placed anew when that is used up or the cursor comes near its edge. So the prompts of successive keystrokes
// differ by the keystroke, and not at their beginning. It is held by its distance from either end of the
// text, which typing inside does not change. It is judged by the room that it was placed for, so that a
// change of the budget alone does not move it either, as long as it fits.
//
// Thread rule: one thread at a time.

#include "prompt/layout.h"

#include <pie/result.h>
#include <pie/types.h>

#include <string_view>
#include <vector>

namespace pie {

struct PromptWindow {
    PromptText text; // of the text given
    // Lines left out, wholly or in part.
    size_t prefix_lines_cut = 0;
    size_t suffix_lines_cut = 0;
    std::vector<TokenId> tokens; // the whole prompt, as PromptLayout::tokens gives it for `text`
};

class PromptFitter {
  public:
    explicit PromptFitter(PromptLayout& layout) : layout_(&layout) {} // which outlives this

    // A prompt of at most `budget_tokens`. Where the text has to be cut, the prompt gets `reserve_tokens`
    // less and stays below that: so much may the budget shrink later without a new place for the window.
    // `cursor` is inside `text` and at no place within a character. Errors: too_large, where no room for text
    // is left.
    Result<PromptWindow> fit(std::string_view text, ByteOffset cursor, size_t budget_tokens,
                             size_t reserve_tokens = 0);

  private:
    // Bytes left out on either side, whether the cut is between lines, and what a prompt with anything left
    // out may have.
    struct Cut {
        size_t front = 0;
        size_t back = 0;
        size_t budget_tokens = 0;
        bool front_between_lines = true;
        bool back_between_lines = true;
    };

    struct Request {
        std::string_view text;
        size_t cursor;
        size_t budget_tokens;
        size_t reserve_tokens;
        size_t room_tokens; // of the budget, for text
    };

    bool realign(const Request& request);
    bool try_kept(const Request& request, std::vector<TokenId>& tokens);
    void place(const Request& request, std::vector<TokenId>& tokens);
    bool is_whole() const { return cut_.front == 0 && cut_.back == 0; }
    bool balanced(const std::vector<TokenId>& tokens) const;
    std::vector<TokenId> tokens_within(const Request& request) const;

    PromptLayout* layout_;
    Cut cut_;
};

} // namespace pie
