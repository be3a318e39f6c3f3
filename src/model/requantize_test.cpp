#include "base/files.h"
#include "base/interrupt.h"
#include "base/test_fixtures.h"
#include "model/model.h"
#include "model/requantize.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <vector>

namespace fs = std::filesystem;

namespace pie {
namespace {

using testing::TinyModel;

// What is to be made of a tiny model.
struct Work {
    ScratchFolder scratch;
    fs::path source = scratch.path / "tiny.gguf";
    fs::path target = scratch.path / "made" / "tiny-q4_0.gguf";
    Progress progress;

    explicit Work(const TinyModel& description = {.weight_type = GGML_TYPE_Q5_0}) {
        testing::write_tiny_model(description, source);
    }
    Result<Requantized> run(const char* type = "q4_0") {
        return requantize(source, target, parse_quant_type(type).value(), progress);
    }
    // Nothing half is left.
    Error failure(const char* type = "q4_0") {
        const auto made = run(type);
        REQUIRE_FALSE(made);
        CHECK(made.error().code != ErrorCode::internal);
        fs::path partial = target;
        partial += ".partial";
        CHECK_FALSE(fs::exists(partial));
        return made.error();
    }
};

class TensorFile {
  public:
    explicit TensorFile(const fs::path& path) : metadata_(Metadata::open(path).value()) {
        std::ifstream file(path, std::ios::binary);
        bytes_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    const gguf_context* gguf() const { return metadata_.get(); }
    const Metadata& metadata() const { return metadata_; }
    std::string bytes(const std::string& name) const {
        const int64_t id = gguf_find_tensor(gguf(), name.c_str());
        REQUIRE(id >= 0);
        return bytes_.substr(gguf_get_data_offset(gguf()) + gguf_get_tensor_offset(gguf(), id),
                             gguf_get_tensor_size(gguf(), id));
    }
    // By ggml's own conversions, row by row.
    std::string converted(int64_t id, ggml_type type) const {
        const int64_t* shape = gguf_get_tensor_ne(gguf(), id);
        const int64_t n_rows = shape[1] * shape[2];
        const std::string own = bytes(gguf_get_tensor_name(gguf(), id));
        std::vector<float> numbers(static_cast<size_t>(shape[0] * n_rows));
        ggml_get_type_traits(gguf_get_tensor_type(gguf(), id))
            ->to_float(own.data(), numbers.data(), shape[0] * n_rows);
        std::string made(ggml_row_size(type, shape[0]) * static_cast<size_t>(n_rows), '\0');
        ggml_quantize_chunk(type, numbers.data(), made.data(), 0, n_rows, shape[0], nullptr);
        return made;
    }

  private:
    Metadata metadata_;
    std::string bytes_;
};

bool contains(const std::string& text, const std::string& part) {
    INFO(text);
    return text.find(part) != std::string::npos;
}

void check_tensors(const TensorFile& before, const TensorFile& after, ggml_type type) {
    REQUIRE(gguf_get_n_tensors(before.gguf()) == gguf_get_n_tensors(after.gguf()));
    int n_converted = 0;
    for (int64_t id = 0; id < gguf_get_n_tensors(before.gguf()); ++id) {
        const std::string name = gguf_get_tensor_name(before.gguf(), id);
        CAPTURE(name);
        const bool is_layer_matrix = ggml_is_quantized(gguf_get_tensor_type(before.gguf(), id)) &&
                                     name != "token_embd.weight" && name != "output.weight";
        if (is_layer_matrix) {
            CHECK(after.metadata().tensor_type(name) == type);
            CHECK(after.bytes(name) == before.converted(id, type));
            ++n_converted;
        } else {
            CHECK(after.metadata().tensor_type(name) == before.metadata().tensor_type(name));
            CHECK(after.bytes(name) == before.bytes(name));
        }
    }
    CHECK(n_converted > 0);
}

} // namespace

TEST_CASE("matrices of the layers are converted, everything else is copied, and the model runs") {
    const std::vector<TinyModel> descriptions = {
        {.weight_type = GGML_TYPE_Q5_0},
        {.weight_type = GGML_TYPE_Q8_0, .has_tied_output = true},
        {.architecture = "qwen2",
         .weight_type = GGML_TYPE_Q4_1,
         .other_types = {{"blk.1.ffn_down.weight", GGML_TYPE_Q6_K}}},
        {.architecture = "qwen3moe", .weight_type = GGML_TYPE_Q5_0, .n_expert = 4}};
    for (const TinyModel& description : descriptions) {
        for (const char* type : {"q4_0", "iq4_nl"}) {
            CAPTURE(description.architecture);
            CAPTURE(type);
            Work work(description);
            const auto made = work.run(type);
            REQUIRE_MESSAGE(made.has_value(), made.error().message);
            CHECK(*made == Requantized::now);
            check_tensors(TensorFile(work.source), TensorFile(work.target), parse_quant_type(type)->type);
            CHECK(LoadedModel::load(work.target).has_value());
        }
    }
}

TEST_CASE("what was made before is taken, and another file in its place is left alone") {
    Work work;
    REQUIRE(work.run().value() == Requantized::now);
    const auto written = fs::last_write_time(work.target);
    CHECK(work.run().value() == Requantized::before);
    CHECK(fs::last_write_time(work.target) == written);

    CHECK(contains(work.failure("iq4_nl").message, "was not made from this model as iq4_nl"));
    testing::write_tiny_model({.weight_type = GGML_TYPE_Q5_0, .seed = 2}, work.source);
    const Error other = work.failure();
    CHECK(other.code == ErrorCode::invalid_argument);
    CHECK(contains(other.message, "is there already"));
    CHECK(fs::last_write_time(work.target) == written);
}

TEST_CASE("a model that would not change, and one that was requantised itself") {
    Work same({.weight_type = GGML_TYPE_Q4_0});
    CHECK(same.failure().code == ErrorCode::invalid_argument);
    CHECK(contains(same.failure().message, "no matrix of " + same.source.string() + " would change"));

    Work work;
    REQUIRE(work.run().has_value());
    std::swap(work.source, work.target);
    work.target = work.scratch.path / "twice.gguf";
    CHECK(contains(work.failure("iq4_nl").message, "was requantised before"));
}

TEST_CASE("sources that are missing, no GGUF, cut off or split") {
    Work work;
    const std::string whole = read_file(work.source, 1 << 24).value();
    REQUIRE(write_file_atomic(work.source, whole.substr(0, whole.size() - 1000)));
    CHECK(work.failure().code == ErrorCode::corrupt);
    REQUIRE(write_file_atomic(work.source, "no model"));
    CHECK(work.failure().code == ErrorCode::corrupt);
    fs::remove(work.source);
    CHECK(work.failure().code == ErrorCode::not_found);
    testing::write_tiny_model({.weight_type = GGML_TYPE_Q5_0,
                               .spoil = [](gguf_context* gguf) { gguf_set_val_u16(gguf, "split.count", 2); }},
                              work.source);
    CHECK(work.failure().code == ErrorCode::unsupported);
    CHECK_FALSE(fs::exists(work.target));
}

TEST_CASE("numbers that no type can hold: the quantiser's reason, and nothing left") {
    Work work({.weight_type = GGML_TYPE_F32});
    std::string bytes = read_file(work.source, 1 << 24).value();
    {
        const TensorFile file(work.source);
        const int64_t id = gguf_find_tensor(file.gguf(), "blk.0.attn_q.weight");
        constexpr uint32_t not_a_number = 0x7FC00000;
        bytes.replace(gguf_get_data_offset(file.gguf()) + gguf_get_tensor_offset(file.gguf(), id), 4,
                      reinterpret_cast<const char*>(&not_a_number), 4);
    }
    REQUIRE(write_file_atomic(work.source, bytes));
    const Error error = work.failure();
    CHECK(error.code == ErrorCode::corrupt);
    CHECK(contains(error.message, work.source.string() + " could not be requantised: "));
    CHECK(contains(error.message, "blk.0.attn_q.weight"));
}

TEST_CASE("a full disk and a folder that cannot be made") {
    Work work;
    {
        const FileSizeLimit limit(100'000);
        const Error full = work.failure();
        CHECK(full.code == ErrorCode::io);
        CHECK(contains(full.message, "size limit"));
    }
    CHECK_FALSE(fs::exists(work.target));
    CHECK(work.run().has_value());

    work.target = work.source / "below-a-file" / "a.gguf";
    CHECK(work.failure().code == ErrorCode::io);
}

TEST_CASE("an interruption leaves nothing, and the next call makes it") {
    Work work;
    install_interrupt_handlers();
    std::raise(SIGINT);
    const Error error = work.failure();
    clear_interrupt();
    CHECK(error.code == ErrorCode::cancelled);
    CHECK(error.message == "interrupted; nothing was changed");
    CHECK_FALSE(fs::exists(work.target));
    CHECK(work.run().value() == Requantized::now);
}

TEST_CASE("types by name") {
    CHECK(parse_quant_type("iq4_nl")->type == GGML_TYPE_IQ4_NL);
    const auto unknown = parse_quant_type("q9");
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().code == ErrorCode::invalid_argument);
    CHECK(unknown.error().message == "'q9' is no type to requantise to; there are iq4_nl, q4_0, q8_0");
}

} // namespace pie
