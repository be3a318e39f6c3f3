"""What the project's plots have in common: size, colours, and files in two formats."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams.update({
    "figure.figsize": (7, 4),
    "figure.constrained_layout.use": True,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "0.9",
    "font.size": 9,
    "legend.frameon": False,
    "svg.hashsalt": "pie",  # equal data gives equal files
})

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999", "#f0e442"]


def save(figure, folder: Path, name: str) -> None:
    for extension in ("svg", "png"):
        metadata = {"Date": None} if extension == "svg" else None
        figure.savefig(folder / f"{name}.{extension}", dpi=150, metadata=metadata)
