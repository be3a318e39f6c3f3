#!/usr/bin/env bash
# Prints our C++ files, one a line, those that git does not know yet included. Arguments are git patterns.
set -euo pipefail

cd "$(dirname "$0")/.."
git ls-files --cached --others --exclude-standard --deduplicate -- "$@"
