"""Measure how long it takes until the digits are good: preset `fast` against the study's own run.

    python -m benchmarks.time_to_quality speed                     # minutes, on a quiet machine
    python -m benchmarks.time_to_quality study                     # the study's 11,500 steps: half an hour
    python -m benchmarks.time_to_quality fast --seeds 0 1 2        # ten minutes each
    python -m benchmarks.time_to_quality fast --seeds 0 --seconds 3600
    python -m benchmarks.time_to_quality table                     # the stored results, as Markdown
    python -m benchmarks.time_to_quality picture docs/images/time-to-quality.png

Seconds are training time on a quiet machine. `speed` measures there how long a step takes, in the study's loop and in
ours in turn, and how long ours takes before its first step. The other parts count images and convert them to seconds at
those rates, so that other work on the machine does not change their results. Imports and evaluation are left out. The
quality is measured with the features `judge` and 10,000 samples against the 10,000 test digits; the training learns
nothing from that. All results are stored in docs/time_to_quality.json.
"""

import argparse
import datetime
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.judge_metrics import JudgeMetrics
from benchmarks.timing import run_python, seconds_per_call
from dcgan.data.open import open_images
from dcgan.images import Pixels, make_grid
from dcgan.metrics import fidelity
from dcgan.presets import configure
from dcgan.sampling import latents
from dcgan.sampling.generate import generate_pixels
from dcgan.training.set_up import set_up
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State
from dcgan.training.step import train_step

RESULTS_FILE = Path("docs/time_to_quality.json")
SAMPLES_FOLDER = Path("build/time_to_quality")
SAMPLE_COUNT = 10_000
"""Samples of a measurement, and real training digits of the floor."""
SAMPLE_SEED, PICTURE_SEED = 0, 1
WARM_UP_STEPS = 5
STUDY_TIMED_STEPS, FAST_TIMED_STEPS = 40, 200
STUDY_STEPS = 11_500
STUDY_FINAL_STEPS = (10_500, 11_000, 11_500)
"""The quality of the study is the mean of its distances at these steps."""
STUDY_MEASURE_EVERY = 1000
"""Steps between two measurements of the study's run."""
FAST_SECONDS = (
    *(5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 25, 30, 40, 50, 60, 90),
    *(120, 180, 240, 300, 450, 600, 1200, 2400, 3600),
)
"""Seconds of training after which `fast` is measured."""
PICTURE_SECONDS = (10, 30, 60, 300)
"""Seconds of training after which the picture shows samples."""
Results = dict[str, Any]
"""A part of the stored JSON object."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["speed", "study", "fast", "table", "picture", "one-speed"])
    parser.add_argument("out", nargs="?", default="")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=int, default=600)
    args = parser.parse_args()
    if args.part == "speed":
        store_results("speed", measure_speed(args.pairs))
    elif args.part == "one-speed":
        print(json.dumps(SPEED_MEASUREMENTS[args.out]()))
    elif args.part == "study":
        store_results("study", measure_study())
    elif args.part == "fast":
        for seed in args.seeds:
            for results in measure_fast(seed, args.seconds):  # stored after each measurement: a long run may be stopped
                store_results(f"fast-{seed}", results)
    elif args.part == "table":
        print(results_table(read_results()))
    else:
        draw_picture(Path(args.out))


def read_results() -> Results:
    """Return all stored results."""
    return json.loads(RESULTS_FILE.read_text(encoding="utf-8")) if RESULTS_FILE.exists() else {}


def store_results(part: str, results: Results) -> None:
    """Replace the stored results of one part."""
    conditions = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    text = json.dumps(read_results() | {part: conditions | results}, indent=1)
    RESULTS_FILE.write_text(text + "\n", encoding="utf-8")


# Speed


def measure_speed(pairs: int) -> Results:
    """Measure seconds per step of the study's own loop and of `fast`, and the seconds before the first step of `fast`.

    Each measurement has a process of its own.
    """
    runs: dict[str, list[Results]] = {name: [] for name in SPEED_MEASUREMENTS}
    for _ in range(pairs):
        for name, measurements in runs.items():
            measurements.append(json.loads(run_python("-m", "benchmarks.time_to_quality", "one-speed", name)))
            print(name, measurements[-1], file=sys.stderr)
    return {
        "study_seconds_a_step": statistics.median(run["seconds_a_step"] for run in runs["study"]),
        "fast_seconds_a_step": statistics.median(run["seconds_a_step"] for run in runs["fast"]),
        "fast_seconds_before": statistics.median(run["before"] for run in runs["fast"]),
        "fast_batch": configure("fast").batch_size,
        "runs": runs,
    }


def _measure_study_speed() -> Results:
    from benchmarks import study

    loop = study.steps()
    return {"seconds_a_step": seconds_per_call(lambda: next(loop), STUDY_TIMED_STEPS, WARM_UP_STEPS)}


def _measure_fast_speed() -> Results:
    start = time.perf_counter()
    state = set_up(configure("fast", device="cpu"))
    train_step(state)
    before = time.perf_counter() - start
    return {
        "before": before,
        "seconds_a_step": seconds_per_call(lambda: train_step(state), FAST_TIMED_STEPS, WARM_UP_STEPS),
    }


SPEED_MEASUREMENTS: dict[str, Callable[[], Results]] = {"study": _measure_study_speed, "fast": _measure_fast_speed}


# Quality


def measure_study() -> Results:
    """Train with the network and the settings of the study, and measure its generator: the study keeps no average."""
    seconds_per_step, judge = read_results()["speed"]["study_seconds_a_step"], JudgeMetrics()
    picture_steps = {max(1, round(seconds / seconds_per_step)): seconds for seconds in PICTURE_SECONDS}
    state = set_up(configure("dcgan", ema=0, device="cpu"))
    measurements = []
    while state.progress.step < STUDY_STEPS:
        train_step(state)
        step = state.progress.step
        if step in picture_steps or step in STUDY_FINAL_STEPS or step % STUDY_MEASURE_EVERY == 0:
            measurements.append(measure_state(state, judge))
        if step in picture_steps:
            save_samples(state, "study", picture_steps[step])
    final_distances = [m["frechet"] for m in measurements if m["step"] in STUDY_FINAL_STEPS]
    return {
        "frechet": sum(final_distances) / len(final_distances),
        "seed": 0,
        "shown": {seconds: step for step, seconds in picture_steps.items()},
        "notes": measurements,
    }


def measure_fast(seed: int, max_seconds: int) -> Iterator[Results]:
    """Train with `fast` and measure it after each of `FAST_SECONDS`; yield all results so far after each."""
    speed, judge = read_results()["speed"], JudgeMetrics()
    floor = measure_floor(judge)
    state = set_up(configure("fast", seed=seed, device="cpu"))
    measurements = []
    for seconds in (seconds for seconds in FAST_SECONDS if seconds <= max_seconds):
        while state.progress.step * speed["fast_seconds_a_step"] < seconds - speed["fast_seconds_before"]:
            train_step(state)
        measurements.append(measure_state(state, judge))
        if seconds in PICTURE_SECONDS:
            save_samples(state, f"fast-{seed}", seconds)
        yield {"seed": seed, "floor": floor, "notes": measurements}


def measure_floor(judge: JudgeMetrics) -> dict[str, float]:
    """Return the precision and recall of as many real training digits."""
    features = judge.extractor.extract(open_images("mnist").pixels[:SAMPLE_COUNT])[0]
    precision, recall = fidelity.precision_recall(features, judge.real_features)
    return {"precision": precision, "recall": recall}


def measure_state(state: State, judge: JudgeMetrics) -> Results:
    """Return the metrics of the generator at this step. How many seconds that is, follows from the speed.

    If there are classes, the samples have as many of each.
    """
    z = latents.draw_latents(SAMPLE_SEED, SAMPLE_COUNT, state.config.z_dim)
    labels = torch.arange(SAMPLE_COUNT) % state.class_count if state.class_count else None
    samples = judge.measure(averaged_generator(state), z, labels)
    precision, recall = fidelity.precision_recall(samples.features, judge.real_features)
    position = {"step": state.progress.step, "images_seen": state.progress.images_seen}
    measurement = position | samples.metrics | {"precision": precision, "recall": recall}
    print(json.dumps(measurement), file=sys.stderr, flush=True)
    return measurement


def save_samples(state: State, name: str, seconds: int) -> None:
    """Write samples for the picture."""
    SAMPLES_FOLDER.mkdir(parents=True, exist_ok=True)
    pixels = generate_pixels(state.ema.network, latents.draw_latents(PICTURE_SEED, 64, state.config.z_dim))
    np.save(SAMPLES_FOLDER / f"{name}-{seconds}.npy", pixels)


# Table and picture


def results_table(results: Results) -> str:
    """Return the tables of docs/results.md, at the speeds that are stored now."""
    speed, study_distance = results["speed"], results["study"]["frechet"]
    study_seconds = STUDY_STEPS * speed["study_seconds_a_step"]
    fast_runs = {name: run for name, run in results.items() if name.startswith("fast")}
    floor = next(run["floor"] for run in fast_runs.values())
    lines = [
        f"The study: {study_distance:.3f} after {study_seconds:,.0f} s "
        f"({speed['study_seconds_a_step'] * 1000:.1f} ms a step). `fast`: {speed['fast_seconds_before']:.1f} s before "
        f"its first step, then {speed['fast_seconds_a_step'] * 1000:.1f} ms a step. Real against real: precision "
        f"{floor['precision']:.3f}, recall {floor['recall']:.3f}.",
        "",
        "| run | seconds | steps | images | Fréchet distance | precision | recall | rarest digit | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, run in fast_runs.items():
        first = next((m for m in run["notes"] if m["frechet"] <= study_distance), None)  # the first that is as good
        for m in run["notes"]:
            seconds = _fast_seconds(speed, m)
            cells = [name, f"{seconds:.1f}", f"{m['step']:,}", f"{m['images_seen']:,}", f"{m['frechet']:.3f}"]
            cells += [f"{m['precision']:.3f}", f"{m['recall']:.3f}", f"{m['rarest_digit']:.1%}"]
            cells += [f"the study's in 1/{study_seconds / seconds:.0f} of its time" if m is first else ""]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _fast_seconds(speed: Results, measurement: Results) -> float:
    """Return the training time of `fast` at a measurement, on a quiet machine of the stored speed."""
    return float(speed["fast_seconds_before"] + measurement["step"] * speed["fast_seconds_a_step"])


def draw_picture(path: Path) -> None:
    """Write a picture with samples of both after equal times, one row above the other."""
    results = read_results()
    figure = Figure(figsize=(3 * len(PICTURE_SECONDS), 6.4), layout="constrained")
    for row, name in enumerate(("fast-0", "study")):
        for column, seconds in enumerate(PICTURE_SECONDS):
            axes = figure.add_subplot(2, len(PICTURE_SECONDS), 1 + row * len(PICTURE_SECONDS) + column)
            pixels: Pixels = np.load(SAMPLES_FOLDER / f"{name}-{seconds}.npy")
            axes.imshow(make_grid(pixels, columns=8).squeeze(), cmap="gray")
            axes.set_title(_picture_title(results, name, seconds), fontsize=11)
            axes.axis("off")
    figure.savefig(path, dpi=80)


def _picture_title(results: Results, name: str, planned_seconds: int) -> str:
    """Return the run, its distance, and the seconds of its samples, which may differ at the speeds stored now."""
    measurements, speed = results[name]["notes"], results["speed"]
    if name == "study":
        step = results["study"]["shown"][str(planned_seconds)]
        measurement = next(m for m in measurements if m["step"] == step)
        label = f"the study, {step * speed['study_seconds_a_step']:.0f} s"
    else:
        measurement = measurements[FAST_SECONDS.index(planned_seconds)]
        label = f"fast, {_fast_seconds(speed, measurement):.0f} s"
    return f"{label}: distance {measurement['frechet']:.2f}"


if __name__ == "__main__":
    main()
