#include "cache/rotation.h"

#include "base/check.h"
#include "cache/rotation_simd.h"

#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cmath>

namespace pie {

namespace {

constexpr size_t prefetch_bytes = 4096; // how far ahead of the rotation rows are prefetched
constexpr size_t group_blocks = 32; // quantised blocks that the kernels take through their phases together

} // namespace

bool can_rotate(ggml_type type) {
    switch (type) {
    case GGML_TYPE_F32:
    case GGML_TYPE_F16:
    case GGML_TYPE_BF16:
    case GGML_TYPE_Q8_0:
    case GGML_TYPE_Q4_0:
        return true;
    default:
        return false;
    }
}

RotationTable::RotationTable(const RopeParams& params, int32_t delta)
    : layout_(params.layout), head_dim_(params.head_dim), delta_(delta) {
    PIE_CHECK(params.n_rot > 0 && params.n_rot % 2 == 0 && params.n_rot <= params.head_dim,
              "elements rotate in pairs, all of them within the head");
    const std::vector<double> frequencies = rope_frequencies(params);
    const size_t n_pairs = frequencies.size();
    own_.resize(2 * n_pairs);
    partner_.resize(2 * n_pairs);
    for (size_t j = 0; j < n_pairs; ++j) {
        const double angle = static_cast<double>(delta) * frequencies[j];
        const size_t first = layout_ == RopeLayout::neox ? j : 2 * j;
        const size_t second = layout_ == RopeLayout::neox ? j + n_pairs : 2 * j + 1;
        own_[first] = own_[second] = static_cast<float>(std::cos(angle));
        partner_[second] = static_cast<float>(std::sin(angle));
        partner_[first] = -partner_[second];
    }
}

void rotate_rows(const KeyRows& keys, std::span<const CellIndex> rows, const RotationTable& table) {
    PIE_CHECK(can_rotate(keys.type), "the cache holds only key types that it can rotate");
    const auto block = static_cast<size_t>(ggml_blck_size(keys.type));
    const auto head_dim = static_cast<size_t>(table.head_dim());
    PIE_CHECK(head_dim % block == 0, "a head is made of whole blocks");
    if (table.delta() == 0) {
        return; // to the bit, where packing quantised keys again would not be
    }
    RotationJob job{.data = keys.data,
                    .row_bytes = keys.row_bytes,
                    .head_bytes = ggml_row_size(keys.type, table.head_dim()),
                    .n_head = static_cast<size_t>(keys.n_head_kv),
                    .rows = rows,
                    .layout = table.layout(),
                    .n_rot = table.own().size(),
                    .own = table.own().data(),
                    .partner = table.partner().data()};
    job.n_ahead = std::max<size_t>(1, prefetch_bytes / (job.n_head * job.head_bytes));
    hwy::AlignedFreeUniquePtr<float[]> scratch;
    if (ggml_is_quantized(keys.type)) {
        job.n_scratch_blocks = std::max(group_blocks, job.n_head * ((job.n_rot + block - 1) / block));
        const size_t n_scratch = rotation_scratch_size(job.n_scratch_blocks);
        scratch = hwy::AllocateAligned<float>(n_scratch);
        std::fill(scratch.get() + block * job.n_scratch_blocks, scratch.get() + n_scratch, 0.0F);
        job.scratch = scratch.get();
    }
    rotate_rows_simd(keys.type, job);
}

} // namespace pie
