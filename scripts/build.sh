#!/usr/bin/env bash
# build.sh PRESET [TARGET...]: builds with a preset of CMakePresets.json; everything where no target is named.
# Configures only where that was never finished, or was done for another PIE_LLAMA_DIR: Ninja sees to the rest.
set -euo pipefail

cd "$(dirname "$0")/.."
preset=$1
shift
llama=${PIE_LLAMA_DIR:+$(realpath "$PIE_LLAMA_DIR")}
if [[ ! -e build/$preset/build.ninja ]] ||
    ! grep -qxF "PIE_LLAMA_DIR:PATH=$llama" "build/$preset/CMakeCache.txt"; then
    cmake --preset "$preset" -DPIE_LLAMA_DIR:PATH="$llama"
fi
targets=()
if [[ $# -gt 0 ]]; then
    targets=(--target "$@")
fi
cmake --build --preset "$preset" "${targets[@]}"
