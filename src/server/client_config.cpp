#include "server/client_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <string>

namespace pie {
namespace {

// What an editor's settings are made of. {0} is the server's address, {1} the model's name, {2} the line or
// lines with the key, {3} what a key is written as where one must be.
struct EditorConfig {
    const char* text;
    const char* key_lines; // {0} is the key; empty where there is none
};

const std::map<std::string, EditorConfig, std::less<>> configs = {
    {"vim",
     {R"(" ~/.vimrc, before the plugin ggml-org/llama.vim is loaded
let g:llama_config = {{
    \ 'endpoint_fim': '{0}/infill',
    \ 'endpoint_inst': '{0}/v1/chat/completions',
{2}    \ }}
)",
      "    \\ 'api_key': '{0}',\n"}},
    {"neovim",
     {R"(-- init.lua, with lazy.nvim
{{
    'ggml-org/llama.vim',
    init = function()
        vim.g.llama_config = {{
            endpoint_fim = '{0}/infill',
            endpoint_inst = '{0}/v1/chat/completions',
{2}        }}
    end,
}},
)",
      "            api_key = '{0}',\n"}},
    {"vscode",
     {R"(// settings.json, with the extension ggml-org.llama-vscode
"llama-vscode.endpoint": "{0}",
"llama-vscode.endpoint_chat": "{0}",
{2}"llama-vscode.ask_install_llamacpp": false,
"llama-vscode.rag_enabled": false
)",
      "\"llama-vscode.api_key\": \"{0}\",\n\"llama-vscode.api_key_chat\": \"{0}\",\n"}},
    {"zed",
     {R"(// settings.json
{2}"edit_predictions": {{
  "provider": "open_ai_compatible_api",
  "open_ai_compatible_api": {{
    "api_url": "{0}/v1/completions",
    "model": "{1}",
    "prompt_format": "qwen",
    "max_output_tokens": 64
  }}
}}
)",
      "// Start Zed with ZED_OPEN_AI_COMPATIBLE_EDIT_PREDICTION_API_KEY={0} in its environment.\n"}},
    {"continue",
     {R"(# ~/.continue/config.yaml
name: pie
version: 1.0.0
schema: v1
models:
  - name: pie
    provider: llama.cpp
    model: {1}
    apiBase: {0}
{2}    roles:
      - autocomplete
)",
      "    apiKey: '{0}'\n"}},
    {"minuet",
     {R"(-- init.lua, with milanglacier/minuet-ai.nvim
require('minuet').setup {{
    provider = 'openai_fim_compatible',
    n_completions = 1,
    provider_options = {{
        openai_fim_compatible = {{
            name = 'pie',
            end_point = '{0}/v1/completions',
            model = '{1}',
            api_key = function() return '{3}' end,
            optional = {{ max_tokens = 64 }},
        }},
    }},
}}
)",
      ""}},
    {"cursortab",
     {R"(-- init.lua, with leonardcser/cursortab.nvim
require('cursortab').setup {{
    provider = {{
        type = 'fim',
        url = '{0}',
        model = '{1}',
{2}        max_tokens = 64,
    }},
}}
)",
      "        api_key_env = 'PIE_API_KEY', -- start Neovim with PIE_API_KEY={0} in its environment\n"}},
    {"emacs",
     {R"(;; init.el, with the package minuet
(with-eval-after-load 'minuet
  (setq minuet-provider 'openai-fim-compatible
        minuet-n-completions 1)
  (plist-put minuet-openai-fim-compatible-options :name "pie")
  (plist-put minuet-openai-fim-compatible-options :end-point "{0}/v1/completions")
  (plist-put minuet-openai-fim-compatible-options :model "{1}")
  (plist-put minuet-openai-fim-compatible-options :api-key (lambda () "{3}"))
  (minuet-set-optional-options minuet-openai-fim-compatible-options :max_tokens 64))
)",
      ""}},
};

} // namespace

std::vector<std::string> configurable_editors() {
    std::vector<std::string> names;
    for (const auto& [name, config] : configs) {
        names.push_back(name);
    }
    return names;
}

Result<std::string> editor_config(std::string_view editor, const ConfiguredServer& server) {
    const auto found = configs.find(editor);
    if (found == configs.end()) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("no configuration is known for '{}', but for {}", editor,
                                fmt::join(configurable_editors(), ", ")));
    }
    const EditorConfig& config = found->second;
    const std::string key_lines =
        server.api_key.empty() ? "" : fmt::format(fmt::runtime(config.key_lines), server.api_key);
    const std::string key = server.api_key.empty() ? "none" : server.api_key;
    return fmt::format(fmt::runtime(config.text), server.address, server.model, key_lines, key);
}

} // namespace pie
