#include "eval/judge.h"

#include "engine/logits.h"
#include "eval/text_metrics.h"

namespace pie {

void fill_agreement(Measurement& m, const Scored& own, const Scored& full, std::span<const TokenId> target) {
    m.exact_match = 1;
    for (size_t i = 0; i < target.size(); ++i) {
        const TokenId likeliest_now = likeliest(own.at(i));
        const double kl = &own == &full ? 0.0 : kl_divergence(full.at(i), own.at(i));
        m.kl += kl;
        m.kl_first = i == 0 ? kl : m.kl_first;
        m.top1_agreement += likeliest(full.at(i)) == likeliest_now ? 1 : 0;
        m.exact_match = likeliest_now == target[i] ? m.exact_match : 0;
        m.loss += log_loss(own.at(i), target[i]);
    }
    for (double* sum : {&m.kl, &m.top1_agreement, &m.loss}) {
        *sum /= static_cast<double>(target.size());
    }
}

void judge_line(Measurement& m, const EvalRow& row, const std::string& completion) {
    m.prediction = predicted_line(completion, row.language);
    m.target = predicted_line(row.target, row.language);
    m.line_match = exactly_matches(m.prediction, m.target) ? 1 : 0;
    m.edit_similarity = edit_similarity(m.prediction, m.target);
}

} // namespace pie
