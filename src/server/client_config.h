#pragma once

// The lines that a person pastes into an editor's settings so that it uses this server. Pure functions.

#include <pie/result.h>

#include <string>
#include <string_view>
#include <vector>

namespace pie {

// "continue", "neovim", "vim", "vscode", "zed".
std::vector<std::string> configurable_editors();

// `address` as in "http://127.0.0.1:8012". Errors: invalid_argument (another editor).
Result<std::string> editor_config(std::string_view editor, std::string_view address,
                                  std::string_view model_name);

} // namespace pie
