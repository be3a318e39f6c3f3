#!/usr/bin/env bash
# Puts tree-sitter's runtime and grammars (cmake/tree_sitter_versions.txt) into the cache, where
# cmake/tree_sitter.cmake looks for them.
set -euo pipefail

# shellcheck source=scripts/pinned.sh
source "$(dirname "$0")/pinned.sh"

while IFS=' =:' read -r name _ version _ _ sha256; do
    place=$cache/src/$name-$version
    [[ -e $place ]] && continue
    path=src
    [[ $name == tree-sitter ]] && path=tree_sitter/core/lib
    "$root/scripts/fetch_source.sh" "$name" "$version" "$sha256" "$path" "$place"
done < <(grep '^tree-sitter' "$root/cmake/tree_sitter_versions.txt")
