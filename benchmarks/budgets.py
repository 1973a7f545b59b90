"""Is longer better? The preset `fast` on MNIST, planned for 15 seconds to an hour.

    python -m benchmarks.budgets train [WORK] [--seconds 15 60 240] [--seeds 0 1 2 3 4]
    python -m benchmarks.budgets table

Seconds are training time on the quiet machine of docs/time_to_quality.json, whose speed says how many images that is:
other work on the machine does not change the results. Every run is planned for its length, as a user plans it who names
no preset, and measured at its end. Runs of several lengths with the same settings and seed are the same run up to the
shorter one's end, if their rates stay constant: they are trained once. Measured are
the distance with the features `judge` and 10,000 samples against the 10,000 test digits, and the shares of the digits
among 50,000 samples, as the judge reads them. The training learns nothing from that. Results are stored in
docs/budgets.json after each run, and a stored run is not done again; one that was interrupted goes on from its last
checkpoint in WORK (runs/budgets), which is at most five minutes old. A run of 3600 s took an hour and a half of one
core of a Xeon with AVX-512.

To search for better settings, change some and store the results elsewhere: --set lr_end=0.1 --results FILE
"""

import argparse
import json
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.judge_metrics import JudgeMetrics
from benchmarks.resumable import describe_arithmetic, plan, start, train_until
from benchmarks.stored_runs import Runs, read_runs, store_run
from benchmarks.time_to_quality import measure_state
from dcgan.config import Config
from dcgan.data.open import open_images
from dcgan.sampling import latents
from dcgan.sampling.generate import generate_batches
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State

RESULTS_FILE = Path("docs/budgets.json")
SEEDS_BY_SECONDS = {15: range(5), 60: range(5), 240: range(5), 960: range(3), 3600: range(3)}
SHARE_SAMPLES, SHARE_SEED = 50_000, 2


def train(configs: dict[int, Config], checkpoint: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Train a run that is planned for several lengths, and measure the generator at the end of each.

    Args:
        configs: the settings by planned seconds, equal but for their length.
        checkpoint: where the state is saved every five minutes; training goes on from there, if it exists.

    Yields:
        The seconds, and what was measured.
    """
    lengths = sorted(configs)
    state, judge = start(configs[lengths[-1]], checkpoint), JudgeMetrics()
    real = open_images("mnist").labels
    assert real is not None
    expected = real.bincount(minlength=10) / len(real)
    for seconds in lengths:
        images = configs[seconds].images
        assert images is not None
        train_until(state, images, checkpoint, f"{seconds} s, seed {state.config.seed}")
        shares = digit_shares(state, judge)
        yield (
            seconds,
            {
                **measure_state(state, judge),
                "digit_shares": [round(float(share), 4) for share in shares],
                "largest_share_error": round(float((shares / expected - 1).abs().max()), 4),
                "groups": state.config.groups,
                "batch_size": state.config.batch_size,
                **describe_arithmetic(),
            },
        )


def digit_shares(state: State, judge: JudgeMetrics) -> torch.Tensor:
    """Return the share of each digit among many samples, (10,)."""
    generator, counts = averaged_generator(state), torch.zeros(10)
    z = latents.draw_latents(SHARE_SEED, SHARE_SAMPLES, state.config.z_dim)
    for pixels in generate_batches(generator, [(z, None)]):
        scores = judge.extractor.extract(torch.from_numpy(pixels).permute(0, 3, 1, 2))[1]
        assert scores is not None
        counts += scores.argmax(1).bincount(minlength=10)
    return counts / counts.sum()


def results_table(results: Runs) -> str:
    """Return the stored runs, by `SECONDS-SEED`, as Markdown, a row for each length."""
    lines = [
        "| planned for | groups | seeds | distance (median) | each | precision, recall "
        "| largest error of a digit's share |",
        "|---|---|---|---|---|---|---|",
    ]
    for seconds in SEEDS_BY_SECONDS:
        runs = [run for name, run in sorted(results.items()) if name.startswith(f"{seconds}-")]
        if not runs:
            continue
        distances = [run["frechet"] for run in runs]
        precision, recall, error = (
            statistics.median(run[name] for run in runs) for name in ("precision", "recall", "largest_share_error")
        )
        each = ", ".join(f"{distance:.3f}" for distance in distances)
        median = statistics.median(distances)
        groups = ", ".join(map(str, dict.fromkeys(run["groups"] for run in runs)))
        quality = (f"{median:.3f}", each, f"{precision:.3f}, {recall:.3f}", f"{error:.1%}")
        cells = (f"{seconds} s", groups, len(runs), *quality)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["train", "table"])
    parser.add_argument("work", type=Path, nargs="?", default=Path("runs/budgets"))
    parser.add_argument("--seconds", type=int, nargs="+", default=list(SEEDS_BY_SECONDS))
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--results", type=Path, default=RESULTS_FILE)
    args = parser.parse_args()
    if args.part == "table":
        print(results_table(read_runs(args.results)))
        return
    settings = {name: json.loads(value) for name, _, value in (text.partition("=") for text in args.set)}
    todo: dict[tuple[int, Config], dict[int, Config]] = {}
    for seconds in args.seconds:
        for seed in args.seeds or SEEDS_BY_SECONDS[seconds]:
            if f"{seconds}-{seed}" not in read_runs(args.results):
                config = plan(seconds, seed, **settings)
                same_run = replace(config, images=None) if config.lr_end == 1 else config
                todo.setdefault((seed, same_run), {})[seconds] = config
    for (seed, _), configs in todo.items():
        checkpoint = args.work / f"{max(configs)}-{seed}"
        for seconds, run in train(configs, checkpoint):
            store_run(args.results, f"{seconds}-{seed}", run)
        shutil.rmtree(checkpoint, ignore_errors=True)


if __name__ == "__main__":
    main()
