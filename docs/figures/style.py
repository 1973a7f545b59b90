"""One look for all figures, and how they are written: small PNGs, the same bytes for the same numbers."""

import io
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

FOLDER = Path(__file__).parents[1] / "images" / "learn"

CARD, INK, SOFT = "#fbfaf6", "#2b2f36", "#8b8f98"
BLUE, ORANGE, GREEN, PURPLE = "#2f6db3", "#d0701c", "#3a8a58", "#7d5ba6"
PALE_BLUE, PALE_ORANGE, PALE_GREEN, WHITE = "#cfe0f3", "#fbdcbb", "#cfe8d6", "#ffffff"

STYLE: dict[Any, Any] = {
    "axes.edgecolor": SOFT,
    "axes.facecolor": CARD,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": CARD,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.08,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 10,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
"""matplotlib's settings, for `mpl.rc_context`."""


def panels(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches, and its axes row after row."""
    figure = Figure(figsize=(width, height))
    return figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def drawing(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty sheet that is measured in tenths of an inch, y downwards."""
    figure, (ax,) = panels(1, 1, width, height)
    ax.set_xlim(0, 10 * width)
    ax.set_ylim(10 * height, 0)
    ax.set_aspect("equal")
    ax.axis("off")
    return figure, ax


def save(figure: Figure, name: str) -> None:
    """Write `name`.png in at most 64 colours, without a date; it is twice as fine as a page shows it."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=180)
    FOLDER.mkdir(parents=True, exist_ok=True)
    few = Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    few.save(FOLDER / f"{name}.png", optimize=True)
