"""Which single changes lead from the study's network to `fast`, and how much of the way does each carry?

    python -m benchmarks.ablation train [--rows NAME ...] [--seeds 0 1 2]
    python -m benchmarks.ablation table
    python -m benchmarks.ablation picture docs/images/ablation.png

Each row is a training on one pass over MNIST's digits, 60,000 images, with its seeds. Three roads are measured: changes
that are added to the study one after another, changes to the study alone, and what `fast` loses without one of its
parts. Measured are 10,000 samples against the 10,000 test digits with the features `judge`; the training learns nothing
from that. Results are stored in docs/ablation.json after each run, and a stored run is not done again; samples for the
picture are stored in build/ablation. All 57 runs took 55 minutes of two cores that did other work too.
"""

import argparse
import platform
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from benchmarks.judge_metrics import JudgeMetrics
from benchmarks.stored_runs import Runs, read_runs, store_run
from benchmarks.time_to_quality import measure_state
from dcgan.models.blocks import ConditionalNorm
from dcgan.presets import configure, train_command
from dcgan.sampling import latents
from dcgan.sampling.generate import generate_pixels
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from dcgan.training.step import train_step

RESULTS_FILE, SAMPLES_FOLDER = Path("docs/ablation.json"), Path("build/ablation")
IMAGES = 60_000
SHOWN_SAMPLES, SHOWN_SEED = 12, 1


@dataclass(frozen=True)
class Row:
    """A training of the table.

    Attributes:
        text: what is changed.
        preset: from which preset.
        settings: the changed settings.
        scale_mean: the mean of the normal distribution from which the scales of BatchNorm are drawn, if not as the
            network's family does it. No flag sets this.
    """

    text: str
    preset: str
    settings: dict[str, Any] = field(default_factory=dict)
    scale_mean: float | None = None

    @property
    def command(self) -> str:
        """The command that trains it, but for its `scale_mean`."""
        return train_command(configure(self.preset, images=IMAGES, **self.settings))


RATE, BATCH, GROUPS = {"lr": 2e-3}, {"batch_size": 64}, {"groups": 128, "z_dim": 192}
NETWORK = {"network": "dcgan64", "g_width": 32}
ADDED: dict[str, Row] = {
    "study": Row("the study to the letter: no average", "dcgan", {"ema": 0}),
    "ema": Row("+ averaged generator (EMA): the preset `dcgan`", "dcgan"),
    "ema-rate": Row("+ ten times the rate, 2e-3", "dcgan", RATE),
    "ema-rate-batch": Row("+ batches of 64", "dcgan", RATE | BATCH),
    "ema-rate-batch-init": Row("+ BatchNorm scales from N(1, 0.02)", "dcgan", RATE | BATCH, scale_mean=1.0),
    "ema-rate-batch-network": Row("+ padded layers, half as wide (`dcgan64`)", "dcgan", RATE | BATCH | NETWORK),
    # Without labels the preset's `mismatch` has no effect, and MNIST is not augmented.
    "fast": Row("+ 128 groups of similar pictures, z 192: the preset `fast`", "fast"),
}
ALONE: dict[str, Row] = {
    "ema-batch": Row("`dcgan`, batches of 64", "dcgan", BATCH),
    "ema-init": Row("`dcgan`, BatchNorm scales from N(1, 0.02)", "dcgan", scale_mean=1.0),
    "ema-network": Row("`dcgan`, padded layers, half as wide", "dcgan", NETWORK),
    "ema-groups": Row("`dcgan`, 128 groups, z 192", "dcgan", GROUPS),
}
WITHOUT: dict[str, Row] = {
    "fast-no-groups": Row("`fast` without groups", "fast", {"groups": 0, "mismatch": 0.0, "z_dim": 64}),
    "fast-no-ema": Row("`fast` without an averaged generator", "fast", {"ema": 0}),
    "fast-study-rate": Row("`fast` with the study's rate, 2e-4", "fast", {"lr": 2e-4}),
    "fast-study-batch": Row("`fast` with batches of 128", "fast", {"batch_size": 128}),
    "fast-study-init": Row("`fast` with BatchNorm scales from N(0, 0.02)", "fast", scale_mean=0.0),
    "fast-study-network": Row("`fast` with the study's layers", "fast", {"network": "dcgan", "g_width": 64}),
    "fast-no-g-norm": Row("`fast` without BatchNorm in the generator", "fast", {"g_norm": "none"}),
    "fast-no-d-norm": Row("`fast` without BatchNorm in the discriminator", "fast", {"d_norm": "none"}),
}
ROADS = {"Added one after another": ADDED, "The study with one change": ALONE, "`fast` without one part": WITHOUT}
ROWS = ADDED | ALONE | WITHOUT


def train(name: str, seed: int) -> dict[str, Any]:
    """Train a row, measure it, and store samples for the picture."""
    row, judge = ROWS[name], JudgeMetrics()
    state = set_up(configure(row.preset, images=IMAGES, seed=seed, device="cpu", **row.settings))
    if row.scale_mean is not None:
        _draw_scales(state, row.scale_mean)
    while state.progress.images_seen < IMAGES and not state.sums.fault:
        train_step(state)
    z = latents.draw_latents(SHOWN_SEED, SHOWN_SAMPLES, state.config.z_dim)
    measured = measure_state(state, judge)  # estimates the statistics of BatchNorm, which the samples need
    SAMPLES_FOLDER.mkdir(parents=True, exist_ok=True)
    np.save(SAMPLES_FOLDER / f"{name}-{seed}.npy", generate_pixels(state.ema.network, z))
    return {
        **measured,
        "diverged": bool(state.sums.fault),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


@torch.no_grad()
def _draw_scales(state: State, mean: float) -> None:
    """Draw the scales of BatchNorm in both networks again, in place, from N(mean, 0.02)."""
    torch.manual_seed(state.config.seed)
    assert state.discriminator is not None
    for module in (*state.generator.modules(), *state.discriminator.modules()):
        if isinstance(module, nn.BatchNorm2d) and module.affine:
            module.weight.normal_(mean, 0.02)
        if isinstance(module, ConditionalNorm):
            module.scale.weight.normal_(mean, 0.02)
    state.ema.network.load_state_dict(state.generator.state_dict())


def results_table(results: Runs) -> str:
    """Return the stored runs as Markdown, a table for each road."""
    lines: list[str] = []
    for title, rows in ROADS.items():
        lines += [f"### {title}", "", "| change | distance (median) | each | precision, recall | command |"]
        lines.append("|---|---|---|---|---|")
        for name, row in rows.items():
            runs = [run for key, run in results.items() if key.rpartition("/")[0] == name]
            if not runs:
                continue
            distances = [run["frechet"] for run in runs]
            precision, recall = (statistics.median(run[part] for run in runs) for part in ("precision", "recall"))
            each = ", ".join(f"{distance:.3g}" for distance in distances)
            cells = (row.text, f"{statistics.median(distances):.3g}", each, f"{precision:.2f}, {recall:.2f}")
            command = (
                f"`{row.command}`" if row.scale_mean is None else f"`python -m benchmarks.ablation train --rows {name}`"
            )
            lines.append(f"| {' | '.join(cells)} | {command} |")
        lines.append("")
    return "\n".join(lines)


def draw_picture(path: Path, seed: int = 0) -> None:
    """Draw samples of the rows, the same latents in each where z has the same length."""
    names = [name for name in ROWS if (SAMPLES_FOLDER / f"{name}-{seed}.npy").exists()]
    figure = Figure(figsize=(9, 0.48 * len(names)), layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(len(names), 1)), names, strict=True):
        pixels = np.load(SAMPLES_FOLDER / f"{name}-{seed}.npy")[..., 0]
        axes.imshow(np.concatenate(list(pixels), 1), cmap="gray", vmin=0, vmax=255)
        axes.set_ylabel(ROWS[name].text.replace("`", ""), rotation=0, ha="right", va="center", fontsize=8)
        axes.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=100, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["train", "table", "picture"])
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="NAME")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    if args.part == "table":
        print(results_table(read_runs(RESULTS_FILE)))
    elif args.part == "picture":
        draw_picture(args.out)
    else:
        for seed in args.seeds:
            for name in args.rows:
                if f"{name}/{seed}" not in read_runs(RESULTS_FILE):
                    store_run(RESULTS_FILE, f"{name}/{seed}", train(name, seed))


if __name__ == "__main__":
    main()
