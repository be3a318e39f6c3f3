#!/usr/bin/env python3
"""Holds the tree to its layers. Prints each violation as file:line and ends with status 1 where there is one.

A room includes only itself, the rooms before it and <pie/...>; the rooms of lab/ come behind those of src/; a
public header includes nothing of src/;
no folder or file is called utils, common or misc; no source has more than 1,000 lines; no file names a path of
somebody's machine or the host of a package registry.

--self-test runs the same checks on a made tree that breaks each rule once, and expects exactly those violations.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

PRODUCT_ROOMS = ["base", "text", "model", "prompt", "cache", "engine", "session", "library", "server", "cli"]
LAB_ROOMS = ["eval", "bench", "commands", "programs"]
ROOMS = PRODUCT_ROOMS + LAB_ROOMS
ROOMS_OF_FOLDER = {"src": PRODUCT_ROOMS, "lab": LAB_ROOMS}
RESULTS = pathlib.PurePosixPath("lab/results")
VAGUE_NAMES = {"utils", "common", "misc"}
SOURCE_SUFFIXES = {".h", ".cpp", ".py", ".sh", ".cmake", ".js", ".ts", ".lua", ".vim"}
SOURCE_LINES_MAX = 1000

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
# The patterns are written in pieces so that this file does not hold what it looks for.
HOME_FOLDERS = [r"home/\w", r"Users/\w", r"root\b", r"work/"]
MACHINE_PATH = re.compile(r"(?<![\w.~$})])/(?:" + "|".join(HOME_FOLDERS) + ")")
REGISTRY_HOSTS = [
    ("py" "pi", "org"),
    ("python" "hosted", "org"),
    ("npm" "js", "org"),
    ("npm" "js", "com"),
    ("cra" "tes", "io"),
    ("proxy.go" "lang", "org"),
    ("rubygems", "org"),
    ("maven.apache", "org"),
    ("deb.deb" "ian", "org"),
    ("archive.ubuntu", "com"),
]
REGISTRY_HOST = re.compile("|".join(rf"\b{re.escape(name)}\.{domain}\b" for name, domain in REGISTRY_HOSTS))


def project_files(root):
    """The files git tracks or would track; every file where the tree is no git repository of its own."""
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\0")
        paths = {pathlib.PurePosixPath(name) for name in names if name}
    else:
        paths = {pathlib.PurePosixPath(path.relative_to(root).as_posix()) for path in root.rglob("*")}
        paths = {path for path in paths if path.parts[0] != "build"}
    return sorted(path for path in paths if (root / path).is_file())


def room_of(path):
    """The room that a path lies in, or None outside of src/ and lab/ and for what lies in no room."""
    parts = path.parts
    return parts[1] if len(parts) > 2 and parts[1] in ROOMS_OF_FOLDER.get(parts[0], []) else None


def check_name(path):
    for part in path.parts:
        if pathlib.PurePosixPath(part).stem in VAGUE_NAMES:
            yield 1, f"'{part}' says nothing about what it holds"
    rooms = ROOMS_OF_FOLDER.get(path.parts[0])
    if rooms and path.suffix in SOURCE_SUFFIXES and room_of(path) is None and not path.is_relative_to(RESULTS):
        yield 1, "belongs to no room; the rooms are " + ", ".join(rooms)


def check_include(path, target):
    first, slash, _ = target.partition("/")
    if ".." in target.split("/"):
        yield f"'{target}' climbs out of its folder; name the room instead"
    elif not slash or first not in ROOMS:
        return
    elif path.parts[0] == "include":
        yield f"a public header includes '{target}' of src/"
    elif (own := room_of(path)) and ROOMS.index(first) > ROOMS.index(own):
        yield f"'{own}' comes before '{first}', so it may not include '{target}'"


def check_text(path, text):
    lines = text.splitlines()
    if path.suffix in SOURCE_SUFFIXES and len(lines) > SOURCE_LINES_MAX:
        yield SOURCE_LINES_MAX + 1, f"has {len(lines)} lines; {SOURCE_LINES_MAX} are the most"
    for number, line in enumerate(lines, start=1):
        include = INCLUDE.match(line)
        if include and path.suffix in {".h", ".cpp"}:
            for message in check_include(path, include[1]):
                yield number, message
        if found := MACHINE_PATH.search(line):
            yield number, f"'{found[0]}' begins a path of one machine"
        if found := REGISTRY_HOST.search(line):
            yield number, f"'{found[0]}' is the host of a package registry"


def violations(root):
    found = []
    for path in project_files(root):
        found += [(str(path), number, message) for number, message in check_name(path)]
        content = (root / path).read_bytes()
        if b"\0" not in content:
            text = content.decode("utf-8", errors="replace")
            found += [(str(path), number, message) for number, message in check_text(path, text)]
    return found


SELF_TEST_TREE = {
    "include/pie/good.h": '#include <pie/types.h>\n#include "result.h"\n#include <vector>\n',
    "include/pie/bad.h": '#pragma once\n#include "base/check.h"\n',
    "src/base/good.h": "#include <pie/types.h>\n",
    "src/cache/good.cpp": '#include "base/good.h"\n#include "cache/good.h"\n#include <common/third_party.h>\n',
    "src/cache/upwards.cpp": '\n  #  include "session/live_document.h"\n',
    "src/cache/angle.cpp": "#include <cli/demo.h>\n",
    "src/cache/dots.cpp": '#include "../base/good.h"\n',
    "src/loose.cpp": "\n",
    "src/attic/old.cpp": "\n",
    "src/eval/old.cpp": "\n",
    "src/cli/measures.cpp": '#include "eval/good.h"\n',
    "lab/eval/good.cpp": '#include "cli/good.h"\n#include "eval/good.h"\n',
    "lab/eval/upwards.cpp": '#include "commands/demo.h"\n',
    "lab/loose.cpp": "\n",
    "lab/results/zen/data.h": "\n",
    "src/text/utils/trim.cpp": "\n",
    "src/text/misc.h": "\n",
    "tests/crosses_rooms.cpp": '#include "cli/demo.h"\n',
    "src/text/long.cpp": "\n" * 1001,
    "src/text/full.cpp": "\n" * 1000,
    "docs/paths.md": "see ~/.cache/pie, $HOME/wo" + "rk/x, and src/root/x\n\nor /ho" + "me/ann/pie\n",
    "docs/other_paths.md": "/ro" + "ot/.cache\n/wo" + "rk/pie\n/Us" + "ers/ann\n",
    "docs/hosts.md": "from files.python" + "hosted.org\nand py" + "pi.org, not mypy" + "pi.organ\n",
    "data/blob.bin": "\0 /ro" + "ot/x\n",
}
SELF_TEST_EXPECTED = {
    ("include/pie/bad.h", 2),
    ("src/cache/upwards.cpp", 2),
    ("src/cache/angle.cpp", 1),
    ("src/cache/dots.cpp", 1),
    ("src/loose.cpp", 1),
    ("src/attic/old.cpp", 1),
    ("src/eval/old.cpp", 1),
    ("src/cli/measures.cpp", 1),
    ("lab/eval/upwards.cpp", 1),
    ("lab/loose.cpp", 1),
    ("src/text/utils/trim.cpp", 1),
    ("src/text/misc.h", 1),
    ("src/text/long.cpp", 1001),
    ("docs/paths.md", 3),
    ("docs/other_paths.md", 1),
    ("docs/other_paths.md", 2),
    ("docs/other_paths.md", 3),
    ("docs/hosts.md", 1),
    ("docs/hosts.md", 2),
}


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, content in SELF_TEST_TREE.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content, encoding="utf-8")
        found = {(name, number) for name, number, _ in violations(root)}
    for name, number in sorted(SELF_TEST_EXPECTED - found):
        print(f"{name}:{number}: a violation that was not found")
    for name, number in sorted(found - SELF_TEST_EXPECTED):
        print(f"{name}:{number}: found where there is no violation")
    return 0 if found == SELF_TEST_EXPECTED else 1


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:]:
        print(f"usage: {sys.argv[0]} [--self-test]", file=sys.stderr)
        return 2
    root = pathlib.Path(__file__).resolve().parent.parent
    found = violations(root)
    for name, number, message in found:
        print(f"{name}:{number}: {message}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
