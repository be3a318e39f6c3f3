#!/usr/bin/env bash
# eval_results.sh [MODEL] [SAMPLES] [OUT]: the measurements of docs/lab/results.md, over source trees named by package
# and version, which land in the cache. SAMPLES are of each language and setting. Run again, it goes on where it
# was, and with more SAMPLES it adds to what is there. PARTS names some of checks, tasks, budgets, long, keys and
# problems; "problems" runs code that the model wrote, in a sandbox, and needs HUMAN_EVAL, the path of
# HumanEval.jsonl.gz. The Java sources need Maven.
set -euo pipefail

# shellcheck source=scripts/pinned.sh
source "$(dirname "$0")/pinned.sh"
model=${1:-qwen2.5-coder-0.5b}
samples=${2:-10}
out=${3:-$cache/eval/$model}
pie_lab=$root/build/release/bin/pie-lab
sources=$cache/src
data=$cache/eval/samples
mkdir -p "$sources" "$data" "$out" "$root/lab/results/eval"

unpack() { # FOLDER ARCHIVE...: wheels and archives of sources are zip files
    local folder=$1
    shift
    for archive in "$@"; do
        python3 -m zipfile -e "$archive" "$folder"
        rm "$archive"
    done
}

fetch_python() { # NAME VERSION: a pure Python package, as its wheel holds it
    local folder=$sources/$1-$2
    if [[ ! -d $folder ]]; then
        rm -rf "$folder.part"
        mkdir -p "$folder.part"
        python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$folder.part" "$1==$2"
        unpack "$folder.part" "$folder.part"/*.whl
        mv "$folder.part" "$folder"
    fi
}

fetch_java() { # GROUP NAME VERSION: a library, as its archive of sources holds it
    local folder=$sources/$2-$3
    if [[ ! -d $folder ]]; then
        rm -rf "$folder.part"
        mkdir -p "$folder.part"
        mvn --quiet dependency:copy "-Dartifact=$1:$2:$3:jar:sources" "-DoutputDirectory=$folder.part"
        unpack "$folder.part" "$folder.part"/*.jar
        mv "$folder.part" "$folder"
    fi
}

build() { # FOLDER LANGUAGE SUFFIX FEWEST MOST: prompts of so many tokens
    local file=$data/$1$3.jsonl
    [[ -e $file ]] || "$pie_lab" eval build --repo "$sources/$1" --name "${1%-*}" --lang "$2" -n 40 --seed 1 \
        --tokens-min "$4" --tokens-max "$5" --out "$file"
    files+=("$file")
}

build_all() { # SUFFIX FEWEST MOST
    files=()
    for folder in flask-3.0.3 rich-13.7.1 networkx-3.3; do build "$folder" python "$@"; done
    for folder in commons-lang3-3.14.0 gson-2.11.0; do build "$folder" java "$@"; done
}

measure() { # SAMPLES EDITS METHODS [OUT [CONTEXT]]
    "$pie_lab" eval run -m "$model" -n "$1" --seed 1 --out "${4:-$out}" -c "${5:-4096}" --edits "$2" --methods "$3" \
        --data "${files[@]}" >"$out/log.md"
}

keep() { # FOLDER: what was measured there, under the same name below lab/results/eval
    local packed=$root/lab/results/eval/${1#"$out"}
    mkdir -p "$packed"
    gzip -9 -c "$1/results.jsonl" >"$packed/$model.jsonl.gz"
}

fetch_python flask 3.0.3
fetch_python rich 13.7.1
fetch_python networkx 3.3
fetch_java org.apache.commons commons-lang3 3.14.0
fetch_java com.google.code.gson gson 2.11.0

edits=insertion,deletion,edition,contextual-single-5,contextual-single-15,contextual-multi-5,contextual-multi-15,rename,typing
methods=full,reuse,cfe,pie,pie+seam:1,pie+seam,pie+attention:16,pie+attention:64
budgets=full,pie,pie+seam:1,pie+seam:2,pie+seam:4,pie+seam:8,pie+seam:16,pie+seam:32,pie+seam:64
budgets+=,pie+attention:8,pie+attention:12,pie+attention:16
for part in ${PARTS:-checks tasks budgets long keys problems}; do
    echo "== $part: $(date)" >&2
    build_all "" 1000 1800
    case $part in
    checks) measure 5 insertion,typing full,full:64,prefix,pie,pie+seam,pie+heal,other-sample,rotate+1 ;;
    tasks) measure "$samples" "$edits" "$methods" ;;
    budgets)
        # By themselves, so that tables show methods over the same rows.
        measure 3 typing,insertion,contextual-single-5,contextual-multi-5 "$budgets" "$out/budgets"
        keep "$out/budgets"
        ;;
    long)
        build_all -long 2500 3800
        measure 3 "$edits" "$methods" "$out/long" 6144
        keep "$out/long"
        ;;
    keys) measure 3 keystrokes-20,keystrokes-60,keystrokes-120 full,pie,pie+seam:1,pie+seam ;;
    problems)
        "$pie_lab" eval run -m "$model" -n 60 --seed 1 --out "$out" --edits insertion-3 --run-code \
            --methods full,reuse,cfe,pie,pie+seam,pie+attention:12 --data "${HUMAN_EVAL:?}" >"$out/log.md"
        ;;
    *) echo "There is no part '$part'; see the head of $0." >&2 && exit 2 ;;
    esac
done
keep "$out"
