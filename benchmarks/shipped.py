"""Put a run's generator into the package under one of its names, with a card that says what was measured of it.

    dcgan evaluate RUN
    python -m benchmarks.shipped RUN mnist|mnist-dcgan|mnist-cgan

The card's figures are those that `dcgan evaluate` left in the run: of the model as it is there, or nothing is written.
"""

import argparse
from pathlib import Path
from typing import Any

from dcgan.config import DURATIONS
from dcgan.errors import UserError
from dcgan.files import read_json
from dcgan.metrics.results import METRIC_TITLES, format_number
from dcgan.models import shipped
from dcgan.models.store import save_generator
from dcgan.run.folder import RunFolder, open_run
from dcgan.sampling.model import load

LARGEST = 6_000_000
"""Bytes of all shipped models together."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("name", choices=shipped.SHIPPED_NAMES)
    args = parser.parse_args()
    print(f"{args.name}: {ship(open_run(args.run), args.name):,} bytes of all shipped models")


def ship(run: RunFolder, name: str) -> int:
    """Copy the model, write its card, and return how large all of them are."""
    model, figures = load(run.path), read_json(run.evaluation / "figures.json")
    if figures["images_seen"] != model.trained["images_seen"]:
        raise UserError(f"{run.path} was evaluated at another time of its training: run dcgan evaluate {run.path}")
    trained = {"averaged": run.config().ema > 0, **model.trained, "command": _command(model.trained)}
    place = shipped.shipped_folder(name)
    save_generator(model.generator.half(), place, trained)  # half the size
    card = place / "README.md"
    text = card.read_text(encoding="utf-8").replace('"this folder, or its Hub id"', f'"{name}"')
    card.write_text(text + _measured(run, figures), encoding="utf-8")
    size = sum(path.stat().st_size for path in place.parent.glob("*/*") if path.is_file())
    if size > LARGEST:
        raise UserError(f"the shipped models have {size:,} bytes, more than {LARGEST:,}")
    return size


def _command(trained: dict[str, Any]) -> str:
    """What trains it again, with its length said: a preset's own may change."""
    said = str(trained["command"])
    return said if any(f"--{name}" in said for name in DURATIONS) else f"{said} --steps {trained['step']}"


def _measured(run: RunFolder, figures: dict[str, Any]) -> str:
    lines = list(run.log.measurements())
    rows = "\n".join(
        f"| {METRIC_TITLES.get(key, key)} | {format_number(f['mean'])} | "
        f"{format_number(f['low'])} to {format_number(f['high'])} | "
        f"{'-' if f['real_against_real'] is None else format_number(f['real_against_real'])} |"
        for key, f in figures["metrics"].items()
    )
    return f"""
## How it was made

Seed {run.config().seed}; {lines[-1]["seconds"] / 60:.0f} minutes of training on a two-core machine (AMD EPYC, Zen 3)
that had other work to do too.

## What was measured

`dcgan evaluate`, against the {figures["split"]} part of {figures["data"]}: {figures["n"]:,} samples,
{figures["reference"]:,} real pictures, features `{figures["features"]}`, 95% intervals over {figures["intervals"]}.

| | figure | 95% interval | real against real |
|---|---|---|---|
{rows}

The digits that it learned from: MNIST, Yann LeCun, Corinna Cortes, Christopher Burges, CC BY-SA 3.0.
"""


if __name__ == "__main__":
    main()
