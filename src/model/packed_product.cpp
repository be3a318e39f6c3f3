#include "model/packed_product.h"

#include "model/packed_kernels.h"

#include <algorithm>

namespace pie {
namespace {

bool has_small_blocks(PackedFormat format) {
    return format == PackedFormat::q5_0;
}

// Strips, and tokens, that are gone through again and again before the next ones: about a quarter each of
// what processors keep in a core's second cache.
constexpr size_t cached_bytes = size_t{128} << 10U;

PackedProduct of_tokens(PackedProduct product, size_t begin, size_t n_max) {
    product.tokens += begin * product.token_bytes();
    product.products += begin * product.n_rows();
    product.n_tokens = std::min(product.n_tokens - begin, n_max);
    return product;
}

} // namespace

bool can_multiply_packed() {
    return small_blocks::has_kernel(); // where it is, the other is
}

bool rounds_alike(PackedFormat a, PackedFormat b) {
    return has_small_blocks(a) == has_small_blocks(b);
}

size_t rounded_token_bytes(PackedFormat format, size_t n_columns) {
    return has_small_blocks(format) ? small_blocks::rounded_token_bytes(n_columns)
                                    : large_blocks::rounded_token_bytes(n_columns);
}

void round_token(PackedFormat format, std::span<const float> token, std::byte* rounded) {
    const auto round = has_small_blocks(format) ? small_blocks::round_token : large_blocks::round_token;
    round(token, rounded);
}

void multiply_packed(const PackedProduct& product, size_t begin_strip, size_t end_strip) {
    const auto multiply =
        has_small_blocks(product.format) ? small_blocks::multiply_strip : large_blocks::multiply_strip;
    const size_t n_strips = std::max(cached_bytes / product.strip_bytes(), size_t{1});
    const size_t n_tokens = std::max(cached_bytes / product.token_bytes() / 4, size_t{1}) * 4;
    for (size_t strips = begin_strip; strips < end_strip; strips += n_strips) {
        for (size_t tokens = 0; tokens < product.n_tokens; tokens += n_tokens) {
            const PackedProduct part = of_tokens(product, tokens, n_tokens);
            for (size_t strip = strips; strip < std::min(strips + n_strips, end_strip); ++strip) {
                multiply(part, strip);
            }
        }
    }
}

} // namespace pie
