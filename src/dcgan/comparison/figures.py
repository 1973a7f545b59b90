"""A comparison to look at: curves on common axes, and the grids of the same moments side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dcgan.comparison.plan import Plan
from dcgan.comparison.runs import PART_COUNT, comparison_run, read_parts
from dcgan.files import atomic_file

AXES = {"minutes": "seconds", "images": "images_seen", "steps": "step"}
"""What of a log line is the work that was equal."""
LABELS = {"minutes": "minutes of training", "images": "images seen", "steps": "steps"}


def _work(plan: Plan, line: dict[str, Any]) -> float:
    return float(line[AXES[plan.unit]]) / (60 if plan.unit == "minutes" else 1)


def draw_comparison_curves(plan: Plan, out: Path) -> None:
    """Draw the Fréchet distance after each part, and the losses: a thin line a seed, a colour a preset."""
    figure = Figure(figsize=(9, 10), layout="constrained")
    FigureCanvasAgg(figure)
    distance, loss_g, loss_d = figure.subplots(3, 1, sharex=True)
    for i, preset in enumerate(plan.presets):
        for seed in plan.seeds:
            folder, style = comparison_run(out, preset, seed), {"color": f"C{i}", "lw": 0.9, "alpha": 0.8}
            label = preset if seed == plan.seeds[0] else None
            parts, _ = read_parts(folder)
            measured = [(_work(plan, part), part["frechet_inception_distance"]) for part in parts]
            distance.plot(*_columns(measured), marker="o", ms=3, label=label, **style)
            lines = list(folder.log.measurements())
            for axes, name in ((loss_g, "loss_g"), (loss_d, "loss_d")):
                axes.plot(*_columns([(_work(plan, line), line[name]) for line in lines]), **style)
    _scale(distance, "log", lambda low, high: high > 5 * low)
    distance.set_ylabel("Fréchet distance")
    distance.legend(loc="best", frameon=False, ncols=3)
    for axes, title in ((loss_g, "Loss_G"), (loss_d, "Loss_D")):
        # a critic's losses are of another size, and below 0 too
        _scale(axes, "symlog", lambda low, high: max(high, -low) > 10, linthresh=1)
        axes.set_ylabel(title)
    loss_d.set_xlabel(LABELS[plan.unit])
    for axes in (distance, loss_g, loss_d):
        axes.grid(alpha=0.3)
    _save(figure, out / "curves.png")


def _scale(axes: Any, name: str, is_wide: Callable[[float, float], bool], **options: float) -> None:
    """A logarithmic axis, where the values spread so far that it shows more."""
    ys = [y for line in axes.lines for y in line.get_ydata()]
    if ys and is_wide(min(ys), max(ys)):
        axes.set_yscale(name, **options)


def _columns(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def draw_grids(plan: Plan, out: Path) -> None:
    """Draw the grids of the first seed: a row a preset, a column the end of a part."""
    figure = Figure(figsize=(2.2 * PART_COUNT, 2.4 * len(plan.presets)), layout="constrained")
    FigureCanvasAgg(figure)
    cells = figure.subplots(len(plan.presets), PART_COUNT, squeeze=False)
    for row, preset in zip(cells, plan.presets, strict=True):
        folder = comparison_run(out, preset, plan.seeds[0])
        parts, _ = read_parts(folder)
        row[0].set_ylabel(preset)
        for cell in row:
            cell.set(xticks=[], yticks=[])
        for cell, part in zip(row, parts, strict=False):
            with Image.open(folder.samples / f"{part['images_seen']:08d}.png") as image:
                cell.imshow(np.asarray(image.convert("RGB")), interpolation="nearest")
            cell.set_title(f"{_work(plan, part):.3g} {LABELS[plan.unit].split()[0]}", fontsize=8)
    _save(figure, out / "grids.png")


def _save(figure: Figure, path: Path) -> None:
    with atomic_file(path) as aside:
        figure.savefig(aside, format="png", dpi=110)
