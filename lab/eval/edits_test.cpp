// Made files of random lines: what each kind promises is looked for in the texts alone, by search.

#include "eval/edits.h"
#include "eval/source_tree.h"
#include "eval/text_metrics.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace pie {
namespace {

using Lines = std::vector<std::string>;

// A file of random assignments, some lines blank, and a place in it.
struct MadeSite {
    Sample sample;
    std::vector<std::string> other;
    LinePool pool;
    EditSite site{sample, pool};

    explicit MadeSite(uint32_t seed) {
        make(seed);
        pool = {sample.above, other};
    }
    MadeSite(const MadeSite&) = delete;
    MadeSite& operator=(const MadeSite&) = delete;

  private:
    void make(uint32_t seed) {
        std::mt19937 random(seed);
        const auto line = [&random](const std::string& prefix) {
            const auto name = [&] { return prefix + std::to_string(random() % 12); };
            return random() % 6 == 0 ? "\n"
                                     : std::string(4 * (random() % 3), ' ') + name() + " = call(" + name() +
                                           ", " + std::to_string(random() % 1000) + ")\n";
        };
        const size_t n_above = 40 + random() % 60;
        for (size_t i = 0; i < n_above; ++i) {
            sample.above.push_back(line("name"));
            other.push_back(line("strange"));
        }
        for (size_t i = 0; i < 1 + random() % 80; ++i) {
            sample.below.push_back(line("name"));
        }
        sample.target = "    name3 = call(name4, 17)\n";
        sample.context = {{2, 7}, {7, 14}, {14, 18}};
        sample.above[n_above - 4] = "größe = call(größe)\n"; // characters of several bytes, to be typed
    }
};

Lines lines_of(const std::string& text) {
    Lines lines;
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = text.find('\n', begin) + 1;
        lines.push_back(text.substr(begin, end - begin));
        begin = end;
    }
    return lines;
}

std::string text_of(std::span<const std::string> lines) {
    std::string text;
    for (const std::string& line : lines) {
        text += line;
    }
    return text;
}

Lines without(Lines lines, size_t begin, size_t count) {
    lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(begin),
                lines.begin() + static_cast<std::ptrdiff_t>(begin + count));
    return lines;
}

// Whether `larger` without some block of `count` lines is `smaller`.
bool is_block_inserted(const Lines& smaller, const Lines& larger, size_t count) {
    for (size_t i = 0; i + count <= larger.size(); ++i) {
        if (without(larger, i, count) == smaller) {
            return true;
        }
    }
    return false;
}

// Lines of `larger` that `smaller`, a subsequence of it, lacks; ends the test where it is none.
Lines missing_lines(const Lines& smaller, const Lines& larger) {
    Lines missing;
    size_t i = 0;
    for (const std::string& line : larger) {
        if (i < smaller.size() && smaller[i] == line) {
            ++i;
        } else {
            missing.push_back(line);
        }
    }
    REQUIRE(i == smaller.size());
    return missing;
}

double unlikeness(const std::string& line) {
    const std::string target = "name3 = call(name4, 17)";
    const std::string text(trimmed(line));
    return static_cast<double>(edit_distance(text, target)) /
           static_cast<double>(std::max(text.size(), target.size()));
}

struct Middle {
    std::string prefix;
    std::string suffix;
};

Middle split_middle(const std::string& prompt) {
    const size_t suffix = prompt.find("<SUF>");
    REQUIRE(prompt.starts_with("<PRE>"));
    REQUIRE(suffix != std::string::npos);
    REQUIRE(prompt.ends_with("<MID>"));
    return {prompt.substr(5, suffix - 5), prompt.substr(suffix + 5, prompt.size() - suffix - 10)};
}

// Calls check(site, edit) on the edits of a kind in many sites.
template <typename Check>
void for_edits(std::string_view kind, const Check& check) {
    const EditKind* found = find_edit_kind(kind);
    REQUIRE(found != nullptr);
    int made = 0;
    for (uint32_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        const MadeSite made_site(seed);
        Random random(seed, kind);
        Random same_random(seed, kind);
        const auto edit = found->make(made_site.site, random);
        const auto again = found->make(made_site.site, same_random);
        REQUIRE(edit.has_value() == again.has_value());
        if (edit) {
            CHECK(edit->before == again->before);
            CHECK(edit->after == again->after);
            CHECK(edit->before != edit->after);
            check(made_site.site, *edit);
            ++made;
        }
    }
    CHECK(made > 50);
}

} // namespace

TEST_CASE("insertion: five consecutive lines come in") {
    for_edits("insertion", [](const EditSite& site, const Edit& edit) {
        CHECK(edit.after == text_of(site.sample.above));
        CHECK(is_block_inserted(lines_of(edit.before), lines_of(edit.after), 5));
    });
}

TEST_CASE("deletion: five lines of the language's prompts go, from one place") {
    for_edits("deletion", [](const EditSite& site, const Edit& edit) {
        CHECK(edit.after == text_of(site.sample.above));
        CHECK(is_block_inserted(lines_of(edit.after), lines_of(edit.before), 5));
        std::multiset<std::string> known;
        for (const std::span<const std::string> lines : site.pool) {
            known.insert(lines.begin(), lines.end());
        }
        CHECK(std::ranges::all_of(lines_of(edit.before),
                                  [&](const std::string& line) { return known.contains(line); }));
    });
}

TEST_CASE("edition: five lines go at one place and five come in at another") {
    for_edits("edition", [](const EditSite& site, const Edit& edit) {
        CHECK(edit.after == text_of(site.sample.above));
        const Lines before = lines_of(edit.before);
        const Lines after = lines_of(edit.after);
        bool found = false;
        for (size_t i = 0; i + 5 <= before.size() && !found; ++i) {
            found = is_block_inserted(without(before, i, 5), after, 5);
        }
        CHECK(found);
        // The two are apart: no replacement of one block by another of the same size explains it.
        const size_t start = static_cast<size_t>(std::ranges::mismatch(before, after).in1 - before.begin());
        size_t end = before.size();
        while (end > start && before[end - 1] == after[end - 1]) {
            --end;
        }
        CHECK(before.size() == after.size());
        CHECK(end - start > 5);
    });
}

TEST_CASE("contextual, single: a block around the line that is most like the target comes in") {
    for (const size_t n : {5U, 15U}) {
        for_edits("contextual-single-" + std::to_string(n), [n](const EditSite& site, const Edit& edit) {
            CHECK(edit.after == text_of(site.sample.above));
            const Lines before = lines_of(edit.before);
            const Lines after = lines_of(edit.after);
            REQUIRE(is_block_inserted(before, after, n));
            const Lines missing = missing_lines(before, after);
            const double nearest = unlikeness(*std::ranges::min_element(after, {}, unlikeness));
            CHECK(unlikeness(*std::ranges::min_element(missing, {}, unlikeness)) == nearest);
        });
    }
}

TEST_CASE("contextual, multi: the lines that are most like the target come in, wherever they stand") {
    for (const size_t n : {5U, 15U}) {
        for_edits("contextual-multi-" + std::to_string(n), [n](const EditSite& site, const Edit& edit) {
            CHECK(edit.after == text_of(site.sample.above));
            const Lines before = lines_of(edit.before);
            Lines after = lines_of(edit.after);
            const Lines missing = missing_lines(before, after);
            REQUIRE(missing.size() == n);
            const double worst = unlikeness(*std::ranges::max_element(missing, {}, unlikeness));
            const double best_left = unlikeness(*std::ranges::min_element(before, {}, unlikeness));
            CHECK(worst <= best_left);
        });
    }
}

TEST_CASE("rename: a name of the target gets its name everywhere above, whole words alone") {
    for_edits("rename", [](const EditSite& site, const Edit& edit) {
        CHECK(edit.after == text_of(site.sample.above));
        const std::vector<std::string_view> before = identifiers(edit.before);
        const std::vector<std::string_view> after = identifiers(edit.after);
        REQUIRE(before.size() == after.size());
        const size_t first = static_cast<size_t>(std::ranges::mismatch(before, after).in1 - before.begin());
        const std::string old_name(before[first]);
        const std::string name(after[first]);
        CHECK(std::ranges::count(identifiers(site.sample.target), name) > 0);
        CHECK(std::ranges::count(after, name) >= 3);
        CHECK(std::ranges::count(before, name) == 0);
        CHECK(std::ranges::count(after, old_name) == 0);
        for (size_t i = 0; i < after.size(); ++i) {
            CHECK(before[i] == (after[i] == name ? old_name : after[i]));
        }
        // What is between the names stays: lines are the same when both names are taken out.
        std::string plain_before = edit.before;
        std::string plain_after = edit.after;
        const auto take_out = [](std::string& text, const std::string& word) {
            const auto is_digit = [&](size_t at) { return at < text.size() && std::isdigit(text[at]) != 0; };
            for (size_t at = 0; (at = text.find(word, at)) != std::string::npos;) {
                is_digit(at + word.size()) ? void(++at) : void(text.erase(at, word.size()));
            }
        };
        take_out(plain_before, old_name);
        take_out(plain_after, name);
        CHECK(plain_before == plain_after);
    });
}

TEST_CASE("typing: whole lines come in at the cursor of a fill-in-the-middle prompt") {
    for_edits("typing", [](const EditSite& site, const Edit& edit) {
        const Middle before = split_middle(edit.before);
        const Middle after = split_middle(edit.after);
        CHECK(after.prefix == text_of(site.sample.above));
        CHECK(after.suffix == text_of(site.sample.below));
        CHECK(before.suffix == after.suffix);
        REQUIRE(after.prefix.starts_with(before.prefix));
        const Lines typed = lines_of(after.prefix.substr(before.prefix.size()));
        CHECK(before.prefix.ends_with('\n'));
        CHECK(typed.size() >= 1);
        CHECK(typed.size() <= 5);
    });
}

TEST_CASE("jump: the cursor moves by ten to sixty lines, and the text stays") {
    bool up = false;
    bool down = false;
    for_edits("jump", [&](const EditSite& site, const Edit& edit) {
        const Middle before = split_middle(edit.before);
        const Middle after = split_middle(edit.after);
        CHECK(after.prefix == text_of(site.sample.above));
        CHECK(after.suffix == text_of(site.sample.below));
        CHECK(before.prefix + before.suffix == after.prefix + after.suffix);
        const auto moved = static_cast<std::ptrdiff_t>(lines_of(after.prefix).size()) -
                           static_cast<std::ptrdiff_t>(lines_of(before.prefix).size());
        CHECK(std::abs(moved) >= 10);
        CHECK(std::abs(moved) <= 60);
        CHECK((before.prefix.empty() || before.prefix.ends_with('\n')));
        (moved > 0 ? down : up) = true;
    });
    CHECK(up);
    CHECK(down);
}

TEST_CASE("keystrokes: the last characters come in one by one") {
    for (const size_t n : {20U, 60U, 120U}) {
        for_edits("keystrokes-" + std::to_string(n), [n](const EditSite& site, const Edit& edit) {
            std::vector<std::string> prompts = {edit.before};
            prompts.insert(prompts.end(), edit.steps.begin(), edit.steps.end());
            prompts.push_back(edit.after);
            size_t n_bytes = 0;
            for (size_t i = 0; i < prompts.size(); ++i) {
                const Middle now = split_middle(prompts[i]);
                CHECK(now.suffix == text_of(site.sample.below));
                if (i == 0) {
                    continue;
                }
                const std::string before = split_middle(prompts[i - 1]).prefix;
                REQUIRE(now.prefix.starts_with(before));
                const std::string typed = now.prefix.substr(before.size());
                n_bytes += typed.size();
                const bool is_ascii = static_cast<unsigned char>(typed[0]) < 0x80;
                CHECK(typed.size() == (is_ascii ? 1 : 2));
            }
            CHECK(split_middle(edit.after).prefix == text_of(site.sample.above));
            CHECK(n_bytes >= n - 1); // a character that the limit would cut is there before
            CHECK(n_bytes <= n);
        });
    }
}

TEST_CASE("ring: the newest snippet comes in and the oldest goes") {
    for_edits("ring", [](const EditSite& site, const Edit& edit) {
        CHECK(edit.after == text_of(site.sample.above));
        const Lines before = lines_of(edit.before);
        const Lines after = lines_of(edit.after);
        REQUIRE(before.size() == after.size());
        // Lines 2 to 18 are snippets of 5, 7 and 4 lines; the foreign one is as long as the newest.
        CHECK(std::equal(after.begin(), after.begin() + 2, before.begin()));
        CHECK(std::equal(after.begin() + 2, after.begin() + 14, before.begin() + 6));
        CHECK(std::equal(after.begin() + 18, after.end(), before.begin() + 18));
        const std::string oldest = text_of(std::span(before).subspan(2, 4));
        CHECK(text_of(site.pool[1]).find(oldest) != std::string::npos);
    });
}

TEST_CASE("sites that are too small give no edit") {
    Sample sample;
    sample.above = {"import os\n"};
    sample.target = "print(os.name)\n";
    const LinePool pool = {sample.above};
    for (const EditKind& kind : edit_kinds()) {
        CAPTURE(kind.name);
        Random random(1, kind.name);
        CHECK(kind.make({sample, pool}, random).has_value() == (kind.name == "deletion"));
    }
    CHECK(find_edit_kind("magic") == nullptr);
}

} // namespace pie
