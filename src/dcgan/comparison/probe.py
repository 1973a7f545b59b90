"""A quick measurement of a run while it trains: its losses, and how far its samples are from real pictures."""

from functools import cache

import torch
from torch import Tensor

from dcgan.comparison.plan import PROBE_SEED
from dcgan.data.open import open_images
from dcgan.metrics import fidelity
from dcgan.metrics.features import DEFAULT_EXTRACTORS, OFFLINE_EXTRACTOR, FeatureExtractor, open_extractor
from dcgan.metrics.fidelity import GaussianStatistics
from dcgan.metrics.reference import MAX_REFERENCE_IMAGES, extract_reference
from dcgan.models.families import ImageShape
from dcgan.reporting.series import DISTANCE, KERNEL_DISTANCE, LOSS_NAMES, SCORE_NAMES
from dcgan.run.folder import RunFolder
from dcgan.run.log import LogEntry
from dcgan.sampling.model import load

PROBE_SAMPLE_COUNT = 5_000
AVERAGED_MEASUREMENTS = 5
"""Measurements at the end of the log whose mean is the loss at that moment."""


def probe_run(data: str, folder: RunFolder, seed: int = PROBE_SEED, split: str = "test") -> LogEntry:
    """Return the losses and scores of a run at this moment, and the distance of its samples to real pictures.

    A run without a discriminator has no scores and one loss. The distance is Fréchet's, or the kernel distance where
    there are too few real pictures for that. Its features need not be those of `dcgan evaluate`: see `_real_features`.

    Nothing is chosen by the distance, so the test split may be used.

    Args:
        data: as for `train`.
        folder: of the run.
        seed: of the samples.
        split: of the real pictures.
    """
    measurements = list(folder.log.measurements())
    probe = {name: measurements[-1][name] for name in ("step", "images_seen", "seconds")}
    for name in (name for name in (*LOSS_NAMES, *SCORE_NAMES) if name in measurements[-1]):
        values = [float(m[name]) for m in measurements[-AVERAGED_MEASUREMENTS:]]
        probe[name] = sum(values) / len(values)
    model = load(folder)
    extractor, real = _real_features(data, model.generator.picture_shape, split)
    samples = torch.from_numpy(model.sample(PROBE_SAMPLE_COUNT, seed)).permute(0, 3, 1, 2)
    features, scores = extractor.extract(samples)
    probe["features"] = extractor.name_for(model.generator.picture_shape)
    if isinstance(real, GaussianStatistics):
        probe[DISTANCE] = fidelity.frechet_distance(fidelity.gaussian_statistics(features), real)
    else:
        probe[KERNEL_DISTANCE] = fidelity.kernel_distance(features, real)
    if scores is not None and not extractor.is_stacked:
        probe["certainty"] = float(scores.softmax(1).amax(1).mean())
    return probe


@cache
def _real_features(data: str, shape: ImageShape, split: str) -> tuple[FeatureExtractor, GaussianStatistics | Tensor]:
    """Return the extractor for pictures of a shape (C, H, W), and the statistics of the features of a split.

    If these are too few for the Fréchet distance, they are returned themselves, (N, D). Without a judge the extractor
    is `random`: it is quick, and the probes of earlier versions stay comparable.
    """
    name = DEFAULT_EXTRACTORS.get((data, shape), OFFLINE_EXTRACTOR)
    extractor = open_extractor(name, is_stacked=data == "stacked-mnist")
    channels, height, width = shape
    images = open_images(data, split, size=(height, width), channels=channels)
    real = extract_reference(images, split, extractor, MAX_REFERENCE_IMAGES).features
    is_enough = len(real) >= fidelity.MIN_SAMPLES_PER_FEATURE * extractor.feature_count
    return extractor, fidelity.gaussian_statistics(real) if is_enough else real
