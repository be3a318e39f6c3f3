#!/usr/bin/env bash
# vim_client_test.sh PIE MODEL: a real Vim completes a file through `pie serve`, edits it, and completes it again;
# the second answer must have cost a few tokens only.
set -euo pipefail

pie=$1 model=$2
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
"$pie" serve --port 0 -m "$model" >"$work/log" 2>&1 &
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
    printf 'int add(int a, int b) {\n    return \n}\n'
    for i in $(seq 40); do printf '\nint add%d(int a) {\n    return add(a, %d);\n}\n' "$i" "$i"; done
} >"$work/add.c"
cp "$work/add.c" "$work/before.c"
vim -es -u NONE -N -i NONE -S "$root/tests/vim/complete.vim" "$work/add.c" || true

cat "$work/report"
diff "$work/before.c" "$work/add.c" || true
read -r _ encoded_first _ < <(grep '^first ' "$work/report")
read -r _ encoded_edited cached < <(grep '^edited ' "$work/report")
((encoded_first > 500 && encoded_edited < 100 && cached > 500))
grep -q '^    return .' "$work/add.c"
! grep -q '^    return $' "$work/add.c"
