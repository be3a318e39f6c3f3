#include "server/client_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

namespace pie {
namespace {

// {0} is the server's address, {1} the model's name.
const std::map<std::string, const char*, std::less<>> configs = {
    {"vim", R"(" ~/.vimrc, before the plugin ggml-org/llama.vim is loaded
let g:llama_config = {{ 'endpoint_fim': '{0}/infill' }}
)"},
    {"neovim", R"(-- init.lua, with lazy.nvim
{{
    'ggml-org/llama.vim',
    init = function()
        vim.g.llama_config = {{ endpoint_fim = '{0}/infill' }}
    end,
}},
)"},
    {"vscode", R"(// settings.json, with the extension ggml-org.llama-vscode
"llama-vscode.endpoint": "{0}",
"llama-vscode.ask_install_llamacpp": false,
"llama-vscode.rag_enabled": false
)"},
    {"zed", R"(// settings.json
"edit_predictions": {{
  "provider": "open_ai_compatible_api",
  "open_ai_compatible_api": {{
    "api_url": "{0}/v1/completions",
    "model": "{1}",
    "prompt_format": "qwen",
    "max_output_tokens": 64
  }}
}}
)"},
    {"continue", R"(# ~/.continue/config.yaml
models:
  - name: pie
    provider: llama.cpp
    model: {1}
    apiBase: {0}
    roles:
      - autocomplete
)"}};

} // namespace

std::vector<std::string> configurable_editors() {
    std::vector<std::string> names;
    for (const auto& [name, config] : configs) {
        names.push_back(name);
    }
    return names;
}

Result<std::string> editor_config(std::string_view editor, std::string_view address,
                                  std::string_view model_name) {
    const auto found = configs.find(editor);
    if (found == configs.end()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("no configuration is known for '{}', but for {}", editor,
                                fmt::join(configurable_editors(), ", ")));
    }
    return fmt::format(fmt::runtime(found->second), address, model_name);
}

} // namespace pie
