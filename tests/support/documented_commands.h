#pragma once

// What documents and a program's own help say of its commands and flags, held to what the program takes.
//
// Thread rule: the test's thread.

#include "cli/command_line.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace pie::testing {

using Words = std::vector<std::string>;

Result<CommandRun> parsed(MakeProgram make_program, const Words& words);

// The message with which the program refuses these words.
std::string refusal(MakeProgram make_program, const Words& words);

// Calls `visit` for each command of `app`, with its path.
void for_each_command(const CLI::App& app, const Words& path,
                      const std::function<void(const CLI::App&, const Words&)>& visit);

// Checks the lines of code that begin with the program's name. Returns how many there are.
size_t check_examples(MakeProgram make_program, const std::filesystem::path& document);

// Checks what stands between backticks in running text: flags alone are of one of the programs, or of others
// that the documents name; flags behind the name of a command of one of the programs are its own. Returns how
// many spans there are.
size_t check_spans(const std::vector<MakeProgram>& programs, const std::filesystem::path& document);

// Checks that each command takes the flags that its help names, that each command has an example, and that
// its examples are its own.
void check_help(MakeProgram make_program);

} // namespace pie::testing
