#include "bench/workloads.h"

#include "base/check.h"
#include "bench/ageing.h"
#include "bench/choose.h"
#include "bench/document_lines.h"
#include "bench/keystrokes.h"
#include "bench/replay_edit.h"
#include "eval/source_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace pie {
namespace {

constexpr int32_t keystroke_ms = 100; // between two keystrokes
constexpr int32_t thought_ms = 1000;  // between two edits, or after the cursor moved
constexpr size_t jump_lines = 30;
constexpr size_t moved_lines = 12;
constexpr size_t rename_places_max = 20;
constexpr size_t chunk_share = 16; // of the document that a chunk is long

using Steps = std::vector<WorkloadStep>;

// The first line from the cursor's place on that has something to type, and is followed by `n_behind` others;
// the longest of what is near where `length` is more than any has.
size_t typed_line(const Lines& lines, size_t length, size_t n_behind) {
    constexpr size_t n_searched = 100;
    const size_t first = line_at(lines, cursor_place);
    size_t best = first;
    for (size_t i = first; i + n_behind < lines.size() && i < first + n_searched; ++i) {
        if (content_of(lines[i]).size() > content_of(lines[best]).size()) {
            best = i;
        }
        if (content_of(lines[i]).size() >= length) {
            return i;
        }
    }
    return best;
}

Steps open_steps(const Workload&, const WorkloadInput& input) {
    return {{untouched(input.document)}};
}

Steps typing_steps(const Workload&, const WorkloadInput& input) {
    Lines lines = input.document.lines;
    const size_t line = typed_line(lines, input.n_steps, 0);
    const std::string indent = indent_of(lines[line]);
    const std::string content = content_of(lines[line]);
    Steps steps;
    for (size_t n = 0; n <= std::min(input.n_steps, content.size()); ++n) {
        lines[line] = indent + content.substr(0, n) + "\n";
        steps.push_back({{joined(lines), line_end(lines, line)}, keystroke_ms});
    }
    return steps;
}

// A line that was completed is accepted, and the cursor is on the next, empty one.
Steps line_steps(const Workload&, const WorkloadInput& input) {
    const Lines& all = input.document.lines;
    const size_t first = typed_line(all, 1, input.n_steps);
    const size_t n = std::min(input.n_steps, all.size() - 1 - first);
    Steps steps;
    for (size_t n_written = 0; n_written <= n; ++n_written) {
        Lines lines(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(first + n_written));
        lines.push_back(indent_of(all[first + n_written]) + "\n");
        lines.insert(lines.end(), all.begin() + static_cast<std::ptrdiff_t>(first + n), all.end());
        steps.push_back({{joined(lines), line_end(lines, first + n_written)}, thought_ms});
    }
    return steps;
}

Steps jump_steps(const Workload&, const WorkloadInput& input) {
    const Lines& lines = input.document.lines;
    const size_t home = line_at(lines, cursor_place);
    const size_t up = home - std::min(home, jump_lines);
    const size_t down = std::min(home + jump_lines, lines.size() - 1);
    const size_t places[] = {home, up, home, down};
    Steps steps;
    for (size_t i = 0; i <= input.n_steps; ++i) {
        steps.push_back({{joined(lines), line_end(lines, places[i % std::size(places)])}, thought_ms});
    }
    return steps;
}

// Texts of so many tokens each stand at the end of a line, one more a step.
Steps insert_steps(const Workload& workload, const WorkloadInput& input) {
    DocumentState state = untouched(input.document);
    const Lines& lines = input.document.lines;
    size_t place = line_end(lines, line_at(lines, workload.place));
    std::string_view spare = input.document.spare;
    Steps steps = {{state, thought_ms}};
    for (size_t i = 0; i < input.n_steps && spare.size() > 1; ++i) {
        const std::string text = text_of_tokens(spare, workload.n_tokens, input.count);
        spare.remove_prefix(text.size());
        state.text.insert(place, text);
        state.cursor += place <= state.cursor ? text.size() : 0;
        place += text.size();
        steps.push_back({state, thought_ms});
    }
    return steps;
}

// So many tokens behind the end of a line go, and at each step those that followed them. (To take out what
// was inserted before would be an undo, which servers that keep old prompts know already.)
Steps delete_steps(const Workload& workload, const WorkloadInput& input) {
    DocumentState state = untouched(input.document);
    const Lines& lines = input.document.lines;
    const size_t place = line_end(lines, line_at(lines, workload.place));
    Steps steps = {{state, thought_ms}};
    for (size_t i = 0; i < input.n_steps && place + 1 < state.text.size(); ++i) {
        const size_t n =
            text_of_tokens(std::string_view(state.text).substr(place), workload.n_tokens, input.count).size();
        if (place < state.cursor && state.cursor < place + n) {
            break;
        }
        state.text.erase(place, n);
        state.cursor -= place < state.cursor ? n : 0;
        steps.push_back({state, thought_ms});
    }
    return steps;
}

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::vector<size_t> places_of(std::string_view text, std::string_view word) {
    std::vector<size_t> places;
    for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
        const size_t end = at + word.size();
        if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]))) {
            places.push_back(at);
        }
    }
    return places;
}

// The name that stands in the most places, but no more than a person would rename.
std::string renamed_word(const SourceDocument& document) {
    std::map<std::string, size_t, std::less<>> counts;
    for (const std::string& line : document.lines) {
        for (const std::string_view name : identifiers(line)) {
            ++counts[std::string(name)];
        }
    }
    std::erase_if(counts, [](const auto& entry) { return entry.second > rename_places_max; });
    PIE_CHECK(!counts.empty(), "a source text has names");
    return std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; })->first;
}

// To a new name and back.
Steps rename_steps(const Workload&, const WorkloadInput& input) {
    const DocumentState before = untouched(input.document);
    const std::string word = renamed_word(input.document);
    const std::string name = "new_" + word;
    DocumentState after = before;
    const std::vector<size_t> places = places_of(before.text, word);
    for (size_t i = places.size(); i-- > 0;) {
        after.text.replace(places[i], word.size(), name);
        after.cursor += places[i] < before.cursor ? name.size() - word.size() : 0;
    }
    Steps steps;
    for (size_t i = 0; i <= input.n_steps; ++i) {
        steps.push_back({i % 2 == 0 ? before : after, thought_ms});
    }
    return steps;
}

// A block of lines from a quarter to the half, and back.
Steps move_steps(const Workload&, const WorkloadInput& input) {
    const DocumentState before = untouched(input.document);
    Lines lines = input.document.lines;
    const auto from = lines.begin() + static_cast<std::ptrdiff_t>(line_at(lines, 0.25));
    const auto to = lines.begin() + static_cast<std::ptrdiff_t>(line_at(lines, 0.5));
    std::rotate(from, from + std::min<std::ptrdiff_t>(moved_lines, to - from), to);
    const DocumentState after{joined(lines), before.cursor};
    Steps steps;
    for (size_t i = 0; i <= input.n_steps; ++i) {
        steps.push_back({i % 2 == 0 ? before : after, thought_ms});
    }
    return steps;
}

// A block of lines is cut at a quarter, and pasted at the half.
Steps paste_steps(const Workload&, const WorkloadInput& input) {
    const DocumentState before = untouched(input.document);
    Lines lines = input.document.lines;
    const size_t from = line_at(lines, 0.25);
    const size_t to = line_at(lines, 0.5);
    const auto n = static_cast<std::ptrdiff_t>(std::min(moved_lines, to - from));
    const auto cut = static_cast<std::ptrdiff_t>(from);
    const auto paste = static_cast<std::ptrdiff_t>(to) - n;
    Lines clipboard;
    Steps steps = {{before, thought_ms}};
    for (size_t i = 0; i < input.n_steps; ++i) {
        if (clipboard.empty()) {
            clipboard.assign(lines.begin() + cut, lines.begin() + cut + n);
            lines.erase(lines.begin() + cut, lines.begin() + cut + n);
        } else {
            lines.insert(lines.begin() + paste, clipboard.begin(), clipboard.end());
            clipboard.clear();
        }
        steps.push_back({{joined(lines), before.cursor - joined(clipboard).size()}, thought_ms});
    }
    return steps;
}

// A plugin shows parts of other files: one more comes, then the oldest goes.
Steps chunk_steps(const Workload&, const WorkloadInput& input) {
    const size_t n_tokens = input.count(joined(input.document.lines)) / chunk_share + 1;
    std::string_view spare = input.document.spare;
    std::vector<ContextChunk> chunks;
    const auto add = [&] {
        const std::string text = text_of_tokens(spare, n_tokens, input.count);
        spare.remove_prefix(text.size());
        chunks.push_back({fmt::format("other_{}.cpp", chunks.size()), text + "\n"});
    };
    add();
    add();
    DocumentState state = untouched(input.document);
    state.chunks = chunks;
    Steps steps = {{state, thought_ms}};
    for (size_t i = 0; i < input.n_steps && !spare.empty(); ++i) {
        if (i % 2 == 0) {
            add();
            state.chunks.push_back(chunks.back());
        } else {
            state.chunks.erase(state.chunks.begin());
        }
        steps.push_back({state, thought_ms});
    }
    return steps;
}

// The functions of the commit stand at the cursor's place.
Steps replay_steps(const Workload&, const WorkloadInput& input) {
    const Lines& lines = input.document.lines;
    const size_t place = bytes_before(lines, line_at(lines, cursor_place));
    const std::string text = joined(lines);
    const auto with = [&](std::string_view part) {
        return text.substr(0, place) + std::string(part) + text.substr(place);
    };
    Steps steps = {{{with(replay_before), place}, thought_ms}};
    const std::vector<Keystroke> strokes = keystrokes(replay_before, replay_after);
    for (size_t i = 0; i < std::min(input.n_steps, strokes.size()); ++i) {
        steps.push_back({{with(strokes[i].text), place + strokes[i].cursor},
                         strokes[i].begins ? thought_ms : keystroke_ms});
    }
    return steps;
}

// What insert_steps() does, to a document that was edited before.
Steps aged_steps(const Workload& workload, const WorkloadInput& input) {
    Ageing ageing(input.document);
    for (size_t i = 0; i < workload.n_edits; ++i) {
        ageing.edit();
    }
    const SourceDocument aged{.lines = ageing.lines(), .spare = input.document.spare, .digest = {}};
    return insert_steps(workload, {.document = aged, .n_steps = input.n_steps, .count = input.count});
}

// Each session has a part of the document for its own, and is typed into; a key each, by turns.
Steps session_steps(const Workload& workload, const WorkloadInput& input) {
    const Lines& lines = input.document.lines;
    const auto n = static_cast<double>(workload.n_sessions);
    std::vector<Steps> typed;
    for (size_t session = 0; session < workload.n_sessions; ++session) {
        const auto begin = static_cast<std::ptrdiff_t>(line_at(lines, static_cast<double>(session) / n));
        const auto end = static_cast<std::ptrdiff_t>(line_at(lines, static_cast<double>(session + 1) / n));
        const SourceDocument part{
            .lines = {lines.begin() + begin, lines.begin() + end}, .spare = {}, .digest = {}};
        const size_t n_keys = input.n_steps / workload.n_sessions + 1;
        typed.push_back(typing_steps(workload, {.document = part, .n_steps = n_keys, .count = input.count}));
    }
    Steps steps;
    for (size_t i = 0; i < workload.n_sessions + input.n_steps; ++i) {
        const size_t session = i % workload.n_sessions;
        const size_t key = i / workload.n_sessions;
        if (key < typed[session].size()) {
            steps.push_back(typed[session][key]);
            steps.back().session = session;
        }
    }
    return steps;
}

using enum WorkloadSet;
using enum WorkloadServers;

constexpr Workload table[] = {
    {opening, "a completion where nothing is cached", standard, 1, 0, 0, open_steps},
    {"typing", "typing on a line, 3/4 down the file", standard, 6, 0, 0, typing_steps},
    {"line", "a completed line accepted", standard, 2, 0, 0, line_steps},
    {"jump", "the cursor moves by 30 lines", standard, 1, 0, 0, jump_steps},
    {"insert-1-at-1/4", "1 token inserted at 1/4", extended, 3, 1, 0.25, insert_steps},
    {"delete-1-at-1/4", "1 token deleted at 1/4", extended, 3, 1, 0.25, delete_steps},
    {"insert-1-at-1/2", "1 token inserted at 1/2", extended, 3, 1, 0.5, insert_steps},
    {"delete-1-at-1/2", "1 token deleted at 1/2", extended, 3, 1, 0.5, delete_steps},
    {"insert-1-at-3/4", "1 token inserted at 3/4", extended, 3, 1, 0.75, insert_steps},
    {"delete-1-at-3/4", "1 token deleted at 3/4", extended, 3, 1, 0.75, delete_steps},
    {"insert-16-at-1/4", "16 tokens inserted at 1/4", standard, 1, 16, 0.25, insert_steps},
    {"delete-16-at-1/4", "16 tokens deleted at 1/4", standard, 1, 16, 0.25, delete_steps},
    {"insert-16-at-1/2", "16 tokens inserted at 1/2", extended, 3, 16, 0.5, insert_steps},
    {"delete-16-at-1/2", "16 tokens deleted at 1/2", extended, 3, 16, 0.5, delete_steps},
    {"insert-16-at-3/4", "16 tokens inserted at 3/4", extended, 3, 16, 0.75, insert_steps},
    {"delete-16-at-3/4", "16 tokens deleted at 3/4", extended, 3, 16, 0.75, delete_steps},
    {"insert-64-at-1/4", "64 tokens inserted at 1/4", extended, 3, 64, 0.25, insert_steps},
    {"delete-64-at-1/4", "64 tokens deleted at 1/4", extended, 3, 64, 0.25, delete_steps},
    {"insert-64-at-1/2", "64 tokens inserted at 1/2", extended, 3, 64, 0.5, insert_steps},
    {"delete-64-at-1/2", "64 tokens deleted at 1/2", extended, 3, 64, 0.5, delete_steps},
    {"insert-64-at-3/4", "64 tokens inserted at 3/4", extended, 3, 64, 0.75, insert_steps},
    {"delete-64-at-3/4", "64 tokens deleted at 3/4", extended, 3, 64, 0.75, delete_steps},
    {"rename", "a name changed in up to 20 places", extended, 2, 0, 0, rename_steps},
    {"move", "12 lines moved from 1/4 to 1/2", extended, 2, 0, 0, move_steps},
    {"paste", "12 lines cut at 1/4, then pasted at 1/2", extended, 2, 0, 0, paste_steps},
    {"chunks", "a chunk of another file comes, or goes", extended, 2, 0, 0, chunk_steps},
    {"replay", "a real commit, keystroke by keystroke", extended, 24, 0, 0, replay_steps},
    {"after-0", "16 tokens inserted at 1/4, in a new session", extended, 8, 16, 0.25, aged_steps, ours_alone},
    {"after-100", "the same after 100 edits", extended, 8, 16, 0.25, aged_steps, ours_alone, 100},
    {"after-1000", "the same after 1,000 edits", extended, 8, 16, 0.25, aged_steps, ours_alone, 1000},
    {"sessions-1", "typing into one document", extended, 16, 0, 0, session_steps, own},
    {"sessions-2", "typing into 2 documents by turns", extended, 16, 0, 0, session_steps, own, 0, 2},
    {"sessions-4", "typing into 4 documents by turns", extended, 16, 0, 0, session_steps, own, 0, 4},
    {"sessions-8", "typing into 8 documents by turns", extended, 16, 0, 0, session_steps, own, 0, 8},
};

} // namespace

std::span<const Workload> workloads() {
    return table;
}

size_t steps_before(const Workload& workload) {
    return workload.name == opening ? 0 : workload.n_sessions;
}

DocumentState untouched(const SourceDocument& document) {
    return {joined(document.lines), line_end(document.lines, line_at(document.lines, cursor_place))};
}

Result<std::vector<const Workload*>> choose_workloads(std::string_view names) {
    std::vector<const Workload*> chosen;
    for (const Workload& workload : table) {
        if (names == "all" || (names == "standard" && workload.set == standard)) {
            chosen.push_back(&workload);
        }
    }
    if (!chosen.empty()) {
        return chosen;
    }
    return choose_by_name(workloads(), names, "workload");
}

} // namespace pie
