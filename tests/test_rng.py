import pytest
import torch

from dcgan.rng import RandomPurpose, RandomSource, derive_seed


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
