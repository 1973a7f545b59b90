from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan.metrics import nearest as nearest_module
from dcgan.metrics.copies import copy_limits, difference_interval, judge_copies
from dcgan.metrics.intervals import wilson_interval
from dcgan.metrics.nearest import CopySearch, NearestTraining, load_or_find
from tests.data.pictures import ALTERATIONS, draw_shapes

TRAIN, UNSEEN, SAMPLES = (draw_shapes(count, seed) for count, seed in ((400, 0), (200, 1), (200, 2)))


@pytest.fixture(scope="module")
def search() -> CopySearch:
    return CopySearch(TRAIN)


@pytest.fixture(scope="module")
def unseen(search: CopySearch) -> NearestTraining:
    return search.find([UNSEEN])


@pytest.mark.parametrize("name", ALTERATIONS)
def test_planted_copies_are_found(name: str, search: CopySearch, unseen: NearestTraining):
    planted = ALTERATIONS[name](TRAIN[:100])
    nearest = search.find(planted.split(30))
    limits = copy_limits(unseen)
    assert limits.is_near(nearest).float().mean() >= 0.95
    assert (limits.rows(nearest) == torch.arange(100)).float().mean() >= 0.95
    verdict = judge_copies(nearest, unseen, search, "held-out pictures")
    assert verdict.verdict == "copies"
    assert verdict.excess > 0.85
    assert verdict.low > 0.8


def test_new_pictures_of_the_same_kind_are_no_copies(search: CopySearch, unseen: NearestTraining):
    verdict = judge_copies(search.find([SAMPLES]), unseen, search, "held-out pictures")
    assert verdict.verdict == "no sign of copying"
    assert verdict.near_share <= 0.08
    assert verdict.low < 0 < verdict.high
    assert (verdict.n, verdict.searched, verdict.trained_on, verdict.unseen) == (200, 400, 400, 200)
    assert abs(verdict.authentic_share - verdict.authentic_share_of_unseen) < 0.1


def test_a_tenth_of_copies_is_noticed(search: CopySearch, unseen: NearestTraining):
    samples = torch.cat([SAMPLES[:180], TRAIN[:20]])
    verdict = judge_copies(search.find([samples]), unseen, search, "held-out pictures")
    assert verdict.verdict == "copies"
    assert 0.1 <= verdict.near_share <= 0.18


def test_few_unseen_pictures_give_no_verdict(search: CopySearch):
    verdict = judge_copies(search.find([TRAIN[:50]]), search.find([UNSEEN[:99]]), search, "held-out pictures")
    assert (verdict.verdict, verdict.near_share) == ("cannot say", 1.0)
    assert "only 99 unseen pictures" in verdict.reason


def test_samples_unlike_the_data_give_no_verdict(search: CopySearch, unseen: NearestTraining):
    noise = torch.randint(0, 256, (200, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    verdict = judge_copies(search.find([noise]), unseen, search, "held-out pictures")
    assert verdict.verdict == "cannot say"
    assert "the samples differ more from the data than unseen pictures do" in verdict.reason


def test_a_training_picture_is_compared_with_the_others_only():
    groups = torch.arange(400)
    search = CopySearch(TRAIN, groups)
    nearest = search.find([TRAIN[:100]], groups[:100])
    assert not (nearest.shifted_rows == groups[:100]).any()
    assert not (nearest.recolored_rows == groups[:100]).any()
    assert nearest.shifted.min() > 0.05


def test_exact_copies_are_not_authentic(search: CopySearch):
    assert not search.find([TRAIN[:50]]).is_authentic.any()


def test_mirrored_copies_are_not_authentic_and_new_pictures_are_as_often_as_unseen_ones(search: CopySearch):
    assert not search.find([TRAIN[:50].flip(3)]).is_authentic.any()
    shares = [search.find([pixels]).is_authentic.float().mean() for pixels in (SAMPLES, SAMPLES.flip(3), UNSEEN)]
    assert all(0.7 < share < 0.9 for share in shares)


def test_a_picture_is_compared_with_the_mirror_images_of_other_training_pictures():
    """Where each training picture is there mirrored too, its nearest neighbor is at the distance 0."""
    train = torch.cat([TRAIN[:50], TRAIN[:50].flip(3)])
    assert CopySearch(train).find([SAMPLES[:20]]).is_authentic.all()


def test_equal_pictures_make_no_number_that_is_none(search: CopySearch):
    flat = torch.full((120, 1, 28, 28), 7, dtype=torch.uint8)
    nearest = CopySearch(flat).find([flat])
    assert all(torch.isfinite(t.double()).all() for t in nearest.tensors())
    verdict = judge_copies(nearest, nearest, CopySearch(flat), "held-out pictures")
    assert verdict.verdict in ("no sign of copying", "cannot say")


def test_two_training_pictures_are_enough_to_search():
    nearest = CopySearch(TRAIN[:2]).find([TRAIN[:2]])
    assert nearest.shifted_rows.tolist() == [0, 1]


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nearest_module, "MAX_SEARCHED", 100)
    search = CopySearch(TRAIN)
    verdict = judge_copies(search.find([SAMPLES]), search.find([UNSEEN]), search, "held-out pictures")
    assert (verdict.searched, verdict.trained_on) == (100, 400)


def test_distances_are_read_from_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search: CopySearch):
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path))
    first = load_or_find("entry", lambda: search.find([UNSEEN[:10]]))
    second = load_or_find("entry", lambda: pytest.fail("it is in the cache"))
    assert all(torch.equal(a, b) for a, b in zip(first.tensors(), second.tensors(), strict=True))


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_bits(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[200] ^= 255  # inside of the first array
    path.write_bytes(content)


def leave_out_an_array(path: Path) -> None:
    np.savez(path, **{str(i): np.zeros(10) for i in range(4)})


@pytest.mark.parametrize("damage", [cut_in_half, empty, flip_bits, leave_out_an_array, Path.unlink])
def test_a_damaged_cache_entry_is_written_again(
    damage: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search: CopySearch
):
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path))
    first = load_or_find("entry", lambda: search.find([UNSEEN[:10]]))
    damage(tmp_path / "entry" / "nearest.npz")
    for find in (lambda: search.find([UNSEEN[:10]]), lambda: pytest.fail("it is in the cache")):
        again = load_or_find("entry", find)
        assert all(torch.equal(a, b) for a, b in zip(first.tensors(), again.tensors(), strict=True))


def test_binomial_intervals():
    assert wilson_interval(5, 100) == pytest.approx((0.0215, 0.1118), abs=1e-4)
    assert wilson_interval(0, 10)[0] == 0
    low, high = difference_interval(56, 70, 48, 80)  # Newcombe 1998, table II (a), method 10
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def families(count: int, members: int, seed: int) -> torch.Tensor:
    """Return pictures of which `members` after each other are one picture in other colors."""
    first = draw_shapes(count, seed).float()
    factors = torch.linspace(1, 0.5, members)[:, None, None, None]
    return torch.cat([(picture * factors) for picture in first]).round().to(torch.uint8)


def test_a_new_member_of_a_family_is_no_copy():
    """A set of 200 pictures and 20 families of 5, of each of which one more member is drawn."""
    pictures, new = families(20, 6, 5), torch.arange(120) % 6 == 2
    train = torch.cat([TRAIN[:200], pictures[~new]])
    groups = torch.cat([torch.arange(200), 200 + torch.arange(20).repeat_interleave(5)])
    search = CopySearch(train, groups)
    unseen, relatives = search.find([train], groups), search.find_relatives(groups, 500)
    assert relatives is not None
    assert len(relatives.nearest) == 100
    samples = search.find([torch.cat([SAMPLES[:100], pictures[new]])])
    assert copy_limits(unseen).is_near(samples)[100:].all()
    assert copy_limits(unseen, relatives).is_near(samples)[100:].float().mean() < 0.7
    assert judge_copies(samples, unseen, search, "cross-splitting").verdict == "copies"
    assert judge_copies(samples, unseen, search, "cross-splitting", relatives).verdict == "no sign of copying"


@pytest.mark.parametrize(
    ("copied", "alter"),
    [
        (slice(200, None), lambda p: p),
        (slice(200, None), lambda p: p.flip(3)),
        (slice(0, 100), lambda p: p ^ 4),  # of members of families, only nearly exact copies are found
    ],
)
def test_copies_are_found_in_a_set_with_families(copied: slice, alter: Callable[[torch.Tensor], torch.Tensor]):
    train = torch.cat([TRAIN[:200], families(20, 6, 5)])
    groups = torch.cat([torch.arange(200), 200 + torch.arange(20).repeat_interleave(6)])
    search = CopySearch(train, groups)
    unseen, relatives = search.find([train], groups), search.find_relatives(groups, 500)
    limits = copy_limits(unseen, relatives)
    assert limits.is_near(search.find([alter(train[copied])])).float().mean() >= 0.95


def test_few_near_duplicates_have_no_limits_of_their_own():
    groups = torch.arange(400) - (torch.arange(400) == 1).long()
    assert CopySearch(TRAIN, groups).find_relatives(groups, 500) is None


def test_pairs_make_more_new_pictures_near():
    """One of a pair is alone while the other is new, so that a new picture can be near to a picture that is alone."""
    train = torch.cat([TRAIN[:100], families(50, 2, 5)])
    groups = torch.cat([torch.arange(100), 100 + torch.arange(50).repeat_interleave(2)])
    search = CopySearch(train, groups)
    limits = copy_limits(search.find([train], groups), search.find_relatives(groups, 500))
    assert 0.4 < limits.near_share < 0.6
