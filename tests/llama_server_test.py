#!/usr/bin/env python3
"""llama_server_test.py PIE LLAMA_SERVER MODEL_NAME: the same /infill requests to llama-server and to
`pie serve --infill-layout cursor`, on fresh caches at temperature 0, must give the same completions.

The requests are cursors in this project's own files, with and without context, bare and as editors send them.
Prompts must have the same number of tokens. Two programs do not round alike, so that a near tie between two tokens
may go either way: a difference is excused where both servers thought the other's token almost as likely as their
own, and printed with the reason. At least nine of ten completions must be equal.
"""

import json
import math
import pathlib
import random
import re
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILES = [
    "tests/layers_test.py",
    "tests/data/inventory.py",
    "src/text/document.cpp",
    "src/cache/diff.h",
    "examples/complete.c",
    "scripts/install_packages.sh",
    "cmake/options.cmake",
    "tests/vim/complete.vim",
]
CASES = 24
SHARE_EQUAL_MIN = 0.9
NEAR_TIE_NATS = 0.1
START_SECONDS_MAX = 120


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A server process of its own, asked over loopback."""

    def __init__(self, command):
        self.port = free_port()
        self.process = subprocess.Popen(
            [*command, "--port", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def __enter__(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
                    return self
            except OSError:
                time.sleep(0.1)
        self.process.kill()
        raise RuntimeError(f"{self.process.args[0]} does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def ask(self, request):
        data = json.dumps(request).encode()
        url = f"http://127.0.0.1:{self.port}/infill"
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=300) as response:
            return json.load(response)


def make_cases():
    """Cursors at the ends of words and within them, each in a window of lines as editors send it."""
    choose = random.Random(1)
    cases = []
    while len(cases) < CASES:
        name = FILES[len(cases) % len(FILES)]
        text = (ROOT / name).read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        at = choose.randrange(3, len(lines) - 3)
        line = lines[at].rstrip("\n")
        if len(line.strip()) < 8:
            continue
        column = choose.randrange(len(line) - len(line.lstrip()), len(line))
        others = [other for other in FILES if other != name]
        chunks = []
        for other in choose.sample(others, len(cases) // len(FILES)):
            part = (ROOT / other).read_text(encoding="utf-8").splitlines(keepends=True)[:24]
            chunks.append({"filename": other, "text": "".join(part)})
        if chunks and len(cases) % 3 == 0:
            chunks[0]["text"] = chunks[0]["text"].rstrip("\n")
        request = {
            "input_prefix": "".join(lines[max(0, at - 24) : at]),
            "prompt": line[:column],
            "input_suffix": line[column:] + "\n" + "".join(lines[at + 1 : at + 13]),
            "input_extra": chunks,
            "n_predict": 32,
            "temperature": 0,
            "cache_prompt": False,
            "n_probs": 8,
            "return_tokens": True,
        }
        if len(cases) % 2 == 0:
            request |= {"n_indent": len(re.match(r"\s*", line)[0]), "samplers": ["top_k", "infill", "temperature"]}
        cases.append((f"{name}:{at + 1}:{column + 1}, {len(chunks)} chunks", request))
    return cases


def log_probability(answer, index, token):
    """Of a token at a place in an answer; minus infinity where it is not among the likeliest."""
    places = answer["completion_probabilities"]
    for entry in places[index]["top_logprobs"] if index < len(places) else []:
        if entry["id"] == token:
            return entry["logprob"]
    return -math.inf


def explain(ours, theirs):
    """Why two answers differ, and whether rounding excuses it."""
    pairs = zip(ours["tokens"], theirs["tokens"])
    index = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
    if index is None:
        return f"they stop apart: {ours['stop_type']} here, {theirs['stop_type']} there", False
    a, b = ours["tokens"][index], theirs["tokens"][index]
    gaps = [log_probability(x, index, y) - log_probability(x, index, z) for x, y, z in ((ours, a, b), (theirs, b, a))]
    is_tie = all(gap < NEAR_TIE_NATS for gap in gaps)
    return f"token {index}: gaps of {gaps[0]:.3f} and {gaps[1]:.3f} nats", is_tie


def compare(pie, llama_server, model):
    path = subprocess.run([pie, "model", "path", model], check=True, capture_output=True, text=True).stdout.strip()
    n_equal = 0
    n_failed = 0
    cases = make_cases()
    ours_command = [pie, "serve", "-m", path, "--infill-layout", "cursor"]
    with Server(ours_command) as ours, Server([llama_server, "-m", path, "-c", "8192"]) as theirs:
        for name, request in cases:
            our_answer, their_answer = ours.ask(request), theirs.ask(request)
            n_tokens = our_answer["reuse"]["tokens_context"]
            if n_tokens != their_answer["tokens_evaluated"]:
                print(f"{name}: the prompt has {n_tokens} tokens, and {their_answer['tokens_evaluated']} there")
                n_failed += 1
            elif our_answer["content"] == their_answer["content"]:
                n_equal += 1
            else:
                reason, is_excused = explain(our_answer, their_answer)
                print(f"{name}: {our_answer['content']!r} is {their_answer['content']!r} there; {reason}")
                n_failed += 0 if is_excused else 1
    print(f"{n_equal} of {len(cases)} completions are equal, {n_failed} differ without an excuse")
    return n_failed == 0 and n_equal >= SHARE_EQUAL_MIN * len(cases)


def main():
    if len(sys.argv) != 4:
        print(f"usage: {sys.argv[0]} PIE LLAMA_SERVER MODEL_NAME", file=sys.stderr)
        return 2
    return 0 if compare(*sys.argv[1:]) else 1


if __name__ == "__main__":
    sys.exit(main())
