"""The plan of a comparison, which is checked completely before anything is written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dcgan.config import Config
from dcgan.data.location import public_data_name
from dcgan.data.open import open_images
from dcgan.data.splits import SPLITS, split_words
from dcgan.errors import UserError
from dcgan.evaluation.task import default_split
from dcgan.files import printable, read_json, write_json, write_reason
from dcgan.metrics.fidelity import check_image_count
from dcgan.presets import configure
from dcgan.rng import SeparatePurpose, derive_separate_seed
from dcgan.run.lock import HOLDER_NAME, LOCK_NAME
from dcgan.training.set_up import set_up

DEFAULT_SEEDS = (0, 1, 2, 3)
"""The fewest seeds that can show a difference at the 5% level: with four against four, p is at least 2/70."""
MAX_COMPARED_SEEDS = 10
DEFAULT_MINUTES = 3.0
PART_COUNT = 6
"""Parts of a run, which is probed at the end of each: enough for a curve, and for grids side by side."""
PROBE_SEED = derive_separate_seed(0, SeparatePurpose.PROBE_SAMPLES)
"""Seed of the samples that are measured after each part. No evaluation uses any of them."""
PROBE_SEED_OF_0_1 = 2**32
"""The same in comparisons that version 0.1.0 started. The first of them are the samples 64 to 127 of the seed 0."""
PLAN_FILE = "compare.json"
UNSTARTED_FILES = {LOCK_NAME, HOLDER_NAME, f".{PLAN_FILE}.new"}
"""What a folder may hold in which a comparison starts: a process may have been killed before it wrote the plan."""


@dataclass(frozen=True)
class Plan:
    """The plan of a comparison.

    Attributes:
        presets: the names of the presets.
        seeds: the seeds of the trainings.
        unit: the unit of the work that is equal for all runs: `minutes`, `images` or `steps`.
        amount: how much of it each run gets.
        data: as for `train`.
        image_size: the size of the pictures of all runs.
        n: the number of samples that each metric is computed from.
        pictures_key: hash of the data's pictures, so that a comparison does not go on with others.
        probe_seed: seed of the samples that are measured after each part.
        jobs: how many runs are trained at once.
        split: the split that samples are compared with.
    """

    presets: tuple[str, ...]
    seeds: tuple[int, ...]
    unit: str
    amount: float
    data: str
    image_size: int | str
    n: int
    pictures_key: str | None = None
    probe_seed: int = PROBE_SEED
    jobs: int = 1
    split: str = "test"

    @property
    def runs(self) -> list[tuple[str, int]]:
        """(preset, seed) of each run, seed after seed: what slows the machine for a while slows every preset."""
        return [(preset, seed) for seed in self.seeds for preset in self.presets]

    def part_lengths(self) -> list[float]:
        """Return how long a run is at the end of each of its parts, in the plan's unit.

        There are `PART_COUNT` parts, or fewer if the run has fewer steps or images than that.
        """
        lengths = [self.amount * part / PART_COUNT for part in range(1, PART_COUNT + 1)]
        if self.unit != "minutes":
            lengths = [max(1, round(length)) for length in lengths]
        return list(dict.fromkeys(lengths))

    def config(self, preset: str, seed: int, amount: float) -> Config:
        """Return the settings of a run of that length."""
        length = amount if self.unit == "minutes" else round(amount)
        settings = {"seed": seed, "data": self.data, "image_size": self.image_size, self.unit: length}
        return configure(preset, **settings)

    def fixed_settings(self) -> dict[str, Any]:
        """Return what must stay the same when a comparison is continued: only presets and seeds may be added.

        The data is named as others may see it: an absolute path would name the user. In the same minutes, runs that
        share the machine with others get less far.
        """
        names = ("unit", "amount", "data", "image_size", "n", *(("jobs",) if self.unit == "minutes" else ()))
        return {name: getattr(self, name) for name in names} | {"data": public_data_name(self.data)}


def make_plan(
    presets: Sequence[str],
    seeds: Sequence[int],
    lengths: Mapping[str, float | None],
    data: str,
    image_size: int | str,
    n: int,
    jobs: int = 1,
) -> Plan:
    """Return a plan whose runs can all be set up.

    Args:
        presets: the names of the presets.
        seeds: the seeds of the trainings.
        lengths: the length of a run by unit; at most one is not None.
        data: as for `train`.
        image_size: the size of the pictures of all runs.
        n: the number of samples that each metric is computed from.
        jobs: how many runs are trained at once.

    Raises:
        UserError: something cannot work.
    """
    if jobs < 1:
        raise UserError(f"--jobs must be at least 1, not {jobs}")
    unit, amount = _length(lengths)
    _check_names(presets, seeds)
    check_image_count(n, "--n", "give a larger --n")
    plan = Plan(tuple(presets), tuple(seeds), unit, amount, data, image_size, n, jobs=jobs)
    for preset in plan.presets:
        for seed in plan.seeds:
            config = plan.config(preset, seed, plan.amount)
        state = set_up(config)  # networks, data, labels: what could fail after an hour of training fails now
        plan = replace(plan, pictures_key=state.data.pictures_key)
    split = default_split(len(open_images(data, "test")))
    subject = f"{split_words(split)} of {public_data_name(data)}"
    check_image_count(len(open_images(data, split)), subject, "add pictures")
    return replace(plan, split=split)


def _length(lengths: Mapping[str, float | None]) -> tuple[str, float]:
    """Return the unit and the amount of the work of each run."""
    given = {unit: amount for unit, amount in lengths.items() if amount is not None}
    if len(given) > 1:
        flags = " and ".join(f"--{unit}" for unit in given)
        raise UserError(f"{flags} all set the length of the runs: give one of them")
    return next(iter(given.items()), ("minutes", DEFAULT_MINUTES))


def _check_names(presets: Sequence[str], seeds: Sequence[int]) -> None:
    if not presets or not seeds:
        raise UserError("give at least one preset and one seed")
    for flag, values in (("--presets", presets), ("--seeds", seeds)):
        if len(set(values)) < len(values):
            raise UserError(f"{flag} names one of them twice")
    if len(seeds) > MAX_COMPARED_SEEDS:
        raise UserError(f"at most {MAX_COMPARED_SEEDS} seeds are compared, not {len(seeds)}")
    for preset in presets:
        if preset.endswith(".json"):
            raise UserError(f"a comparison takes presets by name: {preset} is a file")


def open_comparison_folder(plan: Plan, out: Path) -> Plan:
    """Make the folder of a comparison, or check that the comparison in it has the same plan.

    Returns:
        The plan, with the probe's seed of the comparison that is continued.

    Raises:
        UserError: the folder holds something else, or another comparison.
    """
    if (out / PLAN_FILE).is_file():
        return _continued_plan(plan, out)
    if out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= UNSTARTED_FILES):
        raise UserError(f"{printable(str(out))} holds other files and no comparison: give another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / PLAN_FILE, _plan_content(plan))
    except OSError as error:
        raise UserError(f"cannot write to {printable(str(out))}: {write_reason(error)}") from None
    return plan


def _plan_content(plan: Plan) -> dict[str, Any]:
    names = ("pictures_key", "probe_seed", "split")
    return plan.fixed_settings() | {name: getattr(plan, name) for name in names}


def _continued_plan(plan: Plan, out: Path) -> Plan:
    saved = read_json(out / PLAN_FILE)
    if isinstance(saved.get("data"), str):
        saved["data"] = public_data_name(saved["data"])  # version 0.1.0 wrote it as it was typed
    if saved.get("pictures_key") not in (None, plan.pictures_key):
        raise UserError(
            f"{printable(str(out))} was started with other pictures than those in {printable(plan.data)}: give the "
            "same pictures to continue, or another --out"
        )
    saved.setdefault("jobs", 1)
    before, now = (_flags(settings, plan.fixed_settings()) for settings in (saved, plan.fixed_settings()))
    if others := [(old, new) for old, new in zip(before, now, strict=True) if old != new]:
        old, new = others[0]
        raise UserError(
            f"{printable(str(out))} was started with {printable(old)}, not {new}: give the same to continue, or "
            "another --out"
        )
    probe_seed, split = saved.get("probe_seed", PROBE_SEED_OF_0_1), saved.get("split", "test")
    if not isinstance(probe_seed, int):
        raise UserError(f"{printable(str(out / PLAN_FILE))} is damaged: probe_seed is {probe_seed!r}")
    if split not in SPLITS:
        raise UserError(f"{printable(str(out / PLAN_FILE))} is damaged: split is {split!r}")
    return replace(plan, probe_seed=probe_seed, split=split)


def _flags(settings: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """Return settings as flags of the command line; the length of the runs is one flag."""
    length = f"--{settings.get('unit')} {settings.get('amount')}"
    others = [f"--{name.replace('_', '-')} {settings.get(name)}" for name in names if name not in ("unit", "amount")]
    return [length, *others]
