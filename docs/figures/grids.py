"""Convolutions and transposed convolutions, cell by cell. torch computes the numbers."""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from dcgan.models.blocks import conv_size, conv_transpose_size
from docs.figures.style import (
    BLUE,
    GREEN,
    ORANGE,
    PALE_BLUE,
    PALE_GREEN,
    PALE_ORANGE,
    SOFT,
    WHITE,
    make_panels,
    save_figure,
)

PICTURE = torch.tensor([[1, 0, 2, 1, 0], [0, 1, 3, 0, 1], [2, 1, 0, 1, 2], [0, 3, 1, 0, 1], [1, 0, 2, 1, 3]])
KERNEL = torch.tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
"""Sobel's kernel. Its output is large where the left is brighter than the right."""
SMALL_PICTURE = torch.tensor([[1, 2], [3, 4]])
DOT_KERNEL = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
"""A blurred dot."""
Cell = tuple[int, int]
"""Row and column."""
CellColor = Callable[[Cell], str]
CellFilter = Callable[[Cell], bool]


def draw_cells(
    ax: Axes,
    values: Tensor,
    fill: CellColor = lambda _: WHITE,
    is_shown: CellFilter = lambda _: True,
    *,
    width: int | None = None,
) -> None:
    """Draw a matrix (H, W) as squares with their numbers, in the middle of `width` cells.

    Args:
        ax: where to draw.
        values: the numbers.
        fill: the color of a cell.
        is_shown: whether the number of a cell is written.
        width: the width of the view in cells; by default that of the matrix.
    """
    for i, j in itertools.product(*map(range, values.shape)):
        ax.add_patch(Rectangle((j, i), 1, 1, facecolor=fill((i, j)), edgecolor=SOFT, linewidth=0.8))
        if is_shown((i, j)):
            number = f"{values[i, j]:g}".replace("-", "−")
            ax.text(j + 0.5, i + 0.5, number, ha="center", va="center", size=9)
    set_view(ax, *values.shape, extra=((width or values.shape[1]) - values.shape[1]) / 2)


def set_view(ax: Axes, height: int, width: int, *, extra: float = 0) -> None:
    """Show `height` x `width` cells, and `extra` cells on the left and on the right, square and without axis lines."""
    ax.set_xlim(-0.1 - extra, width + 0.1 + extra)
    ax.set_ylim(height + 0.1, -0.1)
    ax.set_aspect("equal")
    ax.axis("off")


def draw_frame(ax: Axes, top: int, left: int, size: int, color: str) -> None:
    """Draw a thick square around `size` x `size` cells."""
    ax.add_patch(Rectangle((left, top), size, size, facecolor="none", edgecolor=color, linewidth=2.5, zorder=3))


def square_filter(top: int, left: int, size: int) -> CellFilter:
    """Return a function that says whether a cell lies in a square."""
    return lambda cell: top <= cell[0] < top + size and left <= cell[1] < left + size


def draw_convolution() -> None:
    """Draw four of the nine positions of a 3x3 kernel on a 5x5 picture, and the output so far."""
    out = F.conv2d(PICTURE[None, None].float(), KERNEL[None, None].float())[0, 0]
    figure, axes = make_panels(2, 5, 8.6, 3.2, height_ratios=[5, 3])
    draw_cells(axes[0], KERNEL, lambda _: PALE_BLUE, width=5)
    axes[0].set_title("kernel 3×3", size=10)
    axes[5].axis("off")
    for column, step in enumerate((0, 1, 3, 8), start=1):
        top, left = divmod(step, 3)
        inside = square_filter(top, left, 3)
        draw_cells(axes[column], PICTURE, lambda c, inside=inside: PALE_BLUE if inside(c) else WHITE)  # type: ignore[misc]
        draw_frame(axes[column], top, left, 3, BLUE)
        axes[column].set_title(f"{step + 1}.", size=10)
        _draw_output(axes[column + 5], out, step)
    save_figure(figure, "convolution")


def _draw_output(ax: Axes, out: Tensor, step: int) -> None:
    now = divmod(step, out.shape[1])
    draw_cells(ax, out, lambda c: PALE_ORANGE if c == now else WHITE, lambda c: c <= now, width=5)
    draw_frame(ax, *now, 1, ORANGE)


def draw_strides_and_paddings() -> None:
    """Draw the positions of a 3x3 kernel on 5x5 pixels for strides 1 and 2, without and with padding."""
    figure, axes = make_panels(1, 4, 8.6, 2.5)
    for ax, (stride, padding) in zip(axes, ((1, 0), (2, 0), (1, 1), (2, 1)), strict=True):
        side = conv_size(5, 3, stride, padding)
        _draw_padded_picture(ax, padding)
        for i, j in itertools.product(range(side), repeat=2):
            ax.plot(j * stride + 1.5 - padding, i * stride + 1.5 - padding, "o", color=ORANGE, markersize=6)
        draw_frame(ax, -padding, -padding, 3, BLUE)
        ax.set_title(f"stride {stride}, padding {padding}\n5 → {side}", size=10)
        ax.set_xlim(-1.2, 6.2)
        ax.set_ylim(6.2, -1.2)
    save_figure(figure, "stride-padding")


def _draw_padded_picture(ax: Axes, padding: int) -> None:
    for i, j in itertools.product(range(-padding, 5 + padding), repeat=2):
        is_pixel = 0 <= i < 5 and 0 <= j < 5
        ax.add_patch(Rectangle((j, i), 1, 1, facecolor=WHITE if is_pixel else "#e6e4dd", edgecolor=SOFT, linewidth=0.8))
        if not is_pixel:
            ax.text(j + 0.5, i + 0.5, "0", ha="center", va="center", size=8, color=SOFT)
    set_view(ax, 5, 5)


def draw_transposed_convolution() -> None:
    """Draw how each of four pixels adds the kernel, times its value, to the output, two pixels further each time."""
    figure, axes = make_panels(2, 5, 8.6, 2.9, height_ratios=[2, 5])
    draw_cells(axes[5], DOT_KERNEL, lambda _: PALE_BLUE, width=5)
    axes[5].set_title("kernel 3×3", size=10)
    axes[0].axis("off")
    canvas = torch.zeros(1, 1, 5, 5)
    for step in range(4):
        at = divmod(step, 2)
        one_pixel = torch.zeros(2, 2)
        one_pixel[at] = SMALL_PICTURE[at]
        canvas += F.conv_transpose2d(one_pixel[None, None], DOT_KERNEL[None, None].float(), stride=2)
        draw_cells(axes[step + 1], SMALL_PICTURE, lambda c, at=at: PALE_ORANGE if c == at else WHITE, width=5)  # type: ignore[misc]
        draw_frame(axes[step + 1], *at, 1, ORANGE)
        axes[step + 1].set_title(f"{step + 1}.", size=10)
        _draw_sum(axes[step + 6], canvas[0, 0], (2 * at[0], 2 * at[1]))
    save_figure(figure, "transposed-convolution")


def _draw_sum(ax: Axes, canvas: Tensor, corner: Cell) -> None:
    inside = square_filter(*corner, 3)
    draw_cells(ax, canvas, lambda c: PALE_BLUE if inside(c) else WHITE, lambda c: bool(canvas[c]))
    draw_frame(ax, *corner, 3, BLUE)


def draw_matrices() -> None:
    """Draw the matrix of a convolution of 4x4 pixels with a 3x3 kernel (4 x 16), and its transpose (16 x 4)."""
    pixels = torch.eye(16).view(16, 1, 4, 4)
    letters = torch.arange(1.0, 10).view(1, 1, 3, 3)
    matrix = F.conv2d(pixels, letters).view(16, 4).T  # (4, 16)
    figure, axes = make_panels(1, 2, 8.6, 4.0, width_ratios=[16, 4])
    for ax, m, title in zip(axes, (matrix, matrix.T), ("M   (16 → 4)", "Mᵀ   (4 → 16)"), strict=True):
        draw_cells(ax, m, lambda c, m=m: PALE_BLUE if m[c] else WHITE, lambda c, m=m: bool(m[c]))  # type: ignore[misc]
        ax.set_title(title, size=10)
    save_figure(figure, "matrix")


def draw_overlap() -> None:
    """Draw how many kernels overlap in every pixel: unevenly for kernel 3 and stride 2, evenly for kernel 4."""
    figure, axes = make_panels(1, 3, 8.6, 3.1)
    for ax, (kernel, stride) in zip(axes, ((3, 2), (4, 2), (4, 1)), strict=True):
        side = conv_transpose_size(4, kernel, stride)
        counts = F.conv_transpose2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, kernel, kernel), stride=stride)[0, 0]
        shades = {1: WHITE, 2: PALE_GREEN, 4: "#7fbf95"}
        draw_cells(ax, counts, lambda c, n=counts, s=shades: s.get(int(n[c]), GREEN if n[c] > 8 else "#a9d5b6"))  # type: ignore[misc]
        ax.set_title(f"kernel {kernel}, stride {stride}\n4 → {side}", size=10)
    save_figure(figure, "overlap")
