"""The style of all figures, and writing them: small PNGs that have the same bytes for the same numbers."""

import io
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

IMAGES_FOLDER = Path(__file__).parents[1] / "images" / "learn"
COLOR_COUNT = 64
"""Colors of a PNG."""
DPI = 180
"""Pixels per inch, twice as many as a page shows."""
BACKGROUND, INK, SOFT = "#fbfaf6", "#2b2f36", "#8b8f98"
BLUE, ORANGE, GREEN, PURPLE = "#2f6db3", "#d0701c", "#3a8a58", "#7d5ba6"
PALE_BLUE, PALE_ORANGE, PALE_GREEN, WHITE = "#cfe0f3", "#fbdcbb", "#cfe8d6", "#ffffff"

STYLE: dict[Any, Any] = {
    "axes.edgecolor": SOFT,
    "axes.facecolor": BACKGROUND,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": BACKGROUND,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.08,
    "font.family": "DejaVu Sans",  # it comes with matplotlib, so every machine has it
    "font.size": 10,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
"""Settings of matplotlib, for `mpl.rc_context`."""


def make_panels(rows: int, columns: int, width: float, height: float, **options: Any) -> tuple[Figure, list[Axes]]:
    """Return a figure of `width` x `height` inches, and its axes row after row."""
    figure = Figure(figsize=(width, height))
    return figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def make_drawing(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure and empty axes whose units are tenths of an inch, with y downwards."""
    figure, (ax,) = make_panels(1, 1, width, height)
    ax.set_xlim(0, 10 * width)
    ax.set_ylim(10 * height, 0)
    ax.set_aspect("equal")
    ax.axis("off")
    return figure, ax


def save_figure(figure: Figure, name: str) -> None:
    """Write `name`.png with at most `COLOR_COUNT` colors and without a date."""
    png = io.BytesIO()
    figure.savefig(png, dpi=DPI)
    IMAGES_FOLDER.mkdir(parents=True, exist_ok=True)
    reduced = Image.open(png).convert("RGB").quantize(COLOR_COUNT, dither=Image.Dither.NONE)
    reduced.save(IMAGES_FOLDER / f"{name}.png", optimize=True)
