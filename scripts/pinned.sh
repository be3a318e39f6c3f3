# shellcheck shell=bash disable=SC2034
# For the scripts that source it: what cmake/llama_version.cmake pins, and where the cache and the sources are.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
pinned() { sed -n "s/^set(PIE_LLAMA_$1 \(.*\))\$/\1/p" "$root/cmake/llama_version.cmake"; }
package=$(pinned PACKAGE)
version=$(pinned VERSION)
sha256=$(pinned SHA256)
gcc_flags=$(pinned GCC_FLAGS)

# As the XDG base directory specification wants it, a relative XDG_CACHE_HOME does not count.
cache=${XDG_CACHE_HOME:-}
[[ $cache == /* ]] || cache=$HOME/.cache
cache=$cache/pie
pinned_place=$cache/src/$package-$version
