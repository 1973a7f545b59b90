"""Measuring while training: the averaged generator against the validation part, by a rule that is set beforehand.

The rule: the least Fréchet distance on `random` features. They are the same for all data, need no labels and no
download, and leave `judge` and the test part unseen, so that what is reported with those was not selected by them.
Nothing of the training changes by it but when it stops: the samples have seeds of their own.
"""

import sys
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from dcgan.data.open import open_images
from dcgan.devices.connect import max_over_ranks
from dcgan.metrics import fidelity
from dcgan.metrics.features import FeatureExtractor, open_extractor
from dcgan.metrics.fidelity import GaussianStatistics
from dcgan.metrics.reference import MAX_REFERENCE, extract_reference
from dcgan.models.store import save_generator
from dcgan.rng import derive_seed
from dcgan.run.folder import RunFolder
from dcgan.sampling import latents
from dcgan.sampling.model import generate_pixels
from dcgan.training.snapshot import add_entry, averaged_generator, training_origin
from dcgan.training.state import State

SAMPLES = 5_000
"""Pictures that the generator draws for each measurement, always from the same latents."""
PURPOSE = 14
"""Of those, for `latents.derive`."""
PIECE = 1024


@dataclass(frozen=True)
class ValidationReference:
    """What a generator is held against.

    Attributes:
        features: what looks.
        real: the real pictures' statistics.
        split: which part of the data they are.
    """

    features: FeatureExtractor
    real: GaussianStatistics
    split: str


def prepare_validation(state: State) -> ValidationReference | None:
    """See the real pictures, or find them in the cache. None where nothing is to be measured, or another does it.

    Of a set whose validation part is too small for the features, the training part is taken.
    """
    config = state.config
    if not config.evaluate_every or not state.fabric.is_global_zero:
        return None
    features = open_extractor("random", device=str(state.fabric.device))
    channels, *size = state.data.pixels.shape[1:]
    for split in ("validation", "train"):
        real = open_images(
            config.data, split, size=(size[0], size[1]), channels=channels, fit=config.fit, seed=config.seed
        )
        if len(real) > features.length or split == "train":
            break
    seen = extract_reference(real, split, features, MAX_REFERENCE, lambda count: None)
    return ValidationReference(features, fidelity.gaussian_statistics(seen.features), split)


def validate(state: State, folder: RunFolder, measure: ValidationReference | None, bar: "tqdm[Any]") -> None:
    """Measure the generator, log it, and keep it as the model if it is the best so far: the first process does.

    The others wait for it, and are told how long nothing has become better: see `training.out_of_patience`.
    """
    if measure:
        _measure(state, folder, measure, bar)
    (state.stale,) = max_over_ranks(state.fabric, state.stale if measure else 0)


def _measure(state: State, folder: RunFolder, measure: ValidationReference, bar: "tqdm[Any]") -> None:
    network = averaged_generator(state)
    value = sample_distance(state, network, measure)
    is_best = state.best is None or value < state.best
    state.stale = 0 if is_best else state.stale + 1
    how = {"frechet_inception_distance": value, "features": measure.features.name, "split": measure.split, "n": SAMPLES}
    if is_best:
        state.best, state.best_step = value, state.step
        save_generator(network, folder.model, training_origin(state) | {"measured": how})
    add_entry(state, folder, {"event": "measured", "step": state.step, "images_seen": state.images_seen, **how})
    found = f"step {state.step:,}: Fréchet distance {value:.4g} ({measure.features.name}, {measure.split})"
    bar.write(
        f"{found}, {'the best so far' if is_best else f'{state.best:.4g} at step {state.best_step:,}'}", sys.stderr
    )


def sample_distance(state: State, network: torch.nn.Module, measure: ValidationReference) -> float:
    """The Fréchet distance of the generator's samples from the real pictures."""
    seed = derive_seed(state.config.seed, PURPOSE)
    z, labels = latents.draw_latents(seed, SAMPLES, state.config.z_dim), latents.cycle_labels(SAMPLES, state.classes)
    parts = []
    for start in range(0, SAMPLES, PIECE):
        asked = None if labels is None else labels[start : start + PIECE]
        pixels = torch.from_numpy(generate_pixels(network, z[start : start + PIECE], asked)).permute(0, 3, 1, 2)
        parts.append(measure.features.see(pixels)[0])
    return fidelity.frechet_distance(fidelity.gaussian_statistics(torch.cat(parts)), measure.real)
