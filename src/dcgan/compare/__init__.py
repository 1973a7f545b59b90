"""Several recipes side by side, over seeds, at equal work: what differs is then the recipe's doing, or chance's."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from dcgan.compare.outcome import Outcome, outcome, write
from dcgan.compare.pictures import curves, side_by_side
from dcgan.compare.plan import DEFAULT_SEEDS, enter, make
from dcgan.compare.work import PARTS, advance, finish
from dcgan.config import COMPARED
from dcgan.evaluate import SAMPLES
from dcgan.lock import locked

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n:.2f}/{total} runs [{elapsed}<{remaining}{postfix}]"


@dataclass(frozen=True)
class Comparison:
    """Where everything is, and what came out."""

    path: Path
    outcome: Outcome


def compare(
    out: Path,
    *,
    presets: Sequence[str] = COMPARED,
    seeds: Sequence[int] = DEFAULT_SEEDS,
    minutes: float | None = None,
    images: int | None = None,
    steps: int | None = None,
    data: str = "mnist",
    image_size: int | str = 28,
    n: int = SAMPLES,
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
    plan = make(presets, seeds, {"minutes": minutes, "images": images, "steps": steps}, data, image_size, n)
    enter(plan, out)
    with locked(out):
        with tqdm(total=len(plan.runs), unit="run", desc=out.name, bar_format=BAR, file=sys.stderr) as bar:
            for i, (preset, seed) in enumerate(plan.runs):
                for part in range(1, PARTS + 1):
                    advance(plan, out, preset, seed, part, bar, i)
                finish(plan, out, preset, seed)
                bar.update(i + 1 - bar.n)
        found = outcome(plan, out)
        write(found, out)
        curves(plan, out)
        side_by_side(plan, out)
    return Comparison(out, found)
