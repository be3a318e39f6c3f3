#!/usr/bin/env bash
# fetch_source.sh NAME VERSION SHA256 PATH PLACE: what a distribution of sources that pip finds holds below PATH, put
# into the folder PLACE. It is unpacked beside PLACE and renamed into it, so that PLACE is missing or whole.
set -euo pipefail

name=$1 version=$2 sha256=$3 path=$4 place=$5

mkdir -p "$(dirname "$place")"
work=$(mktemp -d "$(dirname "$place")/.fetch-XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "Fetching the sources of $name $version (once) into $place"
echo "$name==$version --hash=sha256:$sha256" >"$work/requirements.txt"
if ! python3 -m pip --quiet --disable-pip-version-check download --no-deps --require-hashes --no-binary "$name" \
    --requirement "$work/requirements.txt" --dest "$work/download"; then
    echo "pip could not fetch $name $version. Check the network and try again." >&2
    exit 1
fi

archives=("$work"/download/*.tar.gz)
if ! echo "$sha256  ${archives[0]}" | sha256sum --check --status; then
    echo "The sha256 of $name $version is not the pinned one; nothing was unpacked." >&2
    exit 1
fi
mkdir "$work/tree"
tar --extract --gzip --file "${archives[0]}" --directory "$work/tree" --strip-components=1 \
    "$(basename "${archives[0]}" .tar.gz)/$path"
# Where another run was quicker, its tree is as good as this one.
[[ -e $place ]] || mv --no-target-directory "$work/tree" "$place"
