// Caches with random histories and random bytes in their tensors against what comes back from their
// snapshots; and files that are cut off, damaged, foreign or forged, which must all be refused.

#include "base/files.h"
#include "base/test_fixtures.h"
#include "cache/random_edits.h"
#include "cache/snapshot.h"
#include "cache/snapshot_file.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <thread>

namespace pie {
namespace {

namespace fs = std::filesystem;

constexpr int32_t n_vocab = testing::tiny_vocabulary_size;
constexpr size_t header_bytes = 112;
constexpr size_t version_offset = 8;

std::unique_ptr<LoadedModel> load_model(uint32_t seed) {
    const testing::TemporaryFolder folder;
    testing::write_tiny_model({.n_embd = 64, .n_head = 2, .n_head_kv = 1, .n_ff = 64, .seed = seed},
                              folder.path() / "m.gguf");
    return LoadedModel::load(folder.path() / "m.gguf").value();
}

const LoadedModel& model() {
    static const std::unique_ptr<LoadedModel> loaded = load_model(1);
    return *loaded;
}

std::unique_ptr<KvCache> new_cache(int32_t n_cells = 256, ggml_type type_k = GGML_TYPE_F16,
                                   ggml_type type_v = GGML_TYPE_F16) {
    return KvCache::create(model(), {.n_cells = n_cells, .type_k = type_k, .type_v = type_v}).value();
}

std::vector<ggml_tensor*> tensors_of(const KvCache& cache) {
    std::vector<ggml_tensor*> tensors;
    for (int32_t layer = 0; layer < cache.n_layer(); ++layer) {
        tensors.push_back(cache.keys(layer));
        tensors.push_back(cache.values(layer));
    }
    return tensors;
}

std::string_view row(const ggml_tensor* tensor, int32_t cell) {
    return {static_cast<const char*>(tensor->data) + tensor->nb[1] * static_cast<size_t>(cell),
            tensor->nb[1]};
}

// Everything that must come back.
struct State {
    std::vector<CachedToken> tokens; // their cells numbered in their order
    std::vector<std::string> rows;   // of each tensor, by position
    std::vector<float> logits;
    int32_t n_exact = 0;

    bool operator==(const State&) const = default;
};

State state_of(const KvCache& cache, std::span<const float> logits) {
    State state{.tokens = cache.cells().cached_tokens(),
                .rows = {},
                .logits = {logits.begin(), logits.end()},
                .n_exact = cache.cells().n_exact()};
    for (const ggml_tensor* tensor : tensors_of(cache)) {
        for (const CachedToken& token : state.tokens) {
            state.rows.emplace_back(row(tensor, token.cell.value));
        }
    }
    std::vector<CellIndex> cells;
    for (const CachedToken& token : state.tokens) {
        cells.push_back(token.cell);
    }
    std::ranges::sort(cells);
    for (CachedToken& token : state.tokens) {
        token.cell =
            CellIndex(static_cast<int32_t>(std::ranges::lower_bound(cells, token.cell) - cells.begin()));
    }
    return state;
}

// Replaces some tokens in the middle, and leaves the keys behind them unrotated.
void edit(std::mt19937& random, KvCells& cells) {
    const Tokens before(cells.tokens().begin(), cells.tokens().end());
    const Cut cut = random_cut(random, before, 20);
    const Tokens inserted = uniform_tokens(random, 1 + random() % 20, n_vocab);
    Tokens wanted(before.begin(), before.begin() + cut.begin);
    wanted.insert(wanted.end(), inserted.begin(), inserted.end());
    wanted.insert(wanted.end(), before.begin() + cut.end, before.end());
    const EditPlan plan =
        plan_edit(wanted, cells.n_tokens(), diff_tokens(before, wanted), [](TokenId) { return false; }, {});
    cells.begin(plan, wanted);
    cells.place(plan.encode);
    cells.commit();
}

// A cache that has lived for a while, with random bytes in every row.
struct Lived {
    std::unique_ptr<KvCache> cache;
    std::vector<float> logits = std::vector<float>(n_vocab);

    explicit Lived(uint32_t seed, int32_t n_tokens = 100, ggml_type type_k = GGML_TYPE_F16,
                   ggml_type type_v = GGML_TYPE_F16)
        : cache(new_cache(512, type_k, type_v)) {
        std::mt19937 random(seed);
        KvCells& cells = cache->cells();
        for (const TokenId token : uniform_tokens(random, static_cast<size_t>(n_tokens), n_vocab)) {
            cells.append(token);
        }
        for (int n = static_cast<int>(random() % 6); n > 0; --n) {
            edit(random, cells);
        }
        for (float& mass : cells.attention()) {
            mass = static_cast<float>(random() % 1000) / 7.0F;
        }
        for (const ggml_tensor* tensor : tensors_of(*cache)) {
            std::generate_n(static_cast<char*>(tensor->data), ggml_nbytes(tensor),
                            [&] { return static_cast<char>(random()); });
        }
        for (float& logit : logits) {
            logit = std::normal_distribution<float>()(random);
        }
    }

    State state() const { return state_of(*cache, logits); }
    Result<void> save(const fs::path& path) const { return save_snapshot(path, model(), *cache, logits); }
};

// What the file at `path` holds now.
Result<State> loaded_state(const fs::path& path, KvCache& into) {
    PIE_ASSIGN(const std::vector<float> logits, load_snapshot(path, model(), into));
    into.cells().check_invariant();
    State state = state_of(into, logits);
    into.cells().truncate(0);
    return state;
}

struct Folder : ScratchFolder {
    fs::path file = path / "a.snapshot";

    ptrdiff_t n_files() const {
        return std::distance(fs::directory_iterator(path), fs::directory_iterator());
    }
    std::string content() const { return read_file(file, 1 << 24).value(); }
    void write(std::string_view content) const { REQUIRE((std::ofstream(file) << content).flush().good()); }

    Error refusal(KvCache& cache, const LoadedModel& by = model()) const {
        const auto logits = load_snapshot(file, by, cache);
        REQUIRE_FALSE(logits);
        CHECK(cache.cells().n_tokens() == 0);
        return logits.error();
    }
};

void check_error(const Error& error, ErrorCode code, const std::string& part) {
    INFO(error.message);
    CHECK(error.code == code);
    CHECK(error.message.find(part) != std::string::npos);
}

// The saved file, with right checksums, after `change` had its way with what it says.
void forge(const fs::path& path,
           const std::function<void(SnapshotHeader&, std::vector<CachedToken>&)>& change) {
    std::vector<std::vector<char>> sections;
    SnapshotHeader header;
    std::vector<CachedToken> tokens;
    {
        SnapshotReader file = SnapshotReader::open(path).value();
        header = file.header();
        tokens.resize(header.n_tokens);
        REQUIRE(file.read({reinterpret_cast<char*>(tokens.data()), tokens.size() * sizeof(CachedToken)}));
        sections.emplace_back(header.n_logits * sizeof(float));
        for (uint32_t i = 0; i < 2 * header.n_layer; ++i) {
            sections.emplace_back(header.n_tokens * header.n_embd_kv * sizeof(ggml_fp16_t));
        }
        for (auto& section : sections) {
            REQUIRE(file.read(section));
        }
    }
    change(header, tokens);
    SnapshotWriter file = SnapshotWriter::open(path, header).value();
    REQUIRE(file.write({reinterpret_cast<const char*>(tokens.data()), tokens.size() * sizeof(CachedToken)}));
    for (const auto& section : sections) {
        REQUIRE(file.write(section));
    }
    REQUIRE(file.finish());
}

} // namespace

TEST_CASE("what was saved comes back, token by token") {
    const Folder folder;
    const auto types = {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0};
    uint32_t seed = 0;
    for (const ggml_type type_k : types) {
        for (const ggml_type type_v : types) {
            CAPTURE(++seed);
            const Lived lived(seed, static_cast<int32_t>(seed * 14), type_k, type_v);
            REQUIRE(lived.save(folder.file));
            const auto cache = new_cache(seed % 2 == 0 ? 512 : 768, type_k, type_v);
            CHECK(loaded_state(folder.file, *cache).value() == lived.state());
        }
    }
    CHECK(folder.n_files() == 1);
}

TEST_CASE("cells close up, and what they held before is not recalled") {
    const Folder folder;
    const Lived lived(6);
    REQUIRE(lived.cache->cells().extent() > lived.cache->cells().n_tokens());
    REQUIRE(lived.save(folder.file));
    const auto cache = new_cache();
    const Tokens before = {TokenId(1), TokenId(2)};
    cache->cells().append(before[0]);
    cache->cells().append(before[1]);
    cache->cells().truncate(0);
    const EditPlan all_new{.keep = {}, .again = {}, .encode = {Position(0), Position(1)}};
    CHECK(cache->cells().recallable(all_new, before, 2).size() == 2);
    REQUIRE(load_snapshot(folder.file, model(), *cache));
    CHECK(cache->cells().extent() == lived.cache->cells().n_tokens());
    CHECK(cache->cells().recallable(all_new, before, 2).empty());
}

TEST_CASE("an empty cache, and one without logits") {
    const Folder folder;
    const auto empty = new_cache();
    REQUIRE(save_snapshot(folder.file, model(), *empty, {}));
    CHECK(loaded_state(folder.file, *new_cache()).value() == State());

    Lived lived(1);
    lived.logits.clear();
    REQUIRE(lived.save(folder.file));
    CHECK(loaded_state(folder.file, *new_cache()).value() == lived.state());
}

TEST_CASE("a copy gives the same file, whatever became of the cache meanwhile") {
    const Folder folder;
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0}) {
        CAPTURE(static_cast<int>(type));
        const Lived lived(12, 120, type, GGML_TYPE_F16);
        REQUIRE(lived.save(folder.file));
        const std::string expected = folder.content();
        CacheCopy copy(*lived.cache);
        copy.touch();
        copy.take(model(), *lived.cache, lived.logits);
        lived.cache->cells().truncate(20);
        for (const ggml_tensor* tensor : tensors_of(*lived.cache)) {
            std::fill_n(static_cast<char*>(tensor->data), ggml_nbytes(tensor), '\1');
        }
        REQUIRE(copy.save(folder.file));
        CHECK(folder.content() == expected);
        copy.take(model(), *lived.cache, {});
        REQUIRE(copy.save(folder.file));
        CHECK(loaded_state(folder.file, *new_cache(512, type)).value() == state_of(*lived.cache, {}));
    }
}

TEST_CASE("a copy has room for some tokens more, and for what is not there") {
    const auto empty = new_cache();
    const CacheCopy of_empty(*empty);
    CHECK(of_empty.has_room_for(*empty));
    const Lived lived(13, 200);
    const CacheCopy copy(*lived.cache);
    CHECK_FALSE(of_empty.has_room_for(*lived.cache));
    for (int i = 0; i < 8; ++i) {
        lived.cache->cells().append(TokenId(1));
    }
    CHECK(copy.has_room_for(*lived.cache));
    while (lived.cache->cells().n_free() > 0) {
        lived.cache->cells().append(TokenId(1));
    }
    CHECK_FALSE(copy.has_room_for(*lived.cache));
    CHECK(CacheCopy::bytes_for(*lived.cache) <= lived.cache->bytes());
}

TEST_CASE("two threads that save to one file leave the one or the other") {
    const Folder folder;
    const Lived one(14);
    const Lived other(15, 130);
    for (int round = 0; round < 10; ++round) {
        CAPTURE(round);
        Result<void> saved;
        std::thread thread([&] { saved = one.save(folder.file); });
        CHECK(other.save(folder.file));
        thread.join();
        CHECK(saved);
        const State state = loaded_state(folder.file, *new_cache()).value();
        CHECK((state == one.state() || state == other.state()));
        CHECK(folder.n_files() == 1);
    }
}

TEST_CASE("only the owner may read a snapshot") {
    const Folder folder;
    const Lived lived(1);
    const mode_t before = ::umask(0);
    REQUIRE(lived.save(folder.file));
    REQUIRE(lived.save(folder.file));
    ::umask(before);
    CHECK(fs::status(folder.file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("a file that is cut off anywhere is refused") {
    const Folder folder;
    const Lived lived(2);
    REQUIRE(lived.save(folder.file));
    const std::string whole = folder.content();
    const auto cache = new_cache();
    std::mt19937 random(1);
    for (size_t i = 0; i < 700; ++i) {
        const size_t length = i < 400 ? i : random() % whole.size();
        CAPTURE(length);
        folder.write(std::string_view(whole).substr(0, length));
        check_error(folder.refusal(*cache), ErrorCode::corrupt, "it is cut off");
    }
    folder.write(whole);
    CHECK(loaded_state(folder.file, *cache).value() == lived.state());
    folder.write(whole + '\0');
    check_error(folder.refusal(*cache), ErrorCode::corrupt, "behind its end");
}

TEST_CASE("a file with any bit turned is refused") {
    const Folder folder;
    const Lived lived(3);
    REQUIRE(lived.save(folder.file));
    std::string content = folder.content();
    const auto cache = new_cache();
    std::mt19937 random(1);
    for (size_t i = 0; i < 1000; ++i) {
        const size_t place = i < 300 ? i : random() % content.size();
        const char turned = static_cast<char>(1U << random() % 8);
        CAPTURE(place);
        content[place] ^= turned;
        folder.write(content);
        content[place] ^= turned;
        const Error error = folder.refusal(*cache);
        CHECK(error.code == (place >= version_offset && place < version_offset + 4 ? ErrorCode::unsupported
                                                                                   : ErrorCode::corrupt));
    }
    folder.write(content);
    CHECK(loaded_state(folder.file, *cache).value() == lived.state());
}

TEST_CASE("sections in another order, or of another snapshot, are refused") {
    const Folder folder;
    const auto section_size = [](const std::string& content, size_t at) {
        uint64_t size = 0;
        content.copy(reinterpret_cast<char*>(&size), sizeof(size), at);
        return sizeof(uint64_t) * 2 + static_cast<size_t>(size);
    };
    const Lived lived(4);
    REQUIRE(lived.save(folder.file));
    const std::string content = folder.content();
    const size_t tokens_bytes = section_size(content, header_bytes);
    const size_t keys_at = header_bytes + tokens_bytes + section_size(content, header_bytes + tokens_bytes);
    const size_t keys_bytes = section_size(content, keys_at);
    const size_t values_bytes = section_size(content, keys_at + keys_bytes);
    folder.write(content.substr(0, keys_at) + content.substr(keys_at + keys_bytes, values_bytes) +
                 content.substr(keys_at, keys_bytes) + content.substr(keys_at + keys_bytes + values_bytes));
    const auto cache = new_cache();
    check_error(folder.refusal(*cache), ErrorCode::corrupt, "a checksum is wrong");

    REQUIRE(Lived(5, 101).save(folder.file));
    folder.write(folder.content().substr(0, header_bytes) + content.substr(header_bytes));
    check_error(folder.refusal(*cache), ErrorCode::corrupt, "a checksum is wrong");
}

TEST_CASE("what was made by another model, for another cache or by another program is refused") {
    const Folder folder;
    const auto cache = new_cache();
    check_error(folder.refusal(*cache), ErrorCode::not_found, "cannot read");
    folder.write("#include <stdio.h>\n" + std::string(1000, 'x'));
    check_error(folder.refusal(*cache), ErrorCode::corrupt, "is no snapshot of a cache");

    const Lived lived(6, 300);
    REQUIRE(lived.save(folder.file));
    const auto other_model = load_model(2);
    const auto other_cache = KvCache::create(*other_model, {.n_cells = 512}).value();
    check_error(folder.refusal(*other_cache, *other_model), ErrorCode::invalid_argument, "another model");
    check_error(folder.refusal(*new_cache(512, GGML_TYPE_Q8_0)), ErrorCode::invalid_argument,
                "another type than q8_0 keys and f16 values");
    check_error(folder.refusal(*new_cache(512, GGML_TYPE_F16, GGML_TYPE_BF16)), ErrorCode::invalid_argument,
                "another type than f16 keys and bf16 values");
    check_error(folder.refusal(*cache), ErrorCode::too_large, "this one holds 256");
    std::string content = folder.content();
    content[version_offset] = 1;
    folder.write(content);
    check_error(folder.refusal(*new_cache(512)), ErrorCode::unsupported, "has format 1, this version of pie");
}

TEST_CASE("a file that contradicts itself is refused though its checksums are right") {
    const Folder folder;
    const auto cache = new_cache();
    const auto refused = [&](const std::function<void(SnapshotHeader&, std::vector<CachedToken>&)>& change) {
        REQUIRE(Lived(7).save(folder.file));
        forge(folder.file, change);
        const Error error = folder.refusal(*cache);
        INFO(error.message);
        CHECK(error.code == ErrorCode::corrupt);
        return error.message;
    };
    const auto token_refused = [&](const std::function<void(CachedToken&)>& change) {
        const std::string message = refused([&](auto&, auto& tokens) { change(tokens[50]); });
        CHECK(message.find("its tokens contradict themselves") != std::string::npos);
    };
    token_refused([](CachedToken& token) { token.token = TokenId(-1); });
    token_refused([](CachedToken& token) { token.token = TokenId(n_vocab); });
    token_refused([](CachedToken& token) { token.cell = CellIndex(-1); });
    token_refused([](CachedToken& token) { token.cell = CellIndex(200); });
    token_refused([](CachedToken& token) { token.cell = CellIndex(token.cell.value == 3 ? 4 : 3); });
    token_refused([](CachedToken& token) { token.key_position = Position(-1); });
    token_refused([](CachedToken& token) { token.key_turns = -1; });
    token_refused([](CachedToken& token) { token.rounding = static_cast<Rounding>(2); });
    token_refused([](CachedToken& token) { token.attention = std::numeric_limits<float>::quiet_NaN(); });
    refused([](SnapshotHeader& header, auto&) { header.n_tokens += 1; });
    refused([](SnapshotHeader& header, auto&) { header.n_logits = 5; });
    refused([](SnapshotHeader& header, auto&) { header.n_tokens -= 1; });
    refused([](SnapshotHeader& header, auto& tokens) {
        header.n_tokens -= 1;
        tokens.pop_back();
    });

    REQUIRE(Lived(7).save(folder.file));
    forge(folder.file, [](auto&, auto&) {});
    CHECK(loaded_state(folder.file, *cache).value() == Lived(7).state());
}

TEST_CASE("on a full disk the old snapshot stays, alone") {
    const Folder folder;
    const Lived before(8);
    REQUIRE(before.save(folder.file));
    const Lived after(9, 110);
    REQUIRE(after.save(folder.path / "b.snapshot"));
    const rlim_t whole_bytes = fs::file_size(folder.path / "b.snapshot");
    fs::remove(folder.path / "b.snapshot");
    for (const rlim_t size_bytes : {rlim_t{0}, rlim_t{100}, whole_bytes / 2, whole_bytes - 1}) {
        CAPTURE(size_bytes);
        const FileSizeLimit limit(size_bytes);
        const auto saved = after.save(folder.file);
        REQUIRE_FALSE(saved);
        CHECK(saved.error().code == ErrorCode::io);
        CHECK(folder.n_files() == 1);
    }
    const auto cache = new_cache();
    CHECK(loaded_state(folder.file, *cache).value() == before.state());
    REQUIRE(after.save(folder.file));
    CHECK(loaded_state(folder.file, *cache).value() == after.state());

    const auto no_folder = after.save(folder.path / "missing" / "a.snapshot");
    REQUIRE_FALSE(no_folder);
    CHECK(no_folder.error().code == ErrorCode::not_found);
}

TEST_CASE("a process that is killed while it saves leaves the old snapshot or the new one") {
    const Folder folder;
    const Lived one(10);
    const Lived other(11, 120);
    REQUIRE(one.save(folder.file));
    const auto cache = new_cache();
    std::mt19937 random(1);
    for (int round = 0; round < 20; ++round) {
        CAPTURE(round);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        while (child == 0) {
            if (!other.save(folder.file) || !one.save(folder.file)) {
                ::_exit(1);
            }
        }
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
        REQUIRE(::kill(child, SIGKILL) == 0);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        const State state = loaded_state(folder.file, *cache).value();
        CHECK((state == one.state() || state == other.state()));
    }
}

} // namespace pie
