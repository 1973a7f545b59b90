import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dcgan.data import heldout
from dcgan.data.heldout import TEST, TRAIN, VALIDATION, choose_split, permute_in_place, split_order


def digests(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 16)).astype(np.uint8)


def test_a_tenth_of_each_class_half_of_it_for_validation():
    labels = np.repeat([0, 1], [1000, 500])
    parts = choose_split(digests(1500), labels)
    for label, held in ((0, 100), (1, 50)):
        assert np.bincount(parts[labels == label]).tolist() == [10 * held - held, held // 2, held // 2]


def test_at_most_ten_thousand():
    parts = choose_split(digests(200_000), np.zeros(200_000, np.int64))
    assert np.bincount(parts).tolist() == [190_000, 5_000, 5_000]


def test_the_choice_follows_the_content_not_the_order():
    d, labels = digests(300), np.random.default_rng(1).integers(0, 3, 300)
    mixed = np.random.default_rng(2).permutation(300)
    assert (choose_split(d, labels)[mixed] == choose_split(d[mixed], labels[mixed])).all()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=200))
def test_equal_pictures_of_a_class_are_on_one_side(pairs: list):
    d = np.array([[kind * 50] * 16 for kind, _ in pairs], np.uint8).reshape(-1, 16)
    labels = np.array([label for _, label in pairs], np.int64)
    parts = choose_split(d, labels)
    for kind in set(pairs):
        same = [part for part, pair in zip(parts.tolist(), pairs, strict=True) if pair == kind]
        assert len(set(same)) == 1
    assert (parts != TRAIN).sum() <= len(pairs) // heldout.SHARE


@given(st.lists(st.sampled_from([TRAIN, VALIDATION, TEST]), max_size=60))
def test_rows_are_arranged_in_place_and_few_move(parts: list):
    groups = np.array(parts, np.int8)
    order = split_order(groups)
    rows = np.arange(len(parts))[:, None] * np.ones((1, 3), int)
    expected = rows[order]
    permute_in_place(rows, order)
    assert (rows == expected).all()
    assert groups[order].tolist() == sorted(parts)
    assert sorted(order.tolist()) == list(range(len(parts)))
    assert (order != np.arange(len(parts))).sum() <= 2 * (groups != TRAIN).sum()
