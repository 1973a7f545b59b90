"""Put the generator of a run into the package under one of its names, with a card that says what was measured.

    dcgan evaluate RUN
    python -m benchmarks.shipped RUN mnist|mnist-dcgan|mnist-cgan

The metrics of the card are those that `dcgan evaluate` wrote into the run. They must be those of the model as it is
now; otherwise nothing is written.
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

MAX_SHIPPED_BYTES = 6_000_000
"""Size of all shipped models together."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("name", choices=shipped.SHIPPED_NAMES)
    args = parser.parse_args()
    print(f"{args.name}: {ship_model(open_run(args.run), args.name):,} bytes of all shipped models")


def ship_model(run: RunFolder, name: str) -> int:
    """Copy the model, write its card, and return the size of all shipped models in bytes."""
    model, evaluation = load(run.path), read_json(run.evaluation / "figures.json")
    if evaluation["images_seen"] != model.trained["images_seen"]:
        raise UserError(f"{run.path} was evaluated at another time of its training: run dcgan evaluate {run.path}")
    trained = {"averaged": run.config().ema > 0, **model.trained, "command": _complete_command(model.trained)}
    folder = shipped.shipped_folder(name)
    save_generator(model.generator.half(), folder, trained)  # half precision, half the size
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8").replace('"this folder, or its Hub id"', f'"{name}"')
    card.write_text(text + _measurements_section(run, evaluation), encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.parent.glob("*/*") if path.is_file())
    if size > MAX_SHIPPED_BYTES:
        raise UserError(f"the shipped models have {size:,} bytes, more than {MAX_SHIPPED_BYTES:,}")
    return size


def _complete_command(trained: dict[str, Any]) -> str:
    """Return the command that trains the model again. It names the duration, because the preset's own may change."""
    command = str(trained["command"])
    has_duration = any(f"--{name}" in command for name in DURATIONS)
    return command if has_duration else f"{command} --steps {trained['step']}"


def _measurements_section(run: RunFolder, evaluation: dict[str, Any]) -> str:
    measurements = list(run.log.measurements())
    rows = "\n".join(
        f"| {METRIC_TITLES.get(name, name)} | {format_number(m['mean'])} | "
        f"{format_number(m['low'])} to {format_number(m['high'])} | "
        f"{'-' if m['real_against_real'] is None else format_number(m['real_against_real'])} |"
        for name, m in evaluation["metrics"].items()
    )
    return f"""
## How it was made

Seed {run.config().seed}; {measurements[-1]["seconds"] / 60:.0f} minutes of training on a two-core machine (AMD EPYC,
Zen 3) that had other work to do too.

## What was measured

`dcgan evaluate`, against the {evaluation["split"]} split of {evaluation["data"]}: {evaluation["n"]:,} samples,
{evaluation["reference"]:,} real pictures, features `{evaluation["features"]}`, 95% intervals over
{evaluation["intervals"]}.

| | estimate | 95% interval | real against real |
|---|---|---|---|
{rows}

The digits that it learned from: MNIST, Yann LeCun, Corinna Cortes, Christopher Burges, CC BY-SA 3.0.
"""


if __name__ == "__main__":
    main()
