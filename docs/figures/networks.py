"""Diagrams: the game, the sizes of the study's networks, the class as an input, a residual block."""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from PIL import Image

from dcgan import Discriminator, Generator
from dcgan.data.open import open_images
from dcgan.models.summary import LayerSummary, summarize
from docs.figures.style import (
    BLUE,
    GREEN,
    IMAGES_FOLDER,
    ORANGE,
    PALE_BLUE,
    PALE_GREEN,
    PALE_ORANGE,
    SOFT,
    WHITE,
    make_drawing,
    save_figure,
)

LEGIBLE_DIGIT = (0, 0)
"""Row and column of a legible digit in the grid of the study's digits."""


def draw_box(ax: Axes, x: float, y: float, text: str, fill: str, *, width: float = 9, height: float = 7) -> None:
    """Draw a text in a rounded box whose middle is (x, y)."""
    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0,rounding_size=1.2"
    ax.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, facecolor=fill, edgecolor=SOFT))
    ax.text(x, y, text, ha="center", va="center", size=11)


def draw_arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], color: str = SOFT, bend: float = 0
) -> None:
    """Draw an arrow; `bend` curves it."""
    style = {"arrowstyle": "-|>", "mutation_scale": 14, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
    curve = f"arc3,rad={bend}"
    ax.add_patch(FancyArrowPatch(start, end, color=color, connectionstyle=curve, **style))  # type: ignore[arg-type]


def draw_picture(ax: Axes, x: float, y: float, pixels: np.ndarray, side: float = 9) -> None:
    """Draw a gray picture (H, W) whose middle is (x, y)."""
    extent = (x - side / 2, x + side / 2, y + side / 2, y - side / 2)
    ax.imshow(pixels, cmap="gray", vmin=0, vmax=255, extent=extent, interpolation="nearest")


def draw_game() -> None:
    """Draw the game: z -> G -> G(z) and x, both into D, whose score teaches both networks."""
    figure, ax = make_drawing(8.2, 2.9)
    noise = torch.randn(8, 1, generator=torch.Generator().manual_seed(1))
    ax.imshow(noise, cmap="PuOr", extent=(3, 5, 14, 3), aspect="auto")
    ax.text(4, 16.5, "z", ha="center", size=12)
    draw_box(ax, 18, 8.5, "G", PALE_BLUE)
    draw_picture(ax, 35, 8.5, _read_generated_digit())
    ax.text(35, 15.2, "G(z)", ha="center", size=12)
    draw_picture(ax, 35, 22, open_images("mnist").pixels[1, 0].numpy())
    ax.text(28.5, 22, "x", ha="center", va="center", size=12)
    draw_box(ax, 55, 15, "D", PALE_ORANGE)
    ax.text(72, 15, "D(x) → 1\nD(G(z)) → 0", ha="center", va="center", size=11)
    for start, end in (((6.5, 8.5), (13, 8.5)), ((23, 8.5), (30, 8.5)), ((40, 8.5), (50, 14)), ((40, 22), (50, 16))):
        draw_arrow(ax, start, end)
    draw_arrow(ax, (60, 15), (64.5, 15))
    draw_arrow(ax, (66, 11), (19, 4.4), BLUE, bend=0.22)
    draw_arrow(ax, (66, 19), (56, 19.2), ORANGE, bend=-0.5)
    ax.set_xlim(0, 82)
    ax.set_ylim(28, -1)
    ax.set_aspect("equal")
    save_figure(figure, "game")


def _read_generated_digit() -> np.ndarray:
    """Return one digit (28, 28) of docs/images/study-digits.png, a grid of 8 x 8 pictures with gaps of 2 pixels."""
    grid = np.asarray(Image.open(IMAGES_FOLDER.parent / "study-digits.png").convert("L"))
    scale, remainder = divmod(grid.shape[0], 8 * 30 + 2)  # each pixel was repeated `scale` times
    assert remainder == 0
    grid = grid[::scale, ::scale]
    row, column = LEGIBLE_DIGIT
    return grid[2 + 30 * row : 30 + 30 * row, 2 + 30 * column : 30 + 30 * column]


def draw_sizes() -> None:
    """Draw the pictures between the layers of the study's networks, to scale: 1-3-6-13-28 and 28-13-5-1."""
    figure, ax = make_drawing(8.2, 4.6)
    generator_shapes = _convolution_shapes(summarize(Generator(64), (64,)))
    discriminator_shapes = _convolution_shapes(summarize(Discriminator(), (1, 28, 28)))
    _draw_shapes(ax, 9, [(64, 1), *generator_shapes], PALE_BLUE, "G")
    _draw_shapes(ax, 32, [(1, 28), *discriminator_shapes], PALE_ORANGE, "D")
    save_figure(figure, "sizes")


def _convolution_shapes(rows: list[LayerSummary]) -> list[tuple[int, int]]:
    """Return (channels, side) after every convolution."""
    return [(row.output[0], row.output[1]) for row in rows if row.formula]


def _draw_shapes(ax: Axes, y: float, shapes: list[tuple[int, int]], fill: str, name: str) -> None:
    x, last_right = 8.0, 0.0
    ax.text(2, y, name, size=14, weight="bold", va="center")
    for i, (channels, side) in enumerate(shapes):
        length = max(side * 0.55, 0.8)
        if i:
            draw_arrow(ax, (last_right + 1.2, y), (x - 1.2, y))
        ax.add_patch(Rectangle((x, y - length / 2), length, length, facecolor=fill, edgecolor=SOFT))
        ax.text(x + length / 2, y + length / 2 + 2, f"{side}×{side}", ha="center", size=9.5)
        ax.text(x + length / 2, y + length / 2 + 4.2, f"×{channels}", ha="center", size=9.5, color=SOFT)
        last_right, x = x + length, x + length + 9
    ax.set_xlim(0, 82)


def draw_conditional() -> None:
    """Draw how the class is an input: a one-hot vector behind z, one-hot maps behind the channels of the picture."""
    figure, ax = make_drawing(8.2, 2.9)
    noise = torch.randn(1, 8, generator=torch.Generator().manual_seed(2))
    ax.imshow(noise, cmap="PuOr", extent=(3, 15, 8, 6.5), aspect="auto")
    _draw_one_hot(ax, 15.6, 6.5, 7)
    ax.text(9, 5.4, "z", ha="center", size=12)
    ax.text(23, 5.4, "y = 7", ha="center", size=12)
    draw_box(ax, 58, 7.2, "G", PALE_BLUE)
    draw_arrow(ax, (31.5, 7.2), (53, 7.2))
    draw_arrow(ax, (63, 7.2), (68, 7.2))
    ax.text(74, 7.2, "G(z | y)", ha="center", va="center", size=12)
    for i in range(10):  # one map for each class, each as large as the picture
        fill = GREEN if i == 7 else WHITE
        ax.add_patch(Rectangle((12.5 + 3.5 * i, 18.4), 3.1, 3.1, facecolor=fill, edgecolor=SOFT, linewidth=0.8))
    images = open_images("mnist")
    seven = next(i for i, label in enumerate(images.labels) if int(label) == 7)  # type: ignore[arg-type]
    draw_picture(ax, 7, 20, images.pixels[seven, 0].numpy(), side=7)
    ax.text(7, 26, "x", ha="center", size=12)
    ax.text(30, 26, "y = 7", ha="center", size=12)
    draw_box(ax, 58, 20, "D", PALE_ORANGE)
    draw_arrow(ax, (48.5, 20), (53, 20))
    draw_arrow(ax, (63, 20), (68, 20))
    ax.text(74, 20, "D(x | y)", ha="center", va="center", size=12)
    ax.set_xlim(0, 80)
    ax.set_ylim(28, 2.5)
    save_figure(figure, "conditional")


def _draw_one_hot(ax: Axes, x: float, y: float, label: int) -> None:
    for i in range(10):
        fill = GREEN if i == label else WHITE
        ax.add_patch(Rectangle((x + 1.5 * i, y), 1.5, 1.5, facecolor=fill, edgecolor=SOFT, linewidth=0.8))


def draw_residual_block() -> None:
    """Draw the block x -> x + 1x1(act(3x3(act(1x1(x))))), whose last convolution starts at zero."""
    figure, ax = make_drawing(8.2, 1.9)
    ax.text(3, 12, "x", ha="center", va="center", size=12)
    for x, text, fill in ((16, "1×1", PALE_BLUE), (34, "3×3", PALE_BLUE), (52, "1×1\n(= 0)", PALE_ORANGE)):
        draw_box(ax, x, 12, text, fill, width=10)
    for start, end in ((4.5, 10.5), (21.5, 28.5), (39.5, 46.5), (57.5, 63.5), (68.5, 74)):
        draw_arrow(ax, (start, 12), (end, 12))
    draw_arrow(ax, (6.5, 11), (66, 9.4), GREEN, bend=-0.16)
    draw_box(ax, 66, 12, "+", PALE_GREEN, width=5, height=5)
    ax.text(77.5, 12, "x + f(x)", ha="center", va="center", size=11)
    ax.set_xlim(0, 82)
    ax.set_ylim(18, 1)
    save_figure(figure, "residual")
