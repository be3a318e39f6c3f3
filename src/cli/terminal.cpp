#include "cli/terminal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace pie {
namespace {

int output_error_number = 0; // of the first failure; a stream forgets it

int descriptor_of(Stream stream) {
    return stream == Stream::out ? STDOUT_FILENO : STDERR_FILENO;
}

bool is_dumb(const char* term) {
    return term != nullptr && std::string_view(term) == "dumb";
}

int code_of(Colour colour) {
    switch (colour) {
    case Colour::bold:
        return 1;
    case Colour::dim:
        return 2;
    case Colour::red:
        return 31;
    case Colour::green:
        return 32;
    case Colour::yellow:
        return 33;
    case Colour::blue:
        return 34;
    case Colour::cyan:
        return 36;
    }
    return 0;
}

} // namespace

void hold_standard_streams() {
    // The other way round for the first two, so that reading and writing fail as they did.
    constexpr std::array<int, 3> modes = {O_WRONLY, O_RDONLY, O_WRONLY};
    for (int descriptor = 0; descriptor < 3; ++descriptor) {
        if (::fcntl(descriptor, F_GETFD) < 0) {
            (void)::open("/dev/null", modes[static_cast<size_t>(descriptor)]); // the lowest that is free
        }
    }
}

bool flush_output() {
    if (std::fflush(stdout) != 0 && output_error_number == 0) {
        output_error_number = errno;
    }
    return output_error_number == 0;
}

int output_error() {
    return output_error_number;
}

void print_note(std::string_view line) {
    const std::string text = std::string(line) + '\n';
    std::fwrite(text.data(), 1, text.size(), stderr);
}

bool is_terminal(Stream stream) {
    return isatty(descriptor_of(stream)) == 1;
}

int terminal_columns(Stream stream) {
    winsize size = {};
    const bool known = ioctl(descriptor_of(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

bool colour_is_wanted(bool on_terminal, const char* no_color, const char* term) {
    // no-color.org: set and not empty means no colour.
    const bool refused = no_color != nullptr && *no_color != '\0';
    return on_terminal && !refused && !is_dumb(term);
}

std::string coloured(Stream stream, Colour colour, std::string_view text) {
    if (!colour_is_wanted(is_terminal(stream), std::getenv("NO_COLOR"), std::getenv("TERM"))) {
        return std::string(text);
    }
    return fmt::format("\x1b[{}m{}\x1b[0m", code_of(colour), text);
}

ProgressOutput progress_on_stderr() {
    ProgressOutput output;
    const bool can_redraw = is_terminal(Stream::err) && !is_dumb(std::getenv("TERM"));
    output.style = can_redraw ? ProgressStyle::bar : ProgressStyle::lines;
    output.columns = terminal_columns(Stream::err);
    output.write = [](std::string_view text) {
        std::fwrite(text.data(), 1, text.size(), stderr);
        std::fflush(stderr);
    };
    return output;
}

std::string printable(std::string_view text) {
    std::string clean(text);
    std::replace_if(
        clean.begin(), clean.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
    return clean;
}

} // namespace pie
