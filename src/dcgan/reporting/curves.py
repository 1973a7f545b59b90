"""Curves of a run, from its log."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dcgan.files import atomic_file


def draw_curves(lines: Sequence[dict[str, Any]], path: Path, *, is_bce: bool) -> None:
    """Draw losses and scores over images seen as a PNG.

    Args:
        lines: the log, one dict a line.
        path: the picture to write.
        is_bce: the scores are probabilities, so D(x) and D(G(z)) are drawn against the optimum 1/2.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    seen = [line["images_seen"] for line in lines]
    figure = Figure(figsize=(8, 7), layout="constrained")
    FigureCanvasAgg(figure)
    losses, scores = figure.subplots(2, 1, sharex=True)
    losses.plot(seen, [line["loss_d"] for line in lines], label="Loss_D", color="tab:blue", lw=1)
    losses.plot(seen, [line["loss_g"] for line in lines], label="Loss_G", color="tab:orange", lw=1)
    losses.set_ylabel("loss (mean over a log step)")
    scores.plot(seen, [line["d_real"] for line in lines], label="D(x)", color="tab:blue", lw=1)
    scores.plot(seen, [line["d_fake"] for line in lines], label="D(G(z))", color="tab:orange", lw=1)
    if is_bce:
        losses.axhline(0.6931, color="gray", ls=":", lw=1, label="ln 2: D cannot tell")
        scores.axhline(0.5, color="gray", ls=":", lw=1, label="1/2, the optimum")
        scores.set_ylim(0, 1)
    scores.set_ylabel("mean score")
    scores.set_xlabel("images seen")
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
        axes.legend(loc="best", frameon=False)
    with atomic_file(path) as aside:
        figure.savefig(aside, format="png", dpi=110)
