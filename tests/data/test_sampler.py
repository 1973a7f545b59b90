import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dcgan.data.sampler import next_batch_indices, next_part_indices, part_share, rank_share


def draw_batches(n: int, batch_size: int, count: int, seed: int) -> list[torch.Tensor]:
    images_seen, batches = 0, []
    for _ in range(count):
        batches.append(next_batch_indices(n, batch_size, images_seen, seed))
        images_seen += len(batches[-1])
    return batches


@given(n=st.integers(1, 50), batch_size=st.integers(1, 60), seed=st.integers(0, 9))
def test_every_picture_once_an_epoch(n: int, batch_size: int, seed: int):
    batches_per_epoch = -(-n // batch_size)
    batches = draw_batches(n, batch_size, 2 * batches_per_epoch, seed)
    first, second = torch.cat(batches[:batches_per_epoch]), torch.cat(batches[batches_per_epoch:])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(n))


def test_the_last_short_batch_is_used():
    assert [len(batch) for batch in draw_batches(60_000, 128, 470, 0)][-3:] == [128, 96, 128]


def test_the_order_depends_on_seed_and_epoch_only():
    a, b = draw_batches(1000, 100, 20, 0), draw_batches(1000, 100, 20, 0)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not torch.equal(a[0], a[10])
    assert not torch.equal(a[0], draw_batches(1000, 100, 1, 1)[0])


def test_a_position_inside_an_epoch_can_be_reached_directly():
    assert torch.equal(next_batch_indices(100, 10, 135, 0), next_batch_indices(100, 100, 100, 0)[35:45])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_is_shuffled(seed: int):
    order = next_batch_indices(10_000, 10_000, 0, seed).float()
    assert abs(torch.corrcoef(torch.stack([order, torch.arange(10_000.0)]))[0, 1]) < 0.04


@given(n=st.integers(1, 30), rank_count=st.integers(1, 5))
def test_the_ranks_together_see_what_one_sees(n: int, rank_count: int):
    batch = torch.arange(n)
    shares = [(batch[rows], weight) for rows, weight in (rank_share(n, rank, rank_count) for rank in range(rank_count))]
    assert all(len(share) for share, _ in shares)
    weighted = [share for share, weight in shares if weight]
    assert torch.equal(torch.cat(weighted), batch)
    assert max(map(len, weighted)) - min(map(len, weighted)) <= 1


@given(values=st.lists(st.floats(-9, 9), min_size=1, max_size=30), rank_count=st.integers(1, 5))
def test_the_mean_of_weighted_means_is_that_of_the_batch(values: list[float], rank_count: int):
    batch = torch.tensor(values, dtype=torch.float64)
    shares = [rank_share(len(batch), rank, rank_count) for rank in range(rank_count)]
    mean = sum(weight * batch[rows].mean() for rows, weight in shares) / rank_count
    assert mean == pytest.approx(float(batch.mean()), abs=1e-12)


def test_a_million_pictures_cost_little():
    start = time.process_time()
    next_batch_indices(1_000_000, 128, 0, 0)
    first_s = time.process_time() - start
    start = time.process_time()
    for images_seen in range(0, 128_000, 128):
        next_batch_indices(1_000_000, 128, images_seen, 0)
    assert first_s < 1
    assert time.process_time() - start < 0.5


@pytest.mark.parametrize("part_sizes", [(40, 40), (7, 31, 2), (100, 1, 1, 1), (5, 5, 5, 5)])
@pytest.mark.parametrize("batch_size", [1, 8, 64])
def test_parts_give_each_picture_once_in_an_epoch_and_their_share_of_each_batch(
    part_sizes: tuple[int, ...], batch_size: int
):
    n, ranks = sum(part_sizes), range(len(part_sizes))
    for epoch in (0, 3):
        seen: list[list[int]] = [[] for _ in ranks]
        for start in range(0, n, batch_size):
            size, images_seen = min(batch_size, n - start), epoch * n + start
            rows: list[int] = []
            weights = 0.0
            for rank in ranks:
                part, weight = part_share(part_sizes, size, images_seen, rank)
                indices = next_part_indices(part_sizes, size, images_seen, 5, rank)
                assert len(indices) == part.stop - part.start
                weights += weight / len(part_sizes)
                if not weight:
                    assert part == slice(0, 1)  # one picture stands in
                    continue
                assert weight == pytest.approx(len(indices) * len(part_sizes) / size)
                assert abs(len(indices) - size * part_sizes[rank] / n) <= len(ranks) / 2 + 1
                rows += range(part.start, part.stop)
                seen[rank] += indices.tolist()
            assert rows == list(range(size))  # the rows of the random numbers of the whole batch
            assert weights == pytest.approx(1)
        assert [sorted(indices) for indices in seen] == [list(range(count)) for count in part_sizes]


def test_the_order_of_a_part_depends_on_seed_epoch_rank_and_rank_count():
    def order(seed: int, epoch: int, rank: int, count: int) -> list[int]:
        return next_part_indices((50,) * count, 50 * count, epoch * 50 * count, seed, rank).tolist()

    orders = [order(1, 0, 0, 2), order(2, 0, 0, 2), order(1, 1, 0, 2), order(1, 0, 1, 2), order(1, 1, 0, 3)]
    assert len(set(map(tuple, orders))) == 5
    assert order(1, 1, 1, 2) == order(1, 1, 1, 2)
