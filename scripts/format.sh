#!/usr/bin/env bash
# Rewrites our C++ files in the house format.
set -euo pipefail

cd "$(dirname "$0")/.."
clang_format=$(command -v clang-format-14 || command -v clang-format)
scripts/sources.sh '*.h' '*.cpp' | xargs "$clang_format" -i
