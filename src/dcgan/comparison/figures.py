"""The drawings of a comparison: curves on common axes, and grids of the same moments side by side."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from dcgan.comparison.plan import Plan
from dcgan.comparison.runs import comparison_run, read_parts
from dcgan.data.splits import split_words
from dcgan.files import atomic_file
from dcgan.reporting.series import DISTANCE, KERNEL_DISTANCE, LOSS_NAMES, MEASURE_TITLES, Points
from dcgan.run.log import LogEntry

WORK_KEYS = {"minutes": "seconds", "images": "images_seen", "steps": "step"}
"""The key in the metrics log that counts the work, by the plan's unit."""
WORK_LABELS = {"minutes": "minutes of training", "images": "images seen", "steps": "steps"}
MIN_LOG_RATIO = 5
"""The axis of the distances is logarithmic if the greatest is more than this many times the least."""
MIN_SYMLOG_LOSS = 10
"""The axis of the losses is logarithmic if one of them is greater than this, positive or negative."""


def draw_comparison_curves(plan: Plan, out: Path) -> None:
    """Draw the distance after each part, and the losses: a thin line for each seed, a color for each preset."""
    figure = Figure(figsize=(9, 10), layout="constrained")
    FigureCanvasAgg(figure)
    distance_axes, *loss_axes = figure.subplots(1 + len(LOSS_NAMES), 1, sharex=True)
    parts_of_runs = {run: read_parts(comparison_run(out, *run))[0] for run in plan.runs}
    distance = _distance_name(parts_of_runs.values())
    for i, preset in enumerate(plan.presets):
        for seed in plan.seeds:
            folder, style = comparison_run(out, preset, seed), {"color": f"C{i}", "lw": 0.9, "alpha": 0.8}
            label = preset if seed == plan.seeds[0] else None
            _plot(
                distance_axes,
                _work_points(plan, parts_of_runs[preset, seed], distance),
                marker="o",
                ms=3,
                label=label,
                **style,
            )
            measurements = list(folder.log.measurements())
            for axes, key in zip(loss_axes, LOSS_NAMES, strict=True):
                _plot(axes, _work_points(plan, measurements, key), **style)
    _set_scale(distance_axes, "log", lambda low, high: low > 0 and high > MIN_LOG_RATIO * low)
    features = sorted({part["features"] for parts in parts_of_runs.values() for part in parts if "features" in part})
    how = f"\n{', '.join(features)}, {split_words(plan.split)}" if features else ""
    distance_axes.set_ylabel(f"{MEASURE_TITLES[distance]}{how}")
    distance_axes.legend(loc="best", frameon=False, ncols=3)
    for axes, key in zip(loss_axes, LOSS_NAMES, strict=True):
        # a critic's losses are larger than the others, and can be negative
        _set_scale(axes, "symlog", lambda low, high: max(high, -low) > MIN_SYMLOG_LOSS, linthresh=1)
        axes.set_ylabel(LOSS_NAMES[key])
    loss_axes[-1].set_xlabel(WORK_LABELS[plan.unit])
    for axes in (distance_axes, *loss_axes):
        axes.grid(alpha=0.3)
    _save(figure, out / "curves.png")


def draw_grids(plan: Plan, out: Path) -> None:
    """Draw the grids of the first seed: a row for each preset, a column for the end of each part."""
    part_count = len(plan.part_lengths())
    figure = Figure(figsize=(2.2 * part_count, 2.4 * len(plan.presets)), layout="constrained")
    FigureCanvasAgg(figure)
    cells = figure.subplots(len(plan.presets), part_count, squeeze=False)
    for row, preset in zip(cells, plan.presets, strict=True):
        folder = comparison_run(out, preset, plan.seeds[0])
        parts, _ = read_parts(folder)
        row[0].set_ylabel(preset)
        for cell in row:
            cell.set(xticks=[], yticks=[])
        for cell, part in zip(row, parts, strict=False):
            _show_grid(cell, folder.grid_path(int(part["images_seen"])))
            cell.set_title(f"{_work(plan, part):.3g} {plan.unit}", fontsize=8)
    _save(figure, out / "grids.png")


def _show_grid(cell: Axes, path: Path) -> None:
    """Show a grid; a cell whose file was deleted, to save space, or is damaged, says that it has none."""
    try:
        with Image.open(path) as image:
            cell.imshow(np.asarray(image.convert("RGB")), interpolation="nearest")
    except (OSError, SyntaxError, ValueError):  # what Pillow raises for files that are no images
        cell.text(0.5, 0.5, "no grid", ha="center", va="center", transform=cell.transAxes, fontsize=8)


def _distance_name(parts_of_runs: Iterable[list[LogEntry]]) -> str:
    """Return the name of the distance that was measured after the parts of the runs, see `probe_run`."""
    has_kernel = any(KERNEL_DISTANCE in part for parts in parts_of_runs for part in parts)
    return KERNEL_DISTANCE if has_kernel else DISTANCE


def _work(plan: Plan, entry: LogEntry) -> float:
    """Return the work that was done at an entry of the log, in the plan's unit."""
    return float(entry[WORK_KEYS[plan.unit]]) / (60 if plan.unit == "minutes" else 1)


def _work_points(plan: Plan, entries: list[LogEntry], key: str) -> Points:
    """Return the values of `key` over the work; without a discriminator there are none of its loss."""
    return [(_work(plan, entry), float(entry[key])) for entry in entries if key in entry]


def _plot(axes: Axes, points: Points, **style: Any) -> None:
    if len(points) == 1:  # a line through one point shows nothing
        style = {"marker": "o", "ms": 3} | style
    axes.plot([x for x, _ in points], [y for _, y in points], **style)


def _set_scale(axes: Axes, name: str, is_wide: Callable[[float, float], bool], **options: float) -> None:
    """Make the y axis logarithmic if the values spread so widely that it shows more."""
    ys = [float(y) for line in axes.lines for y in np.asarray(line.get_ydata())]
    if ys and is_wide(min(ys), max(ys)):
        axes.set_yscale(name, **options)


def _save(figure: Figure, path: Path) -> None:
    with atomic_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
