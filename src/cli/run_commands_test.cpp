// Drives `pie complete` and `pie edit` on a tiny random model: what they print, and what they say to bad
// input.

#include "cli/work_report.h"
#include "prompt/test_repository_model.h"
#include "support/program_fixture.h"
#include "support/tiny_model.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <fstream>

namespace pie {
namespace {

// The program, and a folder with a model and the files to edit.
struct Workplace : Program {
    std::string model = (scratch.path / "tiny.gguf").string();

    Workplace() { testing::write_tiny_model({}, model); }

    std::string write(const std::string& name, const std::string& text) const {
        const std::filesystem::path path = scratch.path / name;
        std::ofstream(path, std::ios::binary) << text;
        return path.string();
    }
    Ended complete(const std::string& place, std::vector<std::string> flags = {}) {
        flags.insert(flags.begin(), {"complete", place, "-m", model, "-n", "8"});
        return run(flags);
    }
    Ended edit(const std::string& before, const std::string& after, std::vector<std::string> flags) {
        flags.insert(flags.begin(), {"edit", before, after, "-m", model, "-n", "8"});
        return run(flags);
    }
};

const std::string code = "def add(a, b):\n    return a + b\n\n\ndef twice(a):\n    return add(a, a)\n";

} // namespace

TEST_CASE("a completion, as text, as a stream and as JSON, is the same") {
    Workplace work;
    const std::string place = work.write("add.py", code) + ":2:12";
    const Ended text = work.complete(place);
    CHECK(text.status == 0);
    const Ended stream = work.complete(place, {"--stream"});
    CHECK(stream.status == 0);
    const Ended json = work.complete(place, {"--json"});
    REQUIRE(json.status == 0);
    const auto object = nlohmann::json::parse(json.out);
    CHECK(object["completion"].get<std::string>() + "\n" == text.out);
    CHECK(stream.out == text.out);
    CHECK(object["layout"] == "fill in the middle");
    CHECK(object["context_tokens"].get<int>() > 10);
}

TEST_CASE("an edit's JSON holds what programs ask for, and adds up") {
    Workplace work;
    const std::string before = work.write("before.py", code);
    std::string edited = code;
    edited.insert(edited.find("return a + b"), "total = 0\n    ");
    const std::string after = work.write("after.py", edited);
    for (const char* method : {"full", "cfe", "reuse", "pie", "pie+seam"}) {
        CAPTURE(method);
        const Ended ended = work.edit(before, after, {"--at", "6:5", "--method", method, "--json"});
        REQUIRE(ended.status == 0);
        const auto result = nlohmann::json::parse(ended.out);
        for (const char* key : {"model", "context_tokens", "tokens_kept", "tokens_moved", "tokens_encoded",
                                "edit_to_first_token_ms", "full_recompute_ms", "completion",
                                "completion_full", "first_token_kl", "agreement"}) {
            CAPTURE(key);
            CHECK(result.contains(key));
        }
        const int context = result["context_tokens"];
        const int kept = result["tokens_kept"];
        const int encoded = result["tokens_encoded"];
        if (std::string(method) == "reuse") {
            CHECK(encoded == 0);
        } else {
            CHECK(kept + encoded == context);
        }
        CHECK((encoded == context) == (std::string(method) == "full"));
    }
}

TEST_CASE("how many times as long is never nought") {
    CHECK(times_text(0.04) == "0.04");
    CHECK(times_text(0.336) == "0.34");
    CHECK(times_text(9.84) == "9.8");
    CHECK(times_text(197.2) == "197");
}

TEST_CASE("a seam over everything behind the edit is a full recompute of that") {
    Workplace work;
    const std::string before = work.write("before.py", code);
    const std::string after = work.write("after.py", "# sums\n" + code);
    const Ended ended = work.edit(before, after, {"--at", "3:17", "--seam", "100000", "--json"});
    REQUIRE(ended.status == 0);
    const auto result = nlohmann::json::parse(ended.out);
    CHECK(result["first_token_kl"].get<double>() < 1e-4);
    CHECK(result["agreement"].get<double>() == 1.0);
}

TEST_CASE("a file larger than the context is cut to a window, and the user is told") {
    Workplace work;
    std::string lines;
    for (int i = 0; i < 200; ++i) {
        lines += "value_" + std::to_string(i) + " = " + std::to_string(i) + "\n";
    }
    const Ended ended = work.complete(work.write("long.py", lines) + ":100:1", {"-c", "256", "--json"});
    REQUIRE(ended.status == 0);
    const auto result = nlohmann::json::parse(ended.out);
    CHECK(result["context_tokens"].get<int>() <= 256);
    CHECK(result["prefix_lines_cut"].get<int>() > 0);
    CHECK(result["suffix_lines_cut"].get<int>() > 0);
    CHECK(contains(ended.err, "larger than the context"));
}

TEST_CASE("a model that knows the files of repositories is told the file's name") {
    Workplace work;
    testing::write_tiny_model(test::repository_model(), work.model);
    const auto n_context = [&](const std::string& name) {
        const Ended ended = work.complete(work.write(name, code) + ":2:12", {"--json"});
        REQUIRE(ended.status == 0);
        return nlohmann::json::parse(ended.out)["context_tokens"].get<size_t>();
    };
    CHECK(n_context("zzzzzzzz.py") == n_context("zzzz.py") + 4); // a token each
}

TEST_CASE("what is offered ends with the block, but where the indentation to end at is given") {
    Workplace work;
    const std::string place = work.write("add.py", code) + ":2:5";
    const auto complete = [&](std::vector<std::string> flags) {
        flags.insert(flags.begin(), {"complete", place, "-m", work.model, "-n", "200", "--temp", "1.5",
                                     "--seed", "7", "--json"});
        const Ended ended = work.run(flags);
        REQUIRE(ended.status == 0);
        return nlohmann::json::parse(ended.out);
    };
    const auto whole = complete({"--indent", "0"});
    const auto offered = complete({});
    const std::string text = whole["completion"];
    const std::string part = offered["completion"];
    CHECK(whole["finish"] != "block");
    CHECK(text.starts_with(part));
    CHECK(part.size() < text.size());
    CHECK(offered["finish"] == "block");
    CHECK(offered["completion_tokens"].get<int>() < whole["completion_tokens"].get<int>());
}

TEST_CASE("an empty file is completed from nothing") {
    Workplace work;
    CHECK(work.complete(work.write("empty.py", "") + ":1:1").status == 0);
}

TEST_CASE("a standard stream that is closed, or that cannot be written, does not kill the program") {
    Workplace work;
    const std::string file = work.write("add.py", code);
    const auto status_of = [&](const std::string& place, const std::string& redirection) {
        const std::string command =
            fmt::format("'{}' complete '{}' -m '{}' -n 8 {}", PIE_PROGRAM, place, work.model, redirection);
        const int status = std::system(command.c_str());
        CAPTURE(command);
        REQUIRE(WIFEXITED(status));
        return WEXITSTATUS(status);
    };
    const std::string place = file + ":2:12";
    CHECK(status_of(place, ">/dev/null 2>&-") == 0);
    CHECK(status_of(place, ">/dev/null 2>/dev/full") == 0);
    CHECK(status_of(place, ">/dev/null 2>/dev/null <&-") == 0);
    CHECK(status_of(place, ">&- 2>/dev/null") == 1);
    CHECK(status_of(place, ">/dev/full 2>&-") == 1);
    CHECK(status_of(file + ":99:1", "2>&-") == 2);
    CHECK(status_of(file + ":99:1", "2>/dev/full") == 2);
}

TEST_CASE("where the reader of a pipe is gone, it ends without a word") {
    Workplace work;
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    close(ends[0]);
    work.out_descriptor = ends[1];
    const Ended ended = work.complete(work.write("add.py", code) + ":2:12", {"--stream"});
    close(ends[1]);
    CHECK(ended.status == 1);
    CHECK(ended.err == "");
}

TEST_CASE("bad input: a message that says what to do, and the exit status") {
    Workplace work;
    const std::string file = work.write("add.py", code);
    const auto expect = [&](const Ended& ended, int status, const std::string& message) {
        CAPTURE(ended.err);
        CHECK(ended.status == status);
        CHECK(contains(ended.err, message));
        CHECK(ended.out.empty());
    };
    expect(work.complete(file), 2, "FILE:LINE:COL");
    expect(work.complete(file + ":99:1"), 2, "line");
    expect(work.complete(file + ":2:99"), 2, "column");
    expect(work.complete((work.scratch.path / "none.py").string() + ":1:1"), 1, "none.py");
    expect(work.complete(work.write("binary", std::string("a\0b", 3)) + ":1:1"), 1, "binary");
    expect(work.complete(work.write("latin1", "caf\xe9\n") + ":1:1"), 1, "UTF-8");
    expect(work.complete(file + ":1:1", {"-c", "32"}), 2, "-c");
    expect(work.edit(file, file, {"--at", "1"}), 2, "LINE:COL");
    expect(work.edit(file, file, {"--at", "1:1", "--method", "magic"}), 2, "--method");
    expect(work.run({"complete", file + ":1:1"}), 1, "pie model pull");
    expect(work.run({"complete", file + ":1:1", "-m", "none.gguf"}), 1, "none.gguf");
    expect(work.run({"complete", file + ":1:1", "-m", work.write("broken.gguf", "GGUF and no more")}), 1,
           "broken.gguf");
}

TEST_CASE("an unsupported architecture is refused with the list of what is supported") {
    Workplace work;
    testing::write_tiny_model(
        {.spoil = [](gguf_context* gguf) { gguf_set_val_str(gguf, "general.architecture", "mamba"); }},
        work.model);
    const Ended ended = work.complete(work.write("add.py", code) + ":1:1");
    CHECK(ended.status == 1);
    CHECK(contains(ended.err, "mamba"));
    CHECK(contains(ended.err, "qwen2"));
}

} // namespace pie
