#!/usr/bin/env python3
"""plot_bench.py DIR: plots of what `pie-lab bench --against llama-server --out DIR` measured, as SVG and PNG, into DIR.

The time from an edit to the first token, a panel for each workload: medians, with the 99th percentile (the largest
of fewer than 100) as a thin line. What was measured at a single point has no curve.

time_by_context: over the tokens of the document.
time_by_edit_size: over the tokens that were inserted or deleted.
time_after_edits: of the same edit, over the number of edits before it in the session.
time_by_sessions: over the number of documents that are typed into by turns.
"""

import argparse
import json
import math
import re
from collections import defaultdict
from pathlib import Path

from plot_style import COLOURS, save
from matplotlib import pyplot
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

COLOUR_OF = dict(zip(["pie", "llama.vim", "reuse-1", "line-last", "suffix-first", "", "limit"], COLOURS))
COLUMNS = 3

# The first number of a workload's name is what varies; of its first word: file, and what the number is of.
VARYING = re.compile(r"(\w+)-(\d+)(-.*)?")
NUMBERS = {
    "insert": ("time_by_edit_size", "tokens of the edit"),
    "delete": ("time_by_edit_size", "tokens of the edit"),
    "after": ("time_after_edits", "edits before"),
    "sessions": ("time_by_sessions", "sessions"),
}

# A panel's curves: times by x, by system.
Curves = dict[str, dict[int, list[float]]]


def read_times(path: Path) -> dict[str, dict[tuple[str, str, int], list[float]]]:
    """Sorted times by model, then by workload, system and context; of what was measured twice, the later ones."""
    times: dict[str, dict[tuple[str, str, int], list[float]]] = defaultdict(dict)
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        first_ms = sorted(value for value in entry["first_ms"] if value > 0)  # 0: no limit at that step
        if first_ms:
            times[entry["model"]][entry["workload"], entry["system"], entry["context"]] = first_ms
    return times


def quantile(values: list[float], share: float) -> float:
    return values[max(math.ceil(share * len(values)), 1) - 1]


def plots_of(times: dict[tuple[str, str, int], list[float]]) -> dict[tuple[str, str], dict[str, Curves]]:
    """(file, axis) -> panel -> its curves."""
    plots: dict[tuple[str, str], dict[str, Curves]] = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    longest = max(context for _, _, context in times)
    for (workload, system, context), values in times.items():
        plots["time_by_context", "tokens of the document"][workload][system][context] = values
        varying = VARYING.fullmatch(workload)
        if varying and varying[1] in NUMBERS and context == longest:
            panel = f"{varying[1]}-N{varying[3] or ''}, {context} tokens"
            plots[NUMBERS[varying[1]]][panel][system][int(varying[2])] = values
    return plots


def draw_panel(axes, name: str, curves: Curves) -> None:
    xs = sorted({x for curve in curves.values() for x in curve})
    for system, colour in COLOUR_OF.items():
        points = sorted(curves.get(system, {}).items())
        style = "--" if system == "limit" else "-"
        for share, width, marker in ((0.5, 1.4, "o"), (0.99, 0.5, "")):
            axes.plot([x for x, _ in points], [quantile(values, share) for _, values in points], style, color=colour,
                      linewidth=width, marker=marker, markersize=3)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,g}"))
    # A session without edits before has its place as well.
    axes.set_xscale("symlog", linthresh=max(xs[1], 1)) if xs[0] == 0 else axes.set_xscale("log")
    axes.set_xticks(xs, [f"{x:,}" for x in xs])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(name, fontsize=8)


def draw(panels: dict[str, Curves], x_label: str, folder: Path, name: str) -> None:
    columns = min(len(panels) + 1, COLUMNS)  # one more place, for the legend
    lines = -(-(len(panels) + 1) // columns)
    figure, grid = pyplot.subplots(lines, columns, figsize=(3.2 * columns, 2.4 * lines), squeeze=False, sharey=True)
    for axes in grid.flat[len(panels):]:
        axes.axis("off")
    for axes, (panel, curves) in zip(grid.flat, panels.items()):
        draw_panel(axes, panel, curves)
    handles = [pyplot.Line2D([], [], color=colour, marker="o", markersize=3, label=system,
                             linestyle="--" if system == "limit" else "-")
               for system, colour in COLOUR_OF.items() if any(system in curves for curves in panels.values())]
    grid.flat[-1].legend(handles=handles, loc="center", fontsize=8)
    figure.supxlabel(x_label, fontsize=9)
    figure.supylabel("ms to the first token", fontsize=9)
    save(figure, folder, name)
    pyplot.close(figure)
    print(folder / f"{name}.svg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder = parser.parse_args().folder
    for model, times in read_times(folder / "serving.jsonl").items():
        for (name, x_label), panels in plots_of(times).items():
            curves = {panel: found for panel, found in panels.items() if any(len(c) > 1 for c in found.values())}
            if curves:
                draw(curves, x_label, folder, f"{name}-{Path(model).stem}")


if __name__ == "__main__":
    main()
