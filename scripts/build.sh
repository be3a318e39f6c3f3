#!/usr/bin/env bash
# build.sh PRESET [--lab] [TARGET...]: builds with a preset of CMakePresets.json; everything where no target is named.
# --lab: the lab is part of everything, from now on. Configures only where that was never finished, or was done for
# another PIE_LLAMA_DIR or without the lab: Ninja sees to the rest.
set -euo pipefail

cd "$(dirname "$0")/.."
preset=$1
shift
options=()
if [[ ${1:-} == --lab ]]; then
    options=(-DPIE_LAB:BOOL=ON)
    shift
fi
llama=${PIE_LLAMA_DIR:+$(realpath "$PIE_LLAMA_DIR")}
if [[ ! -e build/$preset/build.ninja ]] ||
    ! grep -qxF "PIE_LLAMA_DIR:PATH=$llama" "build/$preset/CMakeCache.txt" ||
    { [[ ${#options[@]} -gt 0 ]] && ! grep -qxF "PIE_LAB:BOOL=ON" "build/$preset/CMakeCache.txt"; }; then
    cmake --preset "$preset" -DPIE_LLAMA_DIR:PATH="$llama" "${options[@]}"
fi
targets=()
if [[ $# -gt 0 ]]; then
    targets=(--target "$@")
fi
cmake --build --preset "$preset" "${targets[@]}"
