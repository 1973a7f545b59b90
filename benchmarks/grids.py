"""Samples of several models side by side, the same latents for each: `python -m benchmarks.grids OUT.png MODEL ...`.

The picture in docs/results.md. A conditional model draws every class in turn, a column for each.
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from dcgan.images import grid
from dcgan.sample import load

SIDE = 10
COLUMNS = 3


def main(out: str, *models: str) -> None:
    rows = -(-len(models) // COLUMNS)
    figure = Figure(figsize=(4 * COLUMNS, 4.3 * rows), layout="constrained")
    for place, source in enumerate(models):
        axes = figure.add_subplot(rows, COLUMNS, place + 1)
        axes.imshow(grid(load(source).sample(SIDE * SIDE, 0), columns=SIDE).squeeze(), cmap="gray")
        axes.set_title(Path(source).name, fontsize=14)
        axes.axis("off")
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main(*sys.argv[1:])
