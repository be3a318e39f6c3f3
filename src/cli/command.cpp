#include "cli/command.h"

#include "base/interrupt.h"
#include "cli/terminal.h"
#include "model/hub.h"
#include "model/store.h"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace pie {
namespace {

std::string program_name = "pie";

} // namespace

int exit_status(ErrorCode code) {
    switch (code) {
    case ErrorCode::cancelled:
        return 128 + interrupting_signal();
    case ErrorCode::invalid_argument:
        return 2;
    case ErrorCode::not_found:
    case ErrorCode::io:
    case ErrorCode::corrupt:
    case ErrorCode::unsupported:
    case ErrorCode::too_large:
    case ErrorCode::busy:
    case ErrorCode::internal:
        return 1;
    }
    return 1;
}

void set_program_name(std::string name) {
    program_name = std::move(name);
}

int print_error(const Error& error) {
    print_note(fmt::format("{} {}", coloured(Stream::err, Colour::red, program_name + ":"),
                           printable(error.message)));
    return exit_status(error.code);
}

Result<std::filesystem::path> find_model(std::string_view name, std::string_view hub) {
    PIE_ASSIGN(const StoreSettings settings, store_settings_from_environment());
    if (hub.empty()) {
        return resolve_model(name, settings);
    }
    Progress progress(progress_on_stderr());
    return resolve_hub(hub, settings, progress);
}

} // namespace pie
