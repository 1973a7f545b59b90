"""Does `fast --conditional` draw the digit that was asked for? Planned for 16 minutes, on MNIST.

    python -m benchmarks.conditional train [WORK] [--seeds 0 1 2] [--seconds 960]
    python -m benchmarks.conditional table

Images are counted as in `benchmarks.budgets`. Of 50,000 samples, as many of each digit, two judges say whether they are
the digit that was asked for: that of the package, and a second one (`python -m dcgan.metrics.judge --seed 1`), which
has selected nothing. The other metrics are of 10,000 other ones against the test digits, k = 5. A classifier learns
from 60,000 samples alone, with the seed of the run. A stored run of docs/conditional.json is not done again; one that
was interrupted goes on from its last checkpoint in WORK (runs/conditional).
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.judge_metrics import DIGIT_COUNT, JudgeMetrics
from benchmarks.resumable import describe_arithmetic, plan, start, train_until
from benchmarks.stored_runs import Runs, read_runs, store_run
from benchmarks.time_to_quality import measure_state
from dcgan.data.open import open_images
from dcgan.metrics import modes
from dcgan.metrics.judge.__main__ import TrainJudge
from dcgan.metrics.judge.network import Judge, load_judge, load_shipped_judge, measure_accuracy
from dcgan.sampling import latents
from dcgan.sampling.generate import generate_pixels
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State

RESULTS_FILE = Path("docs/conditional.json")
SECOND_JUDGE_SEED = 1
SAMPLE_COUNT, SAMPLE_SEED = 50_000, 2
FAKE_COUNT, FAKE_SEED = 60_000, 3


def train(seconds: int, seed: int, work: Path) -> dict[str, Any]:
    """Train a run, or what is left of it, and return what was measured at its end."""
    config = plan(seconds, seed, conditional=True)
    assert config.images is not None
    checkpoint = work / f"{seconds}-{seed}"
    state = start(config, checkpoint)
    train_until(state, config.images, checkpoint, f"{seconds} s, seed {seed}")
    run = {"groups": config.groups, **measure(state, second_judge(work)), **describe_arithmetic()}
    shutil.rmtree(checkpoint, ignore_errors=True)
    return run


def second_judge(work: Path) -> Judge:
    """Return a judge with another seed than the package's, trained once."""
    folder = work / "judge"
    if not folder.exists():
        TrainJudge(data="mnist", out=folder, seed=SECOND_JUDGE_SEED)()
    return load_judge(folder)


def measure(state: State, other_judge: Judge) -> dict[str, Any]:
    """Return all metrics of the averaged generator."""
    pixels, asked = draw(state, SAMPLE_SEED, SAMPLE_COUNT)
    fakes, test = draw(state, FAKE_SEED, FAKE_COUNT), open_images("mnist", "test")
    assert test.labels is not None
    real = (test.pixels, test.labels)
    judges = {"package": load_shipped_judge(), "second": other_judge}
    return {
        **measure_state(state, JudgeMetrics()),
        "asked": {
            name: {"samples": measure_accuracy(judge, pixels, asked), "real": measure_accuracy(judge, *real)}
            for name, judge in judges.items()
        },
        "train_on_fakes": modes.train_on_fakes(*fakes, *real, DIGIT_COUNT, seed=state.config.seed),
    }


def draw(state: State, seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Return samples, uint8 (N, 1, 28, 28), and the digits that were asked for, int64 (N,)."""
    asked = torch.arange(count) % DIGIT_COUNT
    pixels = generate_pixels(averaged_generator(state), latents.draw_latents(seed, count, state.config.z_dim), asked)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2), asked


def results_table(runs: Runs) -> str:
    """Return the stored runs as Markdown."""
    lines = [
        "| seed | digit asked for is drawn: package's judge, second judge (real digits) | distance | precision, recall "
        "| classifier that learned from samples |",
        "|---|---|---|---|---|",
    ]
    for name, run in sorted(runs.items()):
        package, second = (run["asked"][judge] for judge in ("package", "second"))
        agreed = f"{package['samples']:.2%}, {second['samples']:.2%} ({package['real']:.2%}, {second['real']:.2%})"
        quality = f"{run['frechet']:.3f} | {run['precision']:.3f}, {run['recall']:.3f}"
        lines.append(f"| {name.partition('-')[2]} | {agreed} | {quality} | {run['train_on_fakes']:.2%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["train", "table"])
    parser.add_argument("work", type=Path, nargs="?", default=Path("runs/conditional"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seconds", type=int, default=960)
    parser.add_argument("--results", type=Path, default=RESULTS_FILE)
    args = parser.parse_args()
    if args.part == "table":
        print(results_table(read_runs(args.results)))
        return
    for seed in args.seeds:
        if (name := f"{args.seconds}-{seed}") not in read_runs(args.results):
            store_run(args.results, name, train(args.seconds, seed, args.work))


if __name__ == "__main__":
    main()
