#include "cache/snapshot.h"

#include "base/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <type_traits>
#include <utility>

// A snapshot's sections: the tokens in the order of their positions, the logits, and for each layer keys and
// values of the tokens in the same order. Of keys and values the first bytes of all elements (quantised: of
// all blocks) stand together, then the second bytes, and so on: exponents and scales compress, mantissas
// hardly do, and mixed with them nothing would.

namespace pie {
namespace {

static_assert(std::is_trivially_copyable_v<CachedToken> && sizeof(CachedToken) == 40,
              "the file holds tokens as they lie in memory");

using Cells = std::span<const CachedToken>;

template <typename T>
std::span<const char> bytes_of(std::span<const T> items) {
    return {reinterpret_cast<const char*>(items.data()), items.size_bytes()};
}

template <typename T>
std::span<char> writable_bytes_of(std::vector<T>& items) {
    return {reinterpret_cast<char*>(items.data()), items.size() * sizeof(T)};
}

// Calls copy(index in the section, index in the tensor) for every byte of the tokens' rows.
template <typename Copy>
void for_each_byte(Cells tokens, size_t row_bytes, size_t element_bytes, const Copy& copy) {
    size_t at = 0;
    for (size_t byte = 0; byte < element_bytes; ++byte) {
        for (const CachedToken& token : tokens) {
            const size_t row = static_cast<size_t>(token.cell.value) * row_bytes;
            for (size_t element = byte; element < row_bytes; element += element_bytes) {
                copy(at++, row + element);
            }
        }
    }
}

// Keys and values by turns.
ggml_tensor* tensor_at(const KvCache& cache, int32_t index) {
    return index % 2 == 0 ? cache.keys(index / 2) : cache.values(index / 2);
}

int32_t n_tensors(const KvCache& cache) {
    return 2 * cache.n_layer();
}

// Rows of a tensor, one behind the other.
struct RowRun {
    int32_t begin = 0;
    int32_t n = 0;
};

// What a snapshot holds of the cells: of those in use alone, numbered anew in their order.
struct UsedCells {
    std::vector<CachedToken> tokens;
    std::vector<RowRun> rows; // ascending
};

UsedCells used_cells(const KvCells& cells) {
    UsedCells used{.tokens = cells.cached_tokens(), .rows = {}};
    std::vector<CachedToken*> by_cell;
    for (CachedToken& token : used.tokens) {
        by_cell.push_back(&token);
    }
    std::ranges::sort(by_cell, {}, [](const CachedToken* token) { return token->cell; });
    int32_t number = 0;
    for (CachedToken* token : by_cell) {
        const int32_t row = std::exchange(token->cell, CellIndex(number++)).value;
        if (used.rows.empty() || used.rows.back().begin + used.rows.back().n != row) {
            used.rows.push_back({.begin = row});
        }
        ++used.rows.back().n;
    }
    return used;
}

// Returns the end of what it wrote.
char* copy_rows(const ggml_tensor* tensor, std::span<const RowRun> runs, char* to) {
    for (const RowRun& run : runs) {
        const size_t bytes = static_cast<size_t>(run.n) * tensor->nb[1];
        ggml_backend_tensor_get(tensor, to, static_cast<size_t>(run.begin) * tensor->nb[1], bytes);
        to += bytes;
    }
    return to;
}

size_t rows_bytes(const ggml_tensor* tensor, int32_t n_rows) {
    return static_cast<size_t>(n_rows) * tensor->nb[1];
}

size_t all_rows_bytes(const KvCache& cache, int32_t n_rows) {
    size_t bytes = 0;
    for (int32_t i = 0; i < n_tensors(cache); ++i) {
        bytes += rows_bytes(tensor_at(cache, i), n_rows);
    }
    return bytes;
}

// The rows of the tensor with this index; valid until the next call.
using RowsOf = std::function<std::span<const char>(int32_t index)>;

Result<void> write_snapshot(const std::filesystem::path& path, const SnapshotHeader& header, Cells tokens,
                            std::span<const float> logits, const RowsOf& rows_of) {
    PIE_ASSIGN(SnapshotWriter file, SnapshotWriter::open(path, header));
    PIE_TRY(file.write(bytes_of(tokens)));
    PIE_TRY(file.write(bytes_of(logits)));
    std::vector<char> section;
    for (int32_t i = 0; i < 2 * static_cast<int32_t>(header.n_layer); ++i) {
        const auto type = static_cast<ggml_type>(i % 2 == 0 ? header.type_k : header.type_v);
        const size_t row_bytes = ggml_row_size(type, header.n_embd_kv);
        const std::span<const char> rows = rows_of(i);
        section.resize(tokens.size() * row_bytes);
        for_each_byte(tokens, row_bytes, ggml_type_size(type),
                      [&](size_t to, size_t from) { section[to] = rows[from]; });
        PIE_TRY(file.write(section));
    }
    return file.finish();
}

// Takes sections of a file to their cells.
class TensorRows {
  public:
    explicit TensorRows(Cells tokens) : tokens_(tokens) {}

    // Where the section goes that put() writes into the tensor.
    std::span<char> prepare(const ggml_tensor* tensor) {
        section_.resize(tokens_.size() * tensor->nb[1]);
        rows_.resize(section_.size());
        return section_;
    }

    void put(ggml_tensor* tensor) {
        for_each_byte(tokens_, tensor->nb[1], ggml_type_size(tensor->type),
                      [this](size_t from, size_t to) { rows_[to] = section_[from]; });
        ggml_backend_tensor_set(tensor, rows_.data(), 0, rows_.size());
    }

  private:
    Cells tokens_;
    std::vector<char> rows_;
    std::vector<char> section_;
};

SnapshotHeader header_for(const LoadedModel& model, const KvCache& cache) {
    SnapshotHeader header;
    header.type_k = static_cast<uint32_t>(cache.keys(0)->type);
    header.type_v = static_cast<uint32_t>(cache.values(0)->type);
    header.n_layer = static_cast<uint32_t>(cache.n_layer());
    header.n_embd_kv = static_cast<uint32_t>(cache.keys(0)->ne[0]);
    PIE_CHECK(model.fingerprint().size() == header.model.size(), "a model with weights has a fingerprint");
    std::memcpy(header.model.data(), model.fingerprint().data(), header.model.size());
    header.n_tokens = static_cast<uint64_t>(cache.cells().n_tokens());
    return header;
}

Result<void> check_header(const std::filesystem::path& path, const SnapshotHeader& header,
                          const LoadedModel& model, const KvCache& cache) {
    const SnapshotHeader own = header_for(model, cache);
    if (header.model != own.model) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("snapshot '{}' was made with another model than {}; delete it, or load that "
                                "model",
                                path.string(), model.path().string()));
    }
    if (header.n_layer != own.n_layer || header.n_embd_kv != own.n_embd_kv || header.type_k != own.type_k ||
        header.type_v != own.type_v) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("snapshot '{}' was made from a cache of another type than {} keys and {} "
                                "values; delete it, or use the types it was made with",
                                path.string(), ggml_type_name(cache.keys(0)->type),
                                ggml_type_name(cache.values(0)->type)));
    }
    if (header.n_tokens > static_cast<uint64_t>(cache.cells().n_cells())) {
        return fail(ErrorCode::too_large,
                    fmt::format("snapshot '{}' takes a cache of {} tokens, this one holds {}; use a larger "
                                "context (-c)",
                                path.string(), header.n_tokens, cache.cells().n_cells()));
    }
    if (header.n_logits != 0 && header.n_logits != static_cast<uint32_t>(model.vocabulary().size())) {
        return fail_damaged(path, "its header contradicts itself");
    }
    return {};
}

// Whatever the engine takes for granted. The checksums were right, so this was written by something else than
// this program.
Result<void> check_tokens(const std::filesystem::path& path, Cells tokens, const Vocabulary& vocabulary) {
    std::vector<bool> taken(tokens.size(), false);
    for (const CachedToken& token : tokens) {
        const auto cell = static_cast<uint32_t>(token.cell.value);
        if (cell >= taken.size() || taken[cell] || token.key_position < Position(0) ||
            !vocabulary.contains(token.token) || !std::isfinite(token.attention) || token.key_turns < 0 ||
            token.rounding > Rounding::otherwise) {
            return fail_damaged(path, "its tokens contradict themselves");
        }
        taken[cell] = true;
    }
    return {};
}

} // namespace

Result<void> save_snapshot(const std::filesystem::path& path, const LoadedModel& model, const KvCache& cache,
                           std::span<const float> logits) {
    SnapshotHeader header = header_for(model, cache);
    header.n_logits = static_cast<uint32_t>(logits.size());
    const UsedCells used = used_cells(cache.cells());
    std::vector<char> rows;
    const auto rows_of = [&](int32_t index) -> std::span<const char> {
        const ggml_tensor* tensor = tensor_at(cache, index);
        rows.resize(rows_bytes(tensor, cache.cells().n_tokens()));
        copy_rows(tensor, used.rows, rows.data());
        return rows;
    };
    return write_snapshot(path, header, used.tokens, logits, rows_of);
}

size_t CacheCopy::bytes_for(const KvCache& cache) {
    const int32_t n_tokens = cache.cells().n_tokens();
    return all_rows_bytes(cache, std::min(n_tokens + n_tokens / 32 + 16, cache.cells().n_cells()));
}

CacheCopy::CacheCopy(const KvCache& cache)
    : bytes_(bytes_for(cache)), memory_(std::make_unique_for_overwrite<char[]>(bytes_)) {}

bool CacheCopy::has_room_for(const KvCache& cache) const {
    return all_rows_bytes(cache, cache.cells().n_tokens()) <= bytes_;
}

void CacheCopy::touch() {
    constexpr size_t page_bytes = 4096;
    for (size_t i = 0; i < bytes_; i += page_bytes) {
        memory_[i] = 0;
    }
}

void CacheCopy::take(const LoadedModel& model, const KvCache& cache, std::span<const float> logits) {
    PIE_CHECK(has_room_for(cache), "there is room for what is copied");
    header_ = header_for(model, cache);
    header_.n_logits = static_cast<uint32_t>(logits.size());
    UsedCells used = used_cells(cache.cells());
    tokens_ = std::move(used.tokens);
    logits_.assign(logits.begin(), logits.end());
    char* at = memory_.get();
    for (int32_t i = 0; i < n_tensors(cache); ++i) {
        at = copy_rows(tensor_at(cache, i), used.rows, at);
    }
}

Result<void> CacheCopy::save(const std::filesystem::path& path) const {
    const char* at = memory_.get();
    const auto rows_of = [&](int32_t index) -> std::span<const char> {
        const uint32_t type = index % 2 == 0 ? header_.type_k : header_.type_v;
        const size_t bytes = tokens_.size() * ggml_row_size(static_cast<ggml_type>(type), header_.n_embd_kv);
        return {std::exchange(at, at + bytes), bytes};
    };
    return write_snapshot(path, header_, tokens_, logits_, rows_of);
}

Result<std::vector<float>> load_snapshot(const std::filesystem::path& path, const LoadedModel& model,
                                         KvCache& cache) {
    PIE_CHECK(cache.cells().n_tokens() == 0, "a snapshot is loaded into a cache without a sequence");
    PIE_ASSIGN(SnapshotReader file, SnapshotReader::open(path));
    const SnapshotHeader& header = file.header();
    PIE_TRY(check_header(path, header, model, cache));
    cache.cells().forget_dropped(); // rows are overwritten, even where this fails
    std::vector<CachedToken> tokens(header.n_tokens);
    PIE_TRY(file.read(writable_bytes_of(tokens)));
    PIE_TRY(check_tokens(path, tokens, model.vocabulary()));
    std::vector<float> logits(header.n_logits);
    PIE_TRY(file.read(writable_bytes_of(logits)));
    TensorRows rows(tokens);
    for (int32_t i = 0; i < n_tensors(cache); ++i) {
        ggml_tensor* tensor = tensor_at(cache, i);
        PIE_TRY(file.read(rows.prepare(tensor)));
        rows.put(tensor);
    }
    PIE_TRY(file.finish());
    cache.cells().restore(tokens);
    return logits;
}

} // namespace pie
