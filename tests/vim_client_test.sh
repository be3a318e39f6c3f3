#!/usr/bin/env bash
# vim_client_test.sh PIE MODEL: a real Vim asks `pie serve` as llama.vim does with its defaults. The first prompt takes
# longer than the plug-in means to wait, and its completion is shown all the same; after an edit the next one costs a
# few tokens only.
set -euo pipefail

pie=$1 model=$2
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
"$pie" serve --port 0 -m "$model" --threads 1 >"$work/log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" || true; rm -rf "$work"' EXIT

for _ in $(seq 600); do
    grep -q 'listening on' "$work/log" && break
    sleep 0.1
done
PIE_ENDPOINT=$(sed -n 's/.*listening on \(http[^ ]*\).*/\1/p' "$work/log")/infill
PIE_REPORT=$work/report
export PIE_ENDPOINT PIE_REPORT

{
    for i in $(seq 60); do printf 'int add%d(int a) {\n    return add(a, %d);\n}\n\n' "$i" "$i"; done
    printf 'int add(int a, int b) {\n    return \n}\n'
    for i in $(seq 60 80); do printf '\nint add%d(int a) {\n    return add(a, %d);\n}\n' "$i" "$i"; done
} >"$work/add.c"
cp "$work/add.c" "$work/before.c"
vim -es -u NONE -N -i NONE -S "$root/tests/vim/complete.vim" "$work/add.c" || true

cat "$work/report" "$work/log"
diff "$work/before.c" "$work/add.c" || true
read -r _ first_ms encoded_first _ < <(grep '^first ' "$work/report")
read -r _ _ encoded_edited cached < <(grep '^edited ' "$work/report")
((first_ms > 500)) # else the machine is too fast for this file, and the test shows nothing
((encoded_first > 500 && encoded_edited < 100 && cached > 500))
if grep -q '^again ' "$work/report"; then
    exit 1
fi
grep -q '; late: its prompt was ready after ' "$work/log"
grep -q '^    return .' "$work/add.c"
! grep -q '^    return $' "$work/add.c"
