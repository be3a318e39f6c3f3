#!/usr/bin/env bash
# Builds the programs that `make bench` measures against, from the same llama.cpp sources and with the options
# that upstream ships, once per machine into the cache. Prints the folder they are in; progress goes to stderr.
set -euo pipefail

# shellcheck source=scripts/pinned.sh
source "$(dirname "$0")/pinned.sh"
sources=${PIE_LLAMA_DIR:-$pinned_place/vendor/llama.cpp}

# ggml is compiled for this machine's processor, so the key holds its features.
features=$(grep -m1 -E '^(flags|Features)' /proc/cpuinfo || true)
programs=(llama-bench llama-quantize llama-server)
compiler=$("${CXX:-c++}" --version)
[[ $compiler == *"Free Software Foundation"* ]] || gcc_flags=
key=$(echo "$sources;${programs[*]};$compiler;$gcc_flags;$features" | sha256sum | cut -c1-12)
place=$cache/peers/$version-$key

mkdir -p "$place"
exec 9>"$place/lock"
flock 9 # a second run waits for the first
if [[ ! -e $place/built ]]; then
    {
        echo "Building ${programs[*]} into $place (once, some minutes)"
        cmake -S "$sources" -B "$place/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
            -DCMAKE_CXX_FLAGS="$gcc_flags" -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF \
            -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_ALL_WARNINGS=OFF -DGGML_ALL_WARNINGS=OFF
        cmake --build "$place/build" --parallel "$(nproc)" --target "${programs[@]}"
        for program in "${programs[@]}"; do
            mv "$place/build/bin/$program" "$place/$program"
        done
        rm -rf "$place/build"
        touch "$place/built"
    } >&2
fi
echo "$place"
