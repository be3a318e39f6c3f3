#include "model/fingerprint.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace pie {
namespace {

namespace fs = std::filesystem;
using testing::TinyModel;

struct Folder : testing::TemporaryFolder {
    fs::path write(const std::string& name, const TinyModel& description) const {
        fs::path file = path() / name;
        testing::write_tiny_model(description, file);
        return file;
    }
};

Result<std::string> fingerprint_of_file(const fs::path& path) {
    PIE_ASSIGN(const Metadata metadata, Metadata::open(path));
    return fingerprint_of(metadata);
}

void flip_byte(const fs::path& path, uint64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(byte ^ 1));
    REQUIRE(file.good());
}

uint64_t offset_of(const fs::path& path, const char* tensor) {
    const Metadata metadata = Metadata::open(path).value();
    const int64_t id = gguf_find_tensor(metadata.get(), tensor);
    REQUIRE(id >= 0);
    return gguf_get_data_offset(metadata.get()) + gguf_get_tensor_offset(metadata.get(), id);
}

TinyModel part(uint16_t number, uint16_t count) {
    return {.spoil = [number, count](gguf_context* gguf) {
        gguf_set_val_u16(gguf, "split.no", number);
        gguf_set_val_u16(gguf, "split.count", count);
    }};
}

} // namespace

TEST_CASE("copies of a model share their fingerprint, other models do not") {
    const Folder folder;
    const std::string fingerprint = fingerprint_of_file(folder.write("a.gguf", {})).value();
    CHECK(fingerprint.size() == 64);
    CHECK(fingerprint_of_file(folder.write("b.gguf", {})).value() == fingerprint);

    std::set<std::string> seen = {fingerprint};
    const auto add = [&](const TinyModel& description) {
        seen.insert(fingerprint_of_file(folder.write("other.gguf", description)).value());
    };
    add({.seed = 2});
    add({.n_layer = 3});
    add({.weight_type = GGML_TYPE_F16});
    add({.spoil = [](gguf_context* gguf) { gguf_set_val_f32(gguf, "llama.rope.freq_base", 10001.0F); }});
    CHECK(seen.size() == 5);
}

TEST_CASE("a change of one weight shows where the tensor is small, or the weight is its first") {
    const Folder folder;
    const fs::path path = folder.write("a.gguf", {});
    std::set<std::string> seen = {fingerprint_of_file(path).value()};
    for (const char* tensor : {"blk.1.attn_norm.weight", "token_embd.weight", "blk.0.ffn_down.weight"}) {
        flip_byte(path, offset_of(path, tensor) + (tensor[0] == 't' ? 0 : 300));
        seen.insert(fingerprint_of_file(path).value());
    }
    flip_byte(path, fs::file_size(path) - 1);
    seen.insert(fingerprint_of_file(path).value());
    CHECK(seen.size() == 5);
}

TEST_CASE("a file without all of its tensors has no fingerprint") {
    const Folder folder;
    const fs::path path = folder.write("a.gguf", {});
    fs::resize_file(path, fs::file_size(path) - 1000);
    const auto cut = fingerprint_of_file(path);
    REQUIRE_FALSE(cut);
    CHECK(cut.error().code == ErrorCode::corrupt);
    CHECK(cut.error().message.find("ends before its tensors do") != std::string::npos);
}

TEST_CASE("all parts of a split model count") {
    const Folder folder;
    const fs::path first = folder.write("m-00001-of-00002.gguf", part(0, 2));
    const auto alone = fingerprint_of_file(first);
    REQUIRE_FALSE(alone);
    CHECK(alone.error().code == ErrorCode::not_found);

    const fs::path second = folder.write("m-00002-of-00002.gguf", part(1, 2));
    const std::string fingerprint = fingerprint_of_file(first).value();
    flip_byte(second, offset_of(second, "output_norm.weight"));
    CHECK(fingerprint_of_file(first).value() != fingerprint);

    fs::rename(first, folder.path() / "renamed.gguf");
    const auto renamed = fingerprint_of_file(folder.path() / "renamed.gguf");
    REQUIRE_FALSE(renamed);
    CHECK(renamed.error().code == ErrorCode::invalid_argument);
}

} // namespace pie
