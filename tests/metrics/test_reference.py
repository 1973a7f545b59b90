from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dcgan.cache import cache_folder
from dcgan.data.open import ImageSet
from dcgan.errors import UserError
from dcgan.metrics import reference
from dcgan.metrics.features import FeatureExtractor
from dcgan.metrics.reference import (
    FeatureSet,
    check_finite,
    choose_rows,
    extract_reference,
    floor_sets,
    has_equal_features,
    load_or_compute_values,
)


class CountingExtractor:
    """Features that count how many pictures they are extracted from: the mean of each picture, and two scores."""

    def __init__(self) -> None:
        self.extracted_count = 0

    def extract(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        self.extracted_count += len(pixels)
        mean = pixels.float().mean((1, 2, 3)).unsqueeze(1)
        return mean, torch.cat([mean, -mean], 1)

    def with_key(self, weights_key: str = "k") -> FeatureExtractor:
        return FeatureExtractor("mean", 1, self.extract, weights_key=weights_key)


def make_images(n: int = 50, content_key: str = "data") -> ImageSet:
    """Pictures whose brightness is their label."""
    pixels = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, 16, 16)
    return ImageSet("i", pixels, torch.arange(n), tuple(map(str, range(n))), content_key)


def test_the_features_of_real_pictures_are_extracted_once():
    extractor = CountingExtractor()
    progress: list[int] = []
    first = extract_reference(make_images(), "test", extractor.with_key(), 30, progress.append)
    again = extract_reference(make_images(), "test", extractor.with_key(), 30, progress.append)
    assert extractor.extracted_count == 30
    assert sum(progress) == 60
    assert torch.equal(first.features, again.features)
    assert torch.equal(first.scores, again.scores)
    # the labels belong to the chosen pictures
    assert again.labels.tolist() == again.features[:, 0].int().tolist()
    assert len(set(again.labels.tolist())) == 30


@pytest.mark.parametrize(
    "change",
    [
        {"content_key": "other"},
        {"rules": 5},
        {"part": (1, 2)},
        {"split": "train"},
        {"max_count": 20},
        {"weights_key": "other"},
    ],
    ids=lambda c: next(iter(c)),
)
def test_the_cache_key_contains_everything_that_the_features_depend_on(change: dict[str, object]):
    extractor = CountingExtractor()
    values = {"content_key": "data", "rules": 6, "split": "test", "max_count": 30, "weights_key": "k"}
    values["part"] = (0, 2)
    for v in (values, values | change):
        images = replace(make_images(content_key=v["content_key"]), rules=v["rules"], part=v["part"])
        extract_reference(images, v["split"], extractor.with_key(v["weights_key"]), v["max_count"])
    assert extractor.extracted_count == 30 + (20 if "max_count" in change else 30)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def write_other_features(path: Path) -> None:
    reference._write_features(FeatureSet(torch.zeros(3, 1)), path)


@pytest.mark.parametrize("damage", [empty, cut_off, flip_bit, write_other_features, Path.unlink])
def test_a_damaged_cache_entry_is_recognized_and_written_again(damage: object):
    extractor = CountingExtractor()
    first = extract_reference(make_images(), "test", extractor.with_key(), 30)
    [path] = cache_folder().glob("*/features.safetensors")
    damage(path)
    assert torch.equal(extract_reference(make_images(), "test", extractor.with_key(), 30).features, first.features)
    extract_reference(make_images(), "test", extractor.with_key(), 30)
    assert extractor.extracted_count == 60


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "file" / "cache"))
    assert len(extract_reference(make_images(), "test", CountingExtractor().with_key(), 30)) == 30
    assert load_or_compute_values("name", lambda: {"a": [1.0]}) == {"a": [1.0]}


def test_the_chosen_rows_are_always_the_same_and_none_is_chosen_twice():
    rows = choose_rows(100, 60)
    assert len(set(rows.tolist())) == 60
    assert torch.equal(rows, choose_rows(100, 60))
    assert torch.equal(choose_rows(100, 20), rows[:20])
    assert len(choose_rows(10, 60)) == 10


@pytest.mark.parametrize("pool_size", [0, 99, 100, 101, 199, 200, 201, 299, 300])
def test_floor_sets_never_overlap(pool_size: int):
    pool = FeatureSet(torch.arange(float(pool_size)).view(-1, 1))
    sets = [s.features.flatten().int().tolist() for s in floor_sets(pool, 100, 2)]
    assert [len(rows) for rows in sets] == min(2, pool_size // 100) * [100]
    assert len(set().union(*sets)) == 100 * len(sets)


def test_values_are_cached():
    assert load_or_compute_values("values", lambda: {"a": [1.5, 2.5]}) == {"a": [1.5, 2.5]}
    assert load_or_compute_values("values", lambda: {}) == {"a": [1.5, 2.5]}
    for damaged in ("[1", '{"a": 1}', '{"a": ["b"]}'):
        (cache_folder() / "values" / "values.json").write_text(damaged)
        assert load_or_compute_values("values", lambda: {"a": [3.5]}) == {"a": [3.5]}


def test_features_that_are_no_numbers_are_refused():
    features = FeatureSet(torch.tensor([[1.0, 2.0], [float("nan"), 1.0], [float("inf"), 0.0]]))
    extractor = FeatureExtractor("own", 2, lambda pixels: (pixels, None))
    with pytest.raises(
        UserError, match=r"the features own of 2 of the 3 pictures of the test split of x are not finite"
    ):
        check_finite(features, "the test split of x", extractor)
    check_finite(features.select(torch.tensor([0])), "x", extractor)


def test_equal_features_may_be_rounded_differently():
    features = torch.ones(5, 3).repeat(1, 2)
    features[1, 2] += 1e-6
    assert has_equal_features(FeatureSet(features))
    features[1, 2] += 0.01
    assert not has_equal_features(FeatureSet(features))
    assert has_equal_features(FeatureSet(torch.zeros(5, 3)))
