#pragma once

// For tests: what llama.vim and llama.vscode send, written from their sources' contract field by field.

#include <string_view>

namespace pie::test {

inline constexpr std::string_view vim_infill = R"({"id_slot":0,
 "input_prefix":"import sys\n\ndef total(items):\n    result = 0\n",
 "input_suffix":"\n    return result\n",
 "input_extra":[{"text":"def mean(items):\n    return total(items) / len(items)\n","time":[1755590000,123456],
                 "filename":"statistics.py"}],
 "prompt":"    for item in ","n_predict":8,"stop":[],"n_indent":4,
 "top_k":40,"top_p":0.90,"samplers":["top_k","top_p","infill"],"stream":false,"cache_prompt":true,
 "t_max_prompt_ms":500,"t_max_predict_ms":250,
 "response_fields":["content","timings/prompt_n","timings/prompt_ms","timings/prompt_per_token_ms",
  "timings/prompt_per_second","timings/predicted_n","timings/predicted_ms","timings/predicted_per_token_ms",
  "timings/predicted_per_second","truncated","tokens_cached"],"model":""})";

inline constexpr std::string_view vim_warm_up = R"({"id_slot":0,"input_prefix":"","input_suffix":"",
 "input_extra":[{"text":"def mean(items):\n    return total(items) / len(items)\n","time":[1755590000,123456],
                 "filename":"statistics.py"},
                {"text":"def product(items):\n    return 1\n","time":[1755590001,1],"filename":"product.py"}],
 "prompt":"","n_predict":0,"temperature":0.0,
 "samplers":[],"stream":false,"cache_prompt":true,"t_max_prompt_ms":1,"t_max_predict_ms":1,"response_fields":[""]})";

inline constexpr std::string_view vscode_infill = R"({"id_slot":0,
 "input_prefix":"import sys\n\ndef total(items):\n    result = 0\n",
 "input_suffix":"\n    return result\n",
 "input_extra":[{"text":"def mean(items):\n    return 1\n","time":1755590000000,"filename":"/src/statistics.py"}],
 "prompt":"    for item in ","n_predict":8,"n_cmpl":3,"top_k":40,"top_p":0.99,"stream":false,
 "samplers":["top_k","top_p","infill"],"cache_prompt":true,"n_indent":4,"t_max_prompt_ms":500,
 "t_max_predict_ms":500,"lora":[{"id":0,"scale":0.5}],"model":"x"})";

inline constexpr std::string_view vscode_warm_up = R"({"id_slot":0,"input_prefix":"","input_suffix":"",
 "input_extra":[{"text":"def mean(items):\n    return 1\n","time":1755590000000,"filename":"/src/statistics.py"}],
 "prompt":"","n_predict":0,"samplers":[],"cache_prompt":true,"t_max_prompt_ms":500,"t_max_predict_ms":1,
 "model":"x"})";

} // namespace pie::test
