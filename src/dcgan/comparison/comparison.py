"""Several presets side by side, over seeds, at equal work: differences then come from the presets, or from chance."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dcgan.cache import expand_user
from dcgan.comparison.figures import draw_comparison_curves, draw_grids
from dcgan.comparison.jobs import finish_runs_at_once
from dcgan.comparison.plan import DEFAULT_SEEDS, make_plan, open_comparison_folder
from dcgan.comparison.progress import ComparisonProgress
from dcgan.comparison.runs import finish_run
from dcgan.comparison.table import Outcome, gather_outcome, write_tables
from dcgan.data.python_objects import data_path
from dcgan.devices.processes import end_without_main_guard
from dcgan.evaluation.task import DEFAULT_SAMPLES
from dcgan.presets import COMPARED_PRESETS
from dcgan.run.lock import lock_run
from dcgan.system.torch_settings import isolate_torch_settings


@dataclass(frozen=True)
class Comparison:
    """A comparison that was carried out: its folder, and its outcome."""

    path: Path
    outcome: Outcome


@isolate_torch_settings()
def compare(
    out: str | os.PathLike[str],
    *,
    presets: Sequence[str] = COMPARED_PRESETS,
    seeds: Sequence[int] = DEFAULT_SEEDS,
    minutes: float | None = None,
    images: int | None = None,
    steps: int | None = None,
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = "mnist",
    image_size: int | str = 28,
    n: int = DEFAULT_SAMPLES,
    jobs: int = 1,
) -> Comparison:
    """Train every preset with every seed for the same length, measure all runs, and say which presets differ.

    The same call again continues where it was interrupted. A call with more presets or seeds adds them.

    Args:
        out: the folder, which gets a run in `PRESET-SEED/` for each preset and seed, tables, curves and grids.
        presets: the names of the presets.
        seeds: the seeds of the trainings, at most ten.
        minutes: the training time of each run, by default three minutes. Give at most one of `minutes`, `images` and
            `steps`.
        images: the number of real images that each run sees.
        steps: the number of steps (generator updates) of each run.
        data: as for `train`.
        image_size: the size of the pictures of all runs.
        n: the number of samples that each metric is computed from.
        jobs: how many runs are trained at once, each in a process of its own with as many of torch's threads as there
            are for each. A script must then call this below `if __name__ == "__main__":`.

    Returns:
        The folder, and the metrics of all runs with intervals over seeds and a verdict for each pair of presets.

    Raises:
        UserError: a preset is unknown, a setting cannot work, or the folder holds something else. Nothing is changed
            then.
        TrainingStopped: a signal such as Ctrl-C arrived; everything was saved.
    """
    if jobs > 1:
        end_without_main_guard()
    lengths = {"minutes": minutes, "images": images, "steps": steps}
    plan = make_plan(presets, seeds, lengths, data_path(data), image_size, n, jobs)
    folder = expand_user(out)
    plan = open_comparison_folder(plan, folder)
    with lock_run(folder):
        with ComparisonProgress(folder.name, len(plan.runs)) as progress:
            if jobs > 1:
                finish_runs_at_once(plan, folder, progress.show)
            else:
                for preset, seed in plan.runs:
                    finish_run(plan, folder, preset, seed, progress.show)
        outcome = gather_outcome(plan, folder)
        write_tables(outcome, folder)
        draw_comparison_curves(plan, folder)
        draw_grids(plan, folder)
    return Comparison(folder, outcome)
