// Our graphs against libllama's decode, to the bit, on tiny random models: every architecture, rope variant,
// weight type and cache type.

#include "engine/engine.h"
#include "support/reference.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cmath>
#include <numeric>
#include <utility>

namespace pie {
namespace {

using testing::DecodeOptions;
using testing::load_tiny_model;
using testing::random_tokens;
using testing::TinyModel;

// Feeds the same batches to both sides and compares the logits of every batch. Of the first batch all tokens'
// logits are asked for, of the others those of the last token.
void check_equal(const LoadedModel& model, const DecodeOptions& options, std::span<const int32_t> batches) {
    testing::Reference reference(model, options);
    testing::Appender ours(model, options);
    int32_t n_past = 0;
    for (const int32_t n : batches) {
        CAPTURE(n_past);
        CAPTURE(n);
        const std::vector<TokenId> tokens = random_tokens(n, static_cast<uint32_t>(n_past));
        std::vector<int32_t> outputs;
        for (int32_t i = n_past == 0 ? 0 : n - 1; i < n; ++i) {
            outputs.push_back(i);
        }
        CHECK(testing::bit_difference(ours.decode(tokens, outputs), reference.decode(tokens, outputs)) == "");
        n_past += n;
    }
}

constexpr std::array one_prompt = {40, 1, 1, 1};
constexpr std::array several_batches = {16, 16, 8, 1, 1, 5};

void check_equal(const TinyModel& description, const DecodeOptions& options = {}) {
    CAPTURE(description.architecture);
    CAPTURE(std::string(ggml_type_name(description.weight_type)));
    CAPTURE(std::string(ggml_type_name(options.type_k)));
    CAPTURE(std::string(ggml_type_name(options.type_v)));
    const auto model = load_tiny_model(description);
    check_equal(*model, options, one_prompt);
    check_equal(*model, options, several_batches);
}

// One description an architecture; rows divide into the blocks of every weight type.
std::vector<TinyModel> architectures() {
    return {
        {.architecture = "llama", .n_embd = 256, .head_dim = 64},
        {.architecture = "qwen2", .n_embd = 256, .n_head_kv = 4, .head_dim = 64, .n_ff = 512},
        {.architecture = "qwen3", .n_embd = 256, .n_head = 8, .n_head_kv = 2, .head_dim = 64},
        {.architecture = "qwen3moe", .n_embd = 256, .head_dim = 64, .n_expert = 8, .n_expert_used = 3},
        {.architecture = "starcoder2", .n_embd = 256, .head_dim = 64},
        {.architecture = "granite", .n_embd = 256, .head_dim = 64, .has_all_biases = true},
    };
}

std::vector<float> values_of(const ggml_tensor* tensor) {
    REQUIRE(tensor->type == GGML_TYPE_F32);
    std::vector<float> values(static_cast<size_t>(ggml_nelements(tensor)));
    ggml_backend_tensor_get(tensor, values.data(), 0, ggml_nbytes(tensor));
    return values;
}

// The query of a token in the first layer of a llama model, [n_head][head_dim], by the textbook.
std::vector<double> first_query(const LoadedModel& model, TokenId token, int32_t position) {
    const Hyperparameters& hp = model.hparams();
    const auto n_embd = static_cast<size_t>(hp.n_embd);
    const std::vector<float> embeddings = values_of(model.tensor("token_embd.weight"));
    const std::vector<float> scale = values_of(model.layer_tensor(0, "attn_norm.weight"));
    const std::vector<float> projection = values_of(model.layer_tensor(0, "attn_q.weight"));
    const float* x = embeddings.data() + static_cast<size_t>(token.value) * n_embd;
    double square_sum = 0;
    for (size_t i = 0; i < n_embd; ++i) {
        square_sum += static_cast<double>(x[i]) * x[i];
    }
    const double rms = std::sqrt(square_sum / static_cast<double>(n_embd) + hp.norm_eps);
    std::vector<double> query(projection.size() / n_embd, 0.0);
    for (size_t row = 0; row < query.size(); ++row) {
        for (size_t i = 0; i < n_embd; ++i) {
            query[row] += projection[row * n_embd + i] * x[i] / rms * scale[i];
        }
    }
    for (size_t pair = 0; pair < query.size(); pair += 2) { // interleaved
        const auto in_head = static_cast<double>(pair % static_cast<size_t>(hp.head_dim));
        const double angle = position * std::pow(10000.0, -in_head / hp.head_dim);
        const double a = query[pair];
        const double b = query[pair + 1];
        query[pair] = a * std::cos(angle) - b * std::sin(angle);
        query[pair + 1] = a * std::sin(angle) + b * std::cos(angle);
    }
    return query;
}

} // namespace

TEST_CASE("logits equal llama_decode's for every architecture and weight type") {
    for (TinyModel description : architectures()) {
        for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0,
                                     GGML_TYPE_Q4_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K}) {
            description.weight_type = type;
            check_equal(description);
        }
    }
}

TEST_CASE("logits equal llama_decode's for every rope variant") {
    for (const TinyModel& plain : architectures()) {
        for (const char* scaling : {"", "linear", "yarn", "none"}) {
            CAPTURE(std::string(scaling));
            TinyModel description = plain;
            description.rope_scaling = scaling;
            check_equal(description);
            // Only these two read frequency factors.
            if (plain.architecture == "llama" || plain.architecture == "granite") {
                description.has_freq_factors = true;
                check_equal(description);
            }
        }
    }
}

TEST_CASE("logits equal llama_decode's for every cache type") {
    const std::array types = {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0};
    for (const ggml_type type_k : types) {
        for (const ggml_type type_v : types) {
            const DecodeOptions options{.type_k = type_k, .type_v = type_v};
            check_equal({.architecture = "llama", .n_head_kv = 4}, options);
            check_equal({.architecture = "qwen3", .head_dim = 64}, options);
        }
    }
}

TEST_CASE("logits equal llama_decode's where the embedding is the output matrix too") {
    for (TinyModel description : architectures()) {
        description.has_tied_output = true;
        for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0, GGML_TYPE_Q4_K}) {
            description.weight_type = type;
            check_equal(description);
        }
    }
}

TEST_CASE("logits equal llama_decode's for optional tensors and other shapes") {
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_Q4_0}) {
        check_equal({.architecture = "llama", .weight_type = type, .has_all_biases = true});
        check_equal({.architecture = "llama", .weight_type = type, .n_expert = 4, .n_expert_used = 1});
        check_equal({.architecture = "llama", .weight_type = type, .n_head = 2, .head_dim = 128});
        check_equal({.architecture = "qwen3moe", .weight_type = type, .n_expert = 4, .n_expert_used = 4});
        check_equal({.architecture = "qwen2", .weight_type = type, .n_layer = 1, .n_head_kv = 1});
    }
}

TEST_CASE("logits equal llama_decode's over more cells than one step, on two threads") {
    const auto model = load_tiny_model({.architecture = "qwen2", .n_layer = 1});
    constexpr std::array batches = {250, 5, 1, 1, 256, 1, 3};
    check_equal(*model, {.n_cells = 1024, .n_batch = 256, .n_threads = 2}, batches);
}

TEST_CASE("our attention agrees with ggml's for every architecture") {
    for (const TinyModel& description : architectures()) {
        CAPTURE(description.architecture);
        const auto model = load_tiny_model(description);
        testing::Appender theirs(*model, {.n_threads = 2});
        testing::Appender ours(*model, {.n_threads = 2, .attention = KernelPath::host_first});
        for (const int32_t n : {40, 1, 100, 9, 1}) {
            CAPTURE(n);
            const std::vector<TokenId> tokens = random_tokens(n, 1);
            const int32_t last = n - 1;
            const std::vector<float> expected = theirs.decode(tokens, std::span(&last, 1));
            CHECK(testing::relative_error(ours.decode(tokens, std::span(&last, 1)), expected) < 1e-3);
        }
    }
}

// A token's logits, and what it leaves in the cache.
struct Encoded {
    std::vector<float> logits;
    std::vector<std::byte> rows;

    bool operator==(const Encoded&) const = default;
};

Encoded encode_in_batches(const LoadedModel& model, int32_t n_batch, const DecodeOptions& options) {
    testing::Appender appender(model, options);
    const std::vector<TokenId> tokens = random_tokens(100, 1);
    Encoded encoded;
    for (auto rest = std::span(tokens); !rest.empty();) {
        const auto batch = rest.first(std::min(rest.size(), static_cast<size_t>(n_batch)));
        const auto last = static_cast<int32_t>(batch.size()) - 1;
        encoded.logits = appender.decode(batch, std::span(&last, 1));
        rest = rest.subspan(batch.size());
    }
    for (int32_t layer = 0; layer < appender.cache().n_layer(); ++layer) {
        for (const ggml_tensor* rows : {appender.cache().keys(layer), appender.cache().values(layer)}) {
            const size_t begin = encoded.rows.size();
            encoded.rows.resize(begin + tokens.size() * rows->nb[1]);
            ggml_backend_tensor_get(rows, encoded.rows.data() + begin, 0, encoded.rows.size() - begin);
        }
    }
    return encoded;
}

// Which is why a healed cache is that of a full recompute to the bit.
TEST_CASE("batch-invariant, tokens are encoded alike in every batch, on any number of threads") {
    for (TinyModel description : architectures()) {
        for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q5_0, GGML_TYPE_Q8_0,
                                     GGML_TYPE_Q4_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K}) {
            description.weight_type = type;
            CAPTURE(description.architecture);
            CAPTURE(std::string(ggml_type_name(type)));
            const auto model = load_tiny_model(description);
            if (!InvariantProducts::create(*model)) {
                CHECK((description.n_expert > 0 || type == GGML_TYPE_F32 || type == GGML_TYPE_F16));
                continue;
            }
            const DecodeOptions one_thread{.attention = KernelPath::host_first,
                                           .products = Products::batch_invariant};
            DecodeOptions two_threads = one_thread;
            two_threads.n_threads = 2;
            const Encoded expected = encode_in_batches(*model, 100, one_thread);
            for (const int32_t n_batch : {64, 33, 7, 2, 1}) {
                CAPTURE(n_batch);
                CHECK(encode_in_batches(*model, n_batch, one_thread) == expected);
                CHECK(encode_in_batches(*model, n_batch, two_threads) == expected);
            }
        }
    }
}

TEST_CASE("with experts, and with ggml's attention, no batch is held to be too small to be invariant") {
    for (const TinyModel& description : architectures()) {
        CAPTURE(description.architecture);
        const auto model = load_tiny_model(description);
        const auto by_graph = Engine::create(*model, {.attention = KernelPath::graph});
        REQUIRE(by_graph.has_value());
        CHECK((*by_graph)->n_invariant() == 1);
        if (description.n_expert > 0) {
            const auto on_host = Engine::create(*model, {});
            REQUIRE(on_host.has_value());
            CHECK((*on_host)->n_invariant() == 1);
        }
    }
}

TEST_CASE("attention goes by position, whatever lies in cells between") {
    const auto model = load_tiny_model({.architecture = "llama"});
    const std::vector<TokenId> tokens = random_tokens(40, 1);
    constexpr int32_t last = 39;
    testing::Appender dense(*model, {});
    const std::vector<float> expected = dense.decode(tokens, std::span(&last, 1));

    // Every other cell is taken by another sequence, which the edit hides.
    testing::Appender scattered(*model, {.n_cells = 256});
    KvCells& cells = scattered.cache().cells();
    constexpr int32_t other_last = 99;
    scattered.decode(random_tokens(100, 2), std::span(&other_last, 1));
    EditPlan thinning;
    std::vector<TokenId> odd;
    for (int32_t i = 0; i < 50; ++i) {
        thinning.keep.push_back({.from = 2 * i + 1, .to = i, .length = 1});
        odd.push_back(cells.tokens()[static_cast<size_t>(2 * i + 1)]);
    }
    thinning.tokens_kept = 50;
    cells.begin(thinning, odd);
    cells.commit();
    cells.forget_dropped(); // else they are handed out last

    EditPlan plan;
    for (int32_t i = 0; i <= last; ++i) {
        plan.encode.emplace_back(i);
    }
    cells.begin(plan, tokens);
    const std::vector<CellIndex> placed = cells.place(plan.encode);
    CHECK(placed[1] == CellIndex(2));
    const auto logits = scattered.engine().compute(
        scattered.cache(),
        {.tokens = tokens, .positions = plan.encode, .cells = placed, .outputs = std::span(&last, 1)});
    cells.commit();
    REQUIRE(logits.has_value());
    CHECK(testing::relative_error(*logits, expected) < 1e-5); // sums in another order
}

TEST_CASE("observed attention is what the last token pays to each row, summed over heads") {
    const auto model = load_tiny_model({.architecture = "llama"});
    const Hyperparameters& hp = model->hparams();
    testing::Appender appender(*model, {.type_k = GGML_TYPE_F32});
    const std::vector<TokenId> tokens = random_tokens(30, 1);
    constexpr std::array<int32_t, 1> last = {19};
    appender.decode(std::span(tokens).first(20), last);
    CHECK(appender.engine().attention().empty());

    KvCache& cache = appender.cache();
    std::vector<Position> positions;
    std::vector<CellIndex> cells;
    for (int32_t i = 20; i < 30; ++i) {
        positions.emplace_back(i);
        cells.push_back(cache.cells().append(tokens[static_cast<size_t>(i)]));
    }
    constexpr std::array<int32_t, 1> ninth = {9};
    const auto logits = appender.engine().compute(cache, {.tokens = std::span(tokens).subspan(20),
                                                          .positions = positions,
                                                          .cells = cells,
                                                          .outputs = ninth,
                                                          .observed = {.bits = 1}});
    REQUIRE(logits.has_value());
    const std::span<const float> attention = appender.engine().attention();
    REQUIRE(attention.size() >= 30);

    const std::vector<double> query = first_query(*model, tokens[29], 29);
    const std::vector<float> keys = values_of(cache.keys(0));
    std::vector<double> expected(30, 0.0);
    for (int32_t head = 0; head < hp.n_head; ++head) {
        std::vector<double> weight(30, 0.0);
        double sum = 0;
        for (int32_t row = 0; row < 30; ++row) {
            const int32_t kv_head = head / (hp.n_head / hp.n_head_kv);
            double product = 0;
            for (int32_t i = 0; i < hp.head_dim; ++i) {
                product += query[static_cast<size_t>(head * hp.head_dim + i)] *
                           keys[static_cast<size_t>(row * hp.n_embd_kv() + kv_head * hp.head_dim + i)];
            }
            weight[static_cast<size_t>(row)] = std::exp(product * hp.attention_scale);
            sum += weight[static_cast<size_t>(row)];
        }
        for (size_t row = 0; row < 30; ++row) {
            expected[row] += weight[row] / sum;
        }
    }
    for (size_t row = 0; row < 30; ++row) {
        CAPTURE(row);
        CHECK(attention[row] == doctest::Approx(expected[row]).epsilon(1e-3));
    }
    for (size_t row = 30; row < attention.size(); ++row) {
        CHECK(attention[row] == 0.0F);
    }
}

TEST_CASE("observing attention changes no logits, and all layers together pay one for each of their heads") {
    const auto model = load_tiny_model({.architecture = "qwen2"});
    const std::vector<TokenId> tokens = random_tokens(40, 1);
    std::vector<Position> positions;
    for (int32_t i = 0; i < 40; ++i) {
        positions.emplace_back(i);
    }
    constexpr std::array<int32_t, 1> last = {39};
    const auto compute = [&](LayerSet observed) {
        testing::Appender appender(*model, {});
        std::vector<CellIndex> cells;
        for (const TokenId token : tokens) {
            cells.push_back(appender.cache().cells().append(token));
        }
        const auto logits = appender.engine().compute(appender.cache(), {.tokens = tokens,
                                                                         .positions = positions,
                                                                         .cells = cells,
                                                                         .outputs = last,
                                                                         .observed = observed});
        REQUIRE(logits.has_value());
        const std::span<const float> attention = appender.engine().attention();
        return std::pair(std::vector<float>(logits->begin(), logits->end()),
                         std::accumulate(attention.begin(), attention.end(), 0.0));
    };
    const auto [plain, nothing] = compute({});
    const auto [observed, sum] = compute({.bits = 3});
    CHECK(testing::bit_difference(observed, plain) == "");
    CHECK(nothing == 0);
    CHECK(sum == doctest::Approx(2.0 * model->hparams().n_head));
}

TEST_CASE("a batch of which no logits are wanted writes the same keys and values") {
    for (const char* architecture : {"llama", "qwen2", "qwen3", "starcoder2"}) {
        CAPTURE(architecture);
        const auto model = load_tiny_model({.architecture = architecture});
        const std::vector<TokenId> tokens = random_tokens(40, 1);
        const auto decode_rest = [&](std::span<const int32_t> outputs_of_first) {
            testing::Appender appender(*model, {});
            const auto first = appender.decode(std::span(tokens).first(30), outputs_of_first);
            CHECK(first.empty() == outputs_of_first.empty());
            constexpr int32_t last = 9;
            return appender.decode(std::span(tokens).subspan(30), std::span(&last, 1));
        };
        constexpr int32_t last_of_first = 29;
        CHECK(testing::bit_difference(decode_rest({}), decode_rest(std::span(&last_of_first, 1))) == "");
    }
}

TEST_CASE("a cancelled batch says so, and the next one is computed as if it had not been") {
    const auto model = load_tiny_model({.architecture = "qwen2"});
    const std::vector<TokenId> tokens = random_tokens(40, 1);
    constexpr int32_t last = 39;
    testing::Appender undisturbed(*model, {});
    const std::vector<float> expected = undisturbed.decode(tokens, std::span(&last, 1));

    testing::Appender ours(*model, {});
    std::atomic<bool> cancel = true;
    ours.engine().set_cancel_flag(&cancel);
    std::vector<Position> positions;
    std::vector<CellIndex> cells;
    for (int32_t i = 0; i <= last; ++i) {
        positions.emplace_back(i);
        cells.push_back(ours.cache().cells().append(tokens[static_cast<size_t>(i)]));
    }
    const Batch batch{
        .tokens = tokens, .positions = positions, .cells = cells, .outputs = std::span(&last, 1)};
    for (int attempt = 0; attempt < 2; ++attempt) {
        const auto cancelled = ours.engine().compute(ours.cache(), batch);
        REQUIRE_FALSE(cancelled.has_value());
        CHECK(cancelled.error().code == ErrorCode::cancelled);
    }
    cancel = false;
    const auto logits = ours.engine().compute(ours.cache(), batch);
    REQUIRE(logits.has_value());
    CHECK(testing::bit_difference(*logits, expected) == "");
    ours.engine().set_cancel_flag(nullptr);
}

TEST_CASE("matrices laid out for this processor give what the file's give, but for rounding") {
    for (const ggml_type type : {GGML_TYPE_Q5_0, GGML_TYPE_Q4_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K}) {
        CAPTURE(std::string(ggml_type_name(type)));
        // Values are of another type, so that tokens are rounded in two ways for one layer.
        const TinyModel description{.architecture = "qwen2",
                                    .weight_type = type,
                                    .n_embd = 256,
                                    .head_dim = 64,
                                    .other_types = {{"blk.1.attn_v.weight", GGML_TYPE_Q5_0}}};
        const auto of_file = load_tiny_model(description);
        const auto fastest = load_tiny_model(description, MatrixTypes::fastest);
        testing::Appender expected(*of_file, {});
        testing::Appender ours(*fastest, {});
        for (const int32_t n : {40, 3, 1}) {
            CAPTURE(n);
            const std::vector<TokenId> tokens = random_tokens(n, static_cast<uint32_t>(n));
            const std::array outputs = {n - 1};
            CHECK(testing::relative_error(ours.decode(tokens, outputs), expected.decode(tokens, outputs)) <
                  0.05); // with AMX, tokens are rounded otherwise
        }
    }
}

TEST_CASE("one engine serves caches that come and go") {
    const auto model = load_tiny_model({.architecture = "llama"});
    const std::vector<TokenId> tokens = random_tokens(20, 1);
    constexpr int32_t last = 19;
    testing::Appender fresh(*model, {.attention = KernelPath::host_first});
    const std::vector<float> expected = fresh.decode(tokens, std::span(&last, 1));

    const auto engine = Engine::create(*model, {.n_threads = 1, .n_batch = 64});
    REQUIRE(engine.has_value());
    for (int i = 0; i < 6; ++i) {
        CAPTURE(i);
        // The address of the last one, most likely, and sometimes memory set aside between two batches.
        auto cache = KvCache::create(*model, {.n_cells = 256});
        REQUIRE(cache.has_value());
        if (i % 2 == 0) {
            REQUIRE((*engine)->reserve(**cache).has_value());
        }
        std::vector<Position> positions;
        std::vector<CellIndex> cells;
        for (int32_t p = 0; p <= last; ++p) {
            positions.emplace_back(p);
            cells.push_back((*cache)->cells().append(tokens[static_cast<size_t>(p)]));
        }
        for (int again = 0; again < 2; ++again) {
            const auto logits = (*engine)->compute(
                **cache,
                {.tokens = tokens, .positions = positions, .cells = cells, .outputs = std::span(&last, 1)});
            REQUIRE(logits.has_value());
            CHECK(testing::bit_difference(*logits, expected) == "");
            REQUIRE((*engine)->reserve(**cache).has_value());
        }
    }
    CHECK((*engine)->compute_bytes() > 0);
}

} // namespace pie
