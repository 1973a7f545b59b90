"""Every metric against a short formula in NumPy, and against values that are known without a computer."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dcgan.errors import UserError
from dcgan.metrics import fidelity


def draw_normal(n: int, feature_count: int, seed: int = 0, mean: float = 0.0, scale: float = 1.0) -> Tensor:
    source = np.random.default_rng(seed)
    return torch.from_numpy(source.normal(mean, scale, (n, feature_count)).astype(np.float32))


def frechet(a: Tensor, b: Tensor) -> float:
    return fidelity.frechet_distance(fidelity.gaussian_statistics(a), fidelity.gaussian_statistics(b))


def square_root(matrix: np.ndarray) -> np.ndarray:
    """Return the square root of a symmetric matrix, by its eigenvectors."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors * np.sqrt(values.clip(0)) @ vectors.T


@pytest.mark.parametrize("length", [2, 7, 40])
def test_the_frechet_distance_equals_its_formula(length: int):
    a, b = draw_normal(300, length).numpy().astype(float), draw_normal(200, length, 1, 0.3, 1.4).numpy().astype(float)
    s, t = np.cov(a.T), np.cov(b.T)
    half = square_root(s)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t - 2 * square_root(half @ t @ half))
    assert frechet(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(expected, rel=1e-6)


def test_closed_forms_of_the_frechet_distance():
    x = draw_normal(500, 10, mean=0.5).double()
    mean, spread = x.mean(0), torch.cov(x.T).trace()
    assert frechet(x, x) == pytest.approx(0, abs=1e-6)
    assert frechet(x, x + 2) == pytest.approx(10 * 2**2, rel=1e-9)
    assert frechet(x, 3 * x) == pytest.approx(float((3 - 1) ** 2 * (mean @ mean + spread)), rel=1e-9)


def test_the_frechet_distance_does_not_depend_on_rotation_or_order():
    a, b = draw_normal(300, 8).double(), draw_normal(300, 8, 1, 0.2, 1.3).double()
    rotation = torch.linalg.qr(draw_normal(8, 8, 2).double()).Q
    assert frechet(a @ rotation, b @ rotation) == pytest.approx(frechet(a, b), rel=1e-9)
    assert frechet(a.flip(0), b) == pytest.approx(frechet(a, b), rel=1e-9)
    assert frechet(b, a) == pytest.approx(frechet(a, b), rel=1e-9)


def test_more_samples_are_nearer_and_the_extrapolation_is_nearest():
    """The bias falls as 1 / n; the extrapolated distance has almost none."""
    real = fidelity.GaussianStatistics(np.zeros(16), np.eye(16))
    few, many = (np.mean([frechet_to(real, n, seed) for seed in range(5)]) for n in (200, 2000))
    infinite = np.mean(
        [fidelity.extrapolated_frechet_distance(draw_normal(2000, 16, seed), real, seed) for seed in range(5)]
    )
    # The first order for the identity is d (d + 3) / 4n and a little: 0.475 and 0.0475
    assert few == pytest.approx(0.42, abs=0.1)
    assert many == pytest.approx(few / 10, rel=0.15)
    assert abs(infinite) < many / 8


@pytest.mark.parametrize("feature_count", [4, 16])
def test_the_extrapolation_is_refused_below_five_samples_for_each_feature(feature_count: int):
    real = fidelity.GaussianStatistics(np.zeros(feature_count), np.eye(feature_count))
    fidelity.extrapolated_frechet_distance(draw_normal(5 * feature_count, feature_count), real)
    with pytest.raises(ValueError, match=f"needs {5 * feature_count} samples, not {5 * feature_count - 1}"):
        fidelity.extrapolated_frechet_distance(draw_normal(5 * feature_count - 1, feature_count), real)


@pytest.mark.filterwarnings("error")
def test_the_extrapolation_of_the_fewest_samples_is_nearer_than_the_distance_itself():
    """With subsets of little more than D samples, it was -0.3 where 0.64 is right."""
    real, samples = (
        fidelity.GaussianStatistics(np.zeros(64), np.eye(64)),
        [draw_normal(320, 64, i, 0.1) for i in range(5)],
    )
    extrapolated = [fidelity.extrapolated_frechet_distance(x, real, seed) for seed, x in enumerate(samples)]
    plain = np.mean([fidelity.frechet_distance(fidelity.gaussian_statistics(x), real) for x in samples])
    assert 0.1 < np.mean(extrapolated) < 0.64 + 0.5
    assert abs(np.mean(extrapolated) - 0.64) < abs(plain - 0.64) / 4


def frechet_to(real: fidelity.GaussianStatistics, n: int, seed: int) -> float:
    return fidelity.frechet_distance(fidelity.gaussian_statistics(draw_normal(n, len(real.mean), seed)), real)


def mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Return the unbiased squared MMD with (xᵀy / D + 1)³, from means of kernel matrices."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def off_diagonal(k: np.ndarray) -> float:
        return k[~np.eye(len(k), dtype=bool)].mean()

    return off_diagonal(kernel(x, x)) + off_diagonal(kernel(y, y)) - 2 * kernel(x, y).mean()


def test_the_kernel_distance_equals_its_formula():
    a, b = draw_normal(150, 6), draw_normal(150, 6, 1, 0.5)
    assert fidelity.kernel_distance(a, b) == pytest.approx(
        mmd(a.numpy().astype(float), b.numpy().astype(float)), rel=1e-6
    )


@pytest.mark.parametrize(("n", "m"), [(150, 90), (2, 230), (401, 200)])
def test_the_kernel_distance_of_sets_of_other_sizes_is_of_all_pairs(n: int, m: int):
    fake, real = draw_normal(n, 6), draw_normal(m, 6, 1, 0.5)
    expected = mmd(fake.numpy().astype(float), real.numpy().astype(float))
    assert fidelity.kernel_distance(fake, real) == pytest.approx(expected, rel=1e-9)
    assert fidelity.kernel_distance(fake, real, fidelity.mean_kernel(real)) == fidelity.kernel_distance(fake, real)


def test_the_kernel_distance_of_all_pairs_varies_less_than_that_of_subsets():
    """It was the mean of 50 random subsets: they left pairs out, and their choice was noise."""
    distances, subset_distances = [], []
    for seed in range(20):
        fake, real = draw_normal(400, 5, 2 * seed, 0.2), draw_normal(200, 5, 2 * seed + 1)
        distances.append(fidelity.kernel_distance(fake, real))
        rows = torch.randperm(400, generator=torch.Generator().manual_seed(seed))[:200]
        subset_distances.append(fidelity.kernel_distance(fake[rows], real))
    assert np.std(distances) < np.std(subset_distances)


def test_the_kernel_distance_of_equal_distributions_is_0_on_average():
    values = [fidelity.kernel_distance(draw_normal(150, 5, 2 * i), draw_normal(150, 5, 2 * i + 1)) for i in range(60)]
    error = np.std(values, ddof=1) / np.sqrt(60)
    assert abs(np.mean(values)) < 3 * error
    assert min(values) < 0 < max(values)


def test_the_kernel_distance_does_not_depend_on_n():
    few, many = (
        np.mean([fidelity.kernel_distance(draw_normal(n, 5, i), draw_normal(n, 5, 999 + i, 0.5)) for i in range(runs)])
        for n, runs in ((50, 300), (500, 30))
    )
    assert few == pytest.approx(many, rel=0.1)


def test_the_inception_score_equals_its_formula_and_reaches_its_limits():
    scores = draw_normal(1000, 10, scale=3).numpy().astype(float)
    shuffled = scores[np.random.RandomState(2020).permutation(1000)]
    p = np.exp(shuffled) / np.exp(shuffled).sum(1, keepdims=True)
    tenth_scores = [np.exp((q * (np.log(q) - np.log(q.mean(0)))).sum(1).mean()) for q in np.split(p, 10)]
    assert fidelity.inception_score(torch.from_numpy(scores)) == pytest.approx(np.mean(tenth_scores), rel=1e-6)
    assert fidelity.inception_score(torch.zeros(1000, 10)) == pytest.approx(1)
    certain_scores = 100 * torch.eye(10).repeat(1000, 1)
    assert fidelity.inception_score(certain_scores) == pytest.approx(10, rel=0.01)


def ball_radii(x: np.ndarray, k: int) -> np.ndarray:
    return np.sort(np.linalg.norm(x[:, None] - x[None], axis=2), axis=1)[:, k]


def naive_metrics(fake: np.ndarray, real: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """Return precision, recall, density and coverage as Naeem et al. define them."""
    distances = np.linalg.norm(real[:, None] - fake[None], axis=2)  # (M, N)
    is_inside = distances < ball_radii(real, k)[:, None]
    recall = (distances < ball_radii(fake, k)[None]).any(1).mean()
    return is_inside.any(0).mean(), recall, is_inside.sum() / (k * len(fake)), is_inside.any(1).mean()


@pytest.mark.parametrize("k", [1, 5])
def test_precision_recall_density_and_coverage_equal_their_formulae(k: int):
    fake, real = draw_normal(230, 4, 0, 0.4), draw_normal(310, 4, 1)
    actual = (*fidelity.precision_recall(fake, real, k), *fidelity.density_coverage(fake, real, k))
    expected = naive_metrics(fake.numpy().astype(float), real.numpy().astype(float), k)
    assert actual == pytest.approx(expected, abs=1e-6)
    assert 0.3 < min(expected[:2]) < 0.99  # the values are not trivial


def test_the_block_size_of_the_distances_does_not_matter(monkeypatch: pytest.MonkeyPatch):
    fake, real = draw_normal(130, 4, 0, 0.4), draw_normal(110, 4, 1)
    expected = (*fidelity.precision_recall(fake, real), *fidelity.density_coverage(fake, real))
    radii, ball_radii = fidelity.manifold_radii(real), fidelity.ball_radii(real)
    given_radii = fidelity.precision_recall(fake, real, real_radii=radii)
    assert (*given_radii, *fidelity.density_coverage(fake, real, real_radii=ball_radii)) == expected
    monkeypatch.setattr(fidelity, "DISTANCE_ROWS", 17)
    assert (*fidelity.precision_recall(fake, real), *fidelity.density_coverage(fake, real)) == pytest.approx(
        expected, abs=1e-9
    )


def test_equal_sets_have_the_best_values():
    x = draw_normal(200, 4)
    assert fidelity.precision_recall(x, x) == (1, 1)
    density, coverage = fidelity.density_coverage(x, x)
    # a ball reaches to the k-th other point, so it contains k points: its center and the k - 1 nearer ones
    assert (density, coverage) == pytest.approx((1, 1))


def test_mode_collapse_is_high_precision_and_low_recall():
    real = torch.cat([draw_normal(100, 4, i, mean=10 * i) for i in range(5)])
    collapsed = draw_normal(500, 4, 9)  # one of the five
    precision, recall = fidelity.precision_recall(collapsed, real)
    density, coverage = fidelity.density_coverage(collapsed, real)
    assert precision > 0.9
    assert recall < 0.25
    assert coverage < 0.25
    assert density > 0.9


def test_exact_copies_are_a_mode_collapse():
    """All fakes are equal: the radius of their balls is 0, and rounding must not make it larger."""
    real = draw_normal(300, 16)
    collapsed = real[:1].repeat(200, 1)
    precision, recall = fidelity.precision_recall(collapsed, real)
    assert precision == 1
    assert recall == pytest.approx(1 / 300, abs=1e-6)  # the copied picture itself
    assert fidelity.density_coverage(collapsed, real)[1] < 0.1


def test_noise_is_low_precision():
    real = draw_normal(500, 8)
    noisy = real + 6 * draw_normal(500, 8, 1)
    assert fidelity.precision_recall(noisy, real)[0] < 0.1
    assert fidelity.density_coverage(noisy, real)[0] < 0.1


@pytest.mark.slow
def test_the_reference_numbers_of_prdc():
    """github.com/clovaai/generative-evaluation-prdc: N(0, I), d = 1000, 10,000 each, k = 5.

    The published values are from one draw without a seed, and ours are from another: in 1000 dimensions all points of
    one set are a little farther from the center than those of the next set. For sets of 2,500 points the standard
    deviations over ten draws are 0.017, 0.017, 0.086 and 0.008; here they are half of that.
    """
    fake, real = draw_normal(10_000, 1000, 1), draw_normal(10_000, 1000)
    actual = (*fidelity.precision_recall(fake, real, 5), *fidelity.density_coverage(fake, real, 5))
    for value, published, deviation in zip(
        actual, (0.4772, 0.4705, 1.0555, 0.9735), (0.0085, 0.0085, 0.043, 0.004), strict=True
    ):
        assert abs(value - published) < 3 * 2**0.5 * deviation


def test_density_and_coverage_of_equal_distributions_are_known():
    """A new point is in a ball to the k-th of n - 1 other points with probability k / n, whatever the distribution."""
    values = [fidelity.density_coverage(draw_normal(200, 5, 2 * i), draw_normal(200, 5, 2 * i + 1)) for i in range(100)]
    density, coverage = np.mean(values, axis=0)
    # a ball is missed if no fake is nearer than the k-th other point: (199 … 195) / (399 … 395)
    missed = np.prod(np.arange(195, 200) / np.arange(395, 400))
    assert density == pytest.approx(1, abs=0.02)
    assert coverage == pytest.approx(1 - missed, abs=0.005)


def test_too_few_pictures_are_refused_with_the_number_that_is_needed():
    fidelity.check_image_count(3, "it", "draw more")
    with pytest.raises(UserError, match="it: metrics need at least 3 pictures, not 2: draw more"):
        fidelity.check_image_count(2, "it", "draw more")
