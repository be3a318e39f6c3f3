#include "text/document.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <vector>

namespace fs = std::filesystem;
using pie::ByteOffset;
using pie::Document;
using pie::ErrorCode;
using pie::LineColumn;
using pie::LineIndex;

namespace {

Document document_of(std::string text) {
    auto document = Document::from_text(std::move(text));
    REQUIRE(document);
    return *std::move(document);
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

struct ScratchFile {
    fs::path path = fs::temp_directory_path() / ("pie-document-" + std::to_string(getpid()));
    explicit ScratchFile(std::string_view content) { std::ofstream(path, std::ios::binary) << content; }
    ~ScratchFile() { fs::remove(path); }
};

// Lines and columns by the plainest walk over the text.
struct NaiveText {
    std::vector<std::string> lines = {""};
    std::vector<size_t> begins = {0};

    explicit NaiveText(const std::string& text) {
        for (size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '\n') {
                if (lines.back().ends_with('\r')) {
                    lines.back().pop_back();
                }
                lines.emplace_back();
                begins.push_back(i + 1);
            } else {
                lines.back() += text[i];
            }
        }
    }
};

} // namespace

TEST_CASE("an empty text has one empty line") {
    const Document document = document_of("");
    CHECK(document.line_count() == 1);
    CHECK(document.line(LineIndex(0)).empty());
    CHECK(document.offset({1, 1}) == ByteOffset(0));
    CHECK(document.place(ByteOffset(0)) == LineColumn{1, 1});
}

TEST_CASE("columns count characters, line breaks of both kinds are no part of a line") {
    const Document document = document_of("näme = 名\r\n  x\n\nend\r");
    REQUIRE(document.line_count() == 4);
    CHECK(document.line(LineIndex(0)) == "näme = 名");
    CHECK(document.line(LineIndex(1)) == "  x");
    CHECK(document.line(LineIndex(2)).empty());
    CHECK(document.line(LineIndex(3)) == "end\r");

    CHECK(document.offset({1, 3}) == ByteOffset(3));  // behind the two bytes of ä
    CHECK(document.offset({1, 9}) == ByteOffset(11)); // behind the last character, before "\r\n"
    CHECK(document.offset({2, 4}) == ByteOffset(16));
    CHECK(document.place(ByteOffset(3)) == LineColumn{1, 3});
    CHECK(document.place(ByteOffset(2)) == LineColumn{1, 2});  // inside ä
    CHECK(document.place(ByteOffset(12)) == LineColumn{1, 9}); // inside "\r\n"
    CHECK(document.place(ByteOffset(13)) == LineColumn{2, 1});
}

TEST_CASE("a place outside the text says how much text there is") {
    const Document document = document_of("one\ntwo2\n");
    auto place = document.offset({4, 1});
    REQUIRE(!place);
    CHECK(place.error().code == ErrorCode::invalid_argument);
    CHECK(contains(place.error().message, "no line 4"));
    CHECK(contains(place.error().message, "3 lines"));
    place = document.offset({2, 6});
    REQUIRE(!place);
    CHECK(place.error().code == ErrorCode::invalid_argument);
    CHECK(contains(place.error().message, "4 characters"));
    CHECK(contains(place.error().message, "last column is 5"));
    CHECK(document.offset({2, 5}) == ByteOffset(8));
    CHECK(!document.offset({0, 1}));
    CHECK(!document.offset({1, 0}));
    CHECK(!document.offset({3, 2}));
}

TEST_CASE("binary and invalid texts are refused with the byte and the line") {
    auto document = Document::from_text(std::string("a\nb\0c", 5));
    REQUIRE(!document);
    CHECK(document.error().code == ErrorCode::corrupt);
    CHECK(contains(document.error().message, "binary"));
    CHECK(contains(document.error().message, "offset 3 (line 2)"));

    const std::vector<std::string> invalid = {"ab\n\n\xFF", "ab\n\n\xC3", "ab\n\n\xED\xA0\x80",
                                              "ab\n\n\xC0\xAF", "ab\n\n\x80z"};
    for (const std::string& text : invalid) {
        document = Document::from_text(text);
        REQUIRE(!document);
        CHECK(document.error().code == ErrorCode::corrupt);
        CHECK(contains(document.error().message, "UTF-8"));
        CHECK(contains(document.error().message, "offset 4 (line 3)"));
    }
    CHECK(Document::from_text("\xEF\xBB\xBF with a byte order mark"));
}

TEST_CASE("files") {
    const ScratchFile good("int x;\n");
    auto document = Document::open(good.path);
    REQUIRE(document);
    CHECK(document->text() == "int x;\n");
    CHECK(document->version() == 0);

    document = Document::open(good.path.string() + "-missing");
    REQUIRE(!document);
    CHECK(document.error().code == ErrorCode::not_found);
    CHECK(contains(document.error().message, "-missing"));

    document = Document::open(good.path.parent_path());
    REQUIRE(!document);
    CHECK(document.error().code == ErrorCode::io);
}

TEST_CASE("a broken file is named") {
    const ScratchFile broken("x\n\xFF");
    const auto document = Document::open(broken.path);
    REQUIRE(!document);
    CHECK(document.error().code == ErrorCode::corrupt);
    CHECK(contains(document.error().message, broken.path.string()));
    CHECK(contains(document.error().message, "line 2"));
}

TEST_CASE("a file beyond the limit is refused") {
    const ScratchFile file("x");
    fs::resize_file(file.path, Document::size_bytes_max + 1);
    const auto document = Document::open(file.path);
    REQUIRE(!document);
    CHECK(document.error().code == ErrorCode::too_large);
    CHECK(!Document::from_text(std::string(Document::size_bytes_max + 1, 'x')));
}

TEST_CASE("edits that make no sense leave the document as it was") {
    Document document = document_of("aäb");
    const auto refused = [&](size_t begin, size_t end, std::string text, ErrorCode code) {
        const auto result = document.apply({ByteOffset(begin), ByteOffset(end), std::move(text)});
        REQUIRE(!result);
        CHECK(result.error().code == code);
    };
    refused(2, 1, "x", ErrorCode::invalid_argument);
    refused(0, 5, "x", ErrorCode::invalid_argument);
    refused(2, 3, "x", ErrorCode::invalid_argument);
    refused(0, 2, "x", ErrorCode::invalid_argument);
    refused(0, 1, "\xC3", ErrorCode::corrupt);
    refused(0, 1, std::string(1, '\0'), ErrorCode::corrupt);
    refused(0, 0, std::string(Document::size_bytes_max, 'x'), ErrorCode::too_large);
    CHECK(document.text() == "aäb");
    CHECK(document.version() == 0);
    REQUIRE(document.apply({ByteOffset(1), ByteOffset(3), "\n"}));
    CHECK(document.text() == "a\nb");
    CHECK(document.version() == 1);
}

TEST_CASE("random edits keep lines and places equal to a fresh walk") {
    const uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    const std::vector<std::string> fragments = {"\n", "\r\n", "\r", "x",        "  ",
                                                "äö", "名前", "😀",  "int y;\n", ""};
    const auto below = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random); };
    Document document = document_of("");
    std::string text;
    for (int64_t round = 1; round <= 1500; ++round) {
        const auto boundary = [&](size_t at) {
            while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) {
                ++at;
            }
            return at;
        };
        const size_t begin = boundary(below(text.size() + 1));
        const size_t end = boundary(std::min(text.size(), begin + below(8)));
        const std::string& insert = fragments[below(fragments.size())];
        REQUIRE(document.apply({ByteOffset(begin), ByteOffset(end), insert}));
        text.replace(begin, end - begin, insert);

        const NaiveText naive(text);
        REQUIRE(document.text() == text);
        REQUIRE(document.version() == round);
        REQUIRE(document.line_count() == naive.lines.size());
        const size_t index = below(naive.lines.size());
        REQUIRE(document.line(LineIndex(index)) == naive.lines[index]);
        size_t column = 1;
        for (size_t at = 0; at <= naive.lines[index].size(); ++at) {
            const size_t offset = naive.begins[index] + at;
            if (boundary(offset) == offset) {
                REQUIRE(document.place(ByteOffset(offset)) == LineColumn{index + 1, column});
                REQUIRE(document.offset({index + 1, column}) == ByteOffset(offset));
                ++column;
            }
        }
        REQUIRE(!document.offset({index + 1, column}));
    }
}
