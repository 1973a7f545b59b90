"""How long until the digits are good: preset `fast` against the study's own run.

    python -m benchmarks.time_to_quality speed                     # minutes, on a quiet machine
    python -m benchmarks.time_to_quality study                     # the study's 11,500 steps: half an hour
    python -m benchmarks.time_to_quality fast --seeds 0 1 2        # ten minutes each
    python -m benchmarks.time_to_quality fast --seeds 0 --seconds 3600
    python -m benchmarks.time_to_quality table                     # what is stored, as Markdown
    python -m benchmarks.time_to_quality picture docs/images/time-to-quality.png

Seconds are training time of a quiet machine: `speed` measures there what a step costs, the study's loop and ours in
turn, and how long ours takes before its first step. The other parts count images, which stand for seconds at those
rates, so that other work on the machine does not change what they find. Imports and evaluation are left out. Quality:
features `judge`, 10,000 samples against the 10,000 test digits; nothing of it reaches the training. All is stored in
docs/time_to_quality.json.
"""

import argparse
import datetime
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from benchmarks.eyes import Eyes
from dcgan.data.open import open_images
from dcgan.images import Pixels, make_grid
from dcgan.metrics import fidelity
from dcgan.presets import configure
from dcgan.sampling import latents
from dcgan.sampling.generate import generate_pixels
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State, set_up
from dcgan.training.step import train_step

STORED, PICTURES = Path("docs/time_to_quality.json"), Path("build/time_to_quality")
SAMPLES = 10_000
STUDY_STEPS = 11_500
STUDY_QUALITY = (10_500, 11_000, 11_500)
SECONDS = (
    5,
    6,
    7,
    8,
    9,
    10,
    12,
    14,
    16,
    18,
    20,
    25,
    30,
    40,
    50,
    60,
    90,
    120,
    180,
    240,
    300,
    450,
    600,
    1200,
    2400,
    3600,
)
SHOWN = (10, 30, 60, 300)
"""Seconds after which the picture shows samples."""
Found = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["speed", "study", "fast", "table", "picture", "one-speed"])
    parser.add_argument("out", nargs="?", default="")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=int, default=600)
    args = parser.parse_args()
    if args.part == "speed":
        store("speed", speed(args.pairs))
    elif args.part == "one-speed":
        print(json.dumps(ONE_SPEED[args.out]()))
    elif args.part == "study":
        store("study", study())
    elif args.part == "fast":
        for seed in args.seeds:
            for found in fast(seed, args.seconds):  # what was found so far is kept: a long run may be stopped
                store(f"fast-{seed}", found)
    elif args.part == "table":
        print(table(stored()))
    else:
        picture(Path(args.out))


def stored() -> Found:
    return json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}


def store(part: str, found: Found) -> None:
    about = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    STORED.write_text(json.dumps(stored() | {part: about | found}, indent=1) + "\n", encoding="utf-8")


# Speed


def speed(pairs: int) -> Found:
    """Seconds a step of the study's own loop, images a second of `fast`, and what goes before its first step."""
    runs: dict[str, list[Found]] = {name: [] for name in ONE_SPEED}
    for _ in range(pairs):
        for name, each in runs.items():
            command = [sys.executable, "-m", "benchmarks.time_to_quality", "one-speed", name]
            each.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            print(name, each[-1], file=sys.stderr)
    return {
        "study_seconds_a_step": statistics.median(run["seconds_a_step"] for run in runs["study"]),
        "fast_seconds_a_step": statistics.median(run["seconds_a_step"] for run in runs["fast"]),
        "fast_seconds_before": statistics.median(run["before"] for run in runs["fast"]),
        "fast_batch": configure("fast").batch_size,
        "runs": runs,
    }


def _study_speed() -> Found:
    from benchmarks import study

    loop = study.steps()
    return {"seconds_a_step": _timed(loop, 40)}


def _fast_speed() -> Found:
    begin = time.perf_counter()
    state = set_up(configure("fast", device="cpu"))
    train_step(state)
    before = time.perf_counter() - begin
    return {"before": before, "seconds_a_step": _timed(iter(lambda: train_step(state), 0), 200)}


ONE_SPEED = {"study": _study_speed, "fast": _fast_speed}


def _timed(loop: Iterable[Any], steps: int) -> float:
    steps_done = iter(loop)
    for _ in range(5):
        next(steps_done)
    begin = time.perf_counter()
    for _ in range(steps):
        next(steps_done)
    return (time.perf_counter() - begin) / steps


# Quality


def look(eyes: Eyes, generator: nn.Module, z_dim: int) -> Found:
    """How good the generator is now."""
    _, features, found = eyes.see(generator, latents.draw_latents(0, SAMPLES, z_dim))
    precision, recall = fidelity.precision_recall(features, eyes.real)
    return found | {"precision": precision, "recall": recall}


def floor(eyes: Eyes) -> dict[str, float]:
    """Precision and recall of as many real training digits."""
    train = eyes.features.extract(open_images("mnist").pixels[:SAMPLES])[0]
    return dict(zip(("precision", "recall"), fidelity.precision_recall(train, eyes.real), strict=True))


def study() -> Found:
    """The study's network and settings, its generator as it is: no average of it is kept there."""
    seconds, eyes = stored()["speed"]["study_seconds_a_step"], Eyes()
    shown = {max(1, round(t / seconds)): t for t in SHOWN}
    state = set_up(configure("dcgan", ema=0, device="cpu"))
    notes = []
    while state.progress.step < STUDY_STEPS:
        train_step(state)
        if state.progress.step in shown or state.progress.step in STUDY_QUALITY or state.progress.step % 1000 == 0:
            notes.append(note(state, eyes))
            _keep(state, "study", shown.get(state.progress.step))
    final = [n["frechet"] for n in notes if n["step"] in STUDY_QUALITY]
    return {
        "frechet": sum(final) / len(final),
        "seed": 0,
        "shown": {t: step for step, t in shown.items()},
        "notes": notes,
    }


def fast(seed: int, seconds: int) -> Iterator[Found]:
    """`fast`, with a note after each of `SECONDS`; yields all of them so far."""
    cost, eyes = stored()["speed"], Eyes()
    real = floor(eyes)
    state = set_up(configure("fast", seed=seed, device="cpu"))
    notes = []
    for t in (t for t in SECONDS if t <= seconds):
        while state.progress.step * cost["fast_seconds_a_step"] < t - cost["fast_seconds_before"]:
            train_step(state)
        notes.append(note(state, eyes))
        _keep(state, f"fast-{seed}", t if t in SHOWN else None)
        yield {"seed": seed, "floor": real, "notes": notes}


def note(state: State, eyes: Eyes) -> Found:
    """What is found at this step; how many seconds that is follows from the speed."""
    at = {"step": state.progress.step, "images_seen": state.progress.images_seen}
    found = at | look(eyes, averaged_generator(state), state.config.z_dim)
    print(json.dumps(found), file=sys.stderr, flush=True)
    return found


def _keep(state: State, name: str, seconds: int | None) -> None:
    if seconds is None:
        return
    PICTURES.mkdir(parents=True, exist_ok=True)
    np.save(
        PICTURES / f"{name}-{seconds}.npy",
        generate_pixels(state.ema.network, latents.draw_latents(1, 64, state.config.z_dim)),
    )


# What is shown


def table(found: Found) -> str:
    """The tables of docs/results.md, at the speeds that are stored now."""
    cost, goal = found["speed"], found["study"]["frechet"]
    whole = STUDY_STEPS * cost["study_seconds_a_step"]
    floor = next(run["floor"] for name, run in found.items() if name.startswith("fast"))
    lines = [
        f"The study: {goal:.3f} after {whole:,.0f} s ({cost['study_seconds_a_step'] * 1000:.1f} ms a step). `fast`: "
        f"{cost['fast_seconds_before']:.1f} s before its first step, then {cost['fast_seconds_a_step'] * 1000:.1f} ms "
        f"a step. Real against real: precision {floor['precision']:.3f}, recall {floor['recall']:.3f}.",
        "",
        "| run | seconds | steps | images | Fréchet distance | precision | recall | rarest digit | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, run in found.items():
        for n in run["notes"] if name.startswith("fast") else []:
            seconds = _seconds(cost, n)
            cells = [name, f"{seconds:.1f}", f"{n['step']:,}", f"{n['images_seen']:,}", f"{n['frechet']:.3f}"]
            cells += [f"{n['precision']:.3f}", f"{n['recall']:.3f}", f"{n['rarest_digit']:.1%}"]
            cells += [f"the study's in 1/{whole / seconds:.0f} of its time" if n is _first(run["notes"], goal) else ""]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _seconds(cost: Found, note: Found) -> float:
    """Training time of `fast` at a note, on a quiet machine of the speed that is stored."""
    return float(cost["fast_seconds_before"] + note["step"] * cost["fast_seconds_a_step"])


def _first(notes: list[Found], goal: float) -> Found | None:
    """The first note that is as good."""
    return next((n for n in notes if n["frechet"] <= goal), None)


def picture(out: Path) -> None:
    """Samples of both after equal times, one above the other."""
    found = stored()
    figure = Figure(figsize=(3 * len(SHOWN), 6.4), layout="constrained")
    for row, name in enumerate(("fast-0", "study")):
        for column, seconds in enumerate(SHOWN):
            axes = figure.add_subplot(2, len(SHOWN), 1 + row * len(SHOWN) + column)
            pixels: Pixels = np.load(PICTURES / f"{name}-{seconds}.npy")
            axes.imshow(make_grid(pixels, columns=8).squeeze(), cmap="gray")
            at, label = _shown(found, name, seconds)
            axes.set_title(f"{label}: distance {at['frechet']:.2f}", fontsize=11)
            axes.axis("off")
    figure.savefig(out, dpi=80)


def _shown(found: Found, name: str, order: int) -> tuple[Found, str]:
    """The note of the pictures kept for `SHOWN`[i], and whose they are after how long at the speeds stored now."""
    notes, cost = found[name]["notes"], found["speed"]
    if name == "study":
        at = next(n for n in notes if n["step"] == found["study"]["shown"][str(order)])
        return at, f"the study, {at['step'] * cost['study_seconds_a_step']:.0f} s"
    at = notes[SECONDS.index(order)]
    return at, f"fast, {_seconds(cost, at):.0f} s"


if __name__ == "__main__":
    main()
