#!/usr/bin/env bash
# install_packages.sh GROUP...: installs the packages of these groups of packages.txt that are missing, with apt.
# PIE_SKIP_PACKAGES=1 takes them as there, for systems without apt and for tools installed by other ways.
set -euo pipefail

if [[ ${PIE_SKIP_PACKAGES:-0} == 1 ]]; then
    exit 0
fi

list=$(dirname "$0")/packages.txt
wanted=()
for group in "$@"; do
    mapfile -t -O "${#wanted[@]}" wanted < <(
        awk -v group="[$group]" '/^\[/ { inside = $0 == group } inside && /^[a-z0-9]/' "$list")
done

give_up() {
    printf '%s\n' "$1" "Please install these packages (the names are Debian's and Ubuntu's):" "    $2" \
        "If they are there in another way, run the command again with PIE_SKIP_PACKAGES=1." >&2
    exit 1
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    give_up "This system has no apt." "${wanted[*]}"
fi

installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null || true)
missing=()
for package in "${wanted[@]}"; do
    grep -qxF "installed $package" <<<"$installed" || missing+=("$package")
done
if [[ ${#missing[@]} == 0 ]]; then
    exit 0
fi

as_root=()
if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || give_up "Packages are missing, and there is no sudo." "${missing[*]}"
    as_root=(sudo)
fi
echo "Installing with apt: ${missing[*]}"
# A package source of the user's that fails to update need not matter: the installation decides.
"${as_root[@]}" apt-get update --quiet --quiet || true
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --quiet --no-install-recommends "${missing[@]}" ||
    give_up "apt could not install everything." "${missing[*]}"
