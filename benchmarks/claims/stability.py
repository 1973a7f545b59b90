"""Claim (c): the share of runs that end well, by recipe and learning rate, with and without normalization.

A run ends well if it does not diverge and its Fréchet distance (judge features, 5,000 samples, test split) is below
`MAX_GOOD_DISTANCE`. This limit was set before any of the runs was trained: the study's network reaches about 3 to 8 in
its full length, and a generator that draws one shape for all latents has 60 and more. Each run is a folder, and a run
that is finished is not trained again.
"""

from itertools import product
from pathlib import Path
from typing import Any

from dcgan.comparison.probe import probe_run
from dcgan.comparison.runs import PARTS_FILE, has_diverged, read_parts, write_parts
from dcgan.errors import UserError
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.training.start import resume, train_config

MAX_GOOD_DISTANCE = 30.0
"""The Fréchet distance below which a run ends well."""
LEARNING_RATES = (2e-4, 1e-3, 5e-3)
"""The learning rates of both networks."""
RECIPES: dict[str, dict[str, Any]] = {
    "DCGAN": {"preset": "dcgan64", "g_width": 32, "d_width": 16, "batch_size": 64},
    "WGAN-GP": {"preset": "wgan-gp"},
}
"""Both have the same network, widths and batch size, so that only the objective and its optimizer's betas differ."""
NORMALIZATIONS: dict[str, dict[str, Any]] = {"on": {}, "off": {"g_norm": "none", "d_norm": "none"}}
"""The settings with and without normalization."""


def measure_stability(folder: Path, seeds: list[int], images: int) -> dict[str, Any]:
    """Train the runs that are not trained yet, and return how each of them ended."""
    results = []
    for seed, recipe, norm, rate in product(seeds, RECIPES, NORMALIZATIONS, LEARNING_RATES):
        path = folder / f"{recipe.lower()}-{norm}-{rate:g}-{seed}"
        settings = {"image_size": 28, "lr": rate, "seed": seed, "images": images}
        end = train_and_probe(path, RECIPES[recipe] | NORMALIZATIONS[norm] | settings)
        results.append({"recipe": recipe, "norm": norm, "rate": rate, "seed": seed, **end})
    return {"good": MAX_GOOD_DISTANCE, "images": images, "runs": results}


def train_and_probe(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Train one run to its end, unless that is done; return its distance, None if it diverged, and if it is good."""
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
    parts, failure = read_parts(folder)
    distance = None if failure else parts[-1]["frechet_inception_distance"]
    return {"distance": distance, "well": distance is not None and distance < MAX_GOOD_DISTANCE}
