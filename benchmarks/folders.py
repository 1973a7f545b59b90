"""Folders of color pictures: the recipe `match` beside `fast` and `dcgan64`, at equal time, on sets of several kinds.

    python -m benchmarks.folder_sets SETS                         # once: downloads the sets
    python -m benchmarks.folders speed SETS                       # a few minutes, on a quiet machine
    python -m benchmarks.folders list                             # what is measured, what is not, and the hours
    python -m benchmarks.folders train SETS WORK [--sets noto64 --recipes match --minutes 10 --seeds 0 --device cuda]
    python -m benchmarks.folders evaluate SETS WORK               # the trained ones, into docs/folders.json
    python -m benchmarks.folders table                            # the stored results, as Markdown

Minutes are training time on a quiet machine: `speed` measures there how many images a second each recipe trains on, and
`train` trains on as many images as that makes, so that neither other work on the machine nor another device changes
them. A run is planned for its length. Figures are of 1,000 samples of the model that the run kept, against the test
part, which neither training nor selection has seen; grids are of the first samples, not chosen. A trial in
docs/folders.json is not run again, so that the protocol can be spread over nights. All of it takes 32.5 hours of two
cores. On a GPU, start several commands at once: one small network keeps a GPU waiting.
"""

import argparse
import datetime
import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import dcgan
from benchmarks.folder_sets import SETS
from benchmarks.timing import seconds_per_call
from dcgan.data.open import open_images
from dcgan.images import composite_on_white, make_grid, save_png
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.system.allocator import keep_freed_memory
from dcgan.training.set_up import set_up
from dcgan.training.step import train_step

RESULTS_FILE, GRID_FOLDER = Path("docs/folders.json"), Path("docs/images/folders")
RECIPES = ("fast", "dcgan64", "match")
SAMPLE_COUNT, SAMPLE_SEED, GRID_COUNT = 1_000, 1, 64
JUDGES = ("lite2", "random")
"""Features that no recipe is trained with."""
NEIGHBOR_K = 3
METRICS = ("kernel_inception_distance_mean", "precision", "recall")
WARM_UP_STEPS, TIMED_STEPS = 3, 25
FREQUENCIES = {"(π,π)": (1.0, 1.0), "(π,0)": (1.0, 0.0), "(0,π)": (0.0, 1.0), "(π/2,π/2)": (0.5, 0.5)}
"""Where a checkerboard and stripes show, as shares of the Nyquist frequency, vertical and horizontal."""
FREQUENCY_RADIUS, HIGH_FREQUENCY = 2, 0.5
"""Frequencies around each that count, and from which share of the Nyquist frequency power is high."""


@dataclass(frozen=True)
class Trial:
    """One training: a picture set, a recipe, minutes and a seed."""

    set: str
    recipe: str
    minutes: int
    seed: int

    @property
    def name(self) -> str:
        """The key of its results."""
        return f"{self.set}-{self.recipe}-{self.minutes}min-{self.seed}"


def protocol() -> Iterator[Trial]:
    """Give all trials: Noto at 64 pixels in full, the other sets with one seed, and one long run."""
    for minutes in (10, 60):
        for seed in (0, 1, 2):
            yield from (Trial("noto64", recipe, minutes, seed) for recipe in RECIPES)
    for name in SETS:
        if name != "noto64":
            yield from (Trial(name, recipe, minutes, 0) for minutes in (10, 60) for recipe in ("fast", "match"))
    yield Trial("noto64", "match", 480, 0)


def read_results() -> dict[str, Any]:
    """Return the stored results."""
    if not RESULTS_FILE.exists():
        return {"speed": {}, "trials": {}}
    results: dict[str, Any] = json.loads(RESULTS_FILE.read_text())
    return results


def write_results(results: dict[str, Any]) -> None:
    """Store the results."""
    RESULTS_FILE.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


@keep_freed_memory()
def measure_speed(sets: Path) -> None:
    """Measure how many images a second each recipe trains on, at both sizes, with all threads."""
    results = read_results()
    for name in ("noto64", "noto32"):
        for recipe in RECIPES:
            state = set_up(configure(recipe, data=str(sets / name), image_size=str(SETS[name].side)))
            for _ in range(WARM_UP_STEPS):
                train_step(state)
            seen = state.progress.images_seen
            seconds = seconds_per_call(lambda state=state: train_step(state), TIMED_STEPS)  # type: ignore[misc]
            images = (state.progress.images_seen - seen) / TIMED_STEPS
            results["speed"][f"{recipe}-{SETS[name].side}"] = round(images / seconds, 1)
            print(f"{recipe} at {SETS[name].side}: {images / seconds:.1f} images a second", flush=True)
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    results["speed"]["machine"] = f"{machine}, {datetime.date.today()}"
    write_results(results)


def planned_images(trial: Trial, results: dict[str, Any]) -> int:
    """Return the images that a trial trains on."""
    rate: float = results["speed"][f"{trial.recipe}-{SETS[trial.set].side}"]
    return round(60 * trial.minutes * rate)


def train_trial(trial: Trial, sets: Path, out: Path, device: str) -> None:
    """Train a trial, or go on with one that was interrupted.

    Raises:
        FileNotFoundError: a set without its test part. `dcgan.train` would hold out a tenth of the rest instead.
    """
    if not (sets / trial.set / "test").is_dir():
        raise FileNotFoundError(f"{sets / trial.set} has no test part: see benchmarks.folder_sets")
    if (out / "checkpoint").exists():
        if not is_trained(out, planned_images(trial, read_results())):
            dcgan.resume(out, device=device)
        return
    dcgan.train(
        trial.recipe,
        data=str(sets / trial.set),
        image_size=str(SETS[trial.set].side),
        images=planned_images(trial, read_results()),
        seed=trial.seed,
        device=device,
        out=out,
    )


def is_trained(out: Path, images: int) -> bool:
    """Return whether a trial has seen all its images, or has ended because its samples became copies."""
    state = out / "checkpoint" / "state.json"
    saved = json.loads(state.read_text()) if state.exists() else {}
    return saved.get("images_seen", 0) >= images or saved.get("copies_step") is not None


def evaluate_trial(trial: Trial, sets: Path, out: Path) -> dict[str, Any]:
    """Evaluate and draw a trained trial; return its results."""
    run, data = RunFolder(out), str(sets / trial.set)
    model = dcgan.load(run)
    assert model.trained is not None
    samples = np.asarray(model.sample(SAMPLE_COUNT, seed=SAMPLE_SEED))
    GRID_FOLDER.mkdir(parents=True, exist_ok=True)
    save_png(make_grid(samples[:GRID_COUNT]), GRID_FOLDER / f"{trial.name}.png")
    saved = json.loads((run.checkpoint / "state.json").read_text())
    result: dict[str, Any] = {
        "images_seen": saved["images_seen"],
        "model_images_seen": model.trained["images_seen"],
        "copies_step": saved.get("copies_step"),
        "arithmetic": saved["where"],
    }
    for features in JUDGES:
        evaluation = dcgan.evaluate(
            model,
            data=data,
            split="test",
            n=SAMPLE_COUNT,
            features=features,
            k=NEIGHBOR_K,
            copies=features == JUDGES[0],
        )
        result[features] = summarize(evaluation.as_json())
    side = SETS[trial.set].side
    parts = [open_images(data, part, size=(side, side), channels=samples.shape[3]) for part in ("train", "test")]
    reals = torch.cat([part.pixels for part in parts])
    result["power"] = compare_power(torch.from_numpy(samples).permute(0, 3, 1, 2), reals)
    return result


def summarize(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an evaluation that the tables show, with what they depend on."""
    metrics = {name: evaluation["metrics"][name] for name in METRICS if name in evaluation["metrics"]}
    kept = {name: evaluation[name] for name in ("features", "n", "reference_count", "copies") if evaluation.get(name)}
    return kept | metrics


def compare_power(samples: Tensor, reals: Tensor) -> dict[str, float]:
    """Return the power of samples over that of real pictures, uint8 (N, C, H, W), around each of `FREQUENCIES`.

    The pictures are gray, without their mean, and under a Hann window. `high` is all power above half the Nyquist
    frequency.
    """
    power, real_power = mean_power(samples), mean_power(reals)
    height, width = (torch.fft.fftfreq(extent).abs() * 2 for extent in power.shape)
    vertical, horizontal = height[:, None], width[None]
    result = {}
    for name, (y, x) in FREQUENCIES.items():
        near_y = (vertical - y).abs() <= 2 * FREQUENCY_RADIUS / len(height)
        near_x = (horizontal - x).abs() <= 2 * FREQUENCY_RADIUS / len(width)
        rows = near_y & near_x
        result[name] = round(float(power[rows].mean() / real_power[rows].mean()), 3)
    is_high = torch.maximum(vertical, horizontal) > HIGH_FREQUENCY
    return result | {"high": round(float(power[is_high].sum() / real_power[is_high].sum()), 3)}


def mean_power(pixels: Tensor) -> Tensor:
    """Return the mean power spectrum (H, W) of pictures uint8 (N, C, H, W)."""
    images = pixels.double()
    if images.shape[1] == 4:
        images = composite_on_white(images[:, :3], images[:, 3:])
    gray = images.mean(1)
    windows = [torch.hann_window(extent, periodic=False, dtype=torch.double) for extent in gray.shape[1:]]
    windowed = (gray - gray.mean((1, 2), keepdim=True)) * windows[0][:, None] * windows[1]
    power: Tensor = torch.fft.fft2(windowed).abs().square().mean(0)
    return power


def trial_rows(results: dict[str, Any]) -> Iterator[str]:
    """Give a line of the table for each trial that was run."""
    titles = ("set", "recipe", "minutes (images)", "seed", "KID `lite2`", "KID `random`", "precision, recall")
    yield f"| {' | '.join((*titles, 'near training', 'power', 'trained on'))} |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for trial in protocol():
        result = results["trials"].get(trial.name)
        if result is None:
            continue
        kid = [estimate_text(result[features].get("kernel_inception_distance_mean")) for features in JUDGES]
        fidelity = ", ".join(estimate_text(result["lite2"].get(name)) for name in ("precision", "recall"))
        copies = result["lite2"].get("copies") or {}
        near = f"{copies['near_share']:.1%} of {copies['unseen_near_share']:.1%}" if copies else "not searched"
        power = ", ".join(f"{value:.2f}" for value in result["power"].values())
        length = f"{trial.minutes} ({result['images_seen']:,})"
        place = "CPU" if "cpu" in result["arithmetic"] else "GPU"
        if "pictures" in result:  # where a run had only a part of the pictures to train on
            place += f", {result['pictures']:,} pictures"
        cells = (trial.set, f"`{trial.recipe}`", length, str(trial.seed), *kid, fidelity, near, power, place)
        yield f"| {' | '.join(cells)} |"


def estimate_text(estimate: dict[str, Any] | None, digits: int = 3) -> str:
    """Return an estimate, and in brackets its floor, if there are enough real pictures for one."""
    if estimate is None:
        return "none"
    floor = estimate["floor"]
    return f"{estimate['mean']:.{digits}f}" + (f" ({floor['mean']:.{digits}f})" if floor else "")


def list_trials(results: dict[str, Any]) -> None:
    """Print which trials are measured and which are not, with their hours."""
    open_minutes = 0
    for trial in protocol():
        is_done = trial.name in results["trials"]
        open_minutes += 0 if is_done else trial.minutes
        print(f"{'measured' if is_done else 'open':<9} {trial.name}")
    print(f"open: {open_minutes / 60:.1f} hours of two cores")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["speed", "list", "train", "evaluate", "table"])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--minutes", nargs="+", type=int, default=[10, 60, 480])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    if args.part == "speed":
        measure_speed(*args.folders)
    elif args.part == "list":
        list_trials(read_results())
    elif args.part == "table":
        print("\n".join(trial_rows(read_results())))
    else:
        sets, work = args.folders
        chosen = [
            trial
            for trial in protocol()
            if trial.set in args.sets
            and trial.recipe in args.recipes
            and trial.minutes in args.minutes
            and trial.seed in args.seeds
            and trial.name not in read_results()["trials"]
        ]
        for trial in chosen:
            if args.part == "train":
                train_trial(trial, sets, work / trial.name, args.device)
            elif is_trained(work / trial.name, planned_images(trial, read_results())):
                result = evaluate_trial(trial, sets, work / trial.name)
                results = read_results()
                results["trials"][trial.name] = result
                write_results(results)


if __name__ == "__main__":
    main()
