#pragma once

// What the two output streams are: the one place that knows of terminals, colours and NO_COLOR. Colour is
// used on a terminal only, and never where NO_COLOR is set or TERM is "dumb". The main thread writes to
// standard output; any thread may call the rest.

#include "base/progress.h"

#include <string>
#include <string_view>

namespace pie {

enum class Stream { out, err };
enum class Colour { bold, dim, red, green, yellow, blue, cyan };

// Takes descriptors that the program was started without, so that no file is opened in the place of one and
// hears what is meant for a person. What is written to a closed standard output still fails.
void hold_standard_streams();

// Whether all that was printed so far was written. Where it was not, there is nobody to go on for; main says
// why.
bool flush_output();

// The errno of what was not written, or 0.
int output_error();

// A line on standard error. Nobody can be told that it was not written.
void print_note(std::string_view line);

bool is_terminal(Stream stream);
int terminal_columns(Stream stream); // 80 where nothing tells

// `text` in the colour, or as it is where the stream is to have none.
std::string coloured(Stream stream, Colour colour, std::string_view text);

// The rule behind it, from what the environment says; a null pointer is a variable that is not set.
bool colour_is_wanted(bool on_terminal, const char* no_color, const char* term);

// For long work: a bar on a terminal, else a line now and then.
ProgressOutput progress_on_stderr();

// Text from a file, a network or an argument, without the control characters that would steer a terminal.
std::string printable(std::string_view text);

} // namespace pie
