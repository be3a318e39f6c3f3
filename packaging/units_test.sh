#!/usr/bin/env bash
# units_test.sh SYSTEMD_ANALYZE PIE FOLDER: what systemd says of the units in FOLDER/user and FOLDER/system, with
# the built program in the place of the installed one: no complaint, and little that an attacker could reach.
set -euo pipefail

analyze=$1 pie=$2 folder=$3
work=$(mktemp -d)
export XDG_RUNTIME_DIR=$work # the user manager wants one
trap 'rm -rf "$work"' EXIT

for manager in user system; do
    mkdir "$work/$manager"
    unit=$work/$manager/pie.service
    sed "s|^ExecStart=[^ ]*|ExecStart=$pie|" "$folder/$manager/pie.service" >"$unit"
    grep -q "^ExecStart=$pie serve " "$unit"
    said=$("$analyze" verify --man=no "--$manager" "$unit" 2>&1) || {
        echo "$said"
        exit 1
    }
    echo "$said"
    [[ $said != *"$unit"* ]]
done
# From 0 to 10, here in tenths; a unit without any of this has 9.6.
"$analyze" security --offline=yes --threshold=25 "$work/system/pie.service" | tail -n 1
