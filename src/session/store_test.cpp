// Documents that come and go under a small budget, against a plain list of what each of them held.

#include "base/files.h"
#include "base/test_fixtures.h"
#include "session/store.h"
#include "support/reference.h"
#include "support/tiny_model.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace pie {
namespace {

namespace fs = std::filesystem;

const LiveDocumentOptions session_options{.n_ctx = 256, .n_predict_max = 8};

std::vector<float> copy_of(std::span<const float> values) {
    return {values.begin(), values.end()};
}

// Of a session, as far as its next answer depends on it.
struct Held {
    std::vector<CachedToken> tokens;
    std::vector<float> logits;
    int32_t n_exact = 0;

    bool operator==(const Held&) const = default;
};

Held held_by(const LiveDocument& session) {
    Held held{.tokens = session.cache().cells().cached_tokens(),
              .logits = copy_of(session.sequence().logits()),
              .n_exact = session.sequence().n_exact()};
    for (CachedToken& token : held.tokens) {
        token.cell = {}; // attention goes by position
    }
    return held;
}

struct Stored {
    ScratchFolder scratch;
    fs::path folder = scratch.path / "snapshots" / "of sessions";
    std::unique_ptr<LoadedModel> model =
        testing::load_tiny_model({.n_embd = 64, .n_head = 2, .n_head_kv = 1, .n_ff = 64});
    std::unique_ptr<Engine> engine = *Engine::create(*model, {.n_threads = 1});
    size_t session_bytes = new_session().value()->cache().bytes_max();
    std::vector<std::pair<std::string, Error>> troubles;

    Result<std::unique_ptr<LiveDocument>> new_session() const {
        return LiveDocument::create(*engine, session_options);
    }

    // Room for some sessions and a bit.
    DocumentStoreOptions options(size_t n_sessions) {
        return {.ram_bytes_max = n_sessions * session_bytes + session_bytes / 2,
                .folder = folder,
                .on_trouble = [this](std::string_view id, const Error& error) {
                    troubles.emplace_back(id, error);
                }};
    }
    DocumentStore open(const DocumentStoreOptions& options) {
        return {*model, options, [this] { return new_session(); }};
    }
    DocumentStore open(size_t n_sessions) { return open(options(n_sessions)); }

    std::vector<fs::path> files() const {
        std::vector<fs::path> files;
        for (const auto& file : fs::directory_iterator(folder)) {
            files.push_back(file.path());
        }
        return files;
    }
};

void update(LiveDocument& session, const std::string& text) {
    const auto report = session.update(text, ByteOffset(text.size() / 2));
    REQUIRE_MESSAGE(report.has_value(), report.error().message);
}

LiveDocument& acquire(DocumentStore& store, std::string_view id) {
    const auto session = store.acquire(id);
    REQUIRE_MESSAGE(session.has_value(), session.error().message);
    return **session;
}

// Keeps between 20 and 150 characters.
void edit(std::mt19937& random, std::string& text) {
    const size_t at = random() % (text.size() + 1);
    text.erase(at, random() % 20);
    std::string inserted(1 + random() % 25, ' ');
    std::ranges::generate(inserted, [&] { return "abcde \n(=)"[random() % 10]; });
    text.insert(at, inserted);
    text.resize(std::clamp<size_t>(text.size(), 20, 150), 'x');
}

// What a store of the same budget must hold, by the definition: the session in use counts as a whole, others
// by what they take.
class NaiveStore {
  public:
    struct Budget {
        size_t bytes_max = 0;
        size_t session_bytes = 0; // at most
        size_t copy_bytes = 0;    // kept free for a copy
    };

    NaiveStore(const Budget& budget, bool remembers) : budget_(budget), remembers_(remembers) {}

    // Empty for a document that is new or forgotten.
    const Held& acquire(const std::string& id) {
        std::erase(recent_, id);
        recent_.push_back(id);
        while (recent_.size() > 1 && bytes() > budget_.bytes_max) {
            if (!remembers_) {
                held_.erase(recent_.front());
            }
            recent_.erase(recent_.begin());
        }
        return held_[id];
    }
    void set(const std::string& id, Held held, size_t bytes) {
        held_[id] = std::move(held);
        bytes_[id] = bytes;
    }
    size_t n_sessions() const { return recent_.size(); }

  private:
    size_t bytes() {
        size_t bytes = budget_.session_bytes + (recent_.size() > 2 ? budget_.copy_bytes : 0);
        for (size_t i = 0; i + 1 < recent_.size(); ++i) {
            bytes += bytes_[recent_[i]];
        }
        return bytes;
    }

    Budget budget_;
    bool remembers_;
    std::vector<std::string> recent_;
    std::map<std::string, Held> held_;
    std::map<std::string, size_t> bytes_;
};

void run_script(uint32_t seed, Stored& stored, size_t n_in_memory, bool remembers) {
    std::mt19937 random(seed);
    DocumentStoreOptions options = stored.options(n_in_memory);
    if (!remembers) {
        options.folder.clear();
    }
    const DocumentStore* opened = nullptr;
    DocumentStore store(*stored.model, options, [&] {
        CHECK(opened->ram_bytes() <= options.ram_bytes_max); // so with the new one, it is one more at most
        return stored.new_session();
    });
    opened = &store;
    NaiveStore::Budget budget{.bytes_max = options.ram_bytes_max, .session_bytes = stored.session_bytes};
    NaiveStore naive(budget, remembers);
    // What a copy takes depends on what was saved already: a whole session at most.
    budget.copy_bytes = remembers ? stored.session_bytes : 0;
    NaiveStore cautious(budget, remembers);
    std::map<std::string, std::string> texts;
    for (int step = 0; step < 40; ++step) {
        CAPTURE(step);
        const std::string id = "/a/" + std::to_string(random() % 5);
        LiveDocument& session = acquire(store, id);
        CHECK(held_by(session) == naive.acquire(id));
        cautious.acquire(id);
        CHECK(store.n_sessions() <= naive.n_sessions());
        CHECK(store.n_sessions() >= cautious.n_sessions());
        CHECK(store.ram_bytes() >= stored.session_bytes);
        CHECK(store.ram_bytes() <= options.ram_bytes_max);
        if (random() % 8 == 0) {
            session.clear();
        } else if (random() % 4 != 0) {
            edit(random, texts[id]);
            update(session, texts[id]);
        }
        naive.set(id, held_by(session), session.cache().bytes());
        cautious.set(id, held_by(session), session.cache().bytes());
    }
    CHECK(stored.troubles.empty());
}

} // namespace

TEST_CASE("documents are as they were left, wherever they were meanwhile") {
    for (uint32_t seed = 1; seed <= 4; ++seed) {
        CAPTURE(seed);
        Stored stored;
        run_script(seed, stored, seed, true);
        Stored forgetful;
        run_script(seed, forgetful, seed, false);
        CHECK_FALSE(fs::exists(forgetful.folder));
    }
}

TEST_CASE("small sessions take little of the budget") {
    Stored stored;
    DocumentStore store = stored.open(2);
    size_t bytes_of_others = 0;
    for (int i = 0; i < 4; ++i) {
        LiveDocument& session = acquire(store, "/a/" + std::to_string(i));
        update(session, "some text of few tokens");
        CHECK(session.cache().bytes() < session.cache().bytes_max() / 4);
        CHECK(store.ram_bytes() == stored.session_bytes + bytes_of_others);
        bytes_of_others += session.cache().bytes();
    }
    CHECK(store.n_sessions() == 4);
    store.find("/a/0")->clear();
    CHECK(store.find("/a/0")->cache().bytes() == 0);
}

TEST_CASE("a session that was restored computes the same bits as one that never left") {
    Stored stored;
    std::mt19937 random(1);
    std::string text(120, 'a');
    DocumentStore stayed = stored.open(1);
    LiveDocument& original = acquire(stayed, "a");
    for (int i = 0; i < 6; ++i) {
        update(original, text);
        edit(random, text);
    }
    for (int round = 0; round < 5; ++round) {
        CAPTURE(round);
        stayed.save_all();
        DocumentStore came_back = stored.open(1);
        LiveDocument& restored = acquire(came_back, "a");
        CHECK(held_by(restored) == held_by(original));
        for (int i = 0; i < 3; ++i) {
            edit(random, text);
            for (LiveDocument* session : {&original, &restored}) {
                update(*session, text);
                const std::vector<float> logits = copy_of(session->sequence().logits());
                REQUIRE(session->sequence().extend(testing::random_tokens(3, 1), Observe::yes));
                session->sequence().rewind(session->sequence().n_tokens() - 3, logits);
            }
            CHECK(held_by(restored) == held_by(original));
        }
        for (LiveDocument* session : {&original, &restored}) {
            LiveSequence& sequence = session->sequence();
            REQUIRE(sequence.repair(sequence.worth_repairing(8)));
            REQUIRE(sequence.heal(32));
        }
        CHECK(held_by(restored) == held_by(original));
        const std::vector<TokenId> more = testing::random_tokens(2, 2);
        const auto expected = copy_of(original.sequence().extend(more).value());
        CHECK(testing::bit_difference(restored.sequence().extend(more).value(), expected) == "");
    }
    CHECK(stored.troubles.empty());
}

TEST_CASE("a snapshot that is refused is told, and the document starts anew") {
    Stored stored;
    {
        DocumentStore store = stored.open(1);
        update(acquire(store, "a"), "some text that is long enough");
        store.save_all();
    }
    REQUIRE(stored.files().size() == 1);
    const fs::path file = stored.files()[0];
    fs::resize_file(file, fs::file_size(file) / 2);
    DocumentStore store = stored.open(1);
    LiveDocument& session = acquire(store, "a");
    REQUIRE(stored.troubles.size() == 1);
    CHECK(stored.troubles[0].first == "a");
    CHECK(stored.troubles[0].second.code == ErrorCode::corrupt);
    CHECK(session.sequence().n_tokens() == 0);
    update(session, "some text that is long enough");
    store.save_all();
    CHECK(held_by(acquire(store, "a")) == held_by(session));
    CHECK(stored.files() == std::vector{file});
}

TEST_CASE("a full disk is told, and costs the documents that are dropped") {
    Stored stored;
    DocumentStoreOptions options = stored.options(0);
    options.ram_bytes_max = stored.session_bytes; // for the one in use
    DocumentStore store = stored.open(options);
    update(acquire(store, "a"), "some text that is long enough");
    {
        const FileSizeLimit limit(1000);
        store.save_all();
        REQUIRE(stored.troubles.size() == 1);
        CHECK(acquire(store, "b").sequence().n_tokens() == 0);
        CHECK(acquire(store, "b").sequence().n_tokens() == 0); // and hears of it
        store.save_all();
    }
    REQUIRE(stored.troubles.size() == 2);
    for (const auto& [id, error] : stored.troubles) {
        CHECK(id == "a");
        CHECK(error.code == ErrorCode::io);
    }
    CHECK(acquire(store, "a").sequence().n_tokens() == 0);
}

TEST_CASE("in the background, what changed is written once, from a moment's copy") {
    Stored stored;
    DocumentStore store = stored.open(8);
    for (const char* id : {"a", "b", "c"}) {
        update(acquire(store, id), std::string("some text that is long enough ") + id);
    }
    const size_t bytes_before = store.ram_bytes();
    size_t bytes_max = 0;
    while (store.save_some()) {
        // Whatever is being written now was copied before this.
        bytes_max = std::max(bytes_max, store.ram_bytes());
        std::this_thread::yield();
    }
    CHECK(bytes_max > bytes_before);
    CHECK(bytes_max < bytes_before + stored.session_bytes);
    CHECK(store.ram_bytes() == bytes_before);
    REQUIRE(stored.files().size() == 3);
    std::vector<fs::file_time_type> times;
    for (const fs::path& file : stored.files()) {
        times.push_back(fs::last_write_time(file));
    }
    while (store.save_some()) {
    }
    for (const fs::path& file : stored.files()) {
        CHECK(std::ranges::find(times, fs::last_write_time(file)) != times.end());
    }
    DocumentStore later = stored.open(8);
    for (const char* id : {"a", "b", "c"}) {
        CHECK(held_by(acquire(later, id)) == held_by(acquire(store, id)));
    }
    CHECK(stored.troubles.empty());
}

TEST_CASE("a document that changes while it is written is written again") {
    Stored stored;
    std::mt19937 random(3);
    std::string text = "some text that is long enough";
    for (int round = 0; round < 20; ++round) {
        CAPTURE(round);
        DocumentStore store = stored.open(8);
        LiveDocument& session = acquire(store, "a");
        // At any step of the writing: before its memory is there, before its copy, while it is written.
        for (auto steps = random() % 6; steps > 0; --steps) {
            edit(random, text);
            update(session, text);
            store.save_some();
        }
        edit(random, text);
        update(session, text);
        if (round % 2 == 0) {
            store.save_all();
        } else {
            while (store.save_some()) {
            }
            while (store.save_some()) { // the change may have missed the first round
            }
        }
        CHECK_FALSE(store.is_writing());
        DocumentStore later = stored.open(8);
        CHECK(held_by(acquire(later, "a")) == held_by(session));
    }
    CHECK(stored.troubles.empty());
}

TEST_CASE("without room for a copy a document is written at once") {
    Stored stored;
    DocumentStoreOptions options = stored.options(0);
    options.ram_bytes_max = stored.session_bytes;
    DocumentStore store = stored.open(options);
    LiveDocument& session = acquire(store, "a");
    update(session, "some text that is long enough");
    CHECK(store.reserve_copy(session) == nullptr);
    CHECK(store.save_some());
    CHECK_FALSE(store.is_writing());
    CHECK(stored.files().size() == 1);
    CHECK_FALSE(store.save_some());
}

TEST_CASE("a copy that somebody else holds counts until it is gone") {
    Stored stored;
    DocumentStore store = stored.open(2);
    LiveDocument& session = acquire(store, "a");
    update(session, "some text that is long enough");
    std::shared_ptr<CacheCopy> copy = store.reserve_copy(session);
    REQUIRE(copy);
    CHECK(store.ram_bytes() == stored.session_bytes + CacheCopy::bytes_for(session.cache()));
    copy.reset();
    CHECK(store.ram_bytes() == stored.session_bytes);
}

TEST_CASE("a disk that is full in the background is told once a round, and tried again in the next") {
    Stored stored;
    DocumentStore store = stored.open(8);
    update(acquire(store, "a"), "some text that is long enough");
    update(acquire(store, "b"), "some text that is long enough");
    const auto round = [&store] {
        while (store.save_some()) {
        }
    };
    {
        const FileSizeLimit limit(1000);
        round();
        CHECK(stored.troubles.size() == 2);
        round();
        CHECK(stored.troubles.size() == 4);
    }
    round();
    CHECK(stored.troubles.size() == 4);
    CHECK(stored.files().size() == 2);
}

TEST_CASE("a document that is forgotten while it is written leaves no snapshot") {
    Stored stored;
    for (int steps = 0; steps < 4; ++steps) {
        CAPTURE(steps);
        DocumentStore store = stored.open(8);
        update(acquire(store, "a"), "some text that is long enough");
        for (int step = 0; step < steps; ++step) {
            store.save_some();
        }
        store.forget("a");
        while (store.save_some()) {
        }
        CHECK(acquire(store, "a").sequence().n_tokens() == 0);
        CHECK((!fs::exists(stored.folder) || stored.files().empty()));
    }
}

TEST_CASE("a document is forgotten that this process never used") {
    Stored stored;
    {
        DocumentStore store = stored.open(1);
        update(acquire(store, "a"), "some text that is long enough");
        store.save_all();
    }
    DocumentStore store = stored.open(1);
    store.forget("a");
    CHECK(acquire(store, "a").sequence().n_tokens() == 0);
    CHECK(stored.files().empty());
}

TEST_CASE("a process that is killed while it writes in the background leaves a whole snapshot") {
    Stored stored;
    const auto text_of = [](int number) { return "text " + std::to_string(number) + " that is long enough"; };
    std::vector<std::vector<CachedToken>> states;
    {
        const auto session = stored.new_session().value();
        for (int i = 0; i < 3; ++i) {
            session->clear();
            update(*session, text_of(i));
            states.push_back(session->cache().cells().cached_tokens());
        }
    }
    std::mt19937 random(1);
    for (int round = 0; round < 10; ++round) {
        CAPTURE(round);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            DocumentStore store = stored.open(8);
            for (int i = 0;; ++i) {
                LiveDocument& session = **store.acquire("a");
                session.clear();
                (void)session.update(text_of(i % 3), ByteOffset(text_of(i % 3).size() / 2));
                while (store.save_some()) {
                }
            }
        }
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 30'000));
        REQUIRE(::kill(child, SIGKILL) == 0);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        DocumentStore store = stored.open(8);
        const auto tokens = acquire(store, "a").cache().cells().cached_tokens();
        CHECK((tokens.empty() || std::ranges::find(states, tokens) != states.end()));
    }
    CHECK(stored.troubles.empty());
}

TEST_CASE("without a session from the factory everything stays") {
    Stored stored;
    bool fails = false;
    DocumentStore store(*stored.model, stored.options(1), [&]() -> Result<std::unique_ptr<LiveDocument>> {
        return fails ? fail(ErrorCode::too_large, "no memory") : stored.new_session();
    });
    update(acquire(store, "a"), "some text that is long enough");
    fails = true;
    const auto refused = store.acquire("b");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::too_large);
    CHECK(store.n_sessions() == 1);
    CHECK(acquire(store, "a").sequence().n_tokens() > 0);
}

TEST_CASE("a budget below one session still serves one at a time") {
    Stored stored;
    DocumentStore store = stored.open(0);
    for (const char* id : {"a", "b", "a"}) {
        LiveDocument& session = acquire(store, id);
        CHECK(store.n_sessions() == 1);
        update(session, std::string("some text that is long enough") + id);
    }
    CHECK(stored.files().size() == 2);
}

TEST_CASE("the same document under another model is another document") {
    Stored stored;
    Stored other;
    other.model =
        testing::load_tiny_model({.n_embd = 64, .n_head = 2, .n_head_kv = 1, .n_ff = 64, .seed = 2});
    other.engine = *Engine::create(*other.model, {.n_threads = 1});
    other.folder = stored.folder;
    DocumentStore store = stored.open(1);
    update(acquire(store, "a"), "some text that is long enough");
    store.save_all();
    DocumentStore other_store = other.open(1);
    CHECK(acquire(other_store, "a").sequence().n_tokens() == 0);
    CHECK(other.troubles.empty());
    other_store.save_all();
    CHECK(stored.files().size() == 2);
}

TEST_CASE("old snapshots give way to new ones, and unfinished files of killed processes go") {
    Stored stored;
    DocumentStoreOptions options = stored.options(0);
    const auto save = [&](const std::string& id) {
        DocumentStore store = stored.open(options);
        update(acquire(store, id), "some text that is long enough");
        store.save_all();
    };
    const auto age = [](const fs::path& file, std::chrono::minutes since) {
        fs::last_write_time(file, fs::file_time_type::clock::now() - since);
    };
    save("a");
    const fs::path first = stored.files()[0];
    age(first, std::chrono::minutes(20));
    options.folder_bytes_max = fs::file_size(first) * 5 / 2;
    save("b");
    for (const fs::path& file : stored.files()) {
        if (file != first) {
            age(file, std::chrono::minutes(30));
        }
    }
    std::ofstream(stored.folder / "0.snapshot.1.partial") << "x";
    std::ofstream(stored.folder / "0.snapshot.2.partial") << "x";
    std::ofstream(stored.folder / "somebody's.txt") << "x";
    age(stored.folder / "0.snapshot.1.partial", std::chrono::minutes(61));
    age(stored.folder / "0.snapshot.2.partial", std::chrono::minutes(59));
    age(stored.folder / "somebody's.txt", std::chrono::minutes(600));
    save("c");
    CHECK(stored.files().size() == 4); // a, c, the younger unfinished one, and the text
    CHECK(fs::exists(first));
    CHECK_FALSE(fs::exists(stored.folder / "0.snapshot.1.partial"));
    CHECK(fs::exists(stored.folder / "0.snapshot.2.partial"));
    CHECK(fs::exists(stored.folder / "somebody's.txt"));

    options.folder_bytes_max = 1;
    save("d"); // alone is too large, and stays
    CHECK(stored.files().size() == 3);
    DocumentStore store = stored.open(options);
    CHECK(acquire(store, "d").sequence().n_tokens() > 0);
}

TEST_CASE("a new document copies what another one holds of the same beginning") {
    Stored stored;
    DocumentStore store = stored.open(4);
    const std::string shared(100, 'a');
    const auto prompt = [&](const std::string& end) {
        return stored.model->vocabulary().tokenize(shared + end);
    };
    LiveDocument& first = acquire(store, "first");
    REQUIRE(first.update(prompt(" first document")));
    LiveDocument& second = acquire(store, "second");
    const UpdateReport report = second.update(prompt(" second one")).value();
    CHECK(report.tokens_kept > std::ssize(prompt("")) - 4);
    CHECK(report.tokens_encoded < 20);
    CHECK(second.sequence().n_exact() == second.sequence().n_tokens());
    const auto alone = stored.new_session().value();
    REQUIRE(alone->update(prompt(" second one")));
    CHECK(testing::relative_error(second.sequence().logits(), alone->sequence().logits()) < 2e-3);

    // What is not exact is not handed on: here the shared part behind an insertion at its beginning.
    REQUIRE(first.update(stored.model->vocabulary().tokenize("bcdebcde" + shared + " first")));
    store.forget("second");
    LiveDocument& third = acquire(store, "third");
    const UpdateReport none =
        third.update(stored.model->vocabulary().tokenize("bcdebcde" + shared + " third")).value();
    CHECK(none.tokens_kept < 20);
}

TEST_CASE("a new document borrows a chunk that another one holds in another place") {
    Stored stored;
    DocumentStore store = stored.open(4);
    std::string chunk;
    for (int i = 0; i < 12; ++i) {
        chunk += "step_" + std::to_string(i) + "();\n";
    }
    const auto prompt = [&](const std::string& begin, const std::string& end) {
        return stored.model->vocabulary().tokenize(begin + "\n" + chunk + end);
    };
    const auto n_chunk = static_cast<int32_t>(stored.model->vocabulary().tokenize(chunk).size());
    REQUIRE(n_chunk > 60);
    REQUIRE(acquire(store, "first").update(prompt("one document", "return")));
    LiveDocument& second = acquire(store, "second");
    const UpdateReport report = second.update(prompt("a", "break")).value();
    CHECK(report.tokens_kept > n_chunk - 12);
    CHECK(second.sequence().n_exact() < second.sequence().n_tokens());
    while (second.heal().value() > 0) {
    }
    const auto alone = stored.new_session().value();
    REQUIRE(alone->update(prompt("a", "break")));
    CHECK(second.sequence().n_exact() == second.sequence().n_tokens());
    CHECK(testing::relative_error(second.sequence().logits(), alone->sequence().logits()) < 4e-3);
}

} // namespace pie
