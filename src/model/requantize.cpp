#include "model/requantize.h"

#include "base/files.h"
#include "base/forked.h"
#include "model/fingerprint.h"
#include "model/hyperparameters.h"
#include "model/loadable.h"
#include "model/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <vector>

namespace pie {
namespace {

namespace fs = std::filesystem;

// In the new file: the fingerprint of the model that it was made from.
constexpr const char* source_key = "pie.requantized_from";

// The first loses half as much as the second, at the same size and about the same speed
// (docs/lab/performance.md).
constexpr std::array<QuantType, 3> types = {{{"iq4_nl", GGML_TYPE_IQ4_NL, LLAMA_FTYPE_MOSTLY_IQ4_NL},
                                             {"q4_0", GGML_TYPE_Q4_0, LLAMA_FTYPE_MOSTLY_Q4_0},
                                             {"q8_0", GGML_TYPE_Q8_0, LLAMA_FTYPE_MOSTLY_Q8_0}}};

struct KeptMatrix {
    std::string pattern; // a regular expression that finds the one name
    ggml_type type;
};

// What becomes of a model's tensors.
struct Conversion {
    std::vector<KeptMatrix> kept; // matrices that the quantiser would convert, were it not told
    size_t n_converted = 0;
    uint64_t size_bytes = 0; // of the new file, but for what its metadata says more
};

std::string pattern_for(std::string_view name) {
    std::string pattern = "^";
    for (const char c : name) {
        pattern += c == '.' ? "\\." : std::string(1, c);
    }
    return pattern + "$";
}

Conversion plan_conversion(const Metadata& metadata, const QuantType& type) {
    Conversion plan;
    const gguf_context* gguf = metadata.get();
    plan.size_bytes = gguf_get_data_offset(gguf);
    for (int64_t i = 0; i < gguf_get_n_tensors(gguf); ++i) {
        const std::string_view name = gguf_get_tensor_name(gguf, i);
        const int64_t* shape = gguf_get_tensor_ne(gguf, i);
        const ggml_type before = gguf_get_tensor_type(gguf, i);
        // The router of experts is one that the quantiser leaves alone by itself.
        const bool is_matrix = shape[1] > 1 && !name.ends_with("ffn_gate_inp.weight");
        const bool is_kept = name == "token_embd.weight" || name == "output.weight" ||
                             shape[0] % ggml_blck_size(type.type) != 0;
        uint64_t size_bytes = gguf_get_tensor_size(gguf, i);
        if (is_matrix && is_kept) {
            plan.kept.push_back({pattern_for(name), before});
        } else if (is_matrix && before != type.type) {
            ++plan.n_converted;
            size_bytes =
                ggml_row_size(type.type, shape[0]) * static_cast<uint64_t>(shape[1] * shape[2] * shape[3]);
        }
        plan.size_bytes += GGML_PAD(size_bytes, GGUF_DEFAULT_ALIGNMENT);
    }
    return plan;
}

Result<void> check_source(const Metadata& metadata) {
    PIE_TRY(check_loadable(metadata));
    PIE_TRY(read_hyperparameters(metadata));
    const std::string path = metadata.path().string();
    if (metadata.has("split.count")) {
        return fail(ErrorCode::unsupported,
                    fmt::format("{} is a part of a model; join the parts with llama-gguf-split first", path));
    }
    if (metadata.has(source_key)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{} was requantised before, and would lose more than its source would; name "
                                "the model that it was made from",
                                path));
    }
    return {};
}

// In a process of its own, so the log need not be given back. The first error says why; those behind it, that
// it failed.
Result<void> quantize(const Metadata& source, const fs::path& target, const QuantType& type,
                      const Conversion& plan, const std::string& fingerprint) {
    static std::string first_error;
    llama_log_set(
        [](ggml_log_level level, const char* text, void*) {
            if (level == GGML_LOG_LEVEL_ERROR && first_error.empty()) {
                first_error = text;
            }
        },
        nullptr);
    llama_backend_init();

    std::vector<llama_model_tensor_override> kept;
    for (const KeptMatrix& matrix : plan.kept) {
        kept.push_back({matrix.pattern.c_str(), matrix.type});
    }
    kept.push_back({nullptr, GGML_TYPE_COUNT});
    std::array<llama_model_kv_override, 2> more = {};
    more[0].tag = LLAMA_KV_OVERRIDE_TYPE_STR;
    std::strncpy(more[0].key, source_key, sizeof(more[0].key) - 1);
    std::strncpy(more[0].val_str, fingerprint.c_str(), sizeof(more[0].val_str) - 1);

    llama_model_quantize_params params = llama_model_quantize_default_params();
    params.ftype = type.file_type;
    params.allow_requantize = true;
    params.pure = true; // else some matrices would get other types, which may have no repacked kernels
    params.tt_overrides = kept.data();
    params.kv_overrides = more.data();
    errno = 0;
    if (llama_model_quantize(source.path().c_str(), target.c_str(), &params) == 0) {
        return {};
    }
    // The quantiser does not say why it could not write.
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
        return tl::unexpected<Error>(file_error("write", target, errno));
    }
    first_error.erase(first_error.find_last_not_of('\n') + 1);
    return fail(ErrorCode::corrupt, first_error);
}

// The quantiser leaves the file to the system's memory, and does not read it again.
Result<void> check_and_flush(const fs::path& made) {
    PIE_ASSIGN(const Metadata metadata, Metadata::open(made));
    PIE_TRY(fingerprint_of(metadata));
    PIE_ASSIGN(FileWriter file, FileWriter::open(made, WriteFrom::end));
    return file.close();
}

Result<void> make(const Metadata& source, const fs::path& target, const QuantType& type,
                  const Conversion& plan, const std::string& fingerprint, Progress& progress) {
    PIE_TRY(
        check_free_space(target.parent_path(), plan.size_bytes, "name a file on another disk with --out"));
    fs::path partial = target;
    partial += ".partial";
    progress.start(target.stem().string(), ProgressUnit::bytes, plan.size_bytes);
    const auto make_whole = [&]() -> Result<void> {
        PIE_TRY(run_forked([&] { return quantize(source, partial, type, plan, fingerprint); },
                           [&] { progress.update(std::min(file_size_or_zero(partial), plan.size_bytes)); },
                           "nothing was changed"));
        PIE_TRY(check_and_flush(partial));
        return move_into_place(partial, target);
    };
    auto made = make_whole();
    if (!made) {
        progress.stop();
        std::error_code ignored;
        fs::remove(partial, ignored);
        if (made.error().code != ErrorCode::cancelled) {
            return fail(made.error().code, fmt::format("{} could not be requantised: {}",
                                                       source.path().string(), made.error().message));
        }
        return made;
    }
    progress.update(plan.size_bytes);
    progress.finish();
    return {};
}

// Whether `target` is what requantize() would make.
Result<void> check_made_before(const fs::path& target, const QuantType& type,
                               const std::string& fingerprint) {
    const auto is_same = [&]() -> Result<bool> {
        PIE_ASSIGN(const Metadata metadata, Metadata::open(target));
        PIE_ASSIGN(const auto source, metadata.find_string(source_key));
        PIE_ASSIGN(const auto file_type, metadata.find_u32("general.file_type"));
        return source == fingerprint && file_type == static_cast<uint32_t>(type.file_type);
    }();
    if (!is_same.value_or(false)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("'{}' is there already, and was not made from this model as {}; name another "
                                "file with --out, or delete it",
                                target.string(), type.name));
    }
    return {};
}

} // namespace

std::span<const QuantType> quant_types() {
    return types;
}

Result<QuantType> parse_quant_type(std::string_view name) {
    const auto* const found = std::ranges::find(types, name, &QuantType::name);
    if (found == types.end()) {
        std::string names;
        for (const QuantType& type : types) {
            names += fmt::format("{}{}", names.empty() ? "" : ", ", type.name);
        }
        return fail(ErrorCode::invalid_argument,
                    fmt::format("'{}' is no type to requantise to; there are {}", name, names));
    }
    return *found;
}

Result<Requantized> requantize(const fs::path& source, const fs::path& target, const QuantType& type,
                               Progress& progress) {
    PIE_ASSIGN(const Metadata metadata, Metadata::open(source));
    PIE_TRY(check_source(metadata));
    const Conversion plan = plan_conversion(metadata, type);
    if (plan.n_converted == 0) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("no matrix of {} would change: they are {} already, or have rows that do not "
                                "divide into its blocks",
                                source.string(), type.name));
    }
    PIE_ASSIGN(const std::string fingerprint, fingerprint_of(metadata));
    if (target.has_parent_path()) {
        PIE_TRY(create_folder(target.parent_path()));
    }
    fs::path lock_path = target;
    lock_path += ".lock";
    PIE_ASSIGN(const FileLock lock, FileLock::acquire(lock_path, [&] {
                   progress.note(fmt::format("another pie is making '{}'; waiting for it", target.string()));
               }));
    std::error_code error;
    if (fs::exists(target, error)) {
        PIE_TRY(check_made_before(target, type, fingerprint));
        return Requantized::before;
    }
    PIE_TRY(make(metadata, target, type, plan, fingerprint, progress));
    return Requantized::now;
}

} // namespace pie
