"""The real side of an evaluation: seen once and kept in the cache, as safetensors and JSON."""

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
from dcgan.errors import UserError
from dcgan.metrics.features import FeatureExtractor
from dcgan.rng import derive_seed

MAX_REFERENCE = 10_000
"""Real pictures that samples are held against, for `n` up to this; as many as `n` above."""
MAX_FLOOR_POOL = 60_000
"""Real pictures of the other part, from which the floor is made."""
EVALUATION_BATCH = 1024
"""Pictures that are seen at a time."""
PURPOSE_ROWS = 13
"""For `latents.derive`."""


@dataclass(frozen=True)
class FeatureSet:
    """Pictures as the metrics see them.

    Attributes:
        features: float32 (N, D).
        scores: of the classes before the softmax, float32 (N, classes), or None.
        labels: int64 (N,): of real pictures their class, of samples the one that was asked for; or None.
    """

    features: Tensor
    scores: Tensor | None = None
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    def take(self, rows: Tensor) -> "FeatureSet":
        """Some of them."""
        scores, labels = (None if t is None else t[rows] for t in (self.scores, self.labels))
        return FeatureSet(self.features[rows], scores, labels)


def concatenate_sets(parts: list[FeatureSet]) -> FeatureSet:
    """Several sets as one."""

    def whole(tensors: list[Tensor | None]) -> Tensor | None:
        there = [t for t in tensors if t is not None]
        return torch.cat(there) if there else None

    features = torch.cat([p.features for p in parts])
    return FeatureSet(features, whole([p.scores for p in parts]), whole([p.labels for p in parts]))


def random_rows(n: int, most: int) -> Tensor:
    """Which of `n` pictures are taken, int64, in random order: always the same `most`, without replacement."""
    source = np.random.Generator(np.random.Philox(key=derive_seed(0, PURPOSE_ROWS)))
    return torch.from_numpy(source.permutation(n)[:most])


def extract_reference(
    images: ImageSet, split: str, features: FeatureExtractor, most: int, said: Callable[[int], object]
) -> FeatureSet:
    """Up to `most` pictures of a part as the metrics see them, from the cache if they were seen before.

    Args:
        images: the part, in the size and channels that the features read.
        split: its name.
        features: what looks.
        most: how many.
        said: is told of each number of pictures when they are done.
    """
    rows = random_rows(len(images), most)
    name = cache_key("features", images.key, split, list(images.pixels.shape), most, features.name, features.key)
    kept = _read(cache_folder() / name / "features.safetensors", len(rows), features)
    if kept is None:
        parts = []
        for piece in torch.split(rows, EVALUATION_BATCH):
            parts.append(FeatureSet(*features.see(images.pixels[piece])))
            said(len(piece))
        kept = concatenate_sets(parts)
        with contextlib.suppress(UserError), new_cache_entry(name) as entry:  # a cache that cannot be is no error
            _write(kept, entry / "features.safetensors")
    else:
        said(len(rows))
    return FeatureSet(kept.features, kept.scores, None if images.labels is None else images.labels[rows])


def _tensors(seen: FeatureSet) -> dict[str, Tensor]:
    found = {"features": seen.features} | ({} if seen.scores is None else {"scores": seen.scores})
    return {name: tensor.contiguous() for name, tensor in found.items()}


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _write(seen: FeatureSet, path: Path) -> None:
    tensors = _tensors(seen)
    save_file(tensors, path, {"sha256": _digest(tensors)})


def _read(path: Path, n: int, features: FeatureExtractor) -> FeatureSet | None:
    """What was kept, or None if nothing was or it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            good = (file.metadata() or {}).get("sha256") == _digest(tensors)
    except (SafetensorError, OSError):
        return None
    if not good or tensors["features"].shape != (n, features.length):
        return None
    return FeatureSet(tensors["features"], tensors.get("scores"))


def floor_sets(pool: FeatureSet, n: int, count: int) -> list[FeatureSet]:
    """`count` sets of `n` from a pool: disjoint where it is large enough, else drawn without replacement each.

    Nothing where the pool holds fewer than `n`.
    """
    if len(pool) < n:
        return []
    if len(pool) >= count * n:
        return [pool.take(torch.arange(i * n, (i + 1) * n)) for i in range(count)]
    sources = [np.random.Generator(np.random.Philox(key=derive_seed(i, PURPOSE_ROWS))) for i in range(count)]
    return [pool.take(torch.from_numpy(s.permutation(len(pool))[:n])) for s in sources]


def cached_metrics(name: str, make: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Figures that were kept under a name, or made now and kept."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found = json.loads((cache_folder() / name / "figures.json").read_text(encoding="utf-8"))
        if all(isinstance(value, float) for value in found.values()):
            return dict(found)
    figures = make()
    with contextlib.suppress(UserError), new_cache_entry(name) as entry:
        (entry / "figures.json").write_text(json.dumps(figures), encoding="utf-8")
    return figures
