"""(c): which recipe bears which learning rate, with and without normalisation: the share of runs that end well.

A run ends well if it did not diverge and its Fréchet distance (judge features, 5,000 samples, test part) is below
`GOOD`, set before any of them was trained: the study's network reaches about 3 to 8 in its full length, and one shape
for all latents has 60 and more. Each run is a folder; what is done is kept.
"""

from pathlib import Path
from typing import Any

from dcgan.comparison.probe import probe_run
from dcgan.comparison.runs import PARTS_FILE, has_diverged, read_parts, write_parts
from dcgan.errors import UserError
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.training.start import resume, train_config

GOOD = 30.0
RATES = (2e-4, 1e-3, 5e-3)
RECIPES: dict[str, dict[str, Any]] = {
    "DCGAN": {"preset": "dcgan64", "g_width": 32, "d_width": 16, "batch_size": 64},
    "WGAN-GP": {"preset": "wgan-gp"},
}
"""The same network, widths and batch for both, so that only the objective and its optimizer's betas differ."""
NORMS: dict[str, dict[str, Any]] = {"on": {}, "off": {"g_norm": "none", "d_norm": "none"}}


def measured(folder: Path, seeds: list[int], images: int) -> dict[str, Any]:
    """Train what is not trained yet, and count."""
    runs = []
    for seed in seeds:
        for recipe, settings in RECIPES.items():
            for norm, change in NORMS.items():
                for rate in RATES:
                    name = f"{recipe.lower()}-{norm}-{rate:g}-{seed}"
                    more = {"image_size": 28, "lr": rate, "seed": seed, "images": images}
                    found = one(folder / name, settings | change | more)
                    runs.append({"recipe": recipe, "norm": norm, "rate": rate, "seed": seed, **found})
    return {"good": GOOD, "images": images, "runs": runs}


def one(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """One run: its distance, or why it has none."""
    folder = RunFolder(path)
    if not (path / PARTS_FILE).exists():
        try:
            if folder.checkpoint.is_dir():
                resume(path)
            else:
                train_config(configure(**settings), path)
        except UserError as error:
            if has_diverged(folder):
                write_parts(folder, [], str(error))
            elif "is finished" not in str(error):
                raise
        if not (path / PARTS_FILE).exists():
            write_parts(folder, [probe_run("mnist", folder)], "")
    parts, failed = read_parts(folder)
    distance = None if failed else parts[-1]["frechet_inception_distance"]
    return {"distance": distance, "well": distance is not None and distance < GOOD}
