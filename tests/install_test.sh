#!/usr/bin/env bash
# install_test.sh BUILD PIE MODEL: installs the library from a build folder into an empty place, builds the
# examples against that alone, as another project would, and runs them on a model of the catalogue.
set -euo pipefail

build=$1 pie=$2 model=$3
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

quietly() {
    "$@" >"$work/log" || {
        cat "$work/log"
        exit 1
    }
}

quietly cmake --install "$build" --prefix "$work/prefix"
if grep -rq "$root" "$work/prefix" --include='*.cmake' --include='*.pc' --include='*.h'; then
    echo "An installed file names the source tree."
    exit 1
fi

for unit in "$work"/prefix/lib/systemd/{user,system}/pie.service; do
    grep -q "^ExecStart=$work/prefix/bin/pie serve " "$unit"
done
if printf '#include <pie/model.h>\n' |
    c++ -std=c++17 -fsyntax-only -I"$work/prefix/include" -x c++ - 2>"$work/log"; then
    echo "An older C++ is not refused."
    exit 1
fi
grep -q "headers need C++20" "$work/log"

quietly cmake -S "$root/examples" -B "$work/cpp" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix"
quietly cmake --build "$work/cpp"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$work/prefix" -name pie.pc)")
read -ra flags < <(pkg-config --cflags --libs pie)
cc -std=c11 -Wall -Wextra -Wpedantic -Werror -o "$work/complete_c" "$root/examples/complete.c" "${flags[@]}" \
    "-Wl,-rpath,$(pkg-config --variable=libdir pie)"

printf 'int sum(int a, int b) {\n    return a' >"$work/sum.c"
file=$("$pie" model path "$model")
cpp=$("$work/cpp/complete" "$file" "$work/sum.c" 2>"$work/reports")
c=$("$work/complete_c" "$file" "$work/sum.c")
echo "C++: $cpp"
echo "C: $c"
cat "$work/reports"
[[ -n $c && $cpp == "$c"* ]]
