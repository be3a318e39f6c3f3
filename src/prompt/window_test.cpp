#include "prompt/test_vocabularies.h"
#include "prompt/window.h"

#include <algorithm>

using pie::ByteOffset;
using pie::ErrorCode;
using pie::LayoutKind;
using pie::PromptFitter;
using pie::PromptLayout;
using pie::PromptWindow;
using pie::TokenId;
using pie::Vocabulary;
using pie::test::load_vocabulary;
using pie::test::RandomText;

namespace {

std::string code_of_lines(size_t line_count) {
    std::string text;
    for (size_t i = 0; i < line_count; ++i) {
        switch (i % 7) {
        case 0:
            text += '\n';
            break;
        case 1:
            text.append("int f").append(std::to_string(i)).append("(int a) {\n");
            break;
        default:
            text.append("    int v").append(std::to_string(i)).append(" = a * b;\n");
        }
    }
    return text;
}

std::vector<TokenId> from_scratch(const Vocabulary& vocabulary, LayoutKind kind, std::string_view prefix,
                                  std::string_view suffix) {
    auto layout = PromptLayout::create(vocabulary, kind);
    REQUIRE(layout);
    return layout->tokens({.prefix = prefix, .suffix = suffix});
}

size_t front_bytes(const std::string& text, const PromptWindow& window) {
    return static_cast<size_t>(window.text.prefix.data() - text.data());
}

size_t back_bytes(const std::string& text, const PromptWindow& window) {
    return text.size() - front_bytes(text, window) - window.text.prefix.size() - window.text.suffix.size();
}

size_t lines_in(std::string_view text) {
    size_t lines = 0;
    for (size_t begin = 0; begin < text.size(); ++lines) {
        begin = std::min(text.find('\n', begin), text.size() - 1) + 1;
    }
    return lines;
}

// What holds of any window, whatever was fitted before.
PromptWindow fit(PromptFitter& fitter, PromptLayout& layout, const std::string& text, size_t cursor,
                 size_t budget) {
    auto window = fitter.fit(text, ByteOffset(cursor), budget);
    REQUIRE(window);
    REQUIRE(window->tokens.size() <= budget);
    REQUIRE(window->text.prefix.data() + window->text.prefix.size() == text.data() + cursor);
    const size_t front = front_bytes(text, *window);
    REQUIRE(window->prefix_lines_cut == lines_in(std::string_view(text).substr(0, front)));
    if (layout.kind() != LayoutKind::plain) {
        REQUIRE(window->text.suffix.data() == text.data() + cursor);
        REQUIRE(window->suffix_lines_cut ==
                lines_in(std::string_view(text).substr(text.size() - back_bytes(text, *window))));
    } else {
        REQUIRE(window->text.suffix.empty());
        REQUIRE(window->suffix_lines_cut == 0);
    }
    return *std::move(window);
}

struct Setup {
    std::unique_ptr<pie::test::TestVocabulary> model;
    std::unique_ptr<PromptLayout> layout;
    std::unique_ptr<PromptFitter> fitter;

    explicit Setup(const char* name) : model(load_vocabulary(name)) {
        if (model == nullptr) {
            return;
        }
        auto created = PromptLayout::create(model->vocabulary(), pie::default_layout(model->vocabulary()));
        REQUIRE(created);
        layout = std::make_unique<PromptLayout>(*std::move(created));
        fitter = std::make_unique<PromptFitter>(*layout);
    }
    PromptWindow fit(const std::string& text, size_t cursor, size_t budget) {
        return ::fit(*fitter, *layout, text, cursor, budget);
    }
    const Vocabulary& vocabulary() const { return model->vocabulary(); }
    size_t count(std::string_view text) const { return vocabulary().tokenize(text).size(); }
};

} // namespace

TEST_CASE("a text that fits is not cut") {
    Setup setup("starcoder");
    if (setup.model == nullptr) {
        return;
    }
    const std::string text = code_of_lines(50);
    const size_t cursor = text.size() / 2;
    const auto wanted =
        from_scratch(setup.vocabulary(), LayoutKind::psm_line, text.substr(0, cursor), text.substr(cursor));
    const PromptWindow window = setup.fit(text, cursor, wanted.size());
    CHECK(window.tokens == wanted);
    CHECK(window.prefix_lines_cut == 0);
    CHECK(window.suffix_lines_cut == 0);
    CHECK(setup.fit("", 0, 100).tokens.size() == 3);
}

TEST_CASE("three quarters before the cursor, one behind, whole lines") {
    Setup setup("starcoder");
    if (setup.model == nullptr) {
        return;
    }
    const std::string text = code_of_lines(600);
    const size_t cursor = text.find("v303");
    const PromptWindow window = setup.fit(text, cursor, 1000);
    CHECK(window.tokens ==
          from_scratch(setup.vocabulary(), LayoutKind::psm_line, window.text.prefix, window.text.suffix));
    const size_t prefix = setup.count(window.text.prefix);
    const size_t suffix = setup.count(window.text.suffix);
    CHECK(prefix + suffix > 780);
    CHECK(prefix + suffix <= 900);
    CHECK(prefix > 2 * suffix);
    CHECK(prefix < 4 * suffix);
    CHECK(text[front_bytes(text, window) - 1] == '\n');
    CHECK(window.text.suffix.ends_with('\n'));
}

TEST_CASE("room that one side does not need goes to the other") {
    Setup setup("starcoder");
    if (setup.model == nullptr) {
        return;
    }
    const std::string text = code_of_lines(600);
    PromptWindow window = setup.fit(text, 100, 1000);
    CHECK(window.prefix_lines_cut == 0);
    CHECK(setup.count(window.text.suffix) > 700);
    window = setup.fit(text, text.size() - 100, 1000);
    CHECK(window.suffix_lines_cut == 0);
    CHECK(setup.count(window.text.prefix) > 700);
}

TEST_CASE("a left-to-right prompt has all the room before the cursor") {
    Setup setup("gpt-2");
    if (setup.model == nullptr) {
        return;
    }
    const std::string text = code_of_lines(600);
    const PromptWindow window = setup.fit(text, text.find("v501"), 1000);
    CHECK(window.tokens.size() > 780);
    CHECK(window.prefix_lines_cut > 0);
}

TEST_CASE("a line that is longer than the context is cut inside") {
    Setup setup("starcoder");
    if (setup.model == nullptr) {
        return;
    }
    std::string text = "before\n";
    for (int i = 0; i < 3000; ++i) {
        text += "näme(" + std::to_string(i) + ");";
    }
    text += "\nafter\n";
    const PromptWindow window = setup.fit(text, text.find("(1500)"), 400);
    CHECK(window.tokens.size() > 250);
    CHECK(window.prefix_lines_cut == 2);
    CHECK(window.suffix_lines_cut == 2);
    CHECK(setup.count(window.text.prefix) > setup.count(window.text.suffix));
}

TEST_CASE("a budget without room for text is refused") {
    Setup setup("starcoder");
    if (setup.model == nullptr) {
        return;
    }
    const auto refused = setup.fitter->fit("int x;", ByteOffset(3), 3);
    REQUIRE(!refused);
    CHECK(refused.error().code == ErrorCode::too_large);
    CHECK(setup.fit("int x;", 3, 4).tokens.size() <= 4);
    CHECK_FALSE(setup.fitter->fit("int x;", ByteOffset(3), 10, 7));
}

TEST_CASE("typing moves the window seldom, and only by much") {
    Setup setup("starcoder");
    if (setup.model == nullptr) {
        return;
    }
    const std::string line = "    const auto found = std::find(v.begin(), v.end(), 7); // typed\n";
    for (const size_t budget : {size_t{500}, size_t{2000}}) {
        CAPTURE(budget);
        std::string text = code_of_lines(900);
        size_t cursor = text.find("    int v450");
        PromptWindow window = setup.fit(text, cursor, budget);
        int front_moves = 0;
        int back_moves = 0;
        for (size_t typed = 0; typed < 200; ++typed) {
            const size_t front = front_bytes(text, window);
            const size_t back = back_bytes(text, window);
            text.insert(cursor++, 1, line[typed % line.size()]);
            window = setup.fit(text, cursor, budget);
            front_moves += front_bytes(text, window) != front ? 1 : 0;
            back_moves += back_bytes(text, window) != back ? 1 : 0;
        }
        // 200 characters are about 80 tokens, and an eighth of the budget is free after each move.
        CHECK(front_moves <= (budget == 500 ? 2 : 1));
        CHECK(back_moves <= 2);
        // Deleting again what was typed.
        for (int deleted = 0; deleted < 200; ++deleted) {
            const size_t front = front_bytes(text, window);
            text.erase(--cursor, 1);
            window = setup.fit(text, cursor, budget);
            front_moves += front_bytes(text, window) != front ? 1 : 0;
        }
        CHECK(front_moves <= 2);
    }
}

TEST_CASE("with a reserve a budget that shrinks and grows again leaves the window where it is") {
    Setup setup("starcoder");
    if (setup.model == nullptr) {
        return;
    }
    std::string text = code_of_lines(900);
    size_t cursor = text.find("    int v450");
    const auto fit = [&](size_t budget, size_t reserve) {
        auto window = setup.fitter->fit(text, ByteOffset(cursor), budget, reserve);
        REQUIRE(window);
        REQUIRE(window->tokens.size() <= budget - reserve);
        return window->tokens;
    };
    std::vector<TokenId> placed = fit(1000, 400);
    CHECK(placed.size() > 450);
    // So much that the window is placed anew some times, by typing alone.
    for (size_t typed = 0; typed < 250; ++typed) {
        CHECK(fit(600 + typed % 100, typed % 100) == placed);
        CHECK(fit(1000, 0) == placed);
        text.insert(cursor++, 1, "x + "[typed % 4]);
        placed = fit(1000, 400);
    }
}

TEST_CASE("a text that fits takes of the reserve, and is cut when that is needed") {
    Setup setup("starcoder");
    if (setup.model == nullptr) {
        return;
    }
    const std::string text = code_of_lines(60);
    size_t cursor = text.size() / 2;
    const auto whole_prompt = [&] {
        return from_scratch(setup.vocabulary(), LayoutKind::psm_line, text.substr(0, cursor),
                            text.substr(cursor));
    };
    const auto whole = whole_prompt();
    const auto fit = [&](size_t budget, size_t reserve) {
        return setup.fitter->fit(text, ByteOffset(cursor), budget, reserve)->tokens;
    };
    CHECK(fit(whole.size() + 200, 400) == whole);
    CHECK(fit(whole.size(), 200) == whole);
    const auto cut = fit(whole.size() - 1, 199);
    CHECK(cut.size() <= whole.size() - 200);
    CHECK(fit(whole.size(), 200) == cut);
    CHECK(fit(whole.size() + 200, 400) == cut);
    cursor = 0; // outside the window, which is placed anew
    CHECK(fit(whole.size() + 200, 400) == whole_prompt());
}

TEST_CASE("an edit above the window leaves its text as it is") {
    Setup setup("starcoder");
    if (setup.model == nullptr) {
        return;
    }
    std::string text = code_of_lines(900);
    size_t cursor = text.find("    int v450");
    const std::string prefix(setup.fit(text, cursor, 600).text.prefix);
    text.insert(10, "xyz");
    cursor += 3;
    CHECK(setup.fit(text, cursor, 600).text.prefix == prefix);
    text.erase(20, 5);
    cursor -= 5;
    const std::string shorter(setup.fit(text, cursor, 600).text.prefix);
    CHECK(prefix.ends_with(shorter));
    CHECK(prefix[prefix.size() - shorter.size() - 1] == '\n');
    CHECK(prefix.size() - shorter.size() < 40);
}

TEST_CASE("any edits, cursors and budgets") {
    const uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    RandomText random(seed);
    for (const char* name : {"starcoder", "llama-spm"}) {
        Setup setup(name);
        if (setup.model == nullptr) {
            continue;
        }
        CAPTURE(name);
        std::string text;
        for (int round = 0; round < 150; ++round) {
            const size_t begin = random.place(text);
            const size_t end = random.below(4) == 0 ? std::max(begin, random.place(text)) : begin;
            text.replace(begin, end - begin,
                         text.size() < 3000 ? random.of_size(random.below(2000)) : random.fragment());
            const size_t budget = random.below(5) == 0 ? 4 + random.below(40) : 100 + random.below(600);
            const size_t cursor = random.place(text);
            CAPTURE(text);
            CAPTURE(cursor);
            CAPTURE(budget);
            const PromptWindow window = setup.fit(text, cursor, budget);
            if (round % 8 == 0) {
                REQUIRE(window.tokens == from_scratch(setup.vocabulary(), setup.layout->kind(),
                                                      window.text.prefix, window.text.suffix));
            }
        }
    }
}
