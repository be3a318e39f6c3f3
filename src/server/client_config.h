#pragma once

// The lines that a person pastes into an editor's settings so that it uses this server. Pure functions.

#include <pie/result.h>

#include <string>
#include <string_view>
#include <vector>

namespace pie {

// "continue", "cursortab", "emacs", "minuet", "neovim", "vim", "vscode", "zed".
std::vector<std::string> configurable_editors();

struct ConfiguredServer {
    std::string address; // as in "http://127.0.0.1:8012"
    std::string model;
    std::string api_key; // empty: none is asked for
};

// Errors: invalid_argument (another editor).
Result<std::string> editor_config(std::string_view editor, const ConfiguredServer& server);

} // namespace pie
