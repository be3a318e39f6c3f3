#!/usr/bin/env python3
"""Draws the results of `pie bench --against llama-server --out DIR` as SVG and PNG, into DIR.

time_by_context: the time from an edit to the first token over the length of the context, a panel for each
workload. time_by_edit_size: the same over the tokens that were inserted, a panel for each place, at the longest
context. Medians, with the 99th percentile (the largest of fewer than 100) as a thin line.
"""

import collections
import json
import math
import pathlib
import re
import sys

import matplotlib

matplotlib.use("Agg")  # no display is needed
import matplotlib.pyplot as plt  # noqa: E402

SYSTEMS = ["pie", "limit", "llama.vim", "reuse-1", "line-last", "suffix-first"]
COLUMNS_MAX = 3
INSERTION = re.compile(r"insert-(\d+)-at-(.+)")


def read_results(folder):
    """Times by (model, workload, system, context); of a cell that was measured twice, the later ones."""
    times = {}
    for line in (folder / "serving.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if any(entry["first_ms"]):
            key = (entry["model"], entry["workload"], entry["system"], entry["context"])
            times[key] = sorted(value for value in entry["first_ms"] if value > 0)  # 0: no limit at that step
    return times


def quantile(values, share):
    return values[max(math.ceil(share * len(values)), 1) - 1]


def draw(path, title, x_label, panels):
    """`panels`: name -> system -> {x: times}."""
    columns = min(len(panels), COLUMNS_MAX)
    rows = math.ceil(len(panels) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.6 * columns, 3.4 * rows), squeeze=False)
    for axis, (name, curves) in zip(axes.flat, panels.items()):
        for index, system in enumerate(SYSTEMS):
            points = sorted(curves.get(system, {}).items())
            if not points:
                continue
            xs = [x for x, _ in points]
            colour, style = f"C{index}", "--" if system == "limit" else "-"
            axis.plot(xs, [quantile(v, 0.5) for _, v in points], style, color=colour, marker="o", label=system)
            axis.plot(xs, [quantile(v, 0.99) for _, v in points], style, color=colour, linewidth=0.6)
        axis.set(title=name, xlabel=x_label, ylabel="ms to the first token", xscale="log", yscale="log")
        ticks = sorted({x for curve in curves.values() for x in curve})
        axis.set_xticks(ticks, [str(x) for x in ticks])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    handles = {}  # a system may be missing in a panel
    for axis in axes.flat:
        handles.update({label: handle for handle, label in zip(*axis.get_legend_handles_labels())})
    figure.legend(handles.values(), handles.keys(), loc="upper center", ncols=min(len(SYSTEMS), 2 * columns), bbox_to_anchor=(0.5, 0.0))
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(f"{path}.svg", metadata={"Date": None}, bbox_inches="tight")  # equal data, equal file
    figure.savefig(f"{path}.png", dpi=120, bbox_inches="tight")
    plt.close(figure)
    print(f"{path}.svg")


def nested():
    return collections.defaultdict(lambda: collections.defaultdict(dict))


def main():
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} DIR", file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1])
    times = read_results(folder)
    for model in sorted({key[0] for key in times}):
        stem = pathlib.PurePath(model).stem
        mine = {key[1:]: values for key, values in times.items() if key[0] == model}
        longest = max(context for _, _, context in mine)
        by_context, by_size = nested(), nested()
        for (workload, system, context), values in mine.items():
            by_context[workload][system][context] = values
            insertion = INSERTION.fullmatch(workload)
            if insertion and context == longest:
                by_size[f"inserted at {insertion[2]} of {longest}"][system][int(insertion[1])] = values
        draw(folder / f"{stem}-time_by_context", stem, "tokens of the document", by_context)
        if by_size:
            draw(folder / f"{stem}-time_by_edit_size", stem, "tokens inserted", by_size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
