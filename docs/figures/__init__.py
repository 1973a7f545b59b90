"""The figures of the learning pages: `make figures` writes them all into docs/images/learn.

They carry numbers, formulae and the package's own names, no sentences, so that one set serves both languages. Each
stands on a light card of its own and is legible on light and dark pages.
"""

from collections.abc import Callable

import matplotlib as mpl

from docs.figures import curves, grids, networks
from docs.figures.style import STYLE

FIGURES: dict[str, Callable[[], None]] = {
    "game": networks.game,
    "convolution": grids.convolution,
    "stride-padding": grids.stride_and_padding,
    "transposed-convolution": grids.transposed,
    "matrix": grids.matrices,
    "overlap": grids.overlap,
    "sizes": networks.sizes,
    "activations": curves.activations,
    "generator-losses": curves.generator_losses,
    "objectives": curves.objectives,
    "dirac": curves.dirac,
    "ring": curves.ring,
    "optimum": curves.optimum,
    "distances": curves.distances,
    "critic": curves.critic,
    "mixtures": curves.mixtures,
    "conditional": networks.conditional,
    "residual": networks.residual,
    "burn-in": curves.burn_in,
}
"""Name of the file without .png -> what draws it."""


def draw(name: str) -> None:
    """Write one figure, in the style of all of them."""
    with mpl.rc_context(STYLE):
        FIGURES[name]()
