"""Which learning rates a preset bears: a quarter, a half, once, twice and four times its own, over seeds.

    python -m benchmarks.stability [--presets fast wgan-gp r3gan] [--seeds 0 1 2]

Each run sees as many images as its preset does in some minute of one core. Five times on the way the Fréchet distance
(judge features, 5,000 samples of the averaged generator, test digits) and the share of each digit are noted; nothing of
it reaches the training. All is stored in docs/stability.json run by run: called again, it goes on. Prints a table.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from benchmarks.eyes import Eyes
from dcgan.presets import configure
from dcgan.sampling import latents
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State, set_up
from dcgan.training.step import train_step

STORED = Path("docs/stability.json")
IMAGES = {"fast": 100_000, "wgan-gp": 100_000, "r3gan": 45_000}
FACTORS = (0.25, 0.5, 1, 2, 4)
NOTES, SAMPLES = 5, 5000
RARE = 0.005
"""A run has collapsed if it ends with a digit rarer than this."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=list(IMAGES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    found: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}
    for seed in args.seeds:
        for preset in args.presets:
            for factor in FACTORS:
                name = f"{preset} x{factor:g} seed {seed}"
                if name not in found:
                    found[name] = run(preset, factor, seed)
                    STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
                    print(name, found[name]["notes"][-1], file=sys.stderr, flush=True)
    print(table(found))


def run(preset: str, factor: float, seed: int) -> dict[str, Any]:
    """One training, and what was noted on its way."""
    lr = configure(preset).lr * factor
    state, eyes = set_up(configure(preset, lr=lr, seed=seed, device="cpu")), Eyes()
    notes: list[dict[str, float]] = []
    while len(notes) < NOTES and not state.fault:
        while state.images_seen < IMAGES[preset] * (len(notes) + 1) / NOTES and not state.fault:
            train_step(state)
        notes.append(note(state, eyes))
    return {
        "preset": preset, "factor": factor, "lr": lr, "seed": seed, "diverged": bool(state.fault), "notes": notes,
        "torch": torch.__version__, "threads": torch.get_num_threads(), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip


def note(state: State, eyes: Eyes) -> dict[str, float]:
    _, _, found = eyes.see(averaged_generator(state), latents.draw_latents(54321, SAMPLES, state.config.z_dim))
    return {"step": state.step, "images_seen": state.images_seen} | found


def table(found: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    lines = [
        "| preset | rate | diverged | collapsed | distance at the end, each seed | of the run's best |",
        "|---|---|---|---|---|---|",
    ]
    for preset in IMAGES:
        for factor in FACTORS:
            runs = [r for r in found.values() if (r["preset"], r["factor"]) == (preset, factor)]
            if not runs:
                continue
            ends, lost = [r["notes"][-1] for r in runs], sum(r["diverged"] for r in runs)
            gone = sum(end["rarest_digit"] < RARE for end in ends)
            ratios = [r["notes"][-1]["frechet"] / min(n["frechet"] for n in r["notes"]) for r in runs]
            cells = [f"`{preset}`", f"{runs[0]['lr']:g} (x{factor:g})", f"{lost} of {len(runs)}", f"{gone}"]
            cells += [", ".join(f"{end['frechet']:.2f}" for end in ends), ", ".join(f"{ratio:.2f}" for ratio in ratios)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
