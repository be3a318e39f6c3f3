#!/usr/bin/env bash
# lint.sh [COMMIT]: checks the format of our C++ files, then them with clang-tidy (as the preset dev compiles them, one by one;
# where a commit is given, those alone that changed since), then the shell scripts. Version 14 of the clang tools
# decides, where there is one: others differ in small things.
set -euo pipefail

cd "$(dirname "$0")/.."
tool() { command -v "$1-14" || command -v "$1"; }
clang_format=$(tool clang-format)
clang_tidy=$(tool clang-tidy)

mapfile -t files < <(scripts/sources.sh '*.h' '*.cpp')
echo "Checking the format of ${#files[@]} files ($("$clang_format" --version))"
"$clang_format" --dry-run -Werror "${files[@]}"

changed() { # of the files that it reads; one that has only moved is as it was
    if [[ -n $1 ]]; then
        grep -Fx -f <(git diff --name-status --find-renames --diff-filter=d "$1" -- '*.cpp' |
            awk '$1 != "R100" { print $NF }') || true
    else
        cat
    fi
}
mapfile -t files < <(scripts/sources.sh '*.cpp' | changed "${1:-}")
echo "Checking ${#files[@]} files with clang-tidy"
# The files are compiled by gcc, with warning options that clang need not know. What is filtered out counts the
# warnings in system headers.
[[ ${#files[@]} -eq 0 ]] || printf '%s\0' "${files[@]}" |
    xargs -0 -n 1 -P "$(nproc)" "$clang_tidy" --quiet -p build/dev \
        --extra-arg=-Wno-unknown-warning-option 2> >(grep -v 'warnings\? generated' >&2)

echo "Checking the shell scripts"
shellcheck -x scripts/*.sh tests/*.sh packaging/*.sh .ci/run
