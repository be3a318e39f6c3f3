" What an editor plugin does, in a few lines: llama.vim's request to /infill for the place of the cursor, and its
" answer put there. $PIE_ENDPOINT says where the server is, $PIE_REPORT where to write what the answers said.

function! s:Request() abort
  let l:line = getline('.')
  let l:before = strpart(l:line, 0, col('.') - 1)
  return {
        \ 'id_slot': 0,
        \ 'input_prefix': join(getline(1, line('.') - 1) + [''], "\n"),
        \ 'input_suffix': join([strpart(l:line, col('.') - 1)] + getline(line('.') + 1, '$') + [''], "\n"),
        \ 'input_extra': [{'text': "int twice(int x);\n", 'time': [1, 2], 'filename': 'twice.h'}],
        \ 'prompt': l:before,
        \ 'n_predict': 16, 'stop': [], 'n_indent': indent('.'), 'top_k': 40, 'top_p': 0.9,
        \ 'samplers': ['top_k', 'top_p', 'infill'], 'stream': v:false, 'cache_prompt': v:true,
        \ 't_max_prompt_ms': 60000, 't_max_predict_ms': 1000, 'model': '',
        \ 'response_fields': ['content', 'timings/prompt_n', 'timings/predicted_n', 'tokens_cached', 'truncated'],
        \ }
endfunction

function! s:Complete() abort
  let l:raw = system(['curl', '--silent', '--no-buffer', '--request', 'POST', '--url', $PIE_ENDPOINT,
        \ '--header', 'Content-Type: application/json', '--header', 'Authorization: Bearer ', '--data', '@-']
        \ ->map({_, word -> shellescape(word)})->join(' '), json_encode(s:Request()))
  " The check that llama.vim makes before it reads an answer.
  if l:raw[0] !=# '{' || l:raw !~# '"content"\s*:"'
    throw 'no answer to read: ' . l:raw
  endif
  return json_decode(l:raw)
endfunction

function! s:Report(name, answer) abort
  call writefile([a:name . ' ' . a:answer['timings/prompt_n'] . ' ' . a:answer['tokens_cached']], $PIE_REPORT, 'a')
endfunction

set virtualedit=onemore " the cursor may stand behind the line, as while somebody types
try
  call search('return $')
  call cursor(line('.'), col('$'))
  call s:Report('first', s:Complete())
  " A line above changes; the completion of the same place follows.
  call setline(1, getline(1) . ' // the sum')
  let s:answer = s:Complete()
  call s:Report('edited', s:answer)
  call setline('.', getline('.') . split(s:answer.content, "\n")[0])
  write
catch
  call writefile([v:exception], $PIE_REPORT, 'a')
  cquit
endtry
quit
