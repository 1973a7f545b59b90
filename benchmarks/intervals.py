"""How often the intervals of `dcgan evaluate` contain the true value, and how often its test of equality is wrong.

    python -m benchmarks.intervals [--n 100 170] [--draws 200]

Half of MNIST's 70,000 digits are real, the other half are the generated ones after a blur. Every draw has pictures of
its own, as far as they last. The true kernel distance is that of the whole pools; the true value of a metric that
depends on n is its mean over the draws.
"""

import argparse
from collections.abc import Callable

import torch
import torchvision.transforms.functional as TF
from torch import Tensor

from dcgan.data.open import open_images
from dcgan.metrics import fidelity
from dcgan.metrics.equality import permutation_test
from dcgan.metrics.features import open_extractor
from dcgan.metrics.intervals import jackknife_estimate
from dcgan.metrics.jackknife import (
    Jackknifed,
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from dcgan.metrics.limits import metric_limits

METRICS = {
    "kernel_inception_distance_mean": "KID",
    "frechet_inception_distance": "FD",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}


def measure(fake: Tensor, real: Tensor, k: int) -> dict[str, Jackknifed]:
    precision, recall = precision_recall(fake, real, k)
    density, coverage = density_coverage(fake, real, k)
    metrics = {
        "kernel_inception_distance_mean": kernel_distance(fake, real),
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
    }
    if min(len(fake), len(real)) >= fidelity.MIN_SAMPLES_PER_FEATURE * fake.shape[1]:
        statistics = fidelity.gaussian_statistics(fake), fidelity.gaussian_statistics(real)
        metrics["frechet_inception_distance"] = frechet_distance(fake, real, *statistics)
    return metrics


def check_coverage(fake: Tensor, real: Tensor, n: int, draws: int, k: int, true_kid: float) -> None:
    """Print the share of intervals that contain the true value, and their width over the spread of the estimates."""
    count = min(draws, len(fake) // n, len(real) // n)
    rows = [slice(i * n, (i + 1) * n) for i in range(count)]
    results = [measure(fake[r], real[r], k) for r in rows]
    for name in results[0]:
        estimates = [jackknife_estimate([r[name]], n, n, limits=metric_limits(name)) for r in results]
        means = torch.tensor([e.mean for e in estimates], dtype=torch.float64)
        true_value = true_kid if name.startswith("kernel") else float(means.mean())
        covered = sum(e.low <= true_value <= e.high for e in estimates) / count
        # The width over that of the interval that the spread of the estimates gives; ends that are cut off count.
        width = sum(e.high - e.low for e in estimates) / count / (2 * 1.96 * float(means.std()))
        inside = all(metric_limits(name)[0] <= e.low and e.high <= metric_limits(name)[1] for e in estimates)
        print(
            f"| {METRICS[name]} | {n:,} | {count} | {true_value:.4g} | {covered:.1%} | {width:.2f} | "
            f"{'yes' if inside else 'NO'} |",
            flush=True,
        )


def count_false_alarms(real: Tensor, n: int, draws: int) -> float:
    """Return how often equal distributions are told apart at 5%."""
    count = min(draws, len(real) // (2 * n))
    pairs = [torch.split(real[2 * i * n : 2 * (i + 1) * n], n) for i in range(count)]
    return sum(permutation_test(a, b, seed=i).p_value <= 0.05 for i, (a, b) in enumerate(pairs)) / count


def extract(name: str, pixels: Tensor, alter: Callable[[Tensor], Tensor] = lambda p: p) -> Tensor:
    extractor = open_extractor(name)
    return torch.cat([extractor.extract(alter(batch))[0] for batch in torch.split(pixels, 1024)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, nargs="+", default=[50, 100, 170, 1000])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--features", default="judge")
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--sigma", type=float, default=0.7)
    arguments = parser.parse_args()
    print(f"features {arguments.features}, k = {arguments.k}, blur of {arguments.sigma} pixels")
    pixels = open_images("mnist", "all").pixels
    pixels = pixels[torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))]
    half = len(pixels) // 2
    real = extract(arguments.features, pixels[:half])
    fake = extract(
        arguments.features, pixels[half:], lambda p: TF.gaussian_blur(p, [7, 7], [arguments.sigma, arguments.sigma])
    )
    others = extract(arguments.features, pixels[half:])
    true_kid = fidelity.kernel_distance(fake[:10_000], real[:10_000])
    print(
        "\n| metric | n | draws | true value | contained | width over spread | within its limits |\n|---|" + "---|" * 6
    )
    for n in arguments.n:
        check_coverage(fake, real, n, arguments.draws, arguments.k, true_kid)
    print("\n| n | draws | false alarms at 5% |\n|---|---|---|")
    for n in arguments.n:
        share = count_false_alarms(torch.cat([real, others]), n, arguments.draws)
        print(f"| {n:,} | {min(arguments.draws, 2 * half // (2 * n))} | {share:.1%} |", flush=True)


if __name__ == "__main__":
    main()
