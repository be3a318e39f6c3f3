#include "support/documented_commands.h"

#include "support/markdown.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <regex>
#include <sstream>
#include <string_view>

namespace pie::testing {
namespace {

// Up to a comment.
Words words_of(const std::string& line) {
    std::istringstream text(line.substr(0, line.find(" #")));
    Words words;
    for (std::string word; text >> word;) {
        words.push_back(word);
    }
    return words;
}

Words flags_in(const std::string& text) {
    static const std::regex flag(R"((?:^|[\s(,/])(--?[A-Za-z][A-Za-z0-9-]*))");
    Words flags;
    for (std::sregex_iterator found(text.begin(), text.end(), flag); found != std::sregex_iterator();
         ++found) {
        flags.push_back((*found)[1]);
    }
    return flags;
}

bool takes(const CLI::App& command, const std::string& flag) {
    return command.get_option_no_throw(long_flag(flag)) != nullptr;
}

class Program {
  public:
    explicit Program(MakeProgram make) : app_(make(run_)) {}

    const CLI::App& app() const { return *app_; }

    bool has(const std::string& flag) const {
        bool is_taken = takes(*app_, flag);
        for_each_command(*app_, {},
                         [&](const CLI::App& command, const Words&) { is_taken |= takes(command, flag); });
        return is_taken;
    }

    // An example, without the program's name; empty: the text is none.
    Words example_in(const std::string& text) const {
        Words words = words_of(text);
        const std::string& name = app_->get_name();
        const bool is_example = words.size() > 1 &&
                                (words[0] == name || words[0].ends_with("/bin/" + name)) &&
                                std::ranges::all_of(words[1], [](char c) { return c >= 'a' && c <= 'z'; });
        words.erase(words.begin(), words.begin() + (is_example ? 1 : static_cast<ptrdiff_t>(words.size())));
        return words;
    }

    void check_flags_of(const Words& example, const std::string& text) const {
        const CLI::App* command = app_.get();
        for (const std::string& word : example) {
            if (command->get_subcommands([](const CLI::App*) { return true; }).empty() ||
                word.starts_with('-')) {
                break;
            }
            command = command->get_subcommand(word); // throws where there is none
        }
        for (const std::string& flag : flags_in(text)) {
            CAPTURE(flag);
            CHECK(takes(*command, flag));
        }
    }

  private:
    CommandRun run_;
    std::unique_ptr<CLI::App> app_;
};

// Flags of other programs, and of the pie of a commit that docs/lab/fidelity.md names.
constexpr std::array<std::string_view, 9> others_flags = {
    "-b",       "-ub",           "--cache-reuse", "--parallel", "--slot-save-path",
    "-fno-dse", "-fno-tree-dse", "--kind",        "--rows"};
bool is_of_former_commit(const Words& example) {
    return example[0] == "eval";
}

void check_span(const std::vector<std::unique_ptr<Program>>& programs, const std::string& span) {
    CAPTURE(span);
    if (span.starts_with('-')) {
        for (const std::string& flag : flags_in(span)) {
            CAPTURE(flag);
            CHECK((std::ranges::find(others_flags, flag) != others_flags.end() ||
                   std::ranges::any_of(programs, [&](const auto& program) { return program->has(flag); })));
        }
        return;
    }
    for (const auto& program : programs) {
        const Words example = program->example_in(span);
        if (!example.empty() && !(program->app().get_name() == "pie" && is_of_former_commit(example))) {
            program->check_flags_of(example, span);
        }
    }
}

} // namespace

Result<CommandRun> parsed(MakeProgram make_program, const Words& words) {
    std::vector<const char*> arguments;
    for (const std::string& word : words) {
        arguments.push_back(word.c_str());
    }
    return parse_arguments(make_program, arguments);
}

std::string refusal(MakeProgram make_program, const Words& words) {
    const auto run = parsed(make_program, words);
    CAPTURE(words);
    REQUIRE_FALSE(run);
    CHECK(run.error().code == ErrorCode::invalid_argument);
    return run.error().message;
}

void for_each_command(const CLI::App& app, const Words& path,
                      const std::function<void(const CLI::App&, const Words&)>& visit) {
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        Words its_path = path;
        its_path.push_back(command->get_name());
        visit(*command, its_path);
        for_each_command(*command, its_path, visit);
    }
}

size_t check_examples(MakeProgram make_program, const std::filesystem::path& document) {
    CAPTURE(document.string());
    const Program program(make_program);
    size_t n = 0;
    for (const std::string& line : code_in_markdown(document).lines) {
        const Words example = program.example_in(line);
        if (!example.empty() && !(program.app().get_name() == "pie" && is_of_former_commit(example))) {
            CAPTURE(line);
            const auto taken = parsed(make_program, example);
            CAPTURE(taken ? "" : taken.error().message);
            CHECK(taken);
            ++n;
        }
    }
    return n;
}

size_t check_spans(const std::vector<MakeProgram>& programs, const std::filesystem::path& document) {
    CAPTURE(document.string());
    std::vector<std::unique_ptr<Program>> made;
    for (const MakeProgram make_program : programs) {
        made.push_back(std::make_unique<Program>(make_program));
    }
    size_t n = 0;
    for (const auto& spans : code_in_markdown(document).spans) {
        for (const std::string& span : spans) {
            check_span(made, span);
            ++n;
        }
    }
    return n;
}

void check_help(MakeProgram make_program) {
    const Program program(make_program);
    for_each_command(program.app(), {}, [&](const CLI::App& command, const Words& path) {
        CAPTURE(path);
        for (const std::string& flag : flags_in(command.help())) {
            CAPTURE(flag);
            CHECK(program.has(flag));
        }
        std::istringstream footer(command.get_footer());
        bool has_own = path.size() > 1;
        for (std::string line; std::getline(footer, line);) {
            const Words example = program.example_in(line);
            if (!example.empty()) {
                CAPTURE(line);
                CHECK(parsed(make_program, example));
                CHECK(example[0] == path[0]);
                has_own = true;
            }
        }
        CHECK(has_own);
    });
}

} // namespace pie::testing
