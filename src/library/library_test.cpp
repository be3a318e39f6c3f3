// The public interface on a tiny model, as a program that embeds it uses it.

#include "base/test_fixtures.h"
#include "support/tiny_model.h"

#include <pie/model.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <latch>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace pie {
namespace {

struct Place {
    ScratchFolder scratch;
    std::filesystem::path file = scratch.path / "tiny.gguf";

    explicit Place(const std::string& architecture = "qwen2")
        : Place(testing::TinyModel{.architecture = architecture}) {}
    explicit Place(const testing::TinyModel& description) { testing::write_tiny_model(description, file); }

    ModelOptions options() const { return {.n_threads = 1, .n_ctx = 512, .n_predict_max = 64}; }
    Model load() const { return load(options()); }
    Model load(const ModelOptions& options) const { return Model::load(file, options).value(); }
};

std::string some_text(int n_lines) {
    std::string text;
    for (int i = 0; i < n_lines; ++i) {
        text += "total += item" + std::to_string(i) + "\n";
    }
    return text;
}

const CompletionOptions asked{.n_predict = 12, .n_probs = 2};

// What a session of its own answers that never saw another text.
Completion fresh_answer(const Model& model, const std::string& text, size_t cursor) {
    Session session = model.open();
    REQUIRE(session.set_text(text, ByteOffset(cursor)));
    return session.complete(asked).value();
}

// Up to where the model cannot decide between two tokens: there, rounding decides.
bool are_same(const Completion& one, const Completion& other) {
    constexpr float undecided = 0.02F;
    for (size_t i = 0; i < std::min(one.tokens.size(), other.tokens.size()); ++i) {
        const auto& likeliest = one.probabilities[i].likeliest;
        if (likeliest[0].log_probability - likeliest[1].log_probability < undecided) {
            return true;
        }
        if (one.tokens[i] != other.tokens[i]) {
            return false;
        }
    }
    return one.tokens.size() == other.tokens.size();
}

} // namespace

TEST_CASE("what cannot be loaded is told") {
    CHECK(Model::load("no/such/model.gguf").error().code == ErrorCode::not_found);
    const Place place;
    ModelOptions options = place.options();
    options.n_predict_max = 0;
    CHECK(Model::load(place.file, options).error().code == ErrorCode::invalid_argument);
    options = place.options();
    options.n_ctx = 1 << 24;
    CHECK_FALSE(Model::load(place.file, options).has_value());
}

TEST_CASE("a completion is the same from a fresh session and from a healed one") {
    const Place place;
    const Model model = place.load();
    Session session = model.open("a.py");
    std::string text = some_text(20);
    const uint32_t seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    REQUIRE(session.set_text(text, ByteOffset(0)));
    for (int i = 0; i < 8; ++i) {
        const size_t begin = random() % text.size();
        const size_t end = begin + random() % std::min<size_t>(20, text.size() - begin);
        const TextEdit edit{ByteOffset(begin), ByteOffset(end), "x" + std::to_string(random() % 100) + "\n"};
        text.replace(begin, end - begin, edit.text);
        const size_t cursor = random() % text.size();
        REQUIRE(session.edit(std::span(&edit, 1), ByteOffset(cursor)));
        if (i % 3 == 0) {
            REQUIRE(session.complete({.n_predict = 4}));
        }
        REQUIRE(session.heal());
        const SessionStats stats = session.stats();
        CHECK(stats.tokens_exact == stats.tokens);
        CHECK(stats.version == i + 2);
        CHECK(stats.version_encoded == stats.version);
        CHECK(are_same(session.complete(asked).value(), fresh_answer(model, text, cursor)));
    }
}

TEST_CASE("an edit costs little, and nothing once it is in the cache") {
    const Place place;
    const Model model = place.load();
    Session session = model.open();
    std::string text = some_text(20);
    REQUIRE(session.set_text(text, ByteOffset(text.size() - 1)));
    REQUIRE(session.encode());
    const TextEdit edit{ByteOffset(text.size() - 1), ByteOffset(text.size() - 1), " "};
    REQUIRE(session.edit(std::span(&edit, 1), ByteOffset(text.size())));
    REQUIRE(session.encode());
    const UpdateReport update = session.stats().last_update;
    CHECK(update.tokens_context > 200);
    CHECK(update.tokens_encoded > 0);
    CHECK(update.tokens_encoded < 20);
    CHECK(session.complete({.n_predict = 2}).value().update.tokens_encoded == 0);
}

TEST_CASE("a wrong edit changes nothing") {
    const Place place;
    const Model model = place.load();
    Session session = model.open();
    CHECK(session.complete().error().code == ErrorCode::invalid_argument);
    CHECK(session.edit({}, ByteOffset(0)).error().code == ErrorCode::invalid_argument);
    CHECK(session.set_text("\xff", ByteOffset(0)).error().code == ErrorCode::corrupt);
    CHECK(session.set_text("abc", ByteOffset(4)).error().code == ErrorCode::invalid_argument);
    CHECK(session.set_text("a\xc3\xa4", ByteOffset(2)).error().code == ErrorCode::invalid_argument);
    CHECK(session.stats().version == 0);
    const std::string text = some_text(4);
    REQUIRE(session.set_text(text, ByteOffset(10)));
    const std::vector<TokenId> answer = session.complete({.n_predict = 12}).value().tokens;
    const std::vector<TextEdit> edits = {{ByteOffset(0), ByteOffset(1), "y"},
                                         {ByteOffset(0), ByteOffset(1000), "z"}};
    CHECK(session.edit(edits, ByteOffset(10)).error().code == ErrorCode::invalid_argument);
    CHECK(session.set_tokens({}).error().code == ErrorCode::invalid_argument);
    CHECK(session.set_tokens({TokenId(1 << 20)}).error().code == ErrorCode::invalid_argument);
    CHECK(session.set_context({.chunks = {{.text = "\xff"}}}).error().code == ErrorCode::corrupt);
    CHECK(session.stats().version == 1);
    CHECK(session.complete({.n_predict = 12}).value().tokens == answer);
}

TEST_CASE("a newer edit ends the completion at work, and the session goes on with it") {
    const Place place;
    const Model model = place.load();
    Session session = model.open();
    const std::string text = some_text(10);
    REQUIRE(session.set_text(text, ByteOffset(40)));
    bool edited = false;
    const auto completion = session.complete({.n_predict = 64, .draft_max = 0}, [&](std::string_view) {
        if (!edited) {
            edited = session.set_text(text, ByteOffset(60)).has_value();
        }
        return StreamControl::go_on;
    });
    REQUIRE(edited);
    REQUIRE_FALSE(completion.has_value());
    CHECK(completion.error().code == ErrorCode::cancelled);
    REQUIRE(session.heal());
    CHECK(are_same(session.complete(asked).value(), fresh_answer(model, text, 60)));
}

TEST_CASE("cancel() and a stop token end a completion") {
    const Place place;
    const Model model = place.load();
    Session session = model.open();
    REQUIRE(session.set_text(some_text(10), ByteOffset(40)));
    const auto by_cancel = session.complete({.n_predict = 64, .draft_max = 0}, [&](std::string_view) {
        session.cancel();
        return StreamControl::go_on;
    });
    REQUIRE_FALSE(by_cancel.has_value());
    CHECK(by_cancel.error().code == ErrorCode::cancelled);
    std::stop_source stop;
    const auto by_stop = session.complete(
        {.n_predict = 64, .draft_max = 0},
        [&](std::string_view) {
            stop.request_stop();
            return StreamControl::go_on;
        },
        stop.get_token());
    REQUIRE_FALSE(by_stop.has_value());
    CHECK(by_stop.error().code == ErrorCode::cancelled);
    CHECK(session.complete({}, {}, stop.get_token()).error().code == ErrorCode::cancelled);
    CHECK(session.heal(stop.get_token()).error().code == ErrorCode::cancelled);
    CHECK(session.complete({.n_predict = 2}).has_value());
}

TEST_CASE("a receiver that would wait for its own thread is told so") {
    const Place place;
    const Model model = place.load();
    Session session = model.open();
    REQUIRE(session.set_text(some_text(10), ByteOffset(40)));
    std::optional<ErrorCode> code;
    REQUIRE(session.complete({.n_predict = 8}, [&](std::string_view) {
        code = session.encode().error().code;
        return StreamControl::go_on;
    }));
    CHECK(code == ErrorCode::invalid_argument);
}

TEST_CASE("a receiver that throws fails its own completion alone") {
    const Place place;
    const Model model = place.load();
    Session session = model.open();
    REQUIRE(session.set_text(some_text(10), ByteOffset(40)));
    const auto failed = session.complete({.n_predict = 8}, [](std::string_view) -> StreamControl {
        throw std::runtime_error("the caller's own trouble");
    });
    REQUIRE_FALSE(failed.has_value());
    CHECK(failed.error().code == ErrorCode::internal);
    REQUIRE(session.heal());
    CHECK(are_same(session.complete(asked).value(), fresh_answer(model, some_text(10), 40)));
}

TEST_CASE("a document that was dropped from memory is healed when somebody waits for that") {
    const Place place;
    ModelOptions options = place.options();
    options.ram_bytes_max = 1;
    options.heal_when_idle = false;
    options.snapshot_folder = place.scratch.path / "snapshots";
    const Model model = place.load(options);
    Session session = model.open("a");
    Session other = model.open("b");
    const std::string text = some_text(20);
    REQUIRE(session.set_text("x = 1\n" + text, ByteOffset(100)));
    REQUIRE(session.encode());
    REQUIRE(session.set_text(text, ByteOffset(94)));
    REQUIRE(session.encode());
    CHECK(session.stats().tokens_exact < session.stats().tokens);
    std::jthread disturbance([&](const std::stop_token& stop) {
        for (int i = 0; !stop.stop_requested(); ++i) {
            CHECK(other.set_text(some_text(3 + i % 2), ByteOffset(5)));
            CHECK(other.encode());
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
    });
    REQUIRE(session.heal());
    CHECK(session.stats().tokens_exact == session.stats().tokens);
}

TEST_CASE("more callers than may wait are refused") {
    const Place place;
    ModelOptions options = place.options();
    options.queue_max = 1;
    const Model model = place.load(options);
    std::vector<Session> sessions;
    for (int i = 0; i < 3; ++i) {
        sessions.push_back(model.open());
        REQUIRE(sessions.back().set_text(some_text(3), ByteOffset(5)));
    }
    std::latch at_work(1);
    std::promise<void> go_on;
    std::atomic<int> n_pieces = 0;
    std::thread first([&] {
        CHECK(
            sessions[0].complete({.n_predict = 8}, [&, wait = go_on.get_future().share()](std::string_view) {
                if (n_pieces++ == 0) {
                    at_work.count_down();
                    wait.wait();
                }
                return StreamControl::go_on;
            }));
    });
    at_work.wait();
    std::vector<std::future<Result<Completion>>> waiting;
    for (size_t i : {1U, 2U}) {
        waiting.push_back(
            std::async(std::launch::async, [&, i] { return sessions[i].complete({.n_predict = 2}); }));
    }
    // One of the two waits, the other is refused at once.
    size_t refused = 0;
    while (waiting[refused].wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
        refused = 1 - refused;
    }
    CHECK(waiting[refused].get().error().code == ErrorCode::busy);
    go_on.set_value();
    CHECK(waiting[1 - refused].get().has_value());
    first.join();
}

TEST_CASE("many threads on many sessions get their own answers") {
    const Place place;
    ModelOptions options = place.options();
    options.ram_bytes_max = 1; // each session drops the others
    const Model model = place.load(options);
    const auto text_of = [](int thread, int round) {
        return some_text(5 + thread) + "x" + std::to_string(round);
    };
    std::vector<std::thread> threads;
    std::vector<std::vector<Completion>> answers(4);
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            Session session = model.open("file" + std::to_string(t));
            for (int round = 0; round < 5; ++round) {
                const std::string text = text_of(t, round);
                if (!session.set_text(text, ByteOffset(text.size())) || !session.heal()) {
                    return;
                }
                answers[static_cast<size_t>(t)].push_back(session.complete(asked).value_or(Completion()));
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (int t = 0; t < 4; ++t) {
        REQUIRE(answers[static_cast<size_t>(t)].size() == 5);
        for (int round = 0; round < 5; ++round) {
            const std::string text = text_of(t, round);
            CHECK(are_same(answers[static_cast<size_t>(t)][static_cast<size_t>(round)],
                           fresh_answer(model, text, text.size())));
        }
    }
}

TEST_CASE("a name is one document, and no name is a document of its own") {
    const Place place;
    const Model model = place.load();
    Session one = model.open("a");
    REQUIRE(one.set_text(some_text(3), ByteOffset(5)));
    CHECK(model.open("a").stats().version == 1);
    CHECK(model.open("b").stats().version == 0);
    CHECK(model.open().stats().version == 0);
}

TEST_CASE("a later process goes on with the caches of an earlier one") {
    const Place place;
    ModelOptions options = place.options();
    options.snapshot_folder = place.scratch.path / "snapshots";
    const std::string text = some_text(20);
    std::vector<TokenId> answer;
    {
        const Model model = place.load(options);
        Session session = model.open("a.py");
        REQUIRE(session.set_text(text, ByteOffset(100)));
        answer = session.complete({.n_predict = 12}).value().tokens;
        Session nameless = model.open();
        REQUIRE(nameless.set_text(text, ByteOffset(100)));
        REQUIRE(nameless.encode());
    }
    CHECK(std::distance(std::filesystem::directory_iterator(options.snapshot_folder), {}) == 1);
    const Model model = place.load(options);
    Session session = model.open("a.py");
    REQUIRE(session.set_text(text, ByteOffset(100)));
    const Completion completion = session.complete({.n_predict = 12}).value();
    CHECK(completion.tokens == answer);
    CHECK(session.stats().last_update.tokens_encoded == 0);
}

TEST_CASE("tokens are a prompt as they are") {
    const Place place;
    const Model model = place.load();
    const std::vector<TokenId> tokens = model.tokenize(some_text(3)).value();
    CHECK(model.detokenize(tokens).value() == some_text(3));
    CHECK(model.tokenize("\xff").error().code == ErrorCode::corrupt);
    CHECK(model.detokenize({TokenId(-1)}).error().code == ErrorCode::invalid_argument);
    Session session = model.open();
    REQUIRE(session.set_tokens(tokens));
    REQUIRE(session.encode());
    CHECK(session.stats().tokens == static_cast<int32_t>(tokens.size()));
    REQUIRE(session.set_tokens(std::vector<TokenId>(600, TokenId(5))));
    CHECK(session.complete().error().code == ErrorCode::too_large);
}

TEST_CASE("control tokens are recognised only where that is wanted") {
    const Place place;
    const Model model = place.load();
    const std::string text = "a<|endoftext|>b";
    const auto plain = model.tokenize(text).value();
    const auto markup = model.tokenize(text, Model::Markup::control_tokens).value();
    CHECK(markup.size() == 3);
    CHECK(plain.size() > markup.size());
}

TEST_CASE("context stands in front of the text, and costs once") {
    const Place place;
    const Model model = place.load();
    Session session = model.open();
    REQUIRE(session.set_text(some_text(5), ByteOffset(20)));
    REQUIRE(session.encode());
    const int32_t alone = session.stats().tokens;
    REQUIRE(
        session.set_context({.chunks = {{.file_name = "b.py", .text = some_text(4)}}, .file_name = "a.py"}));
    REQUIRE(session.encode());
    const int32_t with_chunk = session.stats().tokens;
    CHECK(with_chunk > alone + 30);
    REQUIRE(session.set_context({}));
    REQUIRE(session.encode());
    CHECK(session.stats().tokens == alone);
}

TEST_CASE("several completions come from one cache") {
    const Place place;
    const Model model = place.load();
    Session session = model.open();
    REQUIRE(session.set_text(some_text(5), ByteOffset(20)));
    CompletionOptions options{.n_predict = 6};
    options.sampling.temperature = 5;
    options.sampling.seed = 7;
    const auto several = session.complete_several(options, 3).value();
    REQUIRE(several.size() == 3);
    CHECK(several[0].tokens == session.complete(options).value().tokens);
    CHECK(several[0].tokens != several[1].tokens);
    for (const float temperature : {0.0F, 5.0F}) {
        options.sampling.temperature = temperature;
        std::vector<std::string> texts(3);
        const auto heard = session.complete_several(options, 3, [&](int32_t index, std::string_view text) {
            texts[static_cast<size_t>(index)] += text;
            return StreamControl::go_on;
        });
        REQUIRE(heard);
        for (size_t i = 0; i < 3; ++i) {
            CHECK(texts[i] == (*heard)[i].text);
        }
    }
}

TEST_CASE("a fresh session takes nothing over, and answers as a process that holds nothing else") {
    const Place place;
    ModelOptions options = place.options();
    options.snapshot_folder = place.scratch.path / "snapshots";
    const Model model = place.load(options);
    const std::string text = some_text(20);
    Session session = model.open("a.py");
    REQUIRE(session.set_text(text + "x", ByteOffset(text.size() / 2)));
    REQUIRE(session.heal());
    const TextEdit edit{ByteOffset(text.size()), ByteOffset(text.size() + 1), ""};
    REQUIRE(session.edit(std::span(&edit, 1), ByteOffset(text.size() / 2)));
    REQUIRE(session.heal());
    const Completion alone = fresh_answer(place.load(), text, text.size() / 2);

    Session fresh = model.open_fresh();
    REQUIRE(fresh.set_text(text, ByteOffset(text.size() / 2)));
    Session copy = session.fresh_copy();
    for (Session* each : {&fresh, &copy}) {
        const Completion answer = each->complete(asked).value();
        const UpdateReport update = each->stats().last_update;
        CHECK(update.tokens_encoded == update.tokens_context);
        CHECK(update.tokens_kept == 0);
        CHECK(answer.tokens == alone.tokens);
        REQUIRE(answer.probabilities.size() == alone.probabilities.size());
        for (size_t i = 0; i < alone.probabilities.size(); ++i) {
            CHECK(answer.probabilities[i].likeliest[0].log_probability ==
                  alone.probabilities[i].likeliest[0].log_probability);
        }
    }
    Session borrowing = model.open();
    REQUIRE(borrowing.set_text(text, ByteOffset(text.size() / 2)));
    REQUIRE(borrowing.encode());
    CHECK(borrowing.stats().last_update.tokens_kept > 100); // what a fresh session must not do
}

TEST_CASE("a prompt that takes too long gives nothing, and is ready later") {
    const Place place(testing::TinyModel{.architecture = "qwen2", .n_layer = 12});
    const Model model = place.load({.n_threads = 1, .n_ctx = 2048, .n_predict_max = 64});
    Session session = model.open();
    const std::string text = some_text(100);
    REQUIRE(session.set_text(text, ByteOffset(text.size())));
    CompletionOptions options = asked;
    options.prompt_milliseconds_max = 1;
    const Completion none = session.complete(options).value();
    CHECK(none.finish == FinishReason::time_limit);
    CHECK(none.text.empty());
    CHECK(none.tokens.empty());
    CHECK(session.stats().version_encoded == 0);
    REQUIRE(session.encode());
    options.prompt_milliseconds_max = 1e300;
    const Completion later = session.complete(options).value();
    CHECK(later.update.tokens_encoded == 0);
    CHECK(are_same(later, fresh_answer(model, text, text.size())));

    REQUIRE(session.set_text("x = 1\n" + some_text(80), ByteOffset(0)));
    options.prompt_milliseconds_max = 1;
    const auto several = session.complete_several(options, 2).value();
    REQUIRE(several.size() == 2);
    CHECK(several[1].finish == FinishReason::time_limit);
}

TEST_CASE("however little time there is between the requests of others, every text is encoded") {
    const Place place(testing::TinyModel{.architecture = "qwen2", .n_layer = 12});
    const Model model = place.load({.n_threads = 1, .n_ctx = 2048, .n_predict_max = 64});
    std::vector<Session> sessions;
    for (int i = 0; i < 3; ++i) {
        sessions.push_back(model.open());
        const std::string text = "file" + std::to_string(i) + "\n" + some_text(60);
        REQUIRE(sessions.back().set_text(text, ByteOffset(text.size())));
    }
    const auto is_behind = [](const Session& session) { return session.stats().version_encoded == 0; };
    const int32_t n_tokens = [&] {
        Session fresh = model.open();
        REQUIRE(fresh.set_text("file0\n" + some_text(60), ByteOffset(0)));
        REQUIRE(fresh.encode());
        return fresh.stats().tokens;
    }();
    int n_rounds = 0;
    while (std::ranges::any_of(sessions, is_behind)) {
        REQUIRE(n_rounds++ < n_tokens / 8 + 10);
        for (Session& session : sessions) {
            REQUIRE(session.complete({.n_predict = 1, .prompt_milliseconds_max = 0.001}));
        }
    }
}

TEST_CASE("the time for a prompt is not what others take") {
    const Place place;
    const Model model = place.load();
    Session other = model.open();
    Session session = model.open();
    REQUIRE(other.set_text(some_text(3), ByteOffset(5)));
    const std::string text = some_text(3);
    REQUIRE(session.set_text(text, ByteOffset(5)));
    REQUIRE(session.encode());
    CompletionOptions patient = asked;
    patient.prompt_milliseconds_max = 10'000;
    CompletionOptions hasty = asked;
    hasty.prompt_milliseconds_max = 200;
    std::future<Result<Completion>> waiting;
    bool is_first = true;
    REQUIRE(other.complete(patient, [&](std::string_view) {
        if (is_first) {
            waiting = std::async(std::launch::async, [&] { return session.complete(hasty); });
            std::this_thread::sleep_for(std::chrono::milliseconds(400));
        }
        is_first = false;
        return StreamControl::go_on;
    }));
    CHECK(are_same(waiting.get().value(), fresh_answer(model, text, 5)));
}

TEST_CASE("a session may be closed while what it had no time for goes on") {
    const Place place;
    const Model model = place.load();
    for (int i = 0; i < 20; ++i) {
        Session session = model.open();
        REQUIRE(session.set_text(some_text(20), ByteOffset(5)));
        CHECK(session.complete({.prompt_milliseconds_max = 0.001}));
    }
    Session session = model.open();
    REQUIRE(session.set_text(some_text(3), ByteOffset(5)));
    CHECK(are_same(session.complete(asked).value(), fresh_answer(model, some_text(3), 5)));
}

TEST_CASE("a saved cache goes on in another session, and in another process") {
    const Place place;
    const std::string text = some_text(20);
    const auto file = place.scratch.path / "saved";
    SavedCache saved;
    Completion answer;
    {
        const Model model = place.load();
        Session session = model.open();
        CHECK(session.save(file).error().code == ErrorCode::invalid_argument);
        REQUIRE(session.set_text(text, ByteOffset(100)));
        answer = session.complete(asked).value();
        saved = session.save(file).value();
        CHECK(saved.tokens == session.stats().tokens);
        CHECK(saved.bytes == std::filesystem::file_size(file));
    }
    const Model model = place.load();
    Session session = model.open();
    REQUIRE(session.set_text("another = 1\n", ByteOffset(3)));
    REQUIRE(session.encode());
    const SavedCache restored = session.restore(file).value();
    CHECK(restored.tokens == saved.tokens);
    CHECK(restored.bytes == saved.bytes);
    CHECK(session.stats().version == 0);
    CHECK(session.stats().tokens == saved.tokens);
    CHECK(session.complete().error().code == ErrorCode::invalid_argument);
    REQUIRE(session.save(place.scratch.path / "again"));
    REQUIRE(session.set_text(text, ByteOffset(100)));
    const Completion again = session.complete(asked).value();
    CHECK(again.tokens == answer.tokens);
    CHECK(again.update.tokens_encoded == 0);
}

TEST_CASE("what is no saved cache leaves a session as it was") {
    const Place place;
    const Place other("llama");
    const Model model = place.load();
    Session session = model.open();
    const std::string text = some_text(5);
    REQUIRE(session.set_text(text, ByteOffset(20)));
    const Completion answer = session.complete(asked).value();
    CHECK(session.restore(place.scratch.path / "none").error().code == ErrorCode::not_found);
    CHECK(session.restore(place.file).error().code == ErrorCode::corrupt);
    CHECK(session.stats().tokens > 0);
    const auto foreign = place.scratch.path / "foreign";
    {
        const Model another = other.load();
        Session its = another.open();
        REQUIRE(its.set_text(text, ByteOffset(20)));
        REQUIRE(its.save(foreign));
    }
    CHECK(session.restore(foreign).error().code == ErrorCode::invalid_argument);
    CHECK(session.complete(asked).value().tokens == answer.tokens);
}

TEST_CASE("context without a text is no prompt") {
    const Place place;
    const Model model = place.load();
    Session session = model.open();
    REQUIRE(session.set_context({.chunks = {{.file_name = "b.py", .text = some_text(4)}}}));
    CHECK(session.encode().error().code == ErrorCode::invalid_argument);
    REQUIRE(session.set_text(some_text(1), ByteOffset(3)));
    CHECK(session.encode());
}

TEST_CASE("a model tells its markers, its file and its template") {
    const Place place;
    const Model model = place.load();
    const FillMarkers markers = model.fill_markers().value();
    CHECK(markers.prefix == "<fim_prefix>");
    CHECK(markers.suffix == "<fim_suffix>");
    CHECK(markers.middle == "<fim_middle>");
    CHECK(model.fingerprint().size() == 64);
    CHECK(model.fingerprint() == place.load().fingerprint());
    CHECK(model.snapshot_folder().empty());
    CHECK(model.chat_prompt({{"user", "Hello"}}).error().code == ErrorCode::unsupported);
}

} // namespace pie
