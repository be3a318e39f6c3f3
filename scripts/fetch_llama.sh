#!/usr/bin/env bash
# Puts the pinned llama.cpp sources (cmake/llama_version.cmake) into the cache, where cmake/llama.cmake looks for
# them. PIE_LLAMA_DIR names another source tree; nothing is fetched then.
set -euo pipefail

# shellcheck source=scripts/pinned.sh
source "$(dirname "$0")/pinned.sh"

if [[ -n ${PIE_LLAMA_DIR:-} ]]; then
    if [[ ! -e $PIE_LLAMA_DIR/include/llama.h ]]; then
        echo "PIE_LLAMA_DIR is set to '$PIE_LLAMA_DIR', but there is no include/llama.h in it." >&2
        exit 1
    fi
    exit 0
fi

place=$pinned_place
if [[ -e $place/vendor/llama.cpp/include/llama.h ]]; then
    exit 0
fi

# 77 MB.
if ! "$root/scripts/fetch_source.sh" "$package" "$version" "$sha256" vendor/llama.cpp "$place"; then
    echo "PIE_LLAMA_DIR can name a llama.cpp source tree instead." >&2
    exit 1
fi
