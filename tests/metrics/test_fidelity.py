"""Every metric against a short formula of its own in NumPy, and against what can be known without a computer."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dcgan.errors import UserError
from dcgan.metrics import fidelity as f


def normal(n: int, length: int, seed: int = 0, mean: float = 0.0, scale: float = 1.0) -> Tensor:
    source = np.random.default_rng(seed)
    return torch.from_numpy(source.normal(mean, scale, (n, length)).astype(np.float32))


def distance(a: Tensor, b: Tensor) -> float:
    return f.frechet_distance(f.gaussian_statistics(a), f.gaussian_statistics(b))


def root(matrix: np.ndarray) -> np.ndarray:
    """The square root of a symmetric matrix, by its eigenvectors."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values.clip(0)) @ vectors.T


@pytest.mark.parametrize("length", [2, 7, 40])
def test_the_frechet_distance_is_its_formula(length: int):
    a, b = normal(300, length).numpy().astype(float), normal(200, length, 1, 0.3, 1.4).numpy().astype(float)
    s, t = np.cov(a.T), np.cov(b.T)
    half = root(s)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * root(half @ t @ half))
    assert distance(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(expected, rel=1e-6)


def test_closed_forms_of_the_frechet_distance():
    x = normal(500, 10, mean=0.5).double()
    mean, spread = x.mean(0), torch.cov(x.T).trace()
    assert distance(x, x) == pytest.approx(0, abs=1e-6)
    assert distance(x, x + 2) == pytest.approx(10 * 2**2, rel=1e-9)
    assert distance(x, 3 * x) == pytest.approx(float((3 - 1) ** 2 * (mean @ mean + spread)), rel=1e-9)


def test_the_frechet_distance_does_not_know_directions_or_order():
    a, b = normal(300, 8).double(), normal(300, 8, 1, 0.2, 1.3).double()
    turned = torch.linalg.qr(normal(8, 8, 2).double()).Q
    assert distance(a @ turned, b @ turned) == pytest.approx(distance(a, b), rel=1e-9)
    assert distance(a.flip(0), b) == pytest.approx(distance(a, b), rel=1e-9)
    assert distance(b, a) == pytest.approx(distance(a, b), rel=1e-9)


def test_more_samples_are_nearer_and_the_extrapolation_is_nearest():
    """The bias falls as 1 / n; what is extrapolated has nearly none."""
    real = f.GaussianStatistics(np.zeros(16), np.eye(16))
    few, many = (np.mean([distance_to(real, n, seed) for seed in range(5)]) for n in (200, 2000))
    infinite = np.mean([f.extrapolated_frechet_distance(normal(2000, 16, seed), real, seed) for seed in range(5)])
    # The first order for the identity is d (d + 3) / 4n and a little: 0.475 and 0.0475
    assert few == pytest.approx(0.42, abs=0.1)
    assert many == pytest.approx(few / 10, rel=0.15)
    assert abs(infinite) < many / 8


def distance_to(real: f.GaussianStatistics, n: int, seed: int) -> float:
    return f.frechet_distance(f.gaussian_statistics(normal(n, len(real.mean), seed)), real)


def mmd(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased squared MMD with (xᵀy / D + 1)³, by loops over means."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def off_diagonal(k: np.ndarray) -> float:
        return k[~np.eye(len(k), dtype=bool)].mean()

    return off_diagonal(kernel(x, x)) + off_diagonal(kernel(y, y)) - 2 * kernel(x, y).mean()


def test_the_kernel_distance_is_its_formula():
    a, b = normal(150, 6), normal(150, 6, 1, 0.5)
    # As many as in a subset: every subset is all of them.
    assert f.kernel_distance(a, b) == pytest.approx(mmd(a.numpy().astype(float), b.numpy().astype(float)), rel=1e-6)


def test_the_kernel_distance_of_equal_distributions_is_0_on_average():
    values = [f.kernel_distance(normal(150, 5, 2 * i), normal(150, 5, 2 * i + 1), i) for i in range(60)]
    error = np.std(values, ddof=1) / np.sqrt(60)
    assert abs(np.mean(values)) < 3 * error
    assert min(values) < 0 < max(values)


def test_the_kernel_distance_does_not_depend_on_n():
    few, many = (
        np.mean([f.kernel_distance(normal(n, 5, i), normal(n, 5, 999 + i, 0.5), i) for i in range(runs)])
        for n, runs in ((50, 300), (500, 30))
    )
    assert few == pytest.approx(many, rel=0.1)


def test_the_inception_score_is_its_formula_and_has_its_ends():
    scores = normal(1000, 10, scale=3).numpy().astype(float)
    rows = scores[np.random.RandomState(2020).permutation(1000)]
    p = np.exp(rows) / np.exp(rows).sum(1, keepdims=True)
    tenths = [np.exp((q * (np.log(q) - np.log(q.mean(0)))).sum(1).mean()) for q in np.split(p, 10)]
    assert f.inception_score(torch.from_numpy(scores)) == pytest.approx(np.mean(tenths), rel=1e-6)
    assert f.inception_score(torch.zeros(1000, 10)) == pytest.approx(1)
    every_class_for_sure = 100 * torch.eye(10).repeat(1000, 1)
    assert f.inception_score(every_class_for_sure) == pytest.approx(10, rel=0.01)


def balls(x: np.ndarray, k: int) -> np.ndarray:
    return np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1)[:, k]


def by_hand(fake: np.ndarray, real: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage as Naeem et al. write them."""
    apart = np.linalg.norm(real[:, None] - fake[None], axis=2)  # (M, N)
    inside = apart < balls(real, k)[:, None]
    recall = (apart < balls(fake, k)[None]).any(1).mean()
    return inside.any(0).mean(), recall, inside.sum() / (k * len(fake)), inside.any(1).mean()


@pytest.mark.parametrize("k", [1, 5])
def test_precision_recall_density_and_coverage_are_their_formulae(k: int):
    fake, real = normal(230, 4, 0, 0.4), normal(310, 4, 1)
    found = (*f.precision_recall(fake, real, k), *f.density_coverage(fake, real, k))
    expected = by_hand(fake.numpy().astype(float), real.numpy().astype(float), k)
    assert found == pytest.approx(expected, abs=1e-6)
    assert 0.3 < min(expected[:2]) < 0.99  # something that tells


def test_pieces_of_the_distances_do_not_matter(monkeypatch: pytest.MonkeyPatch):
    fake, real = normal(130, 4, 0, 0.4), normal(110, 4, 1)
    whole = (*f.precision_recall(fake, real), *f.density_coverage(fake, real))
    monkeypatch.setattr(f, "ROWS", 17)
    assert (*f.precision_recall(fake, real), *f.density_coverage(fake, real)) == pytest.approx(whole, abs=1e-9)


def test_the_same_set_has_all_of_everything():
    x = normal(200, 4)
    assert f.precision_recall(x, x) == (1, 1)
    density, coverage = f.density_coverage(x, x)
    # A ball reaches to the k-th other point and so holds k: itself and the k - 1 before it.
    assert (density, coverage) == pytest.approx((1, 1))


def test_mode_collapse_is_high_precision_and_low_recall():
    real = torch.cat([normal(100, 4, i, mean=10 * i) for i in range(5)])
    collapsed = normal(500, 4, 9)  # one of the five
    precision, recall = f.precision_recall(collapsed, real)
    density, coverage = f.density_coverage(collapsed, real)
    assert precision > 0.9
    assert recall < 0.25
    assert coverage < 0.25
    assert density > 0.9


def test_exact_copies_are_a_collapse_too():
    """All fakes alike: their balls have no size, and rounding must not give them one."""
    real = normal(300, 16)
    collapsed = real[:1].repeat(200, 1)
    precision, recall = f.precision_recall(collapsed, real)
    assert precision == 1
    assert recall == pytest.approx(1 / 300, abs=1e-6)  # the copied one itself
    assert f.density_coverage(collapsed, real)[1] < 0.1


def test_noise_is_low_precision():
    real = normal(500, 8)
    noisy = real + 6 * normal(500, 8, 1)
    assert f.precision_recall(noisy, real)[0] < 0.1
    assert f.density_coverage(noisy, real)[0] < 0.1


@pytest.mark.slow
def test_the_reference_numbers_of_prdc():
    """github.com/clovaai/generative-evaluation-prdc: N(0, I), d = 1000, 10,000 each, k = 5.

    Theirs is one draw without a seed, ours is another: in 1000 dimensions a set is a little farther out than the next
    as a whole. Of 2,500 each the standard deviations over ten draws are 0.017, 0.017, 0.086 and 0.008; here half of it.
    """
    fake, real = normal(10_000, 1000, 1), normal(10_000, 1000)
    found = (*f.precision_recall(fake, real, 5), *f.density_coverage(fake, real, 5))
    for value, reference, spread in zip(
        found, (0.4772, 0.4705, 1.0555, 0.9735), (0.0085, 0.0085, 0.043, 0.004), strict=True
    ):
        assert abs(value - reference) < 3 * 2**0.5 * spread


def test_density_and_coverage_of_equal_distributions_are_known():
    """A new point is in a ball to the k-th of n - 1 others with a chance of k / n, whatever the distribution."""
    values = [f.density_coverage(normal(200, 5, 2 * i), normal(200, 5, 2 * i + 1)) for i in range(100)]
    density, coverage = np.mean(values, axis=0)
    # No fake before the k-th other one, in the order of the distances: (199 … 195) / (399 … 395).
    missed = np.prod(np.arange(195, 200) / np.arange(395, 400))
    assert density == pytest.approx(1, abs=0.02)
    assert coverage == pytest.approx(1 - missed, abs=0.005)


def test_too_few_pictures_are_refused_with_how_many_are_needed():
    f.check_enough(100, 64, "it", "draw more")
    with pytest.raises(UserError, match="it: 64 features need at least 100 pictures, not 99: draw more"):
        f.check_enough(99, 64, "it", "draw more")
    with pytest.raises(UserError, match="at least 2,049"):
        f.check_enough(2048, 2048, "it", "draw more")
