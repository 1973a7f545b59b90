"""The figures of the learning pages. `make figures` writes all of them into docs/images/learn.

They contain numbers, formulas and names of the package, but no sentences, so that both languages use the same figures.
Each has a light background of its own, so that it is legible on light and on dark pages.
"""

from collections.abc import Callable

import matplotlib as mpl

from docs.figures import curves, grids, networks
from docs.figures.style import STYLE

FIGURES: dict[str, Callable[[], None]] = {
    "game": networks.draw_game,
    "convolution": grids.draw_convolution,
    "stride-padding": grids.draw_strides_and_paddings,
    "transposed-convolution": grids.draw_transposed_convolution,
    "matrix": grids.draw_matrices,
    "overlap": grids.draw_overlap,
    "sizes": networks.draw_sizes,
    "activations": curves.draw_activations,
    "generator-losses": curves.draw_generator_losses,
    "objectives": curves.draw_objectives,
    "dirac": curves.draw_dirac_games,
    "ring": curves.draw_ring_games,
    "optimum": curves.draw_optimum,
    "distances": curves.draw_distances,
    "critic": curves.draw_critic,
    "mixtures": curves.draw_mixtures,
    "conditional": networks.draw_conditional,
    "residual": networks.draw_residual_block,
    "burn-in": curves.draw_burn_in,
    "few-pictures": curves.draw_few_pictures,
}
"""The function that draws each figure, by the name of its file without `.png`."""


def draw_figure(name: str) -> None:
    """Write one figure, in the style that all of them have."""
    with mpl.rc_context(STYLE):
        FIGURES[name]()
