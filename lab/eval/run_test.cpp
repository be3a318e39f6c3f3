// On a tiny random model: the figures against sums made naively from logits of plain sequences that were
// never edited.

#include "base/test_fixtures.h"
#include "eval/edit_diff.h"
#include "eval/run.h"
#include "eval/text_metrics.h"
#include "support/reference.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <utf8.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>

namespace pie {
namespace {

using testing::load_tiny_model;

EvalRow made_row(const std::string& id, const std::string& before, const std::string& after) {
    EvalRow row;
    row.id = id;
    row.kind = "made";
    row.language = "python";
    row.before = before;
    row.after = after;
    row.target = "    return total\n";
    row.place = "made.jsonl:1";
    return row;
}

const EvalRow plain_row = made_row("plain", "def f(a):\n    b = a\n    total = 0\n",
                                   "import os\n\ndef f(a):\n    sum = a\n    b = a\n    total = 0\n");
const EvalRow middle_row = made_row("middle", "<PRE>def f(a):\n<SUF>\nprint(f(1))\n<MID>",
                                    "<PRE>def f(a):\n    total = a\n<SUF>\nprint(f(1))\n<MID>");

struct Bench {
    // Attention is observed in every fourth layer, so that there must be one.
    std::unique_ptr<LoadedModel> model = load_tiny_model({.n_layer = 4});
    std::unique_ptr<Engine> engine = *Engine::create(*model, {.n_threads = 1});
    std::unique_ptr<RowRunner> runner;

    explicit Bench(const RunOptions& options = {.model = "tiny"})
        : runner(*RowRunner::create(
              *engine, {.n_cells = 256, .type_k = GGML_TYPE_F32, .type_v = GGML_TYPE_F32}, options)) {}

    std::map<std::string, Measurement> run(const EvalRow& row, const std::string& methods,
                                           const EvalRow* other = nullptr) {
        const std::vector<Method> parsed = *parse_methods(methods);
        std::map<std::string, Measurement> measured;
        const auto done = runner->run(row, other, parsed, [&](Measurement m) -> Result<void> {
            measured[m.key.method] = std::move(m);
            return {};
        });
        REQUIRE(done.has_value());
        REQUIRE(measured.size() == parsed.size());
        return measured;
    }
};

using Distribution = std::vector<double>;

// What a sequence that was never edited says about each token of the target.
std::vector<Distribution> distributions(const LoadedModel& model, const std::vector<TokenId>& prompt,
                                        const std::vector<TokenId>& target) {
    std::vector<TokenId> tokens = prompt;
    tokens.insert(tokens.end(), target.begin(), target.end());
    std::vector<int32_t> outputs;
    for (size_t i = 0; i < target.size(); ++i) {
        outputs.push_back(static_cast<int32_t>(prompt.size() + i) - 1);
    }
    testing::Appender appender(model, {.type_k = GGML_TYPE_F32, .type_v = GGML_TYPE_F32});
    const std::vector<float> logits = appender.decode(tokens, outputs);
    const size_t n_vocab = logits.size() / target.size();
    std::vector<Distribution> result;
    for (size_t i = 0; i < target.size(); ++i) {
        Distribution p(n_vocab);
        double sum = 0;
        for (size_t j = 0; j < n_vocab; ++j) {
            p[j] = std::exp(static_cast<double>(logits[i * n_vocab + j]));
            sum += p[j];
        }
        for (double& share : p) {
            share /= sum;
        }
        result.push_back(std::move(p));
    }
    return result;
}

size_t argmax(const Distribution& p) {
    return static_cast<size_t>(std::ranges::max_element(p) - p.begin());
}

void check_figures(const Measurement& m, const std::vector<Distribution>& full,
                   const std::vector<Distribution>& method, const std::vector<TokenId>& target) {
    const auto n = static_cast<double>(target.size());
    std::vector<double> kl(target.size());
    double loss = 0;
    double agreement = 0;
    bool exact = true;
    for (size_t i = 0; i < target.size(); ++i) {
        for (size_t j = 0; j < full[i].size(); ++j) {
            kl[i] += full[i][j] * std::log(full[i][j] / method[i][j]);
        }
        const auto gold = static_cast<size_t>(target[i].value);
        loss -= std::log(method[i][gold]) / n;
        agreement += (argmax(full[i]) == argmax(method[i]) ? 1 : 0) / n;
        exact = exact && argmax(method[i]) == gold;
    }
    double kl_sum = 0;
    for (const double one : kl) {
        kl_sum += one;
    }
    CHECK(m.tokens_scored == std::ssize(target));
    CHECK(m.kl == doctest::Approx(kl_sum / n).epsilon(0.01));
    CHECK(m.kl_first == doctest::Approx(kl[0]).epsilon(0.01));
    CHECK(m.loss == doctest::Approx(loss).epsilon(0.001));
    CHECK(m.top1_agreement == doctest::Approx(agreement));
    CHECK(m.exact_match == (exact ? 1 : 0));
}

std::string without_time(Measurement m) {
    m.milliseconds = 0;
    return measurement_line(m);
}

} // namespace

TEST_CASE("figures of full recompute and of a stale cache are those of sequences that were never edited") {
    Bench bench;
    for (const EvalRow& row : {plain_row, middle_row}) {
        CAPTURE(row.id);
        const EncodedRow encoded = *encode_row(row, bench.model->vocabulary());
        const auto full = distributions(*bench.model, encoded.after, encoded.target);
        const auto stale = distributions(*bench.model, encoded.before, encoded.target);
        auto measured = bench.run(row, "full,reuse");
        check_figures(measured["full"], full, full, encoded.target);
        check_figures(measured["reuse"], full, stale, encoded.target);
        CHECK(measured["full"].kl == 0);
        CHECK(measured["reuse"].kl > 1e-4);
        CHECK(measured["reuse"].tokens_encoded == 0);
        CHECK(measured["full"].tokens_encoded == std::ssize(encoded.after));
        CHECK(measured["reuse"].tokens_before == std::ssize(encoded.before));
        CHECK(measured["reuse"].tokens_after == std::ssize(encoded.after));
        CHECK(measured["full"].edit == edit_diff(row)); // once a row is enough
        CHECK(!measured["full"].edit.empty());
        CHECK(measured["reuse"].edit.empty());
    }
}

TEST_CASE("small batches and a seam to the end are a full recompute up to rounding") {
    Bench bench;
    for (const EvalRow& row : {plain_row, middle_row}) {
        auto measured = bench.run(row, "full,full:7,prefix,pie+seam:100000,pie+oracle:100000,pie+heal,pie");
        CHECK(measured["full:7"].tokens_encoded == measured["full:7"].tokens_after);
        for (const char* exact : {"full:7", "prefix", "pie+seam:100000", "pie+oracle:100000", "pie+heal"}) {
            CAPTURE(exact);
            CHECK(measured[exact].kl < 1e-6);
            CHECK(measured[exact].top1_agreement == 1);
            CHECK(measured[exact].prediction == measured["full"].prediction);
            for (size_t layer = 0; layer < 4; ++layer) {
                CHECK(measured[exact].key_cosines.at(layer) == doctest::Approx(1).epsilon(1e-4));
                CHECK(measured[exact].value_cosines.at(layer) == doctest::Approx(1).epsilon(1e-4));
            }
        }
        CHECK(measured["pie"].kl > 1e-5);
        // The first layer's keys and values depend on nothing but the token and its place.
        CHECK(measured["pie"].key_cosines.at(0) == doctest::Approx(1).epsilon(1e-4));
        CHECK(measured["pie"].value_cosines.at(3) < 1 - 1e-5);
    }
}

TEST_CASE("methods do not see each other: their order changes nothing") {
    Bench bench({.model = "tiny", .n_completion_tokens = 4});
    std::vector<std::string> names = {"full",          "full:16",      "prefix",          "reuse",
                                      "cfe",           "pie",          "pie+seam:2",      "pie+heal:3",
                                      "pie+shallow:5", "pie+oracle:5", "pie+attention:5", "pie+occurrences:5",
                                      "pie+later:5",   "rotate+1"};
    const std::string forwards = fmt::format("{}", fmt::join(names, ","));
    std::ranges::reverse(names);
    const std::string backwards = fmt::format("{}", fmt::join(names, ","));
    auto first = bench.run(plain_row, forwards);
    auto second = bench.run(plain_row, backwards);
    for (const std::string& name : names) {
        CHECK(without_time(first[name]) == without_time(second[name]));
    }
    // Repairs are on top of the usual seam of 8, and within their budget.
    const double seam = bench.run(plain_row, "pie+seam")["pie+seam"].tokens_encoded;
    CHECK(first["pie+oracle:5"].tokens_encoded == seam + 5);
    CHECK(first["pie+shallow:5"].tokens_encoded == seam + 5);
    CHECK(first["pie+attention:5"].tokens_encoded == seam + 5);
    CHECK(first["pie+later:5"].tokens_encoded == seam + 5 + 1); // the last token, once more
}

TEST_CASE("the harness can fail: another row's cache, and keys rotated too far, come out bad") {
    Bench bench;
    for (const EvalRow& row : {plain_row, middle_row}) {
        const EvalRow& other = row.id == plain_row.id ? middle_row : plain_row;
        auto measured = bench.run(row, "full:7,pie,pie+seam,other-sample,rotate+1", &other);
        CAPTURE(row.id);
        CHECK(measured["other-sample"].kl > 20 * measured["full:7"].kl + 1e-3);
        CHECK(measured["other-sample"].kl > measured["pie+seam"].kl);
        CHECK(measured["other-sample"].key_cosines.empty());
        CHECK(measured["rotate+1"].tokens_encoded >= measured["pie"].tokens_encoded);
        CHECK(measured["rotate+1"].key_cosines.at(0) < measured["pie"].key_cosines.at(0) - 1e-3);
        CHECK(measured["rotate+1"].kl > measured["pie+seam"].kl);
    }
    // Without another row that method fails, and the others do not.
    const auto alone = bench.run(plain_row, "full,other-sample");
    CHECK(alone.at("other-sample").failure.find("another row") != std::string::npos);
    CHECK(!alone.at("full").failed());
}

TEST_CASE("rows with one edited prompt share its recompute, and come out as they do alone") {
    EvalRow second = plain_row;
    second.id = "second";
    second.before = "def f(a):\n    b = a\n    total = 0\n    return b\n";
    Bench shared;
    const auto first = shared.run(plain_row, "full,full:7,pie");
    const auto after_another = shared.run(second, "full,full:7,pie,prefix,cfe");
    const auto alone = Bench().run(second, "full,full:7,pie,prefix,cfe");
    CHECK(after_another.at("full").milliseconds == first.at("full").milliseconds);
    CHECK(after_another.at("full:7").milliseconds == first.at("full:7").milliseconds);
    for (const char* method : {"full", "full:7", "pie", "prefix", "cfe"}) {
        CAPTURE(method);
        CHECK(after_another.at(method).kl == doctest::Approx(alone.at(method).kl).epsilon(0.01));
        CHECK(after_another.at(method).prediction == alone.at(method).prediction);
        CHECK(after_another.at(method).tokens_encoded == alone.at(method).tokens_encoded);
    }
}

TEST_CASE("the line that is judged is the one that greedy decoding writes") {
    Bench bench;
    for (const EvalRow& row : {plain_row, middle_row}) {
        const EncodedRow encoded = *encode_row(row, bench.model->vocabulary());
        const auto measured = bench.run(row, "full,reuse");
        for (const std::string method : {"full", "reuse"}) {
            CAPTURE(method);
            // Token by token, each time from nothing.
            std::vector<TokenId> written = method == "full" ? encoded.after : encoded.before;
            std::string text;
            for (int i = 0; i < 64; ++i) {
                const Distribution next = distributions(*bench.model, written, {TokenId(0)}).front();
                const TokenId token(static_cast<int32_t>(argmax(next)));
                if (bench.model->vocabulary().ends_generation(token)) {
                    break;
                }
                text += bench.model->vocabulary().piece(token);
                written.push_back(token);
                if (predicts_line(text, "python")) {
                    break;
                }
            }
            const Measurement& m = measured.at(method);
            if (text.find('\xEF') == std::string::npos && utf8::is_valid(text)) {
                CHECK(m.prediction == predicted_line(text, "python"));
            }
            CHECK(m.target == "    return total");
            CHECK(m.line_match == (exactly_matches(m.prediction, m.target) ? 1 : 0));
            CHECK(m.edit_similarity == edit_similarity(m.prediction, m.target));
        }
    }
}

TEST_CASE("several edits are made one after the other, and their work is told an edit") {
    EvalRow keys = made_row("keys", "<PRE>def f(a):\n<SUF>\nprint(f(1))\n<MID>",
                            "<PRE>def f(a):\n  b = a\n<SUF>\nprint(f(1))\n<MID>");
    keys.steps = {"<PRE>def f(a):\n  b<SUF>\nprint(f(1))\n<MID>",
                  "<PRE>def f(a):\n  b =<SUF>\nprint(f(1))\n<MID>"};
    Bench bench;
    const auto measured = bench.run(keys, "full,pie,pie+seam:100000,pie+oracle:4,prefix");
    CHECK(measured.at("pie").n_edits == 3);
    CHECK(measured.at("full").tokens_encoded == measured.at("full").tokens_after);
    CHECK(measured.at("pie+seam:100000").kl < 1e-6);
    CHECK(measured.at("pie").tokens_encoded < 12);
    CHECK(measured.at("pie").kl > 0);
    CHECK(measured.at("pie+oracle:4").failure.find("several edits") != std::string::npos);
    CHECK(measured.at("prefix").kl < 1e-6);
}

TEST_CASE("programs are judged by their tests, where that is allowed") {
    EvalRow problem = plain_row;
    problem.test = "check()\n";
    CHECK(Bench().run(problem, "full").at("full").failure.find("--run-code") != std::string::npos);
    std::vector<std::string> programs;
    Bench bench({.model = "tiny",
                 .n_program_tokens = 6,
                 .run_program = [&](const std::string& program) -> Result<bool> {
                     programs.push_back(program);
                     return programs.size() == 2;
                 }});
    const auto measured = bench.run(problem, "full,reuse");
    REQUIRE(programs.size() == 2);
    for (const std::string& program : programs) {
        CHECK(program.starts_with(problem.after));
        CHECK(program.ends_with("check()\n"));
    }
    CHECK(measured.at("full").passed == false);
    CHECK(measured.at("reuse").passed == true);
    CHECK(!bench.run(plain_row, "full").at("full").passed.has_value());
}

TEST_CASE("a row that is too long fails with the reason, and the next one is measured") {
    Bench bench;
    std::string text;
    for (int i = 0; i < 60; ++i) {
        text += "value = " + std::to_string(i) + "\n";
    }
    const auto failed = bench.run(made_row("long", "a = 1\n", text), "full,pie");
    for (const auto& [name, measurement] : failed) {
        CHECK(measurement.failure.find("-c") != std::string::npos);
    }
    CHECK(!bench.run(plain_row, "full").at("full").failed());
}

TEST_CASE("only so many tokens of a target are scored") {
    Bench bench({.model = "tiny", .n_scored_max = 3});
    const auto measured = bench.run(plain_row, "pie");
    CHECK(measured.at("pie").tokens_scored == 3);
}

TEST_CASE("a cancelled run hands over nothing and says so") {
    Bench bench;
    const std::atomic<bool> cancel = true;
    bench.engine->set_cancel_flag(&cancel);
    const std::vector<Method> methods = *parse_methods("full,pie");
    const auto done = bench.runner->run(plain_row, nullptr, methods, [](const Measurement&) -> Result<void> {
        FAIL("a cancelled row was measured");
        return {};
    });
    REQUIRE(!done.has_value());
    CHECK(done.error().code == ErrorCode::cancelled);
}

TEST_CASE("what a file of results holds is not measured again, and what failed is") {
    const ScratchFolder folder;
    const std::filesystem::path path = folder.path / "results.jsonl";
    const std::string long_text(300, 'x');
    const std::vector<EvalRow> rows = {plain_row, made_row("long", "a", long_text), middle_row};
    const auto n_lines = [&] {
        const std::string content = *read_file(path, 1 << 20);
        return std::ranges::count(content, '\n');
    };
    Bench bench;
    Progress progress;
    const auto run = [&](const std::string& methods) {
        Results results = *Results::open(path);
        REQUIRE(run_rows(rows, *parse_methods(methods), *bench.runner, results, progress).has_value());
        return rows_left(rows, *parse_methods(methods), "tiny", results);
    };
    CHECK(run("full") == 1);
    CHECK(n_lines() == 3);
    CHECK(run("full,pie") == 1);
    CHECK(n_lines() == 7); // two new ones, and the failed row's again
    // Another text under an old id is another row.
    std::vector<EvalRow> changed = rows;
    changed[0].target = "    return b\n";
    const Results results = *Results::open(path);
    CHECK(rows_left(rows, *parse_methods("full,pie"), "tiny", results) == 1);
    CHECK(rows_left(changed, *parse_methods("full,pie"), "tiny", results) == 2);
    CHECK(rows_left(rows, *parse_methods("full,pie"), "another model", results) == 3);
}

} // namespace pie
