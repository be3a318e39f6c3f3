#!/usr/bin/env bash
# Puts the pinned llama.cpp sources (cmake/llama_version.cmake) into the cache, where cmake/llama.cmake looks for
# them. They are unpacked beside their place and renamed into it, so that the place is empty or whole.
# PIE_LLAMA_DIR names another source tree; nothing is fetched then.
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

mkdir -p "$cache/src"
work=$(mktemp -d "$cache/src/.fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "Fetching the sources of llama.cpp ($package $version, 77 MB, once) into $place"
echo "$package==$version --hash=sha256:$sha256" >"$work/requirements.txt"
if ! python3 -m pip --disable-pip-version-check download --no-deps --require-hashes --no-binary "$package" \
    --requirement "$work/requirements.txt" --dest "$work/download"; then
    echo "pip could not fetch $package $version. Check the network and try again, or set PIE_LLAMA_DIR to a" \
        "llama.cpp source tree." >&2
    exit 1
fi

archives=("$work"/download/*.tar.gz)
if ! echo "$sha256  ${archives[0]}" | sha256sum --check --status; then
    echo "The sha256 of $package $version is not the one in cmake/llama_version.cmake; nothing was unpacked." >&2
    exit 1
fi
mkdir "$work/tree"
tar --extract --gzip --file "${archives[0]}" --directory "$work/tree" --strip-components=1 \
    "${package//-/_}-$version/vendor/llama.cpp"
# Where another run was quicker, its tree is as good as this one.
[[ -e $place/vendor/llama.cpp/include/llama.h ]] || mv --no-target-directory "$work/tree" "$place"
