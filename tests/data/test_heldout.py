import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgan.data import heldout
from dcgan.data.heldout import TEST, TRAIN, VALIDATION, choose_splits, order_by_split, permute_in_place
from dcgan.data.rules import CURRENT_RULES, RULES_OF_LARGE_GROUPS_FIRST, RULES_OF_ROUNDED_CLASSES


def random_digests(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 16)).astype(np.uint8)


def test_a_tenth_of_each_class_half_of_it_for_validation():
    labels = np.repeat([0, 1], [1000, 500])
    splits = choose_splits(random_digests(1500), labels)
    for label, held_out in ((0, 100), (1, 50)):
        counts = np.bincount(splits[labels == label]).tolist()
        assert counts == [10 * held_out - held_out, held_out // 2, held_out // 2]


@pytest.mark.parametrize("has_groups", [False, True])
@pytest.mark.parametrize(
    ("sizes", "before", "now"),
    [
        ([9] * 100, [900, 0, 0], [810, 45, 45]),
        ([1] * 100, [100, 0, 0], [90, 5, 5]),
        ([12] * 50, [550, 0, 50], [540, 30, 30]),
        ([10, 9], [19, 0, 0], [18, 0, 1]),
        ([500, 1, 500], [903, 48, 50], [903, 48, 50]),
    ],
)
def test_small_classes_give_pictures_together(has_groups: bool, sizes: list[int], before: list[int], now: list[int]):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    groups = np.arange(len(labels)) if has_groups else None
    for rules, expected in ((RULES_OF_ROUNDED_CLASSES, before), (CURRENT_RULES, now)):
        splits = choose_splits(random_digests(len(labels)), labels, groups, rules)
        assert np.bincount(splits, minlength=3).tolist() == expected
    # No class gives more than its share, rounded up.
    given = [(splits[labels == label] != TRAIN).sum() for label in range(len(sizes))]
    assert all(count <= -(-size // heldout.HELD_OUT_DIVISOR) for count, size in zip(given, sizes, strict=True))


def test_a_single_picture_of_a_class_is_trained_on_beside_large_classes():
    labels = np.repeat([0, 1, 2], [200, 1, 199])
    assert choose_splits(random_digests(400), labels)[labels == 1].tolist() == [TRAIN]


def test_at_most_ten_thousand():
    splits = choose_splits(random_digests(200_000), np.zeros(200_000, np.int64))
    assert np.bincount(splits).tolist() == [190_000, 5_000, 5_000]


def test_the_choice_follows_the_content_not_the_order():
    digests, labels = random_digests(300), np.random.default_rng(1).integers(0, 3, 300)
    order = np.random.default_rng(2).permutation(300)
    assert (choose_splits(digests, labels)[order] == choose_splits(digests[order], labels[order])).all()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=200))
def test_equal_pictures_of_a_class_are_in_one_split(pairs: list):
    digests = np.array([[content * 50] * 16 for content, _ in pairs], np.uint8).reshape(-1, 16)
    labels = np.array([label for _, label in pairs], np.int64)
    splits = choose_splits(digests, labels)
    for pair in set(pairs):
        assert len({split for split, other in zip(splits.tolist(), pairs, strict=True) if other == pair}) == 1
    assert (splits != TRAIN).sum() <= len(pairs) // heldout.HELD_OUT_DIVISOR


@given(st.lists(st.sampled_from([TRAIN, VALIDATION, TEST]), max_size=60))
def test_rows_are_sorted_in_place_and_few_move(splits_list: list):
    splits = np.array(splits_list, np.int8)
    n = len(splits)
    order = order_by_split(splits)
    rows = np.arange(n)[:, None] * np.ones((1, 3), int)
    expected = rows[order]
    permute_in_place(rows, order)
    assert (rows == expected).all()
    assert splits[order].tolist() == sorted(splits_list)
    assert sorted(order.tolist()) == list(range(n))
    assert (order != np.arange(n)).sum() <= 2 * (splits != TRAIN).sum()


def test_a_group_is_in_one_split():
    source = np.random.default_rng(0)
    digests = source.integers(0, 256, (1000, 16)).astype(np.uint8)
    labels, groups = source.integers(0, 3, 1000), source.integers(0, 250, 1000)
    splits = heldout.choose_splits(digests, labels, groups)
    for group in range(250):
        assert len(set(splits[groups == group].tolist())) <= 1
    counts = np.bincount(splits, minlength=3)
    assert 88 <= counts[heldout.TEST] + counts[heldout.VALIDATION] <= 100
    assert counts[heldout.TEST] >= counts[heldout.VALIDATION] >= 40


def test_the_order_of_the_images_does_not_change_the_splits_of_groups():
    source = np.random.default_rng(1)
    digests = source.integers(0, 256, (300, 16)).astype(np.uint8)
    labels, groups = source.integers(0, 2, 300), source.integers(0, 100, 300)
    order = source.permutation(300)
    splits = heldout.choose_splits(digests, labels, groups)
    assert (heldout.choose_splits(digests[order], labels[order], groups[order]) == splits[order]).all()


def test_a_group_that_is_too_large_to_be_held_out_stays_in_training():
    digests = np.arange(1600).reshape(100, 16).astype(np.uint8)
    groups = np.where(np.arange(100) < 60, 0, np.arange(100))
    splits = heldout.choose_splits(digests, np.zeros(100, np.int64), groups)
    assert (splits[:60] == heldout.TRAIN).all()
    assert np.bincount(splits, minlength=3).tolist() == [90, 5, 5]


def test_large_groups_are_held_out_no_sooner_than_small_ones():
    """As many images stand in ten groups of 30 as alone: held-out parts must not prefer the groups."""
    from_groups = []
    for seed in range(20):
        digests = np.random.default_rng(seed).integers(0, 256, (3000, 16)).astype(np.uint8)
        groups = np.where(np.arange(3000) < 1500, np.arange(3000) // 10, np.arange(3000))
        splits = heldout.choose_splits(digests, np.zeros(3000, np.int64), groups)
        assert np.bincount(splits, minlength=3).tolist()[1:] == [150, 150]
        from_groups.append((splits[:1500] != heldout.TRAIN).sum() / 300)
    assert 0.4 < np.mean(from_groups) < 0.6
    first = heldout.choose_splits(digests, np.zeros(3000, np.int64), groups, RULES_OF_LARGE_GROUPS_FIRST)
    assert (first[:1500] != heldout.TRAIN).sum() > 250  # as version 4 of the rules, for runs that have it


def test_a_part_of_large_groups_only_is_filled_with_them():
    digests = np.random.default_rng(0).integers(0, 256, (400, 16)).astype(np.uint8)
    splits = heldout.choose_splits(digests, np.zeros(400, np.int64), np.arange(400) // 10)
    assert np.bincount(splits, minlength=3).tolist() == [360, 20, 20]


def test_groups_that_fit_into_no_class_are_held_out_of_the_whole_set():
    """Five classes of ten scenes with ten near duplicates each: a class gives five pictures to a part, half a scene."""
    groups, labels = np.arange(500) // 10, np.arange(500) // 100
    splits = choose_splits(random_digests(500), labels, groups)
    assert np.bincount(splits, minlength=3).tolist() == [460, 20, 20]
    assert all(len(set(splits[groups == group])) == 1 for group in range(50))
    divided = choose_splits(random_digests(500), labels, groups, RULES_OF_ROUNDED_CLASSES)
    assert any(len(set(divided[groups == group])) > 1 for group in range(50))


def test_no_class_is_held_out_as_a_whole_because_its_pictures_are_near_duplicates():
    groups = labels = np.arange(1440) // 72
    splits = choose_splits(random_digests(1440), labels, groups)
    assert set(labels[splits == TRAIN]) == set(range(20))
    assert 100 < (splits != TRAIN).sum() <= 144
