#!/usr/bin/env bash
# llama_server_test.sh PIE MODEL: builds llama-server, if that was not done before, and compares it with `pie serve`.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
peers=$("$root/scripts/build_peers.sh")
exec python3 "$root/tests/llama_server_test.py" "$1" "$peers/llama-server" "$2"
