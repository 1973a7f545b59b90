import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dcgan.data.sampler import next_batch_indices, rank_share


def batches(n: int, size: int, count: int, seed: int) -> list[torch.Tensor]:
    seen, found = 0, []
    for _ in range(count):
        found.append(next_batch_indices(n, size, seen, seed))
        seen += len(found[-1])
    return found


@given(n=st.integers(1, 50), size=st.integers(1, 60), seed=st.integers(0, 9))
def test_every_picture_once_an_epoch(n: int, size: int, seed: int):
    per_epoch = -(-n // size)
    first, second = (
        torch.cat(b) for b in (lambda x: (x[:per_epoch], x[per_epoch:]))(batches(n, size, 2 * per_epoch, seed))
    )
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(n))


def test_the_last_short_batch_is_kept():
    assert [len(b) for b in batches(60_000, 128, 470, 0)][-3:] == [128, 96, 128]


def test_the_order_depends_on_seed_and_epoch_only():
    a, b = batches(1000, 100, 20, 0), batches(1000, 100, 20, 0)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not torch.equal(a[0], a[10])
    assert not torch.equal(a[0], batches(1000, 100, 1, 1)[0])


def test_a_position_inside_an_epoch_can_be_reached_directly():
    assert torch.equal(next_batch_indices(100, 10, 135, 0), next_batch_indices(100, 100, 100, 0)[35:45])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_is_shuffled(seed: int):
    order = next_batch_indices(10_000, 10_000, 0, seed).float()
    assert abs(torch.corrcoef(torch.stack([order, torch.arange(10_000.0)]))[0, 1]) < 0.04


@given(n=st.integers(1, 30), ranks=st.integers(1, 5))
def test_the_ranks_together_see_what_one_sees(n: int, ranks: int):
    batch = torch.arange(n)
    shares = [(batch[part], weight) for part, weight in (rank_share(n, rank, ranks) for rank in range(ranks))]
    assert all(len(part) for part, _ in shares)
    counted = [part for part, weight in shares if weight]
    assert torch.equal(torch.cat(counted), batch)
    assert max(map(len, counted)) - min(map(len, counted)) <= 1


@given(values=st.lists(st.floats(-9, 9), min_size=1, max_size=30), ranks=st.integers(1, 5))
def test_the_mean_of_weighted_means_is_the_batchs(values: list[float], ranks: int):
    batch = torch.tensor(values, dtype=torch.float64)
    shares = [rank_share(len(batch), rank, ranks) for rank in range(ranks)]
    mean = sum(weight * batch[part].mean() for part, weight in shares) / ranks
    assert mean == pytest.approx(float(batch.mean()), abs=1e-12)


def test_a_million_pictures_cost_little():
    import time

    begin = time.process_time()
    next_batch_indices(1_000_000, 128, 0, 0)
    first = time.process_time() - begin
    begin = time.process_time()
    for seen in range(0, 128_000, 128):
        next_batch_indices(1_000_000, 128, seen, 0)
    assert first < 1
    assert time.process_time() - begin < 0.5
