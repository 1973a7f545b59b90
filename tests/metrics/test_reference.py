from pathlib import Path

import pytest
import torch
from torch import Tensor

from dcgan.cache import cache_folder
from dcgan.data.open import ImageSet
from dcgan.metrics import reference
from dcgan.metrics.features import FeatureExtractor
from dcgan.metrics.reference import FeatureSet, cached_metrics, extract_reference, floor_sets, random_rows


class Eyes:
    """Features that count how often they are used: the mean of each picture, and two scores."""

    def __init__(self) -> None:
        self.seen = 0

    def see(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        self.seen += len(pixels)
        mean = pixels.float().mean((1, 2, 3)).unsqueeze(1)
        return mean, torch.cat([mean, -mean], 1)

    def features(self, key: str = "k") -> FeatureExtractor:
        return FeatureExtractor("mean", 1, self.see, key=key)


def images(n: int = 50, key: str = "data") -> ImageSet:
    pixels = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, 16, 16)
    return ImageSet("i", pixels, torch.arange(n), tuple(map(str, range(n))), key)


def done(count: int) -> None:
    """Nobody looks at the progress."""


def test_real_pictures_are_seen_once():
    eyes = Eyes()
    first = extract_reference(images(), "test", eyes.features(), 30, done)
    again = extract_reference(images(), "test", eyes.features(), 30, done)
    assert eyes.seen == 30
    assert torch.equal(first.features, again.features)
    assert torch.equal(first.scores, again.scores)
    # the labels are those of the pictures that were taken: here each is its picture's brightness
    assert again.labels.tolist() == again.features[:, 0].int().tolist()
    assert len(set(again.labels.tolist())) == 30


@pytest.mark.parametrize(
    "change", [{"key": "other"}, {"split": "train"}, {"most": 20}, {"weights": "other"}], ids=lambda c: next(iter(c))
)
def test_whatever_they_depend_on_is_in_their_name(change: dict[str, object]):
    eyes = Eyes()
    asked = {"key": "data", "split": "test", "most": 30, "weights": "k"}
    for values in (asked, asked | change):
        extract_reference(
            images(key=values["key"]), values["split"], eyes.features(values["weights"]), values["most"], done
        )
    assert eyes.seen == 30 + (20 if "most" in change else 30)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def _turned(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _foreign(path: Path) -> None:
    reference._write(FeatureSet(torch.zeros(3, 1)), path)


@pytest.mark.parametrize("damage", [_cut, _turned, _foreign, Path.unlink])
def test_damage_is_noticed_and_mended(damage: object):
    eyes = Eyes()
    first = extract_reference(images(), "test", eyes.features(), 30, done)
    [path] = cache_folder().glob("*/features.safetensors")
    damage(path)
    assert torch.equal(extract_reference(images(), "test", eyes.features(), 30, done).features, first.features)
    extract_reference(images(), "test", eyes.features(), 30, done)
    assert eyes.seen == 60


def test_a_cache_that_cannot_be_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "file" / "cache"))
    assert len(extract_reference(images(), "test", Eyes().features(), 30, done)) == 30
    assert cached_metrics("name", lambda: {"a": 1.0}) == {"a": 1.0}


def test_figures_are_kept():
    assert cached_metrics("name", lambda: {"a": 1.5}) == {"a": 1.5}
    assert cached_metrics("name", lambda: {}) == {"a": 1.5}
    (cache_folder() / "name" / "figures.json").write_text("[1")
    assert cached_metrics("name", lambda: {"a": 2.5}) == {"a": 2.5}


def test_rows_are_without_replacement_and_always_the_same():
    rows = random_rows(100, 60)
    assert len(set(rows.tolist())) == 60
    assert torch.equal(rows, random_rows(100, 60))
    assert torch.equal(random_rows(100, 20), rows[:20])
    assert len(random_rows(10, 60)) == 10


def test_chunks_are_disjoint_where_there_is_enough():
    pool = FeatureSet(torch.arange(20.0).view(20, 1))
    parts = [part.features.flatten().tolist() for part in floor_sets(pool, 10, 2)]
    assert parts[0] + parts[1] == list(range(20))
    overlapping = [part.features.flatten().tolist() for part in floor_sets(pool, 15, 2)]
    assert all(len(set(part)) == 15 for part in overlapping)
    assert set(overlapping[0]) != set(overlapping[1])
    assert floor_sets(pool, 21, 2) == []
