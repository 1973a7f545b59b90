"""The features of real pictures, which are extracted once and kept in the cache as safetensors and JSON."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dcgan.cache import cache_folder, cache_key, new_cache_entry
from dcgan.data.open import ImageSet
from dcgan.data.parts import WHOLE
from dcgan.data.splits import split_words
from dcgan.errors import UserError
from dcgan.metrics.extractor import FeatureExtractor
from dcgan.rng import RandomPurpose, derive_seed
from dcgan.system.tensor_files import refuse_unwritable

MAX_REFERENCE_IMAGES = 10_000
"""Real pictures that up to this many samples are compared with; more samples are compared with as many as they are."""
MAX_FLOOR_IMAGES = 60_000
"""Real pictures of another split that the floor is computed from."""
EQUALITY_TOLERANCE = 1e-4
"""How much features of equal pictures may differ, as a share of the largest of all numbers."""
EVALUATION_BATCH_SIZE = 1024
"""Pictures whose features are extracted at a time."""


@dataclass(frozen=True)
class FeatureSet:
    """The features of a set of pictures.

    Attributes:
        features: float32 (N, D).
        scores: class scores before the softmax, float32 (N, classes), or None.
        labels: int64 (N,), or None: the classes of real pictures, or the classes that samples were requested to show.
    """

    features: Tensor
    scores: Tensor | None = None
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    def select(self, rows: Tensor) -> "FeatureSet":
        """Return the set of some rows."""
        scores, labels = (None if t is None else t[rows] for t in (self.scores, self.labels))
        return FeatureSet(self.features[rows], scores, labels)


def concatenate_sets(sets: list[FeatureSet]) -> FeatureSet:
    """Return one set with the pictures of all sets."""

    def concatenate(tensors: list[Tensor | None]) -> Tensor | None:
        present = [t for t in tensors if t is not None]
        return torch.cat(present) if present else None

    features = torch.cat([s.features for s in sets])
    return FeatureSet(features, concatenate([s.scores for s in sets]), concatenate([s.labels for s in sets]))


def has_equal_features(pictures: FeatureSet) -> bool:
    """Return whether all pictures have the same features; equal pictures in batches of two sizes round differently."""
    features = pictures.features
    return float((features - features[0]).abs().max()) <= EQUALITY_TOLERANCE * float(features.abs().max())


def check_finite(features: FeatureSet, subject: str, extractor: FeatureExtractor) -> None:
    """Refuse features that are not finite numbers.

    Raises:
        UserError: a picture has such features.
    """
    count = int((~torch.isfinite(features.features).all(1)).sum())
    if count:
        raise UserError(
            f"the features {extractor.name} of {count:,} of the {len(features):,} pictures of {subject} are not finite "
            "numbers: the pictures or the weights of the extractor are damaged"
        )


def choose_rows(n: int, max_count: int) -> Tensor:
    """Return up to `max_count` of the rows 0 to n - 1, int64, in random order: always the same, none of them twice."""
    source = np.random.Generator(np.random.Philox(key=derive_seed(0, RandomPurpose.REFERENCE_IMAGES)))
    return torch.from_numpy(source.permutation(n)[:max_count])


def extract_reference(
    images: ImageSet,
    split: str,
    extractor: FeatureExtractor,
    max_count: int,
    on_extracted: Callable[[int], object] = lambda count: None,
) -> FeatureSet:
    """Return the features of up to `max_count` real pictures, from the cache if they were extracted before.

    Args:
        images: a split of the data, in the size and channels that the extractor accepts.
        split: the name of the split.
        extractor: the feature extractor.
        max_count: how many pictures are chosen, see `choose_rows`.
        on_extracted: called with the number of pictures after each batch.
    """
    rows = choose_rows(len(images), max_count)
    shape, weights_key = list(images.pixels.shape), extractor.weights_key
    extractor_name = extractor.name_for((shape[1], shape[2], shape[3]))
    # All parts of a divided set have the same `content_key`, but other pictures.
    content = (images.content_key, images.rules, *(images.part if images.part != WHOLE else ()))
    name = cache_key("features", *content, split, shape, max_count, extractor_name, weights_key)
    cached = _read_features(cache_folder() / name / "features.safetensors", len(rows), extractor)
    if cached is None:
        batches = []
        for batch in torch.split(rows, EVALUATION_BATCH_SIZE):
            batches.append(FeatureSet(*extractor.extract(images.pixels[batch])))
            on_extracted(len(batch))
        cached = concatenate_sets(batches)
        check_finite(cached, f"{split_words(split)} of {images.name}", extractor)
        with contextlib.suppress(UserError), new_cache_entry(name) as entry:  # the cache is optional
            _write_features(cached, entry / "features.safetensors")
    else:
        on_extracted(len(rows))
    return FeatureSet(cached.features, cached.scores, None if images.labels is None else images.labels[rows])


def _write_features(features: FeatureSet, path: Path) -> None:
    tensors = {"features": features.features} | ({} if features.scores is None else {"scores": features.scores})
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with refuse_unwritable(path):
        save_file(tensors, path, {"sha256": _hash_tensors(tensors)})


def _hash_tensors(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _read_features(path: Path, n: int, extractor: FeatureExtractor) -> FeatureSet | None:
    """Return the features of `n` pictures from a cache entry, or None if it is missing or damaged."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            is_intact = (file.metadata() or {}).get("sha256") == _hash_tensors(tensors)
    except (SafetensorError, OSError):
        return None
    if not is_intact or tensors["features"].shape != (n, extractor.feature_count):
        return None
    return FeatureSet(tensors["features"], tensors.get("scores"))


def floor_sets(pool: FeatureSet, n: int, count: int) -> list[FeatureSet]:
    """Return up to `count` disjoint sets of `n` pictures from a pool; none if the pool is smaller than `n`."""
    set_count = min(count, len(pool) // n)
    return [pool.select(torch.arange(i * n, (i + 1) * n)) for i in range(set_count)]


def load_or_compute_values(name: str, compute: Callable[[], dict[str, list[float]]]) -> dict[str, list[float]]:
    """Return the values of metrics of a cache entry; if there is none, compute them and write it."""
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):  # the entry is missing or damaged
        cached = json.loads((cache_folder() / name / "values.json").read_text(encoding="utf-8"))
        if all(isinstance(value, float) for values in cached.values() for value in values):
            return dict(cached)
    values = compute()
    with contextlib.suppress(UserError), new_cache_entry(name) as entry:  # the cache is optional
        (entry / "values.json").write_text(json.dumps(values), encoding="utf-8")
    return values
