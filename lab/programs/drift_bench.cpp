// What rounding does to keys that are rotated again and again, with healing off: cosine of the keys with
// those first encoded, and KL of the 32 tokens that follow, after many edits that move a text and move it
// back.
//
//   drift_bench MODEL.gguf TEXT [TYPE of keys; all if none is given]

#include "cache/kv_cache.h"
#include "engine/engine.h"
#include "engine/logits.h"
#include "model/model.h"
#include "session/live_sequence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace pie {
namespace {

constexpr int32_t n_text = 1000;
constexpr int32_t n_target = 32;
constexpr int32_t shift_max = 8;

class Drift {
  public:
    Drift(const LoadedModel& model, Engine& engine, ggml_type type, std::vector<TokenId> text)
        : cache_(*KvCache::create(model, {.n_cells = 1280, .type_k = type, .type_v = GGML_TYPE_F16})),
          engine_(engine), sequence_(engine, *cache_), text_(std::move(text)) {}

    void run(const std::vector<int>& checkpoints) {
        const std::span<const TokenId> context = std::span(text_).first(n_text);
        if (!engine_.reserve(*cache_) || !sequence_.update(context, {})) {
            return;
        }
        const auto first_keys = keys();
        const auto first_logits = target_logits();
        int done = 0;
        for (const int n_edits : checkpoints) {
            for (; done < n_edits; ++done) {
                move_by(next_shift(done + 1 == n_edits));
            }
            report(n_edits, first_keys, first_logits);
        }
    }

  private:
    // Back to where the text was encoded at the last edit before a look at it; else anywhere near.
    int32_t next_shift(bool is_last) {
        const int32_t place = is_last ? 0 : std::uniform_int_distribution<int32_t>(1, shift_max)(random_);
        return place - front_;
    }

    // Puts tokens in front, or takes them away. What is put there is never encoded and never read.
    void move_by(int32_t shift) {
        const int32_t front = front_ + shift;
        EditPlan plan;
        plan.keep = {{.from = front_, .to = front, .length = n_text}};
        plan.tokens_kept = n_text;
        for (int32_t i = 0; i < front; ++i) {
            plan.encode.emplace_back(i);
        }
        std::vector<TokenId> wanted(static_cast<size_t>(front), TokenId(0));
        wanted.insert(wanted.end(), text_.begin(), text_.begin() + n_text);
        cache_->cells().begin(plan, wanted);
        cache_->cells().place(plan.encode);
        (void)engine_.rotate_keys(*cache_);
        cache_->cells().commit();
        front_ = front;
    }

    // [n_layer][n_text * n_embd_kv]
    std::vector<std::vector<float>> keys() const {
        std::vector<std::vector<float>> all;
        for (int32_t layer = 0; layer < cache_->n_layer(); ++layer) {
            const ggml_tensor* tensor = cache_->keys(layer);
            const auto width = static_cast<size_t>(tensor->ne[0]);
            std::vector<std::byte> row(tensor->nb[1]);
            std::vector<float>& values = all.emplace_back(width * n_text);
            for (int32_t i = 0; i < n_text; ++i) {
                const auto cell = static_cast<size_t>(cache_->cells().cell_at(Position(front_ + i)).value);
                ggml_backend_tensor_get(tensor, row.data(), cell * row.size(), row.size());
                float* values_of_row = values.data() + static_cast<size_t>(i) * width;
                if (tensor->type == GGML_TYPE_F32) { // which has no conversion
                    std::memcpy(values_of_row, row.data(), row.size());
                } else {
                    ggml_get_type_traits(tensor->type)
                        ->to_float(row.data(), values_of_row, static_cast<int64_t>(width));
                }
            }
        }
        return all;
    }

    std::vector<std::vector<float>> target_logits() {
        const std::vector<float> before(sequence_.logits().begin(), sequence_.logits().end());
        std::vector<std::vector<float>> logits;
        if (const auto rows = sequence_.extend(std::span(text_).subspan(n_text, n_target))) {
            for (size_t i = 0; i < rows->size(); i += before.size()) {
                const auto row = rows->subspan(i, before.size());
                logits.emplace_back(row.begin(), row.end());
            }
        }
        sequence_.rewind(n_text, before);
        return logits;
    }

    void report(int n_edits, const std::vector<std::vector<float>>& first_keys,
                const std::vector<std::vector<float>>& first_logits) {
        const auto now = keys();
        double sum = 0;
        double least = 1;
        for (size_t layer = 0; layer < now.size(); ++layer) {
            double product = 0, square_a = 0, square_b = 0;
            for (size_t i = 0; i < now[layer].size(); ++i) {
                const double a = first_keys[layer][i];
                const double b = now[layer][i];
                product += a * b;
                square_a += a * a;
                square_b += b * b;
            }
            const double cosine = product / std::sqrt(square_a * square_b);
            sum += cosine;
            least = std::min(least, cosine);
        }
        const auto logits = target_logits();
        double divergence = 0;
        for (size_t i = 0; i < logits.size(); ++i) {
            divergence += kl_divergence(first_logits[i], logits[i]) / static_cast<double>(logits.size());
        }
        fmt::print("{:<6} {:>7} edits  key cosine mean {:.6f}, least of a layer {:.6f}  KL {:.6f}\n",
                   ggml_type_name(cache_->keys(0)->type), n_edits, sum / static_cast<double>(now.size()),
                   least, divergence);
        std::fflush(stdout);
    }

    std::unique_ptr<KvCache> cache_;
    Engine& engine_;
    LiveSequence sequence_;
    std::vector<TokenId> text_;
    int32_t front_ = 0; // tokens in front of the text
    std::mt19937 random_{1};
};

} // namespace
} // namespace pie

int main(int argc, char** argv) {
    if (argc < 3 || argc > 4) {
        fmt::print(stderr, "usage: drift_bench MODEL.gguf TEXT [TYPE]\n");
        return 2;
    }
    std::ifstream file(argv[2]);
    std::stringstream text;
    text << file.rdbuf();
    const auto model = pie::LoadedModel::load(argv[1]);
    const auto engine = model ? pie::Engine::create(**model) : tl::unexpected(model.error());
    if (!engine) {
        fmt::print(stderr, "{}\n", engine.error().message);
        return 1;
    }
    std::vector<pie::TokenId> tokens = (*model)->vocabulary().tokenize(text.str());
    if (std::ssize(tokens) < pie::n_text + pie::n_target) {
        fmt::print(stderr, "the text has only {} tokens\n", tokens.size());
        return 1;
    }
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q8_0}) {
        if (argc == 3 || std::string(argv[3]) == ggml_type_name(type)) {
            pie::Drift(**model, **engine, type, tokens).run({2, 100, 1000, 10000});
        }
    }
    return 0;
}
