// Random edit scripts against a naive rebuild: a plain list of tokens, and a plain array of what each cell
// would hold if there were tensors behind it.

#include "cache/cells.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace pie {
namespace {

constexpr int garbage = -1; // what a failed encoding leaves behind
constexpr int32_t n_cells_max = 200;

// A key: which encoding made it, and the position that it is really rotated for.
struct Key {
    int made_by = garbage;
    int32_t rotation = 0;
    bool turned = false;
    Rounding rounding = Rounding::as_full; // of its batch
};

struct Token {
    TokenId id;
    int made_by = garbage;
    float attention = 0;
};

// Where each token of the wanted sequence comes from; -1: it is new.
struct Wanted {
    std::vector<TokenId> tokens;
    std::vector<int32_t> from;
    std::vector<bool> encoded; // new, or encoded again
};

void join(std::vector<KeptRun>& runs, int32_t from, int32_t to) {
    if (runs.empty() || runs.back().from + runs.back().length != from ||
        runs.back().to + runs.back().length != to) {
        runs.push_back({.from = from, .to = to, .length = 0});
    }
    ++runs.back().length;
}

EditPlan make_plan(const Wanted& wanted) {
    EditPlan plan;
    for (int32_t to = 0; to < std::ssize(wanted.from); ++to) {
        const int32_t from = wanted.from[static_cast<size_t>(to)];
        if (wanted.encoded[static_cast<size_t>(to)]) {
            plan.encode.emplace_back(to);
            if (from >= 0) {
                join(plan.again, from, to);
            }
            continue;
        }
        join(plan.keep, from, to);
        ++plan.tokens_kept;
        plan.tokens_moved += from != to ? 1 : 0;
    }
    return plan;
}

// What stands in both sequences.
std::vector<KeptRun> runs_of(const Wanted& wanted) {
    std::vector<KeptRun> runs;
    for (int32_t to = 0; to < std::ssize(wanted.from); ++to) {
        if (wanted.from[static_cast<size_t>(to)] >= 0) {
            join(runs, wanted.from[static_cast<size_t>(to)], to);
        }
    }
    return runs;
}

class Script {
  public:
    Script(uint32_t seed, int32_t n_cells)
        : random_(seed), cells_(new_cells(n_cells)), keys_(static_cast<size_t>(n_cells)) {}

    void step();
    int n_recalled() const { return n_recalled_; }
    int n_pasted() const { return n_pasted_; }
    int n_read_stale() const { return n_read_stale_; }

  private:
    static KvCells new_cells(int32_t n_cells) {
        return KvCells(n_cells, std::numeric_limits<int32_t>::max(), Dropped::kept);
    }
    int32_t between(int32_t min, int32_t max) {
        return std::uniform_int_distribution<int32_t>(min, max)(random_);
    }
    TokenId random_token() { return TokenId(between(0, 9)); }
    Rounding random_rounding() { return between(0, 5) == 0 ? Rounding::otherwise : Rounding::as_full; }
    Key& key_in(CellIndex cell) { return keys_[static_cast<size_t>(cell.value)]; }

    void append();
    void truncate();
    void edit();
    void come_back();
    Wanted random_wanted();
    Wanted earlier();
    std::vector<TokenId> earlier_piece();
    EditPlan plan_for(const Wanted& wanted, std::vector<int>& made_by);
    void paste_blocks(const Wanted& wanted, EditPlan& plan);
    bool is_exact(int made_by, const Wanted& wanted, Position position) const;
    int32_t exact_start(const EditPlan& plan, const std::vector<Position>& stale, const Wanted& wanted);
    void check_stale(const std::vector<Position>& stale, const EditPlan& plan, const Wanted& wanted,
                     const std::vector<int>& made_by);
    void encode(CellIndex cell, Position position, Rounding rounding);
    void encode_batches(const EditPlan& plan, int32_t n_batches_max, std::vector<int>& made_by);
    void rotate();
    int32_t exact_tokens();
    int32_t identical_tokens();
    void remember_reading();
    void look();
    void check();

    std::mt19937 random_;
    KvCells cells_;
    std::vector<Key> keys_; // by cell
    std::vector<Token> sequence_;
    std::vector<Position> last_placed_;
    int n_encodings_ = 0;
    int first_new_encoding_ = 0;                     // of the step
    std::map<int, std::vector<TokenId>> context_of_; // of exact encodings
    std::map<int, bool> behind_identical_;           // the same
    std::map<int, std::vector<TokenId>> read_by_;    // what encodings of edits were behind, with their token
    std::vector<std::vector<TokenId>> earlier_;      // sequences that there were
    int n_recalled_ = 0;
    int n_pasted_ = 0;
    int n_read_stale_ = 0; // tokens that were found to be stale and not outdated
};

void Script::encode(CellIndex cell, Position position, Rounding rounding) {
    key_in(cell) = {.made_by = n_encodings_++, .rotation = position.value, .rounding = rounding};
}

// As the engine does before it reads keys.
void Script::rotate() {
    std::set<int32_t> deltas;
    for (const PendingRotation& pending : cells_.pending_rotations()) {
        CHECK(pending.delta != 0);
        CHECK(deltas.insert(pending.delta).second);
        CHECK(std::ranges::is_sorted(pending.cells));
        for (const CellIndex cell : pending.cells) {
            key_in(cell).rotation += pending.delta;
            key_in(cell).turned = true;
        }
    }
    cells_.settle_keys();
    CHECK(cells_.pending_rotations().empty());
    for (int32_t i = 0; i < cells_.n_cells(); ++i) {
        const Position position = cells_.position_of(CellIndex(i));
        if (position.value >= 0) {
            CHECK(key_in(CellIndex(i)).rotation == position.value);
        }
    }
}

void Script::append() {
    if (cells_.n_free() == 0) {
        return;
    }
    const TokenId token = random_token();
    const Rounding rounding = random_rounding();
    const CellIndex cell = cells_.append(token, rounding);
    encode(cell, Position(static_cast<int32_t>(sequence_.size())), rounding);
    sequence_.push_back({.id = token, .made_by = key_in(cell).made_by});
}

void Script::truncate() {
    const int32_t n = between(0, cells_.n_tokens());
    cells_.truncate(n);
    sequence_.resize(static_cast<size_t>(n));
}

// From a snapshot, after which nothing must tell the new cells from the old ones, but that these knew what
// they had dropped.
void Script::come_back() {
    KvCells restored = new_cells(cells_.n_cells());
    restored.restore(cells_.cached_tokens());
    CHECK(restored.cached_tokens() == cells_.cached_tokens());
    std::swap(cells_, restored);
    KvCells copy = cells_;
    restored.forget_dropped();
    while (copy.n_free() > 0) {
        CHECK(copy.append(TokenId(1)) == restored.append(TokenId(1)));
    }
}

// What an edit is that goes back: the common start stays, the rest comes again.
Wanted Script::earlier() {
    Wanted wanted{.tokens =
                      earlier_[static_cast<size_t>(between(0, static_cast<int32_t>(earlier_.size()) - 1))],
                  .from = {},
                  .encoded = {}};
    const auto is_same = [](const Token& token, TokenId id) { return token.id == id; };
    const auto n_same = std::ranges::mismatch(sequence_, wanted.tokens, is_same).in1 - sequence_.begin();
    for (int32_t i = 0; i < std::ssize(wanted.tokens); ++i) {
        wanted.from.push_back(i < n_same ? i : -1);
        wanted.encoded.push_back(i >= n_same);
    }
    return wanted;
}

// What is pasted, if it was cut.
std::vector<TokenId> Script::earlier_piece() {
    if (earlier_.empty()) {
        return {};
    }
    const std::vector<TokenId> tokens = earlier().tokens;
    const auto n = static_cast<int32_t>(tokens.size());
    const int32_t begin = between(0, n);
    return {tokens.begin() + begin, tokens.begin() + between(begin, std::min(begin + 20, n))};
}

// Pieces of the sequence in any order, each token once at most, with new tokens between them.
Wanted Script::random_wanted() {
    Wanted wanted;
    std::vector<std::pair<int32_t, int32_t>> pieces; // half-open
    int32_t at = 0;
    while (at < std::ssize(sequence_)) {
        const int32_t length = between(1, std::min(12, static_cast<int32_t>(sequence_.size()) - at));
        if (between(0, 3) != 0) {
            pieces.emplace_back(at, at + length);
        }
        at += length;
    }
    if (pieces.size() > 1 && between(0, 1) == 0) {
        std::swap(pieces[static_cast<size_t>(between(0, static_cast<int32_t>(pieces.size()) - 1))],
                  pieces[0]);
    }
    const auto insert_token = [&](TokenId token) {
        wanted.tokens.push_back(token);
        wanted.from.push_back(-1);
        wanted.encoded.push_back(true);
    };
    const auto insert = [&] {
        for (int32_t n = between(-3, 4); n > 0; --n) {
            insert_token(random_token());
        }
        if (between(0, 2) == 0) {
            std::ranges::for_each(earlier_piece(), insert_token);
        }
    };
    for (const auto& [begin, end] : pieces) {
        insert();
        for (int32_t from = begin; from < end; ++from) {
            wanted.tokens.push_back(sequence_[static_cast<size_t>(from)].id);
            wanted.from.push_back(from);
            wanted.encoded.push_back(between(0, 7) == 0);
        }
    }
    insert();
    return wanted;
}

// Places and encodes the plan's positions in batches; `made_by` learns which encoding made each wanted
// token's key. Gives up before batch `n_batches_max`, or in the middle of it: then it is placed and nothing
// sound is written.
void Script::encode_batches(const EditPlan& plan, int32_t n_batches_max, std::vector<int>& made_by) {
    std::vector<Position> last;
    for (size_t done = 0; done < plan.encode.size() && n_batches_max >= 0; --n_batches_max) {
        if (n_batches_max == 0 && between(0, 1) == 0) {
            break;
        }
        const size_t n = std::min(static_cast<size_t>(between(1, 6)), plan.encode.size() - done);
        last.assign(plan.encode.begin() + static_cast<std::ptrdiff_t>(done),
                    plan.encode.begin() + static_cast<std::ptrdiff_t>(done + n));
        const Rounding rounding = random_rounding();
        const std::vector<CellIndex> placed = cells_.place(last, rounding);
        for (size_t i = 0; i < n; ++i) {
            encode(placed[i], last[i], rounding);
            if (n_batches_max == 0) {
                key_in(placed[i]).made_by = garbage;
            }
            made_by[static_cast<size_t>(last[i].value)] = key_in(placed[i]).made_by;
        }
        rotate();
        done += n;
    }
    last_placed_ = last;
}

// `made_by` learns which encoding made the key of each token that is not encoded. A recalled one has seen the
// tokens that are to stand before it.
EditPlan Script::plan_for(const Wanted& wanted, std::vector<int>& made_by) {
    EditPlan plan = make_plan(wanted);
    for (size_t i = 0; i < wanted.tokens.size(); ++i) {
        made_by.push_back(wanted.encoded[i] ? garbage
                                            : sequence_[static_cast<size_t>(wanted.from[i])].made_by);
    }
    paste_blocks(wanted, plan);
    for (const RecalledCell& pasted : plan.recall) {
        made_by[static_cast<size_t>(pasted.position.value)] = key_in(pasted.cell).made_by;
    }
    const auto recallable =
        cells_.recallable(plan, wanted.tokens, between(0, static_cast<int32_t>(wanted.tokens.size())));
    recall(plan, recallable);
    for (const RecalledCell& recalled : recallable) {
        const auto i = static_cast<size_t>(recalled.position.value);
        made_by[i] = key_in(recalled.cell).made_by;
        CHECK(is_exact(made_by[i], wanted, recalled.position));
        ++n_recalled_;
    }
    std::set<CellIndex> cells;
    for (const RecalledCell& recalled : plan.recall) {
        CHECK(cells.insert(recalled.cell).second);
    }
    return plan;
}

// Blocks have seen other tokens than are to stand before them, but the same within them.
void Script::paste_blocks(const Wanted& wanted, EditPlan& plan) {
    const int32_t length_min = between(2, 6);
    const DroppedBlocks blocks = cells_.dropped_blocks(wanted.tokens, runs_of(wanted), length_min);
    std::vector<RecalledCell> pasted;
    for (const KeptRun& run : blocks.runs) {
        CHECK(run.length >= length_min);
        const int32_t seam = between(0, run.length);
        for (int32_t i = 0; i < run.length; ++i) {
            const CellIndex cell = blocks.cells[static_cast<size_t>(run.from - cells_.n_tokens() + i)];
            const int made_by = key_in(cell).made_by;
            const Position position(run.to + i);
            const std::vector<TokenId>& context = context_of_.at(made_by);
            REQUIRE(std::ssize(context) > i);
            CHECK(std::equal(context.end() - i - 1, context.end(), wanted.tokens.begin() + run.to));
            CHECK(!is_exact(made_by, wanted, position));
            if (i >= seam) {
                pasted.push_back({position, cell});
                ++n_pasted_;
            }
        }
    }
    recall(plan, pasted);
}

bool Script::is_exact(int made_by, const Wanted& wanted, Position position) const {
    const auto context = context_of_.find(made_by);
    const std::span now(wanted.tokens.begin(), static_cast<size_t>(position.value) + 1);
    return context != context_of_.end() && std::ranges::equal(context->second, now);
}

// Up to the first token that is kept or recalled and stale.
int32_t Script::exact_start(const EditPlan& plan, const std::vector<Position>& stale, const Wanted& wanted) {
    int32_t n_exact = stale.empty() ? static_cast<int32_t>(wanted.tokens.size()) : stale.front().value;
    for (const RecalledCell& recalled : plan.recall) {
        if (!is_exact(key_in(recalled.cell).made_by, wanted, recalled.position)) {
            n_exact = std::min(n_exact, recalled.position.value);
        }
    }
    return n_exact;
}

// By the definition: what is kept is stale unless it has seen the tokens that are to stand before it, all of
// them exact; and outdated unless it has seen them.
void Script::check_stale(const std::vector<Position>& stale, const EditPlan& plan, const Wanted& wanted,
                         const std::vector<int>& made_by) {
    std::vector<Position> expected;
    for (const KeptRun& run : plan.keep) {
        for (int32_t to = run.to; to < run.to + run.length; ++to) {
            if (!is_exact(made_by[static_cast<size_t>(to)], wanted, Position(to))) {
                expected.emplace_back(to);
            }
        }
    }
    CHECK(stale == expected);
    std::erase_if(expected, [&](Position position) {
        const auto read = read_by_.find(made_by[static_cast<size_t>(position.value)]);
        const auto end = wanted.tokens.begin() + position.value + 1;
        return read != read_by_.end() &&
               std::ranges::equal(read->second, std::span(wanted.tokens.begin(), end));
    });
    CHECK(cells_.outdated_in(plan, wanted.tokens) == expected);
    n_read_stale_ += static_cast<int>(stale.size() - expected.size());
}

void Script::remember_reading() {
    std::vector<TokenId> before;
    for (const Token& token : sequence_) {
        before.push_back(token.id);
        if (token.made_by >= first_new_encoding_) {
            read_by_[token.made_by] = before;
        }
    }
}

void Script::edit() {
    const Wanted wanted = earlier_.empty() || between(0, 2) > 0 ? random_wanted() : earlier();
    std::vector<int> made_by;
    const EditPlan plan = plan_for(wanted, made_by);
    const bool has_room = std::ssize(wanted.tokens) <= cells_.n_cells();
    CHECK(cells_.can_begin(plan) == has_room);
    if (!has_room) {
        return;
    }
    const bool can_come_back = std::ssize(plan.encode) + std::ssize(plan.recall) <= cells_.n_free();
    std::vector<float> attention;
    for (const int32_t from : wanted.from) {
        attention.push_back(from < 0 ? 0 : sequence_[static_cast<size_t>(from)].attention);
    }
    const std::vector<Position> stale = cells_.stale_in(plan, wanted.tokens);
    check_stale(stale, plan, wanted, made_by);
    const int32_t n_exact = exact_start(plan, stale, wanted);
    const bool gives_up = between(0, 3) == 0;
    cells_.begin(plan, wanted.tokens);
    encode_batches(plan, gives_up ? between(0, 3) : n_cells_max, made_by);
    if (!gives_up) {
        cells_.commit();
        CHECK(cells_.n_exact() == n_exact);
    } else {
        cells_.rollback();
        for (const Position position : last_placed_) {
            made_by[static_cast<size_t>(position.value)] = garbage;
        }
    }
    if (!gives_up || !can_come_back) {
        sequence_.clear();
        for (size_t i = 0; i < made_by.size(); ++i) {
            if (made_by[i] != garbage) {
                sequence_.push_back({wanted.tokens[i], made_by[i], attention[i]});
            }
        }
        remember_reading();
    }
}

// By the definition: a token is exact if everything before it was when it was encoded, and is the same now.
// A new encoding has seen what stands before it, since positions are encoded in ascending order.
int32_t Script::exact_tokens() {
    std::vector<TokenId> before;
    for (const Token& token : sequence_) {
        before.push_back(token.id);
        if (token.made_by >= first_new_encoding_) {
            context_of_[token.made_by] = before;
        }
        const auto context = context_of_.find(token.made_by);
        if (context == context_of_.end() || context->second != before) {
            return static_cast<int32_t>(before.size()) - 1;
        }
    }
    return static_cast<int32_t>(sequence_.size());
}

// By the definition: an exact token is identical if its batch rounded as a full recompute does, its key was
// never turned, and everything before it was identical when it was encoded. Returns how many are at the
// start.
int32_t Script::identical_tokens() {
    const int32_t n_exact = exact_tokens();
    int32_t n_identical = 0;
    for (int32_t i = 0; i < n_exact; ++i) {
        const int made_by = sequence_[static_cast<size_t>(i)].made_by;
        if (made_by >= first_new_encoding_) {
            behind_identical_[made_by] = n_identical == i;
        }
        const Key& key = key_in(cells_.cell_at(Position(i)));
        const bool is_identical = behind_identical_.at(made_by) && key.rounding == Rounding::as_full &&
                                  !key.turned && key.rotation == i;
        CHECK(cells_.is_identical(Position(i)) == is_identical);
        n_identical += is_identical && n_identical == i ? 1 : 0;
    }
    return n_identical;
}

void Script::look() {
    for (size_t i = 0; i < sequence_.size(); ++i) {
        const auto mass = static_cast<float>(between(0, 100));
        sequence_[i].attention += mass;
        cells_.attention()[i] += mass;
    }
}

void Script::check() {
    cells_.check_invariant();
    CHECK(cells_.n_exact() == exact_tokens());
    CHECK(cells_.n_identical() == identical_tokens());
    REQUIRE(cells_.n_tokens() == std::ssize(sequence_));
    CHECK(cells_.n_free() == cells_.n_cells() - cells_.n_tokens());
    int32_t extent = 0;
    for (int32_t i = 0; i < cells_.n_tokens(); ++i) {
        const Token& token = sequence_[static_cast<size_t>(i)];
        const CellIndex cell = cells_.cell_at(Position(i));
        CHECK(cells_.tokens()[static_cast<size_t>(i)] == token.id);
        CHECK(cells_.attention()[static_cast<size_t>(i)] == token.attention);
        CHECK(cells_.position_of(cell) == Position(i));
        CHECK(key_in(cell).made_by == token.made_by);
        extent = std::max(extent, cell.value + 1);
    }
    CHECK(cells_.extent() == extent);
}

void Script::step() {
    first_new_encoding_ = n_encodings_;
    const int32_t kind = between(0, 9);
    if (kind < 3) {
        append();
    } else if (kind == 3) {
        truncate();
    } else {
        edit();
    }
    check();
    earlier_.emplace_back(cells_.tokens().begin(), cells_.tokens().end());
    if (between(0, 9) == 0) {
        come_back();
        check();
    }
    look();
    if (between(0, 1) == 0) {
        rotate();
    }
}

} // namespace

TEST_CASE("any edit script leaves cells, tokens and keys as a rebuild has them") {
    int n_recalled = 0;
    int n_pasted = 0;
    int n_read_stale = 0;
    for (uint32_t seed = 1; seed <= 150; ++seed) {
        CAPTURE(seed);
        Script script(seed, seed % 2 == 0 ? 40 : n_cells_max); // tight and roomy
        for (int step = 0; step < 60; ++step) {
            CAPTURE(step);
            script.step();
        }
        n_recalled += script.n_recalled();
        n_pasted += script.n_pasted();
        n_read_stale += script.n_read_stale();
    }
    CHECK(n_recalled > 1000);
    CHECK(n_pasted > 500);
    CHECK(n_read_stale > 300);
}

TEST_CASE("new tokens take the lowest cells") {
    KvCells cells(16);
    for (int32_t i = 0; i < 8; ++i) {
        CHECK(cells.append(TokenId(i)) == CellIndex(i));
    }
    CHECK(cells.extent() == 8);
    // Drops the tokens 2 and 3, and puts a new one behind token 5.
    const std::vector<TokenId> wanted = {TokenId(0), TokenId(1), TokenId(4), TokenId(5),
                                         TokenId(9), TokenId(6), TokenId(7)};
    const EditPlan plan{.keep = {{0, 0, 2}, {4, 2, 2}, {6, 5, 2}},
                        .again = {},
                        .encode = {Position(4)},
                        .tokens_kept = 6,
                        .tokens_moved = 4};
    cells.begin(plan, wanted);
    CHECK(cells.position_of(CellIndex(2)) == Position(-1)); // hidden, but not free before the edit is done
    CHECK(cells.place(plan.encode) == std::vector{CellIndex(8)});
    cells.commit();
    CHECK(cells.append(TokenId(3)) == CellIndex(2));
    CHECK(cells.extent() == 9);

    const std::vector<PendingRotation> pending = cells.pending_rotations();
    REQUIRE(pending.size() == 2);
    CHECK(pending[0].delta == -2);
    CHECK(pending[0].cells == std::vector{CellIndex(4), CellIndex(5)});
    CHECK(pending[1].delta == -1);
    CHECK(pending[1].cells == std::vector{CellIndex(6), CellIndex(7)});
}

TEST_CASE("dropped cells are handed out last, the oldest first, and recalled until then") {
    KvCells cells(6, std::numeric_limits<int32_t>::max(), Dropped::kept);
    for (int32_t i = 0; i < 4; ++i) {
        cells.append(TokenId(i));
    }
    const std::vector<TokenId> wanted(cells.tokens().begin(), cells.tokens().end());
    const EditPlan all_new{
        .keep = {}, .again = {}, .encode = {Position(0), Position(1), Position(2), Position(3)}};
    const auto recallable = [&] { return cells.recallable(all_new, wanted, 4); };
    cells.truncate(2);
    CHECK(recallable() ==
          std::vector<RecalledCell>{{Position(2), CellIndex(2)}, {Position(3), CellIndex(3)}});
    CHECK(cells.append(TokenId(8)) == CellIndex(4)); // which hold nothing
    CHECK(cells.append(TokenId(8)) == CellIndex(5));
    CHECK(recallable().size() == 2);
    CHECK(cells.append(TokenId(8)) == CellIndex(3)); // dropped before the token in front of it was
    CHECK(recallable() == std::vector<RecalledCell>{{Position(2), CellIndex(2)}});

    const EditPlan back{
        .keep = {{0, 0, 2}}, .again = {}, .encode = {Position(3)}, .tokens_kept = 2, .recall = recallable()};
    CHECK(cells.stale_in(back, wanted).empty());
    cells.begin(back, wanted);
    cells.place(back.encode);
    cells.commit();
    CHECK(cells.cell_at(Position(2)) == CellIndex(2));
    CHECK(cells.n_exact() == 4);
    cells.check_invariant();
    cells.truncate(0);
    CHECK(recallable().size() == 4);
    cells.forget_dropped();
    CHECK(recallable().empty());
}

TEST_CASE("what is given up as lost, or was never exact, is not recalled") {
    KvCells cells(8, std::numeric_limits<int32_t>::max(), Dropped::kept);
    const EditPlan all_new{.keep = {}, .again = {}, .encode = {Position(0), Position(1)}};
    cells.append(TokenId(1));
    cells.append(TokenId(2));
    const std::vector<TokenId> wanted = {TokenId(1), TokenId(2)};
    cells.truncate(1, Dropped::lost);
    CHECK(cells.recallable(all_new, wanted, 2).empty());
    const CachedToken unknown{.token = TokenId(2), .cell = {}, .key_position = Position(1)};
    cells.adopt(std::span(&unknown, 1));
    cells.truncate(1);
    CHECK(cells.recallable(all_new, wanted, 2).empty());
    // An edit that is given up: its last cells may have been encoded half-way.
    const EditPlan more{.keep = {{0, 0, 1}}, .again = {}, .encode = {Position(1)}, .tokens_kept = 1};
    cells.begin(more, wanted);
    cells.place(more.encode);
    cells.rollback();
    CHECK(cells.recallable(all_new, wanted, 2).empty());
    cells.begin(more, wanted);
    cells.place(more.encode);
    cells.commit();
    cells.truncate(1);
    CHECK(cells.recallable(all_new, wanted, 2).size() == 1);
}

TEST_CASE("moves before a rotation add up, and moves there and back need none") {
    KvCells cells(8);
    cells.append(TokenId(1));
    cells.append(TokenId(2));
    const auto insert_in_front = [&cells](int32_t n) {
        std::vector<TokenId> wanted(static_cast<size_t>(n), TokenId(0));
        std::vector<Position> encode;
        for (int32_t i = 0; i < n; ++i) {
            encode.emplace_back(i);
        }
        wanted.insert(wanted.end(), cells.tokens().begin(), cells.tokens().end());
        cells.begin({.keep = {{0, n, cells.n_tokens()}},
                     .again = {},
                     .encode = encode,
                     .tokens_kept = cells.n_tokens(),
                     .tokens_moved = cells.n_tokens()},
                    wanted);
        cells.place(encode);
        cells.commit();
    };
    insert_in_front(1);
    insert_in_front(2);
    std::vector<PendingRotation> pending = cells.pending_rotations();
    REQUIRE(pending.size() == 2);
    CHECK(pending[0].delta == 2); // the token of the first insertion
    CHECK(pending[1].delta == 3);
    CHECK(pending[1].cells == std::vector{CellIndex(0), CellIndex(1)});

    const std::vector<TokenId> back = {TokenId(1), TokenId(2)};
    cells.begin({.keep = {{3, 0, 2}}, .again = {}, .encode = {}, .tokens_kept = 2, .tokens_moved = 2}, back);
    cells.commit();
    CHECK(cells.pending_rotations().empty());
}

TEST_CASE("an edit that is undone leaves the sequence exact again") {
    KvCells cells(16);
    for (int32_t i = 0; i < 6; ++i) {
        cells.append(TokenId(i));
    }
    const std::vector<TokenId> original(cells.tokens().begin(), cells.tokens().end());
    std::vector<TokenId> edited = original;
    edited.insert(edited.begin() + 2, TokenId(9));
    cells.begin({.keep = {{0, 0, 2}, {2, 3, 4}},
                 .again = {},
                 .encode = {Position(2)},
                 .tokens_kept = 6,
                 .tokens_moved = 4},
                edited);
    cells.place(std::vector{Position(2)});
    cells.commit();
    CHECK(cells.n_exact() == 3); // with the new token, before which all is exact
    cells.begin(
        {.keep = {{0, 0, 2}, {3, 2, 4}}, .again = {}, .encode = {}, .tokens_kept = 6, .tokens_moved = 4},
        original);
    cells.commit();
    CHECK(cells.n_exact() == 6);
    CHECK(cells.n_identical() == 6); // no key was turned in the meantime
}

TEST_CASE("a key that was turned too often is worn, and its token no longer exact") {
    KvCells cells(16, 3);
    cells.append(TokenId(1));
    cells.append(TokenId(2));
    const std::vector<TokenId> original = {TokenId(1), TokenId(2)};
    const std::vector<TokenId> moved = {TokenId(9), TokenId(1), TokenId(2)};
    const auto move_to = [&cells](int32_t from, int32_t to, const std::vector<TokenId>& wanted) {
        std::vector<Position> encode;
        for (int32_t i = 0; i < to; ++i) {
            encode.emplace_back(i);
        }
        cells.begin(
            {.keep = {{from, to, 2}}, .again = {}, .encode = encode, .tokens_kept = 2, .tokens_moved = 2},
            wanted);
        cells.place(encode);
        cells.settle_keys();
        cells.commit();
    };
    move_to(0, 1, moved);
    move_to(1, 0, original);
    CHECK(cells.n_exact() == 2);
    CHECK(cells.n_identical() == 0);
    move_to(0, 1, moved);
    CHECK_FALSE(cells.is_worn(Position(1)));
    move_to(1, 0, original);
    CHECK(cells.is_worn(Position(0)));
    CHECK(cells.n_exact() == 0);
}

} // namespace pie
