import itertools
from collections import defaultdict
from collections.abc import Iterator

import pytest
import torch

from dcgan.rng import RandomPurpose, RandomSource, SeparatePurpose, derive_seed, derive_separate_seed


@pytest.mark.parametrize(
    ("path", "seed"),
    [
        ((0, RandomPurpose.WEIGHTS), 7896617691693857887),
        ((0, RandomPurpose.DATA_ORDER, 0), 2918264622725855778),
        ((42, RandomPurpose.D_LATENTS, 128), 6121502277319486779),
        ((7, RandomPurpose.STACKED_DIGITS, 1), 6088092377933311330),
        ((2**63 - 1, RandomPurpose.WRONG_CLASSES, 10**9), 7103406874841772805),
    ],
)
def test_seeds_stay_the_same(path: tuple[int, ...], seed: int):
    # With other numbers, a run of an earlier version would not resume to the bit.
    assert derive_seed(*path) == seed
    assert derive_seed(*map(int, path)) == seed


def test_purposes_keep_their_numbers():
    assert {purpose.name: purpose.value for purpose in RandomPurpose} == {
        "WEIGHTS": 0,
        "DATA_ORDER": 1,
        "D_LATENTS": 2,
        "G_LATENTS": 3,
        "BATCHNORM_LATENTS": 4,
        "STACKED_DIGITS": 5,
        "GRADIENT_PENALTY": 6,
        "FLIP": 7,
        "DIFFAUGMENT_D_FAKES": 8,
        "DIFFAUGMENT_REALS": 9,
        "DIFFAUGMENT_G_FAKES": 10,
        "JUDGE_WEIGHTS": 11,
        "JUDGE_ORDER": 12,
        "REFERENCE_IMAGES": 13,
        "VALIDATION_LATENTS": 14,
        "GROUPS": 15,
        "WRONG_CLASSES": 16,
    }


def test_derived_seeds_differ_and_fit_torch():
    seeds = {derive_seed(s, a, b) for s in range(3) for a in range(3) for b in range(3)}
    assert len(seeds) == 27
    assert all(0 <= s < 2**63 for s in seeds)
    torch.Generator().manual_seed(max(seeds))


def test_devices_share_the_numbers_of_one_batch():
    def source(batch_size: int | None = None, rows: slice = slice(None)) -> RandomSource:
        return RandomSource(torch.Generator().manual_seed(0), batch_size, rows)

    def draw(source: RandomSource, n: int) -> list[torch.Tensor]:
        return [source.normal(n, 2), source.uniform(n, 3), source.integers(n, 10)]

    whole_batch = draw(source(), 5)
    shares = draw(source(5, slice(0, 3)), 3), draw(source(5, slice(3, 5)), 2)
    for numbers, first, second in zip(whole_batch, *shares, strict=True):
        assert torch.equal(numbers, torch.cat([first, second]))


USER_SEEDS = (*range(21), 42, *(2**32 + s for s in range(3)), 2**33, 5 * 2**32, 13 * 2**32, 2**63 - 1)
IMAGES_SEEN = sorted({*range(0, 6400, 64), *range(0, 12800, 128), 10**6, 2**32, 2**32 + 64, 10**9 * 64})
PATH_ENDS: dict[RandomPurpose, tuple[tuple[int, ...], ...]] = {
    RandomPurpose.DATA_ORDER: tuple((epoch,) for epoch in range(30)),
    RandomPurpose.STACKED_DIGITS: ((0,), (1,)),
    **dict.fromkeys(
        (
            RandomPurpose.WEIGHTS,
            RandomPurpose.BATCHNORM_LATENTS,
            RandomPurpose.JUDGE_WEIGHTS,
            RandomPurpose.JUDGE_ORDER,
            RandomPurpose.REFERENCE_IMAGES,
            RandomPurpose.VALIDATION_LATENTS,
            RandomPurpose.GROUPS,
        ),
        ((),),
    ),
}
"""What follows the purpose where a seed is derived. The purposes that are not here depend on the images seen."""
PHILOX_PURPOSES = ("STACKED_DIGITS", "REFERENCE_IMAGES", "WEIGHTS")
"""Purposes that draw from NumPy's Philox, as samples do: `WEIGHTS` for the extractor `random`. The others draw from
torch's generators, whose numbers have nothing to do with those of a Philox of the same seed."""
SAMPLES = "samples"
"""Latents of samples have a path of one number that is no purpose: the number of their block."""

Consumer = tuple[str, int, tuple[int, ...]]
"""(name, seed of the user, path) of a derived seed."""


def list_consumers() -> Iterator[Consumer]:
    """Yield every place where a seed is derived, with typical paths."""
    for seed in USER_SEEDS:
        for purpose in RandomPurpose:
            for end in PATH_ENDS.get(purpose, tuple((images_seen,) for images_seen in IMAGES_SEEN)):
                yield purpose.name, seed, (purpose, *end)
        for block in range(200):  # 12,800 samples
            yield SAMPLES, seed, (block,)


@pytest.fixture(scope="module")
def consumers_by_seed() -> dict[int, list[Consumer]]:
    consumers = defaultdict(list)
    for consumer in list_consumers():
        _, seed, path = consumer
        consumers[derive_seed(seed, *path)].append(consumer)
    return consumers


def to_words(consumer: Consumer) -> tuple[int, ...]:
    """Return what NumPy's `SeedSequence` sees: words of 32 bits, without zeros at the end."""
    _, seed, path = consumer
    words = [int(word) for n in (seed, *path) for word in ((n % 2**32, n // 2**32) if n >= 2**32 else (n,))]
    while words and not words[-1]:
        words.pop()
    return tuple(words)


def test_seeds_are_equal_where_the_documentation_says_and_nowhere_else(consumers_by_seed: dict[int, list[Consumer]]):
    assert all(len(set(map(to_words, consumers))) == 1 for consumers in consumers_by_seed.values())
    assert len({to_words(consumer) for consumer in list_consumers()}) == len(consumers_by_seed)


def shared_seeds(consumers_by_seed: dict[int, list[Consumer]], *, of_one_seed: bool) -> set[tuple[str, str]]:
    """Return the names of consumers that have an equal seed.

    Args:
        consumers_by_seed: from the fixture.
        of_one_seed: whether both have the same seed of the user, or different ones.
    """
    return {
        (min(a[0], b[0]), max(a[0], b[0]))
        for consumers in consumers_by_seed.values()
        for a, b in itertools.combinations(consumers, 2)
        if (a[1] == b[1]) is of_one_seed
    }


def test_purposes_share_no_seed_within_a_seed_of_the_user(consumers_by_seed: dict[int, list[Consumer]]):
    # Only the blocks of samples do, whose path is the number of a purpose.
    expected = {(min(SAMPLES, purpose.name), max(SAMPLES, purpose.name)) for purpose in RandomPurpose}
    shared = shared_seeds(consumers_by_seed, of_one_seed=True)
    assert shared == expected
    drawn_from_philox = {pair for pair in shared if set(pair) <= {SAMPLES, *PHILOX_PURPOSES}}
    assert drawn_from_philox == {(name, SAMPLES) for name in PHILOX_PURPOSES}


def test_streams_are_shared_between_seeds_from_2_to_the_32_only(consumers_by_seed: dict[int, list[Consumer]]):
    small = {s: [c for c in consumers if c[1] < 2**32] for s, consumers in consumers_by_seed.items()}
    assert shared_seeds(small, of_one_seed=False) == set()
    shared = shared_seeds(consumers_by_seed, of_one_seed=False)
    assert {pair for pair in shared if set(pair) <= {SAMPLES, *PHILOX_PURPOSES}} == {
        (SAMPLES, SAMPLES),  # block 0 of the seed s + 2^32 b is block b of the seed s
        *((name, SAMPLES) for name in PHILOX_PURPOSES),
        ("STACKED_DIGITS", "WEIGHTS"),  # of the seeds 5 * 2^32 and 0, for example
        ("REFERENCE_IMAGES", "WEIGHTS"),
    }


def test_separate_seeds_are_equal_to_no_other(consumers_by_seed: dict[int, list[Consumer]]):
    paths = [(seed, *end) for seed in USER_SEEDS for end in ((), (0,), (0, 0), (1,), (2**32,))]
    separate = {derive_separate_seed(s, purpose, *end) for s, *end in paths for purpose in SeparatePurpose}
    assert len(separate) == len(paths) * len(SeparatePurpose)
    assert all(0 <= seed < 2**63 for seed in separate)
    assert not separate & consumers_by_seed.keys()
    blocks = {derive_seed(seed, block) for seed in separate for block in range(80)}  # of samples with such a seed
    assert len(blocks) == len(separate) * 80
    assert not blocks & consumers_by_seed.keys()


def test_separate_seeds_stay_the_same():
    assert derive_separate_seed(0, SeparatePurpose.PROBE_SAMPLES) == 5727446919048914919
    assert derive_separate_seed(2**40, SeparatePurpose.PROBE_SAMPLES, 0) == 2829515926387430248
