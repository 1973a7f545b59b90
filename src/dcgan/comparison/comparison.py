"""Several recipes side by side, over seeds, at equal work: what differs is then the recipe's doing, or chance's."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dcgan.comparison.figures import draw_comparison_curves, draw_grids
from dcgan.comparison.plan import DEFAULT_SEEDS, make_plan, open_comparison_folder
from dcgan.comparison.runs import PART_COUNT, evaluate_run, train_part
from dcgan.comparison.table import Outcome, gather_outcome, write_tables
from dcgan.evaluation.measure import DEFAULT_SAMPLES
from dcgan.presets import COMPARED_PRESETS
from dcgan.run.lock import lock_run

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.2f}/{total} runs [{elapsed}<{remaining}{postfix}]"


@dataclass(frozen=True)
class Comparison:
    """Where everything is, and what came out."""

    path: Path
    outcome: Outcome


def compare(
    out: Path,
    *,
    presets: Sequence[str] = COMPARED_PRESETS,
    seeds: Sequence[int] = DEFAULT_SEEDS,
    minutes: float | None = None,
    images: int | None = None,
    steps: int | None = None,
    data: str = "mnist",
    image_size: int | str = 28,
    n: int = DEFAULT_SAMPLES,
) -> Comparison:
    """Train every preset with every seed for the same length, measure all of them, and say what can be told apart.

    The same call again goes on where it was cut off; with more presets or seeds it adds them to what is there.

    Args:
        out: the folder: a run in `PRESET-SEED/` each, tables, curves, grids.
        presets: their names.
        seeds: of the trainings, up to ten.
        minutes: how long each run trains; three by default.
        images: the same as real images shown.
        steps: the same as generator updates.
        data: as for `train`.
        image_size: of all runs alike.
        n: samples in each figure.

    Raises:
        UserError: an unknown preset, a setting that cannot work, or a folder that holds something else. Nothing is
            touched then.
        KeyboardInterrupt: Ctrl-C, after everything was saved.
    """
    plan = make_plan(presets, seeds, {"minutes": minutes, "images": images, "steps": steps}, data, image_size, n)
    open_comparison_folder(plan, out)
    with lock_run(out):
        with tqdm(total=len(plan.runs), unit="run", desc=out.name, bar_format=BAR, file=sys.stderr) as bar:
            for i, (preset, seed) in enumerate(plan.runs):
                for part in range(1, PART_COUNT + 1):
                    train_part(plan, out, preset, seed, part, bar, i)
                evaluate_run(plan, out, preset, seed)
                bar.update(i + 1 - bar.n)
        found = gather_outcome(plan, out)
        write_tables(found, out)
        draw_comparison_curves(plan, out)
        draw_grids(plan, out)
    return Comparison(out, found)
