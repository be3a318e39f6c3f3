// The program: parses the flags, runs the chosen command, and turns whatever happens into an exit status.

#include "base/interrupt.h"
#include "cli/command.h"
#include "cli/program.h"
#include "cli/terminal.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <system_error>
#include <vector>

namespace {

int parse_and_run(int argc, char** argv) {
    const std::vector<const char*> arguments(argv + std::min(argc, 1), argv + argc);
    const auto run = pie::parse_arguments(arguments);
    return run ? (*run)() : pie::print_error(run.error());
}

// A result that was not written, as to a full disk, is a failure. A reader that closed the pipe, as `head`
// does, has what it wanted and hears no complaint.
int status_of_unwritten(int error_number) {
    if (error_number == EPIPE) {
        return pie::exit_status(pie::ErrorCode::io);
    }
    return pie::print_error(
        {pie::ErrorCode::io, std::string("cannot write the result: ") + std::strerror(error_number)});
}

int with_output_checked(int status) {
    return pie::flush_output() || status != 0 ? status : status_of_unwritten(pie::output_error());
}

int status_of(const std::exception& exception) {
    // fmt throws what it could not write.
    const auto* unwritten = dynamic_cast<const std::system_error*>(&exception);
    return unwritten != nullptr && std::ferror(stdout) != 0
               ? status_of_unwritten(unwritten->code().value())
               : pie::print_error({pie::ErrorCode::internal, exception.what()});
}

} // namespace

int main(int argc, char** argv) {
    pie::hold_standard_streams();
    // A closed pipe or a file that grows too large is an error to report, not a reason to die.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
    pie::install_interrupt_handlers();
    try {
        return with_output_checked(parse_and_run(argc, argv));
    } catch (const std::exception& exception) {
        return status_of(exception);
    }
}
