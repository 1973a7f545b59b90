"""How a discriminator learns a small set by heart: its scores of pictures that it was trained on, and of others.

    python -m benchmarks.few_pictures SETS/noto64 [--images 40000]     # a quarter of an hour of one core

The networks of `fast` without groups are trained on 300 pictures, on 300 with DiffAugment, and on all. The scores D(x)
are of pictures without augmentation. They are stored in docs/few_pictures.json; `docs.figures.curves` draws them.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from dcgan.data.open import open_images
from dcgan.images import to_float
from dcgan.presets import configure
from dcgan.training.set_up import set_up
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State
from dcgan.training.step import train_step

RESULTS_FILE = Path("docs/few_pictures.json")
FEW, SIZE = 300, 64
SCORED_COUNT, SCORE_EVERY_STEPS = 200, 25
LATENT_SEED = 5
CASES = {
    "300 pictures": (FEW, "none"),
    "300 pictures, DiffAugment": (FEW, "diffaugment"),
    "1,492 pictures": (None, "none"),
}
"""How many of the training pictures are used, and the augmentation, for each curve."""


@torch.no_grad()
def mean_score(state: State, images: Tensor) -> float:
    """Return the mean probability "real" of pictures (N, C, H, W) in [-1, 1]."""
    discriminator, _ = state.adversary
    discriminator.eval()
    score = float(discriminator(images).sigmoid().mean())
    discriminator.train()
    return score


def copy_set(folder: Path, count: int | None, out: Path) -> Path:
    """Copy a set with only the first `count` training pictures, or all; return the copy."""
    for part, limit in (("train", count), ("test", None)):
        (out / part).mkdir(parents=True)
        for path in sorted((folder / part).iterdir())[:limit]:
            shutil.copy(path, out / part)
    return out


def train_case(folder: Path, augment: str, images: int) -> list[dict[str, float]]:
    """Train and return the scores of training pictures, of held-out ones and of samples, and after how many images."""
    config = configure(
        "fast", data=str(folder), image_size=str(SIZE), groups=0, mismatch=0.0, augment=augment, images=images
    )
    state = set_up(config)
    held_out = to_float(open_images(str(folder), "test", size=(SIZE, SIZE)).pixels[:SCORED_COUNT])
    trained = to_float(state.data.pixels[:SCORED_COUNT])
    z = torch.randn(SCORED_COUNT, config.z_dim, generator=torch.Generator().manual_seed(LATENT_SEED))
    entries = []
    while state.progress.images_seen < images:
        train_step(state)
        if state.progress.step % SCORE_EVERY_STEPS == 0:
            with torch.no_grad():
                samples = averaged_generator(state)(z)
            scores = {"train": trained, "held_out": held_out, "samples": samples}
            values = {name: round(mean_score(state, pictures), 4) for name, pictures in scores.items()}
            entries.append({"images_seen": state.progress.images_seen, **values})
            print(entries[-1], flush=True)
    return entries


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--images", type=int, default=40_000)
    args = parser.parse_args()
    results = {}
    for name, (count, augment) in CASES.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = copy_set(Path(args.folder), count, Path(temporary) / "set")
            results[name] = train_case(folder, augment, args.images)
    RESULTS_FILE.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
