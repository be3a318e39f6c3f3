// Drives `pie-lab optimize` on tiny random models: what it makes where, what it prints, and what it says to
// bad input.

#include "commands/lab_fixture.h"
#include "support/tiny_model.h"

#include <nlohmann/json.hpp>

#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

namespace pie {
namespace {

struct Workplace : Lab {
    fs::path model = scratch.path / "tiny.gguf";
    fs::path store = scratch.path / "pie" / "models";
    std::string text = (scratch.path / "sums.py").string();

    Workplace() {
        testing::write_tiny_model({.weight_type = GGML_TYPE_Q5_1}, model);
        std::string code;
        for (int i = 0; i < 14; ++i) {
            code += "sum_" + std::to_string(i) + " = " + std::to_string(i) + "\n";
        }
        REQUIRE(write_file_atomic(text, code));
    }

    Ended optimize(std::vector<std::string> flags = {}) {
        flags.insert(flags.begin(), {"optimize", model.string(), "--text", text});
        return run_lab(flags);
    }
    Ended optimize_with(const std::vector<std::string>& words) {
        std::vector<std::string> all = {"optimize"};
        all.insert(all.end(), words.begin(), words.end());
        return run_lab(all);
    }
};

} // namespace

TEST_CASE("the copy is made once, found by its name, and measured each time") {
    Workplace work;
    const Ended first = work.optimize({"--json"});
    REQUIRE_MESSAGE(first.status == 0, first.err);
    const auto report = nlohmann::json::parse(first.out);
    const fs::path made = work.store / "tiny-iq4_nl.gguf";
    CHECK(report["made"] == "now");
    CHECK(report["type"] == "iq4_nl");
    CHECK(report["after"]["name"] == "tiny-iq4_nl");
    CHECK(report["after"]["path"] == made.string());
    CHECK(report["after"]["size_bytes"] == fs::file_size(made));
    CHECK(report["before"]["size_bytes"] == fs::file_size(work.model));
    CHECK(report["after"]["size_bytes"] < report["before"]["size_bytes"]);
    CHECK(report["before"]["repacked_share"] == 0.0);
    CHECK(report["complete"] == true);
    REQUIRE(report["batches"].size() == 3);
    for (const auto& batch : report["batches"]) {
        CHECK(batch["before_tokens_per_s"] > 0.0);
        CHECK(batch["after_tokens_per_s"] > 0.0);
    }
    CHECK(report["loss"]["tokens"] > 100);
    CHECK(report["loss"]["kl_per_token"] > 0.0);
    CHECK(report["loss"]["top1_agreement"] > 0.0);
    CHECK(report["loss"]["top1_agreement"] <= 1.0);
    CHECK(report["loss"]["lines"] == 4);
    CHECK(report["loss"]["lines_same"] <= 4);

    const auto written = fs::last_write_time(made);
    const Ended second = work.optimize();
    REQUIRE(second.status == 0);
    CHECK(contains(second.out, "as iq4_nl, made before\n"));
    CHECK(contains(second.out, "\nWhat it loses, over "));
    CHECK(contains(second.out, "\nKL(before || after) a token, nats "));
    CHECK(contains(second.out, "\nUse it with '-m tiny-iq4_nl'; "));
    CHECK(fs::last_write_time(made) == written);

    CHECK(work.run({"model", "path", "tiny-iq4_nl"}).out == made.string() + "\n");
    CHECK(contains(work.run({"model", "list"}).out, "iq4_nl of tiny\n"));
    const auto list = nlohmann::json::parse(work.run({"model", "list", "--json"}).out);
    REQUIRE(list.size() == 4);
    CHECK(list[3]["name"] == "tiny-iq4_nl");
    CHECK(list[3]["licence"].is_null());
    CHECK(list[3]["sha256"].is_null());
    CHECK(list[3]["path"] == made.string());
    CHECK(work.run({"complete", work.text + ":3:1", "-m", "tiny-iq4_nl", "-n", "4"}).status == 0);
}

TEST_CASE("another type and another file") {
    Workplace work;
    const std::string out = (work.scratch.path / "own.gguf").string();
    const Ended ended = work.optimize({"--type", "q4_0", "--out", out, "--json"});
    REQUIRE_MESSAGE(ended.status == 0, ended.err);
    CHECK(nlohmann::json::parse(ended.out)["after"]["name"] == out);
    CHECK(fs::exists(out));
    CHECK_FALSE(fs::exists(work.store / "tiny-q4_0.gguf"));
    CHECK(work.run({"model", "list"}).out.find("tiny") == std::string::npos);
}

TEST_CASE("bad input: a message that says what to do, and the exit status") {
    Workplace work;
    const auto expect = [&](const std::vector<std::string>& words, int status, const std::string& message) {
        const Ended ended = work.optimize_with(words);
        CHECK(ended.status == status);
        CHECK(ended.out.empty());
        CHECK(contains(ended.err, message));
    };
    const std::string model = work.model.string();
    expect({}, 2, "MODEL is required");
    expect({model, "--type", "q5_k"}, 2, "'q5_k' is no type to requantise to; there are iq4_nl, q4_0, q8_0");
    expect({"nothing-here"}, 1, "is neither a GGUF file nor a model of the catalogue");
    expect({"smollm2-135m"}, 1, "pull it with 'pie model pull smollm2-135m'");
    expect({work.text}, 1, "is no GGUF file");
    expect({model, "--text", model}, 1, "tiny.gguf");
    expect({model, "--text", "missing.py"}, 1, "missing.py");
    expect({model, "--out", model}, 2, "is there already");
    CHECK(fs::exists(model));

    const EnvironmentVariable cache("XDG_CACHE_HOME", work.model.c_str());
    expect({model}, 1, "cannot create the folder");
}

TEST_CASE("a result that cannot be written is a failure, and the copy stays") {
    Workplace work;
    work.out = "/dev/full";
    CHECK(work.optimize().status == 1);
    CHECK(fs::exists(work.store / "tiny-iq4_nl.gguf"));
}

TEST_CASE("Ctrl-C while it is measured: the figures so far, the copy, and status 130") {
    Workplace work;
    const fs::path made = work.store / "tiny-iq4_nl.gguf";
    const Ended ended = work.run_lab({"optimize", work.model.string(), "--json"}, [&](pid_t child) {
        for (int i = 0; i < 2000 && !fs::exists(made); ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        kill(child, SIGINT);
    });
    CHECK(fs::exists(made));
    CHECK(ended.status == 130);
    CHECK(contains(ended.err, "pie-lab: interrupted; the model is there; the figures are not complete"));
    const auto report = nlohmann::json::parse(ended.out);
    CHECK(report["complete"] == false);
    CHECK(report["after"]["path"] == made.string());
}

} // namespace pie
