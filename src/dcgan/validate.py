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

from dcgan import latents, models
from dcgan.data import open_images
from dcgan.devices import greatest
from dcgan.metrics import fidelity
from dcgan.metrics.features import Features, open_features
from dcgan.metrics.fidelity import Statistics
from dcgan.metrics.reference import MOST, see
from dcgan.record import averaged_generator, enter, origin
from dcgan.run import RunFolder
from dcgan.sample import draw
from dcgan.state import State

SAMPLES = 5_000
"""Pictures that the generator draws for each measurement, always from the same latents."""
PURPOSE = 14
"""Of those, for `latents.derive`."""
PIECE = 1024


@dataclass(frozen=True)
class Measure:
    """What a generator is held against.

    Attributes:
        features: what looks.
        real: the real pictures' statistics.
        split: which part of the data they are.
    """

    features: Features
    real: Statistics
    split: str


def prepare(state: State) -> Measure | None:
    """See the real pictures, or find them in the cache. None where nothing is to be measured, or another does it.

    Of a set whose validation part is too small for the features, the training part is taken.
    """
    config = state.config
    if not config.evaluate_every or not state.fabric.is_global_zero:
        return None
    features = open_features("random", device=str(state.fabric.device))
    channels, *size = state.data.pixels.shape[1:]
    for split in ("validation", "train"):
        real = open_images(
            config.data, split, size=(size[0], size[1]), channels=channels, fit=config.fit, seed=config.seed
        )
        if len(real) > features.length or split == "train":
            break
    seen = see(real, split, features, MOST, lambda count: None)
    return Measure(features, fidelity.statistics(seen.features), split)


def validate(state: State, folder: RunFolder, measure: Measure | None, bar: "tqdm[Any]") -> None:
    """Measure the generator, log it, and keep it as the model if it is the best so far: the first process does.

    The others wait for it, and are told how long nothing has become better: see `training.out_of_patience`.
    """
    if measure:
        _measure(state, folder, measure, bar)
    (state.stale,) = greatest(state.fabric, state.stale if measure else 0)


def _measure(state: State, folder: RunFolder, measure: Measure, bar: "tqdm[Any]") -> None:
    network = averaged_generator(state)
    value = distance(state, network, measure)
    is_best = state.best is None or value < state.best
    state.stale = 0 if is_best else state.stale + 1
    how = {"frechet_inception_distance": value, "features": measure.features.name, "split": measure.split, "n": SAMPLES}
    if is_best:
        state.best, state.best_step = value, state.step
        models.save_generator(network, folder.model, origin(state) | {"measured": how})
    enter(state, folder, {"event": "measured", "step": state.step, "images_seen": state.images_seen, **how})
    found = f"step {state.step:,}: Fréchet distance {value:.4g} ({measure.features.name}, {measure.split})"
    bar.write(
        f"{found}, {'the best so far' if is_best else f'{state.best:.4g} at step {state.best_step:,}'}", sys.stderr
    )


def distance(state: State, network: torch.nn.Module, measure: Measure) -> float:
    """The Fréchet distance of the generator's samples from the real pictures."""
    seed = latents.derive(state.config.seed, PURPOSE)
    z, labels = latents.noise(seed, SAMPLES, state.config.z_dim), latents.cycle(SAMPLES, state.classes)
    parts = []
    for start in range(0, SAMPLES, PIECE):
        asked = None if labels is None else labels[start : start + PIECE]
        pixels = torch.from_numpy(draw(network, z[start : start + PIECE], asked)).permute(0, 3, 1, 2)
        parts.append(measure.features.see(pixels)[0])
    return fidelity.frechet(fidelity.statistics(torch.cat(parts)), measure.real)
