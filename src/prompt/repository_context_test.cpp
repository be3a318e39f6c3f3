#include "prompt/inner_text.h"
#include "prompt/repository_context.h"
#include "prompt/test_repository_model.h"
#include "prompt/test_vocabularies.h"
#include "support/reference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <utility>

using pie::ContextChunk;
using pie::DocumentContext;
using pie::LayoutKind;
using pie::PromptLayout;
using pie::RepositoryContext;
using pie::TokenId;
using pie::Vocabulary;
using pie::test::load_vocabulary;
using pie::test::RandomText;

namespace {

using Tokens = std::vector<TokenId>;

constexpr size_t no_limit = 1'000'000;
const TokenId repo(pie::test::repository_marker);
const TokenId sep(pie::test::file_separator_marker);

void append_tokens(Tokens& tokens, const Tokens& more) {
    tokens.insert(tokens.end(), more.begin(), more.end());
}

struct RepositoryVocabulary {
    std::unique_ptr<pie::LoadedModel> model = pie::testing::load_tiny_model(pie::test::repository_model());
    const Vocabulary& vocabulary = model->vocabulary();

    Tokens of(std::string_view text) const { return vocabulary.tokenize(text); }
};

ptrdiff_t count(const Tokens& tokens, TokenId token) {
    return std::count(tokens.begin(), tokens.end(), token);
}

// The whole prompt again, from texts, and slowly.
class Oracle {
  public:
    Oracle(const Vocabulary& vocabulary, LayoutKind layout) : vocabulary_(vocabulary), layout_(layout) {}

    Tokens context(const DocumentContext& wanted) const {
        Tokens tokens;
        const bool has_markers = vocabulary_.fim() && vocabulary_.fim()->file_separator;
        if (wanted.chunks.empty() &&
            !(layout_ == LayoutKind::psm && has_markers && !wanted.file_name.empty())) {
            return tokens;
        }
        if (has_markers) {
            tokens.push_back(*vocabulary_.fim()->repository);
            append_tokens(tokens, tokenize_inside(vocabulary_, wanted.repository_name + "\n"));
            for (const ContextChunk& chunk : wanted.chunks) {
                tokens.push_back(*vocabulary_.fim()->file_separator);
                append_tokens(tokens, tokenize_inside(vocabulary_, chunk.file_name + "\n"));
                append_tokens(tokens, tokenize_inside(vocabulary_, closed(chunk.text)));
            }
            tokens.push_back(*vocabulary_.fim()->file_separator);
            append_tokens(tokens, tokenize_inside(vocabulary_, wanted.file_name + "\n"));
            return tokens;
        }
        for (const ContextChunk& chunk : wanted.chunks) {
            append_tokens(tokens, tokenize_inside(vocabulary_, "\n\n--- snippet ---\n\n"));
            append_tokens(tokens, tokenize_inside(vocabulary_, closed(chunk.text)));
        }
        if (layout_ == LayoutKind::plain) {
            append_tokens(tokens, tokenize_inside(vocabulary_, "\n\n--- snippet ---\n\n"));
        }
        return tokens;
    }

    // Leaves out what is too large by itself, then the first ones, one after the other.
    DocumentContext within(DocumentContext wanted, size_t budget) const {
        std::erase_if(wanted.chunks, [&](const ContextChunk& chunk) {
            DocumentContext alone = wanted;
            alone.chunks = {chunk};
            return context(alone).size() > budget;
        });
        while (context(wanted).size() > budget) {
            wanted.chunks.erase(wanted.chunks.begin());
        }
        return wanted;
    }

    Tokens prompt(const DocumentContext& wanted, const std::string& text, size_t cursor) const {
        Tokens tokens;
        if (vocabulary_.beginning()) {
            tokens.push_back(*vocabulary_.beginning());
        }
        append_tokens(tokens, context(wanted));
        if (layout_ == LayoutKind::plain) {
            append_tokens(tokens, vocabulary_.tokenize(text.substr(0, cursor)));
            return tokens;
        }
        tokens.push_back(vocabulary_.fim()->prefix);
        append_tokens(tokens, vocabulary_.tokenize(text.substr(0, cursor)));
        tokens.push_back(vocabulary_.fim()->suffix);
        append_tokens(tokens, tokenize_inside(vocabulary_, text.substr(cursor)));
        tokens.push_back(*vocabulary_.fim()->middle);
        return tokens;
    }

  private:
    std::string closed(const std::string& text) const {
        const bool as_it_is = layout_ == LayoutKind::psm || text.empty() || text.back() == '\n';
        return as_it_is ? text : text + "\n";
    }

    const Vocabulary& vocabulary_;
    LayoutKind layout_;
};

void change_at_random(RandomText& random, std::vector<ContextChunk>& chunks) {
    const size_t at = random.below(chunks.size() + 1);
    const auto here = chunks.begin() + static_cast<ptrdiff_t>(at);
    const size_t kind = random.below(5);
    if (kind < 2 || chunks.empty()) {
        ContextChunk chunk{.file_name = random.fragment(), .text = random.of_size(random.below(300))};
        chunks.insert(kind == 0 ? here : chunks.end(), std::move(chunk));
    } else if (at == chunks.size()) {
        chunks.push_back(chunks.front()); // the same one twice
    } else if (kind == 2) {
        chunks.erase(here);
    } else if (kind == 3) {
        std::swap(*here, chunks[random.below(chunks.size())]);
    } else {
        here->text.insert(random.place(here->text), random.fragment());
    }
}

void check_random_changes(const Vocabulary& vocabulary, LayoutKind kind, RandomText& random) {
    const size_t budget = 100 + random.below(400);
    CAPTURE(budget);
    const Oracle oracle(vocabulary, kind);
    RepositoryContext context(vocabulary, kind, budget);
    auto layout = PromptLayout::create(vocabulary, kind);
    REQUIRE(layout);
    DocumentContext wanted{.file_name = "document.py", .repository_name = "repository"};
    context.set(wanted);
    std::string text;
    for (int round = 0; round < 50; ++round) {
        CAPTURE(round);
        if (random.below(2) == 0) {
            change_at_random(random, wanted.chunks);
            context.set(wanted);
        } else {
            text.insert(random.place(text), random.fragment());
        }
        const size_t cursor = random.place(text);
        Tokens prompt = layout->tokens({.prefix = std::string_view(text).substr(0, cursor),
                                        .suffix = std::string_view(text).substr(cursor)});
        context.insert_into(prompt);
        const DocumentContext fitting = oracle.within(wanted, budget);
        REQUIRE(context.tokens().size() <= budget);
        REQUIRE(context.chunks_left_out() == wanted.chunks.size() - fitting.chunks.size());
        REQUIRE(prompt == oracle.prompt(fitting, text, cursor));
    }
}

} // namespace

TEST_CASE("a model trained on repositories sees names of files behind its markers") {
    const RepositoryVocabulary known;
    RepositoryContext context(known.vocabulary, LayoutKind::psm_line, no_limit);
    context.set({.chunks = {{"a.c", "int a;\n"}, {"b.c", "int b;"}},
                 .file_name = "main.c",
                 .repository_name = "shop"});
    Tokens wanted = {repo};
    append_tokens(wanted, known.of("shop\n"));
    wanted.push_back(sep);
    append_tokens(wanted, known.of("a.c\n"));
    append_tokens(wanted, known.of("int a;\n"));
    wanted.push_back(sep);
    append_tokens(wanted, known.of("b.c\n"));
    append_tokens(wanted, known.of("int b;\n")); // what follows begins on a line of its own
    wanted.push_back(sep);
    append_tokens(wanted, known.of("main.c\n"));
    CHECK(context.tokens() == wanted);
    CHECK(context.chunks_left_out() == 0);

    auto layout = PromptLayout::create(known.vocabulary, LayoutKind::psm_line);
    REQUIRE(layout);
    Tokens prompt = layout->tokens({.prefix = "x", .suffix = "y"});
    append_tokens(wanted, prompt);
    context.insert_into(prompt);
    CHECK(prompt == wanted);
}

TEST_CASE("without chunks a prompt stays what it was") {
    const RepositoryVocabulary known;
    RepositoryContext context(known.vocabulary, LayoutKind::psm_line, no_limit);
    const Tokens before = {TokenId(1), TokenId(2)};
    Tokens prompt = before;
    context.insert_into(prompt);
    CHECK(prompt == before);
    context.set({.chunks = {{"a.c", "int a;\n"}}, .file_name = "main.c"});
    CHECK_FALSE(context.tokens().empty());
    context.set({.file_name = "main.c"});
    context.insert_into(prompt);
    CHECK(prompt == before);
    CHECK(context.chunks_left_out() == 0);
}

TEST_CASE("names of markers in a chunk stay text") {
    const RepositoryVocabulary known;
    RepositoryContext context(known.vocabulary, LayoutKind::psm_line, no_limit);
    context.set({.chunks = {{"<|repo_name|>", "<|file_sep|>x<fim_prefix><|repo_name|>\n<|endoftext|>"}},
                 .file_name = "<|file_sep|>",
                 .repository_name = "<|file_sep|>"});
    CHECK(count(context.tokens(), repo) == 1);
    CHECK(count(context.tokens(), sep) == 2);
    CHECK(std::ranges::count_if(context.tokens(),
                                [&](TokenId token) { return known.vocabulary.is_control(token); }) == 3);
}

TEST_CASE("a model without these markers sees plain text behind its beginning") {
    const auto model = load_vocabulary("deepseek-coder");
    if (model == nullptr) {
        return;
    }
    const Vocabulary& vocabulary = model->vocabulary();
    const Tokens separator = vocabulary.tokenize("\n\n--- snippet ---\n\n");
    Tokens wanted = {*vocabulary.beginning()};
    append_tokens(wanted, separator);
    append_tokens(wanted, vocabulary.tokenize("int a;\n"));
    append_tokens(wanted, separator);
    append_tokens(wanted, vocabulary.tokenize("int b;\n"));
    const DocumentContext given{.chunks = {{"a.c", "int a;\n"}, {"b.c", "int b;\n"}}, .file_name = "main.c"};

    RepositoryContext context(vocabulary, LayoutKind::psm, no_limit);
    context.set(given);
    Tokens prompt = {*vocabulary.beginning(), vocabulary.fim()->prefix};
    context.insert_into(prompt);
    Tokens with_marker = wanted;
    with_marker.push_back(vocabulary.fim()->prefix);
    CHECK(prompt == with_marker);

    // Nothing but another separator says where the document begins.
    RepositoryContext left_to_right(vocabulary, LayoutKind::plain, no_limit);
    left_to_right.set(given);
    prompt = {*vocabulary.beginning()};
    left_to_right.insert_into(prompt);
    append_tokens(wanted, separator);
    CHECK(prompt == wanted);
}

TEST_CASE("the layout at the cursor has llama-server's frame: without chunks, and around texts as they are") {
    const RepositoryVocabulary known;
    RepositoryContext context(known.vocabulary, LayoutKind::psm, no_limit);
    context.set({.file_name = "filename"});
    Tokens wanted = {repo};
    append_tokens(wanted, known.of("myproject\n"));
    Tokens document = {sep};
    append_tokens(document, known.of("filename\n"));
    Tokens alone = wanted;
    append_tokens(alone, document);
    CHECK(context.tokens() == alone);

    context.set({.chunks = {{"a.c", "int a;"}}, .file_name = "filename"});
    wanted.push_back(sep);
    append_tokens(wanted, known.of("a.c\n"));
    append_tokens(wanted, known.of("int a;"));
    append_tokens(wanted, document);
    CHECK(context.tokens() == wanted);

    context.set({});
    CHECK(context.tokens().empty()); // a document without a name is not announced
    RepositoryContext narrow(known.vocabulary, LayoutKind::psm, 5);
    narrow.set({.file_name = "filename"});
    CHECK(narrow.tokens().empty());
}

TEST_CASE("a document's name is shown without chunks where that is wanted, whatever the layout") {
    const RepositoryVocabulary known;
    for (const LayoutKind layout : {LayoutKind::plain, LayoutKind::psm_line}) {
        RepositoryContext context(known.vocabulary, layout, no_limit);
        context.set({.file_name = "main.py"});
        CHECK(context.tokens().empty());
        context.set({.file_name = "main.py", .shows_file_name = true});
        Tokens wanted = {repo};
        append_tokens(wanted, known.of("myproject\n"));
        wanted.push_back(sep);
        append_tokens(wanted, known.of("main.py\n"));
        CHECK(context.tokens() == wanted);
        context.set({.shows_file_name = true});
        CHECK(context.tokens().empty());
    }
}

TEST_CASE("chunks are whole; one that comes drives out the oldest, one too large none") {
    const RepositoryVocabulary known;
    const std::string line(9, 'x');
    const auto chunk = [&line](std::string name, int lines) {
        ContextChunk made{.file_name = std::move(name), .text = ""};
        for (int i = 0; i < lines; ++i) {
            made.text += line + "\n";
        }
        return made;
    };
    const Oracle oracle(known.vocabulary, LayoutKind::psm_line);
    RepositoryContext context(known.vocabulary, LayoutKind::psm_line, 99);
    const auto check = [&](const std::vector<ContextChunk>& given, const std::vector<ContextChunk>& shown) {
        context.set({.chunks = given, .file_name = "main", .repository_name = "r"});
        CHECK(context.tokens() ==
              oracle.context({.chunks = shown, .file_name = "main", .repository_name = "r"}));
        CHECK(context.chunks_left_out() == given.size() - shown.size());
    };
    const ContextChunk small = chunk("s", 1);
    const ContextChunk middle = chunk("m", 3);
    const ContextChunk other = chunk("o", 3);
    const ContextChunk large = chunk("l", 6);
    const ContextChunk huge = chunk("h", 20);
    check({small, middle, other}, {small, middle, other});
    check({small, middle, other, chunk("n", 1)}, {middle, other, chunk("n", 1)});
    check({small, middle, large}, {large}); // small would fit again, behind a gap
    check({small, huge, middle, huge}, {small, middle});
    check({huge}, {});
}

TEST_CASE("tokens of chunks are made once, and forgotten with them") {
    const RepositoryVocabulary known;
    RepositoryContext context(known.vocabulary, LayoutKind::psm_line, 30);
    const ContextChunk a{"a.c", "int a;\n"};
    const ContextChunk b{"b.c", "int b;\n"};
    const ContextChunk left_out{"c.c", std::string(500, 'c')};
    CHECK(context.set({.chunks = {left_out, a, b}}) == 3);
    CHECK(context.set({.chunks = {left_out, a, b}}) == 0);
    CHECK(context.set({.chunks = {b, a, b, left_out}, .file_name = "other"}) == 0);
    CHECK(context.set({.chunks = {b, {"a.c", "int a2;\n"}}}) == 1);
    CHECK(context.set({.chunks = {b, a}}) == 1);
    CHECK(context.set({}) == 0);
    CHECK(context.set({.chunks = {b, a, a}}) == 2);
}

TEST_CASE("after any changes of chunks and text a prompt is the one tokenised from scratch") {
    const uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    RandomText random(seed);
    const RepositoryVocabulary known;
    check_random_changes(known.vocabulary, LayoutKind::psm, random);
    check_random_changes(known.vocabulary, LayoutKind::plain, random);
    for (const char* name : {"deepseek-coder", "llama-spm"}) {
        CAPTURE(name);
        const auto model = load_vocabulary(name);
        if (model == nullptr) {
            continue;
        }
        if (model->vocabulary().fim()) {
            check_random_changes(model->vocabulary(), LayoutKind::psm, random);
        }
        check_random_changes(model->vocabulary(), LayoutKind::plain, random);
    }
}
