"""Evaluation while training: the averaged generator against the validation part, by a rule that is fixed beforehand.

The rule is the least Fréchet distance on `random` features. They are the same for all data, and need no labels and no
download. The judge's features and the test part stay unused, so that nothing that is reported with them was selected by
them. The training itself changes only in when it stops: the samples have seeds of their own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dcgan.data.open import ImageSet, open_images
from dcgan.devices.connect import max_over_ranks
from dcgan.errors import UserError
from dcgan.files import printable, read_json
from dcgan.metrics import fidelity
from dcgan.metrics.copies import MIN_UNSEEN, CopySearch, CopyVerdict, NearestTraining, judge_copies
from dcgan.metrics.features import FeatureExtractor, open_extractor
from dcgan.metrics.fidelity import GaussianStatistics
from dcgan.metrics.reference import MAX_REFERENCE_IMAGES, choose_rows, extract_reference
from dcgan.models.store import save_generator
from dcgan.rng import RandomPurpose, derive_seed
from dcgan.run.folder import RunFolder
from dcgan.sampling import latents
from dcgan.sampling.generate import generate_pixels
from dcgan.training.callbacks import EvaluateEvent
from dcgan.training.snapshot import RunWriter, averaged_generator, training_origin
from dcgan.training.state import State

EXTRACTOR = "random"
COPY_SAMPLES, MAX_WATCHED = 500, 20_000
"""The first samples of an evaluation are searched for copies of up to so many training pictures: a second or two."""
SAMPLE_COUNT, SAMPLE_BATCH_SIZE = 5_000, 1024
"""Samples in each evaluation, always from the same latents, and how many are drawn at a time."""
LATENT_SAMPLE_BATCH_SIZE = 1024


@dataclass(frozen=True)
class ValidationReference:
    """The real pictures that samples are compared with.

    Attributes:
        features: the feature extractor.
        features_name: the name that is reported with its distances of pictures of this size.
        statistics: of the real pictures' features.
        split: which part of the data the pictures are.
        copies: what the samples are searched for copies with; None if there are too few training pictures.
    """

    features: FeatureExtractor
    features_name: str
    statistics: GaussianStatistics
    split: str
    copies: "CopyWatch | None" = None


@dataclass(frozen=True)
class CopyWatch:
    """The training pictures that samples are searched for.

    Attributes:
        search: what finds the nearest training pictures.
        unseen: what is nearest to training pictures themselves among the others, see `prepare_copy_watch`.
    """

    search: CopySearch
    unseen: NearestTraining

    def judge(self, samples: Iterable[Tensor]) -> CopyVerdict:
        """Return whether samples, batches uint8 (n, C, H, W), are copies."""
        return judge_copies(self.search.find(samples), self.unseen, self.search, "cross-splitting")


def prepare_copy_watch(data: ImageSet) -> CopyWatch | None:
    """Return what samples are searched for copies with; None if there are too few training pictures.

    Training pictures stand in for unseen ones: each is compared with the others, except its own near duplicates. So
    nothing that is held out is needed.
    """
    if len(data) < MIN_UNSEEN:
        return None
    groups = torch.from_numpy(np.array(data.columns.get("groups", np.arange(len(data)))))
    watched = choose_rows(len(data), MAX_WATCHED).sort().values if len(data) > MAX_WATCHED else slice(None)
    pixels, groups = data.pixels[watched], groups[watched]
    search, rows = CopySearch(pixels, groups), choose_rows(len(pixels), COPY_SAMPLES)
    return CopyWatch(search, search.find([pixels[rows]], groups[rows]))


def prepare_validation(state: State) -> ValidationReference | None:
    """Extract the features of the real pictures, or find them in the cache.

    If the validation part is too small for the features, the training part is used. Returns None if nothing is to be
    evaluated, or if another process does it.
    """
    config = state.config
    if not config.evaluate_every or not state.is_first_process:
        return None
    features = open_extractor(EXTRACTOR, device=str(state.fabric.device))
    channels, *size = state.data.pixels.shape[1:]
    for split in ("validation", "train"):
        reals = open_images(
            state.data_source,
            split,
            size=(size[0], size[1]),
            channels=channels,
            fit=config.fit,
            seed=config.seed,
            value_range=config.value_range,
            rules=state.data.rules,
        )
        if len(reals) > features.feature_count or split == "train":
            break
    reference = extract_reference(reals, split, features, MAX_REFERENCE_IMAGES, lambda count: None)
    features_name = features.name_for((channels, size[0], size[1]))
    statistics = fidelity.gaussian_statistics(reference.features)
    return ValidationReference(features, features_name, statistics, split, prepare_copy_watch(state.data))


def validate(state: State, writer: RunWriter, reference: ValidationReference | None) -> None:
    """Evaluate the generator, log the distance, and keep the generator as the model if it is the best so far.

    The first process does this. The others wait for it, and learn how many evaluations were not better: see
    `loop.is_out_of_patience`.
    """
    if reference is not None:
        _evaluate(state, writer, reference)
    progress = state.progress
    own_count = progress.evaluations_since_best if reference is not None else 0
    (progress.evaluations_since_best,) = max_over_ranks(state.fabric, own_count)


def _evaluate(state: State, writer: RunWriter, reference: ValidationReference) -> None:
    progress, network = state.progress, averaged_generator(state)
    distance = sample_distance(state, network, reference)
    result: dict[str, Any] = {
        "frechet_inception_distance": distance,
        "features": reference.features_name,
        "split": reference.split,
        "n": SAMPLE_COUNT,
    }
    verdict = None
    if reference.copies is not None:
        verdict = reference.copies.judge(_draw_samples(state, network, min(COPY_SAMPLES, SAMPLE_COUNT)))
        result |= {"copies": verdict.verdict, "near_training": verdict.near_share}
        result |= {"near_training_expected": verdict.unseen_near_share, "near_training_searched": verdict.searched}
    _forget_other_features(state, writer, reference)
    progress.evaluations_since_best += 1
    if progress.best_distance is None or distance < progress.best_distance:
        progress.best_distance, progress.best_step, progress.evaluations_since_best = distance, progress.step, 0
        origin = training_origin(state, writer.custom_names) | {"measured": result}
        save_generator(network, writer.folder.model, origin)
    step, images_seen = progress.step, progress.images_seen
    writer.history.add({"event": "measured", "step": step, "images_seen": images_seen, **result})
    best_step = progress.step if progress.best_step is None else progress.best_step
    writer.callbacks.on_evaluate(
        EvaluateEvent(
            *(step, images_seen, distance, reference.features_name, reference.split, progress.best_distance, best_step),
            copies=verdict.verdict if verdict else None,
            near_training=verdict.near_share if verdict else None,
        )
    )


def _forget_other_features(state: State, writer: RunWriter, reference: ValidationReference) -> None:
    """Forget the best distance if it was measured with other features, as version 0.1.0 did with larger pictures."""
    if state.progress.best_distance is None:
        return
    features_name = _read_features_name(writer.folder)
    if features_name is not None and features_name != reference.features_name:
        state.progress.best_distance = None
        writer.callbacks.on_message(
            f"the model was measured with features {printable(features_name)}, and this version measures with "
            f"{reference.features_name}: the best model is now the best one from here on"
        )


def _read_features_name(folder: RunFolder) -> str | None:
    """Return the features that the model was measured with, or None if the model does not say it."""
    try:
        trained = read_json(folder.model / "config.json").get("trained")
    except UserError:  # the user has removed or changed it
        return None
    measured = trained.get("measured") if isinstance(trained, dict) else None
    name = measured.get("features") if isinstance(measured, dict) else None
    return name if isinstance(name, str) else None


def sample_distance(state: State, network: nn.Module, reference: ValidationReference) -> float:
    """Return the Fréchet distance of the generator's samples from the real pictures."""
    features = [reference.features.extract(pixels)[0] for pixels in _draw_samples(state, network, SAMPLE_COUNT)]
    statistics = fidelity.gaussian_statistics(torch.cat(features))
    return fidelity.frechet_distance(statistics, reference.statistics)


def _draw_samples(state: State, network: nn.Module, count: int) -> Iterator[Tensor]:
    """Give the first `count` samples of an evaluation in batches, uint8 (n, C, H, W)."""
    seed = derive_seed(state.config.seed, RandomPurpose.VALIDATION_LATENTS)
    z = latents.draw_latents(seed, SAMPLE_COUNT, state.config.z_dim)
    labels = latents.cycle_labels(SAMPLE_COUNT, state.class_count)
    for start in range(0, count, SAMPLE_BATCH_SIZE):
        rows = slice(start, min(start + SAMPLE_BATCH_SIZE, count))
        pixels = generate_pixels(network, z[rows], None if labels is None else labels[rows])
        yield torch.from_numpy(pixels).permute(0, 3, 1, 2)
