#pragma once

// What a completion is asked for, and what it is.

#include <pie/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pie {

enum class SamplerStage { penalties, top_k, typical_p, top_p, min_p, temperature, infill };

inline constexpr uint32_t random_seed = std::numeric_limits<uint32_t>::max();

// Added to the logit of one token before anything else; minus infinity keeps it out.
struct LogitBias {
    TokenId token;
    float bias = 0;

    friend bool operator==(const LogitBias&, const LogitBias&) = default;
};

struct SamplingOptions {
    float temperature = 0.0F;    // 0: the likeliest of what penalties and infill leave; other stages are idle
    int32_t top_k = 40;          // 0: all
    float top_p = 0.95F;         // 1: all
    float min_p = 0.05F;         // 0: all
    float typical_p = 1.0F;      // 1: all
    float repeat_penalty = 1.0F; // divides the logits of tokens seen lately; 1: none
    float frequency_penalty = 0.0F;         // subtracted from their logits for each time; 0: none
    float presence_penalty = 0.0F;          // subtracted once; 0: none
    int32_t penalty_last_n = 64;            // how many tokens are seen lately, the prompt's among them
    uint32_t seed = 0;                      // random_seed: another one each time
    std::vector<LogitBias> logit_bias = {}; // tokens that the model does not have are ignored
    bool ignore_end = false;                // the tokens that end a text are not taken
    // What is not named has no effect, whatever its option says.
    std::vector<SamplerStage> order = {SamplerStage::penalties, SamplerStage::top_k,
                                       SamplerStage::typical_p, SamplerStage::top_p,
                                       SamplerStage::min_p,     SamplerStage::temperature};
};

// A line that begins with "```" is where models that were trained to explain turn from code to words about
// it.
enum class FenceStop {
    never,
    behind_first_line, // it ends the text, if it is not the first
    anywhere,          // the first, too
};

struct StopOptions {
    // The text ends before the first of them; before "\r\n" as a whole where one begins with "\n". Empty ones
    // are ignored.
    std::vector<std::string> strings = {};
    // The text ends where a line, other than the first, has fewer than n_indent spaces and tabs before
    // something else; an empty line counts. What space it has stays. 0: off.
    int32_t n_indent = 0;
    // What blanks such a line begins with stay. Of a text with a cursor, not where the text has such lines
    // itself, and not on the first line where the cursor's holds something already.
    FenceStop fence = FenceStop::never;
    // From the first token on; it takes effect with a token that writes a line break, so that the last line
    // is whole. 0: none.
    double predict_milliseconds_max = 0;
};

enum class FinishReason {
    end_of_text, // the model said that it is done
    length,      // n_predict tokens
    context,     // no cell was left
    stopped,     // the receiver of the text said so
    stop_string, // one of them was written
    indentation, // a line was indented too little
    fence,       // a line began with "```"
    time_limit,
};

// Probabilities by the logits as the model gave them, or of what the samplers left to draw from.
enum class ProbabilityKind { before_sampling, after_sampling };

struct TokenProbability {
    TokenId token;
    float log_probability = 0;
};

struct TokenProbabilities {
    TokenProbability taken;
    std::vector<TokenProbability> likeliest; // first; at most as many as were asked for
};

struct CompletionOptions {
    int32_t n_predict = 64; // most tokens
    SamplingOptions sampling = {};
    StopOptions stop = {};
    int32_t n_probs = 0; // tokens whose probabilities are told, at each place
    ProbabilityKind probabilities = ProbabilityKind::before_sampling;
    // Most tokens to draft from the sequence itself and check in one batch; 0: none. Without a value 15 at
    // most, as long as batches of several tokens cost little on this machine. Only at temperature 0, where
    // the completion stays what it is without, as far as batches of several sizes round alike.
    std::optional<int32_t> draft_max = {};
    // For a Session to make its cache hold the text; the time in which others are served does not count.
    // Beyond it the completion is empty (FinishReason::time_limit), and the cache is brought up to date in
    // the background. 0: none.
    double prompt_milliseconds_max = 0;
};

enum class StreamControl { go_on, stop };

// What one or more tokens wrote of a completion's text: all of it, but for a last one that a stop string cuts
// short. Valid during the call that it is handed to. A function that takes a std::string_view takes its text.
struct TextPart {
    std::string_view text; // valid UTF-8, not empty
    size_t begin = 0;      // bytes of the completion's text before it
    std::span<const TokenId> tokens = {};
    std::span<const TokenProbabilities> probabilities = {}; // of each token, if n_probs > 0
    std::span<const size_t> text_ends = {};                 // as Completion has them

    operator std::string_view() const { return text; }
};

// Receives the text as it comes. What may be the beginning of a stop string comes when it is known not to be.
using TextReceiver = std::function<StreamControl(const TextPart&)>;

// The same of several completions, of which `index` is one. They grow beside each other.
using SeveralReceiver = std::function<StreamControl(int32_t index, const TextPart&)>;

// What it cost to make the cache hold a changed text.
struct UpdateReport {
    int32_t tokens_context = 0; // of the sequence wanted
    int32_t tokens_kept = 0;    // served from the cache
    int32_t tokens_moved = 0;   // kept ones whose position changed
    int32_t tokens_encoded = 0; // of the sequence
    int32_t tokens_ahead = 0;   // encoded along: the one before the cursor, which a completion may write anew
    // Of the sequence, from its start on: what a full recompute would hold, but for rounding.
    int32_t tokens_exact = 0;
    // Of these: what it would hold to the bit. Where all are, the first token's probabilities are those of a
    // full recompute (a session that holds nothing) to the bit too. 0 where types or devices do not allow it.
    int32_t tokens_bit_exact = 0;
    double milliseconds = 0; // from the call to the logits of the last token
};

struct Completion {
    std::string text; // valid UTF-8; a character that the last token left incomplete is missing
    // All that were taken. The first may begin with what stands before the cursor, and the text may end
    // within the last ones.
    std::vector<TokenId> tokens;
    std::vector<TokenProbabilities> probabilities; // of each token, if n_probs > 0
    // Where the text that each token wrote ends, in bytes; a stop string counts, which the text does not
    // hold.
    std::vector<size_t> text_ends;
    std::string stop_string; // that ended it; empty where none did
    FinishReason finish = FinishReason::length;
    double first_token_milliseconds = 0; // choosing the first token; its logits were there
    double milliseconds = 0;             // of all tokens
    int32_t tokens_drafted = 0;
    int32_t tokens_accepted = 0; // of the drafted ones
    UpdateReport update;         // that a Session made for it; nothing is encoded where that was done before
};

} // namespace pie
