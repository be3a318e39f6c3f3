#include "cache/moved_blocks.h"

#include "base/check.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <span>
#include <vector>

// An edit script with the most matches is not yet the best cache. Where two functions changed places, the
// tokens that the one happens to share with the other, in order, can outnumber the longer function; a script
// made of such crumbs keeps tokens whose neighbours are all different. So a block of equal tokens takes the
// place of runs half its length or shorter, wherever it lies. (Two halves of a Python file of 5,000 tokens
// exchanged: 3 runs instead of 65.)
//
// Blocks are found by halving: for a window of 2^n times the shortest length, every window of the cached side
// goes into a hash table, and a scan over the wanted side takes what it finds, grown to its full length. Then
// the window is halved. Each level is linear, whatever repeats, because a block that was taken is passed over
// by the scan and leaves the table. Longest first holds within a factor of two.

namespace pie {
namespace {

// How many times longer than a run a level's blocks must be to take its tokens.
constexpr int32_t block_to_run_ratio = 2;

constexpr int32_t none = -1;

using Tokens = std::span<const int32_t>;

// Half-open.
struct Stretch {
    int32_t begin = 0;
    int32_t end = 0;
};

// Open tokens are those that a block may take.
class OpenTokens {
  public:
    explicit OpenTokens(size_t size) : open_(size, open) {}

    void close(int32_t begin, int32_t length) { std::fill_n(open_.begin() + begin, length, closed); }
    bool is_open(int32_t index) const { return open_[static_cast<size_t>(index)] == open; }
    int32_t size() const { return static_cast<int32_t>(open_.size()); }
    std::vector<Stretch> stretches(int32_t length_min) const;

  private:
    static constexpr uint8_t open = 1;
    static constexpr uint8_t closed = 0;

    std::vector<uint8_t> open_;
};

std::vector<Stretch> OpenTokens::stretches(int32_t length_min) const {
    std::vector<Stretch> stretches;
    auto end = open_.begin();
    while (end != open_.end()) {
        const auto begin = std::find(end, open_.end(), open);
        end = std::find(begin, open_.end(), closed);
        if (end - begin >= length_min) {
            stretches.push_back({.begin = static_cast<int32_t>(begin - open_.begin()),
                                 .end = static_cast<int32_t>(end - open_.begin())});
        }
    }
    return stretches;
}

// The hash of a window that moves along a sequence: a polynomial modulo 2^64.
class WindowHash {
  public:
    WindowHash(Tokens tokens, int32_t begin, int32_t length) : tokens_(tokens), begin_(begin), end_(begin) {
        while (end_ < begin + length) {
            hash_ = hash_ * base + term(end_++);
            leaving_ *= base;
        }
    }

    uint64_t hash() const { return hash_ * spread; }
    void advance() { hash_ = hash_ * base + term(end_++) - leaving_ * term(begin_++); }

  private:
    // Odd numbers without a pattern: the fractions of the golden ratio and of the square root of two.
    static constexpr uint64_t base = 0x9e3779b97f4a7c15;
    static constexpr uint64_t spread = 0x6a09e667f3bcc909;

    uint64_t term(int32_t index) const {
        const auto token = static_cast<uint32_t>(tokens_[static_cast<size_t>(index)]);
        const uint64_t product = (uint64_t{token} + 1) * spread;
        return product ^ (product >> 32);
    }

    Tokens tokens_;
    int32_t begin_;
    int32_t end_;
    uint64_t hash_ = 0;
    uint64_t leaving_ = 1; // base to the power of the window's length
};

// Every window of one length that lies in open tokens of the cached side, by its hash.
class WindowTable {
  public:
    WindowTable(Tokens tokens, const std::vector<Stretch>& stretches, int32_t length);

    // The begin of the first window that equals `window` and is open as a whole, or none. Tokens are closed a
    // block at a time and a block is no shorter than a window, so a window with a closed token has one at an
    // end.
    int32_t find(uint64_t hash, Tokens window, const OpenTokens& open);

  private:
    int32_t& first(uint64_t hash) { return first_[static_cast<size_t>(hash >> shift_)]; }

    Tokens tokens_;
    int shift_ = 0;
    std::vector<int32_t> first_;   // per key, the upper bits of the hash
    std::vector<int32_t> next_;    // per window's begin: the next one with the same key
    std::vector<uint64_t> hashes_; // per window's begin
};

WindowTable::WindowTable(Tokens tokens, const std::vector<Stretch>& stretches, int32_t length)
    : tokens_(tokens), next_(tokens.size(), none), hashes_(tokens.size()) {
    const size_t n_keys = std::bit_ceil(tokens.size() + 2);
    shift_ = 64 - std::countr_zero(n_keys);
    first_.assign(n_keys, none);
    for (auto stretch = stretches.rbegin(); stretch != stretches.rend(); ++stretch) {
        WindowHash window(tokens, stretch->begin, length);
        const int32_t last = stretch->end - length;
        for (int32_t begin = stretch->begin; begin < last; ++begin) {
            hashes_[static_cast<size_t>(begin)] = window.hash();
            window.advance();
        }
        hashes_[static_cast<size_t>(last)] = window.hash();
        // From the back, so that each list ascends and repeated blocks are paired in their order.
        for (int32_t begin = last; begin >= stretch->begin; --begin) {
            int32_t& head = first(hashes_[static_cast<size_t>(begin)]);
            next_[static_cast<size_t>(begin)] = head;
            head = begin;
        }
    }
}

int32_t WindowTable::find(uint64_t hash, Tokens window, const OpenTokens& open) {
    int32_t* link = &first(hash);
    while (*link != none) {
        const int32_t begin = *link;
        const auto b = static_cast<size_t>(begin);
        if (!open.is_open(begin) || !open.is_open(begin + static_cast<int32_t>(window.size()) - 1)) {
            *link = next_[b]; // it stays closed
            continue;
        }
        if (hashes_[b] == hash && std::ranges::equal(tokens_.subspan(b, window.size()), window)) {
            return begin;
        }
        link = &next_[b];
    }
    return none;
}

// The blocks of at least `length` tokens.
class Level {
  public:
    Level(Pairing& pairing, int32_t length)
        : pairing_(pairing), length_(length), cached_open_(pairing.cached().size()),
          wanted_open_(pairing.wanted().size()) {
        for (const KeptRun& run : pairing.runs()) {
            if (run.length > length / block_to_run_ratio) {
                cached_open_.close(run.from, run.length);
                wanted_open_.close(run.to, run.length);
            }
        }
    }

    void pair_blocks();

  private:
    void scan(WindowTable& table, const Stretch& stretch);
    int32_t block_length(int32_t from, int32_t to, int32_t to_end) const;

    Pairing& pairing_;
    int32_t length_;
    OpenTokens cached_open_;
    OpenTokens wanted_open_;
};

void Level::pair_blocks() {
    const std::vector<Stretch> sources = cached_open_.stretches(length_);
    const std::vector<Stretch> targets = wanted_open_.stretches(length_);
    if (sources.empty() || targets.empty()) {
        return;
    }
    WindowTable table(pairing_.cached(), sources, length_);
    for (const Stretch& target : targets) {
        scan(table, target);
    }
}

void Level::scan(WindowTable& table, const Stretch& stretch) {
    int32_t to = stretch.begin;
    while (to + length_ <= stretch.end) {
        WindowHash window(pairing_.wanted(), to, length_);
        int32_t from = none;
        while (true) {
            from =
                table.find(window.hash(),
                           pairing_.wanted().subspan(static_cast<size_t>(to), static_cast<size_t>(length_)),
                           cached_open_);
            if (from != none) {
                break;
            }
            if (to + length_ == stretch.end) {
                return;
            }
            window.advance();
            ++to;
        }
        const KeptRun block{.from = from, .to = to, .length = block_length(from, to, stretch.end)};
        pairing_.pair(block);
        cached_open_.close(block.from, block.length);
        to += block.length;
    }
}

// A block cannot begin earlier than its window: the scan would have found the window before it.
int32_t Level::block_length(int32_t from, int32_t to, int32_t to_end) const {
    const Tokens sources = pairing_.cached().subspan(static_cast<size_t>(from));
    const Tokens targets = pairing_.wanted().subspan(static_cast<size_t>(to));
    const int32_t length_max = std::min(cached_open_.size() - from, to_end - to);
    int32_t length = length_;
    while (length < length_max && cached_open_.is_open(from + length) &&
           sources[static_cast<size_t>(length)] == targets[static_cast<size_t>(length)]) {
        ++length;
    }
    return length;
}

} // namespace

void pair_moved_blocks(Pairing& pairing, int32_t length_min) {
    PIE_CHECK(length_min > 0, "a block has at least one token");
    const auto length_max = static_cast<int32_t>(std::min(pairing.cached().size(), pairing.wanted().size()));
    int32_t length = length_min;
    while (length <= length_max / 2) {
        length *= 2;
    }
    for (; length >= length_min; length /= 2) {
        Level(pairing, length).pair_blocks();
    }
}

} // namespace pie
