#!/usr/bin/env python3
"""plot_eval.py DIR: plots of what `pie eval report DIR` wrote there, as SVG and PNG beside it.

kl_by_method: KL a token by kind of edit and method, with intervals.
pareto: KL against tokens encoded, by kind of edit.
layers: cosine of keys and values with full recompute, layer by layer.
keystrokes: KL over the number of edits made one after the other.
"""

import argparse
import csv
import re
from collections import defaultdict
from pathlib import Path

from plot_style import COLOURS, save
from matplotlib import pyplot


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


def colour_of(methods: list[str]) -> dict[str, str]:
    return {method: COLOURS[i % len(COLOURS)] for i, method in enumerate(methods)}


def plot_kl(figures, folder: Path, model: str) -> None:
    methods = [m for m in names(figures, 1) if m != "full"]
    edits = [e for e in names(figures, 0) if not e.startswith("keystrokes")]
    colours = colour_of(methods)
    figure, axes = pyplot.subplots(figsize=(9, 4))
    width = 0.8 / max(len(methods), 1)
    for i, method in enumerate(methods):
        shown = [(x, figures[e, method]) for x, e in enumerate(edits) if (e, method) in figures]
        axes.bar([x + (i - len(methods) / 2 + 0.5) * width for x, _ in shown], [f["kl"] for _, f in shown], width,
                 yerr=[[min(f["low"], f["kl"] * 0.99) for _, f in shown], [f["high"] for _, f in shown]],
                 error_kw={"linewidth": 0.6}, color=colours[method], label=method)
    axes.set_yscale("log")
    axes.set_xticks(range(len(edits)), edits, rotation=30, ha="right")
    axes.set_ylabel("KL(full || method), nats a token")
    axes.set_title(model)
    axes.legend(ncols=4, fontsize=7)
    save(figure, folder, f"kl_by_method-{model}")


def plot_pareto(figures, folder: Path, model: str) -> None:
    methods = [m for m in names(figures, 1) if m not in ("full", "reuse", "cfe")]
    edits = [e for e in names(figures, 0) if not e.startswith("keystrokes")]
    colours = colour_of(methods)
    columns = 4
    lines = -(-(len(edits) + 1) // columns)  # one more place, for the legend
    figure, grid = pyplot.subplots(lines, columns, figsize=(10, 2.6 * lines), squeeze=False)
    for axes in grid.flat[len(edits):]:
        axes.axis("off")
    for axes, edit in zip(grid.flat, edits):
        shown = [(method, figures[edit, method]) for method in methods if (edit, method) in figures]
        for method, entry in shown:
            axes.plot(entry["tokens_encoded"], max(entry["kl"], 1e-6), "o", color=colours[method])
        axes.set_xlim(0, 1.1 * max((entry["tokens_encoded"] for _, entry in shown), default=1))
        axes.set_yscale("log")
        axes.set_title(edit, fontsize=8)
    figure.supxlabel("tokens encoded")
    figure.supylabel("KL a token")
    handles = [pyplot.Line2D([], [], marker="o", linestyle="", color=colours[m], label=m) for m in methods]
    grid.flat[-1].legend(handles=handles, loc="center", fontsize=7)
    save(figure, folder, f"pareto-{model}")


def plot_layers(rows: list[dict[str, str]], folder: Path, model: str) -> None:
    edits = list(dict.fromkeys(row["edit"] for row in rows))
    methods = [m for m in dict.fromkeys(row["method"] for row in rows) if m != "full"]
    colours = colour_of(methods)
    figure, grid = pyplot.subplots(len(edits), 2, figsize=(8, 1.9 * len(edits)), squeeze=False, sharex=True)
    for i, edit in enumerate(edits):
        for axes, kind in zip(grid[i], ("key", "value")):
            for method in methods:
                points = [(int(r["layer"]), float(r[f"{kind}_cosine"])) for r in rows
                          if r["edit"] == edit and r["method"] == method]
                if points:
                    axes.plot(*zip(*points), color=colours[method], linewidth=1, label=method)
            axes.set_title(f"{edit}: {kind}s", fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel("layer")
    grid[0][0].legend(fontsize=6)
    figure.supylabel("cosine with full recompute")
    save(figure, folder, f"layers-{model}")


def plot_keystrokes(figures, folder: Path, model: str) -> None:
    typed = {key: entry for key, entry in figures.items() if re.fullmatch(r"keystrokes-\d+", key[0])}
    methods = [m for m in names(typed, 1) if m != "full"]
    if not methods:
        return
    colours = colour_of(methods)
    figure, axes = pyplot.subplots()
    for method in methods:
        points = sorted((entry["edits"], entry["kl"]) for (_, m), entry in typed.items() if m == method)
        axes.plot(*zip(*points), "o-", color=colours[method], label=method)
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
    for model in dict.fromkeys(row["model"] for row in rows):
        figures = pooled([row for row in rows if row["model"] == model])
        name = re.sub(r"[^\w.+-]+", "_", model)
        plot_kl(figures, folder, name)
        plot_pareto(figures, folder, name)
        plot_layers([row for row in layers if row["model"] == model], folder, name)
        plot_keystrokes(figures, folder, name)


if __name__ == "__main__":
    main()
