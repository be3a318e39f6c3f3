#!/usr/bin/env python3
"""plot_eval.py DIR: plots of what `pie-lab eval report DIR` wrote there, as SVG and PNG beside it.

kl_by_method: KL a token by kind of edit and method, with intervals.
pareto: KL against tokens encoded, by kind of edit.
layers: cosine of keys and values with full recompute, layer by layer.
keystrokes: KL over the number of edits made one after the other.
"""

import argparse
import csv
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from plot_style import COLOURS, save
from matplotlib import pyplot
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def pooled(rows: list[dict[str, str]]) -> dict[tuple[str, str], dict[str, float]]:
    """Figures of each edit and method over languages and settings, weighted by their rows."""
    sums: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        n = int(row["rows"])
        entry = sums[row["edit"], row["method"]]
        entry["rows"] += n
        for name in ("kl", "tokens_encoded", "edits"):
            entry[name] += n * float(row[name])
        for name in ("low", "high"):
            # Standard errors add in squares; half an interval is two of them, about.
            entry[name] += (n * (float(row["kl_" + name]) - float(row["kl"]))) ** 2
    for entry in sums.values():
        n = max(entry["rows"], 1)
        for name in ("kl", "tokens_encoded", "edits"):
            entry[name] /= n
        for name in ("low", "high"):
            entry[name] = entry[name] ** 0.5 / n
    return {key: entry for key, entry in sums.items() if entry["rows"] > 0}


def names(figures, place: int) -> list[str]:
    return list(dict.fromkeys(key[place] for key in figures))


@dataclass
class Look:
    colour: str
    marker: str
    line: str
    hatch: str


def looks_of(rows: list[dict[str, str]]) -> dict[str, Look]:
    """One for each method, in all plots; where colours begin anew, shapes differ. What was measured most comes
    first."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        if row["method"] != "full":
            counts[row["method"]] += int(row["rows"])
    kinds = [("o", "-", ""), ("s", "--", "////"), ("^", ":", "....")]
    return {method: Look(COLOURS[i % len(COLOURS)], *kinds[i // len(COLOURS) % len(kinds)])
            for i, method in enumerate(sorted(counts, key=lambda method: -counts[method]))}


def plot_kl(figures, looks: dict[str, Look], folder: Path, model: str) -> None:
    methods = [m for m in names(figures, 1) if m != "full"]
    edits = [e for e in names(figures, 0) if not e.startswith("keystrokes")]
    figure, axes = pyplot.subplots(figsize=(11, 4))
    width = 0.8 / max(len(methods), 1)
    for x, edit in enumerate(edits):
        shown = [m for m in methods if figures.get((edit, m), {}).get("kl", 0) > 0]  # a logarithm has no zero
        for i, method in enumerate(shown):
            entry, look = figures[edit, method], looks[method]
            axes.bar(x + (i - len(shown) / 2 + 0.5) * width, entry["kl"], width,
                     yerr=[[min(entry["low"], entry["kl"] * 0.99)], [entry["high"]]], error_kw={"linewidth": 0.6},
                     color=look.colour, hatch=look.hatch, edgecolor="white", linewidth=0)
    axes.set_yscale("log")
    axes.set_xticks(range(len(edits)), edits, rotation=30, ha="right")
    axes.set_ylabel("KL(full || method), nats a token")
    axes.set_title(model)
    handles = [Patch(facecolor=looks[m].colour, hatch=looks[m].hatch, edgecolor="white", linewidth=0, label=m)
               for m in methods if any(m == key[1] and entry["kl"] > 0 for key, entry in figures.items())]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1), fontsize=7)
    save(figure, folder, f"kl_by_method-{model}")


def plot_pareto(figures, looks: dict[str, Look], folder: Path, model: str) -> None:
    methods = [m for m in names(figures, 1) if m not in ("full", "reuse", "cfe", "other-sample", "rotate+1")]
    edits = [e for e in names(figures, 0) if not e.startswith("keystrokes")]
    columns = 4
    lines = -(-(len(edits) + 1) // columns)  # one more place, for the legend
    figure, grid = pyplot.subplots(lines, columns, figsize=(10, 2.6 * lines), squeeze=False)
    for axes in grid.flat[len(edits):]:
        axes.axis("off")
    for axes, edit in zip(grid.flat, edits):
        shown = [(method, figures[edit, method]) for method in methods if (edit, method) in figures]
        for method, entry in shown:
            axes.plot(entry["tokens_encoded"], max(entry["kl"], 1e-6), looks[method].marker,
                      color=looks[method].colour)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:g}")
            axis.set_minor_formatter(NullFormatter())
        axes.tick_params(labelsize=6)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        if min((entry["kl"] for _, entry in shown), default=0) > 0:
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.set_title(edit, fontsize=8)
    figure.supxlabel("tokens encoded")
    figure.supylabel("KL a token")
    handles = [pyplot.Line2D([], [], marker=looks[m].marker, linestyle="", color=looks[m].colour, label=m)
               for m in methods]
    grid.flat[-1].legend(handles=handles, loc="center", fontsize=7)
    save(figure, folder, f"pareto-{model}")


def plot_layers(rows: list[dict[str, str]], looks: dict[str, Look], folder: Path, model: str) -> None:
    edits = list(dict.fromkeys(row["edit"] for row in rows))
    methods = [m for m in dict.fromkeys(row["method"] for row in rows) if m != "full"]
    lines = len(edits) + 1  # one for the legend
    figure, grid = pyplot.subplots(lines, 2, figsize=(8, 1.9 * lines), squeeze=False, sharex=True)
    for i, edit in enumerate(edits):
        for axes, kind in zip(grid[i + 1], ("key", "value")):
            for method in methods:
                points = [(int(r["layer"]), float(r[f"{kind}_cosine"])) for r in rows
                          if r["edit"] == edit and r["method"] == method]
                if points:
                    axes.plot(*zip(*points), looks[method].line, color=looks[method].colour, linewidth=1)
            axes.set_title(f"{edit}: {kind}s", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("layer")
    handles = [pyplot.Line2D([], [], linestyle=looks[m].line, color=looks[m].colour, linewidth=1, label=m)
               for m in methods]
    for axes in grid[0]:
        axes.axis("off")
    grid[0][0].legend(handles=handles, loc="lower left", ncols=2, fontsize=7)
    figure.supylabel("cosine with full recompute")
    save(figure, folder, f"layers-{model}")


def plot_keystrokes(figures, looks: dict[str, Look], folder: Path, model: str) -> None:
    typed = {key: entry for key, entry in figures.items() if re.fullmatch(r"keystrokes-\d+", key[0])}
    methods = [m for m in names(typed, 1) if m != "full"]
    if not methods:
        return
    figure, axes = pyplot.subplots()
    for method in methods:
        points = sorted((entry["edits"], entry["kl"]) for (_, m), entry in typed.items() if m == method)
        axes.plot(*zip(*points), looks[method].marker + looks[method].line, color=looks[method].colour, label=method)
    axes.set_yscale("log")
    axes.set_xlabel("edits, one after the other")
    axes.set_ylabel("KL a token")
    axes.set_title(model)
    axes.legend()
    save(figure, folder, f"keystrokes-{model}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    folder = parser.parse_args().folder
    rows = rows_of(folder / "report.csv")
    layers = rows_of(folder / "layers.csv")
    looks = looks_of(rows)
    for model in dict.fromkeys(row["model"] for row in rows):
        figures = pooled([row for row in rows if row["model"] == model])
        name = re.sub(r"[^\w.+-]+", "_", model)
        plot_kl(figures, looks, folder, name)
        plot_pareto(figures, looks, folder, name)
        plot_layers([row for row in layers if row["model"] == model], looks, folder, name)
        plot_keystrokes(figures, looks, folder, name)


if __name__ == "__main__":
    main()
