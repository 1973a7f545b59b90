"""What is compared: checked as a whole before anything is written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcgan.config import Config
from dcgan.errors import UserError
from dcgan.files import FORMAT_VERSION, atomic_file, printable, read_json
from dcgan.presets import configure
from dcgan.run.lock import LOCK_NAME as LOCK
from dcgan.training.state import set_up

DEFAULT_SEEDS = (0, 1, 2, 3)
"""The fewest with which anything can be told at 5%: of four against four the least p is 2/70."""
MOST_SEEDS = 10
DEFAULT_MINUTES = 3.0
PLAN_FILE = "compare.json"


@dataclass(frozen=True)
class Plan:
    """A comparison.

    Attributes:
        presets: which recipes.
        seeds: of the trainings.
        unit: what is equal: `minutes`, `images` or `steps`.
        amount: how much of it each run gets.
        data: as for `train`.
        image_size: of all runs.
        n: samples in each figure.
    """

    presets: tuple[str, ...]
    seeds: tuple[int, ...]
    unit: str
    amount: float
    data: str
    image_size: int | str
    n: int

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Seed after seed, so that whatever slows the machine for a while meets every preset."""
        return [(preset, seed) for seed in self.seeds for preset in self.presets]

    def config(self, preset: str, seed: int, amount: float) -> Config:
        """The settings of a run that trains for that much."""
        length = amount if self.unit == "minutes" else round(amount)
        settings = {"seed": seed, "data": self.data, "image_size": self.image_size, self.unit: length}
        return configure(preset, **settings)

    def fixed(self) -> dict[str, Any]:
        """What cannot change from one call to the next: presets and seeds may be added."""
        names = ("unit", "amount", "data", "image_size", "n")
        return {name: getattr(self, name) for name in names}


def make_plan(
    presets: Sequence[str],
    seeds: Sequence[int],
    lengths: Mapping[str, float | None],
    data: str,
    image_size: int | str,
    n: int,
) -> Plan:
    """A plan in which every run can be set up.

    Raises:
        UserError: the first thing that cannot work.
    """
    given = {unit: amount for unit, amount in lengths.items() if amount is not None}
    if len(given) > 1:
        raise UserError(f"{' and '.join(f'--{unit}' for unit in given)} all say what is equal: give one of them")
    if not presets or not seeds:
        raise UserError("give at least one preset and one seed")
    for name, values in (("--presets", presets), ("--seeds", seeds)):
        if len(set(values)) < len(values):
            raise UserError(f"{name} names one of them twice")
    if len(seeds) > MOST_SEEDS:
        raise UserError(f"at most {MOST_SEEDS} seeds are compared, not {len(seeds)}")
    unit, amount = next(iter(given.items()), ("minutes", DEFAULT_MINUTES))
    plan = Plan(tuple(presets), tuple(seeds), unit, amount, data, image_size, n)
    for preset in plan.presets:
        if preset.endswith(".json"):
            raise UserError(f"a comparison is of presets by name: {preset} is a file")
        for seed in plan.seeds:
            config = plan.config(preset, seed, plan.amount)
        set_up(config)  # networks, data, labels: all that could fail in an hour fails now
    return plan


def open_comparison_folder(plan: Plan, out: Path) -> None:
    """Make the folder, or find it begun with the same plan.

    Raises:
        UserError: it holds something else, or another comparison.
    """
    if (out / PLAN_FILE).is_file():
        _check_same(plan, out)
        return
    if out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= {LOCK, f".{PLAN_FILE}.new"}):
        raise UserError(f"{printable(str(out))} holds other files and no comparison: give another --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with atomic_file(out / PLAN_FILE) as aside:
            content = {"format_version": FORMAT_VERSION, **plan.fixed()}
            aside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {printable(str(out))}: {error.strerror}") from None


def _check_same(plan: Plan, out: Path) -> None:
    begun = read_json(out / PLAN_FILE)
    for name, value in plan.fixed().items():
        if begun.get(name) != value:
            raise UserError(
                f"{printable(str(out))} was begun with {name.replace('_', ' ')} {begun.get(name)}, not {value}: give "
                "that again to go on, or another --out"
            )
