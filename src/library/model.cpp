#include "library/handle.h"
#include "model/chat_template.h"

#include <pie/model.h>

#include <fmt/format.h>
#include <utf8.h>

namespace pie {
namespace {

Result<void> check_options(const ModelOptions& options) {
    if (options.n_predict_max < 1 || options.n_ctx < 0 || options.n_threads < 0 || options.n_gpu_layers < 0) {
        return fail(ErrorCode::invalid_argument,
                    "n_predict_max must be above 0; n_ctx, n_threads and n_gpu_layers may not be negative");
    }
    return {};
}

} // namespace

Result<Model> Model::load(const std::filesystem::path& path, const ModelOptions& options) {
    PIE_TRY(check_options(options));
    PIE_ASSIGN(auto worker, Worker::start(path, options));
    return Model(std::move(worker));
}

Session Model::open(std::string_view name) const {
    return Session(std::make_shared<Session::Handle>(worker_, worker_->open(name)));
}

Session Model::open_fresh() const {
    return Session(std::make_shared<Session::Handle>(worker_, worker_->open_fresh(nullptr)));
}

Result<std::vector<TokenId>> Model::tokenize(std::string_view text, Markup markup) const {
    if (!utf8::is_valid(text)) {
        return fail(ErrorCode::corrupt, "the text is not valid UTF-8");
    }
    const Vocabulary& vocabulary = worker_->model().vocabulary();
    return markup == Markup::text ? vocabulary.tokenize(text) : vocabulary.tokenize_markup(text);
}

Result<std::string> Model::detokenize(const std::vector<TokenId>& tokens) const {
    std::string text;
    for (const TokenId token : tokens) {
        if (!worker_->model().vocabulary().contains(token)) {
            return fail(ErrorCode::invalid_argument, fmt::format("the model has no token {}", token.value));
        }
        text += worker_->model().vocabulary().piece(token);
    }
    return text;
}

std::optional<TokenId> Model::beginning() const {
    return worker_->model().vocabulary().beginning();
}

int32_t Model::vocabulary_size() const {
    return worker_->model().vocabulary().size();
}

MemoryUse Model::memory() const {
    return worker_->memory();
}

int32_t Model::n_ctx() const {
    return worker_->n_ctx();
}

bool Model::fills_in_the_middle() const {
    return worker_->model().vocabulary().fim().has_value();
}

std::optional<FillMarkers> Model::fill_markers() const {
    const Vocabulary& vocabulary = worker_->model().vocabulary();
    const auto& markers = vocabulary.fim();
    if (!markers) {
        return std::nullopt;
    }
    return FillMarkers{.prefix = vocabulary.name(markers->prefix),
                       .suffix = vocabulary.name(markers->suffix),
                       .middle = markers->middle ? vocabulary.name(*markers->middle) : "",
                       .is_suffix_first = markers->order == FimOrder::suffix_first};
}

Result<std::string> Model::chat_prompt(const std::vector<ChatMessage>& messages) const {
    return apply_chat_template(worker_->model(), messages);
}

const std::vector<std::string>& Model::doubts() const {
    return worker_->model().doubts();
}

const std::string& Model::fingerprint() const {
    return worker_->model().fingerprint();
}

const std::filesystem::path& Model::snapshot_folder() const {
    return worker_->options().snapshot_folder;
}

} // namespace pie
