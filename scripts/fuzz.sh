#!/usr/bin/env bash
# fuzz.sh SECONDS: runs each libFuzzer target of build/fuzz for so long, from the seeds in src/server/fuzz/corpus
# and from what earlier runs found. An input that breaks something is left beside them, in build/fuzz.
set -euo pipefail

cd "$(dirname "$0")/.."
seconds=$1
for target in request document; do
    found=build/fuzz/corpus/$target
    log=build/fuzz/$target.log
    mkdir -p "$found"
    echo "Fuzzing ${target}s for $seconds s"
    if ! "build/fuzz/bin/${target}_fuzz" -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 \
        -dict=src/server/fuzz/json.dict -artifact_prefix="build/fuzz/$target-" -print_final_stats=1 \
        "$found" "src/server/fuzz/corpus/$target" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        exit 1
    fi
    grep -E '^stat::(number_of_executed_units|new_units_added)' "$log"
done
