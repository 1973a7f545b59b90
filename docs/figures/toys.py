"""Games that are small enough to show completely: on one number, on a line, in the plane.

They are trained with the losses of the package.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from dcgan.training.losses import OBJECTIVES, bce_discriminator, gradient_penalty, wasserstein_discriminator
from dcgan.training.losses import zero_centered_penalty as zero_centered

MODE_COUNT = 8
"""Modes of the ring."""
MODE_RADIUS = 0.25
"""A point this near to a mode belongs to it."""
MIN_MODE_SHARE = 0.01
"""The share of points that a mode has at least if it was found."""
Sampler = Callable[[int], Tensor]
"""A function of n that draws real numbers, (n, 1)."""


def make_mlp(inputs: int, outputs: int, width: int = 64) -> nn.Sequential:
    """Return a network with two hidden layers without normalization."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2),
        nn.Linear(width, outputs),
    )  # fmt: skip


def draw_ring(n: int) -> Tensor:
    """Draw points (n, 2) from eight normal distributions of deviation 0.05, whose means lie on a circle of radius 2."""
    angle = torch.randint(MODE_COUNT, (n,)) * (2 * math.pi / MODE_COUNT)
    return 2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(n, 2)


def normal_sampler(mean: float, deviation: float = 1) -> Sampler:
    """Return a sampler of a normal distribution."""
    return lambda n: mean + deviation * torch.randn(n, 1)


def train_on_ring(betas: tuple[float, float], steps: int) -> Iterator[nn.Module]:
    """Train on the ring with the study's objective and these betas of Adam; yield the generator after each step."""
    torch.manual_seed(0)
    objective, g, d = OBJECTIVES["non-saturating"], make_mlp(8, 2), make_mlp(2, 1)
    optimizers = [torch.optim.Adam(net.parameters(), 1e-3, betas=betas) for net in (d, g)]
    for _ in range(steps):
        fake = g(torch.randn(256, 8)).detach()
        _descend(optimizers[0], objective.discriminator(d(draw_ring(256)), d(fake)))
        _descend(optimizers[1], objective.generator(d(g(torch.randn(256, 8)))))
        yield g


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def count_modes(points: Tensor) -> int:
    """Return the number of modes that at least `MIN_MODE_SHARE` of the points (N, 2) belong to."""
    angle = torch.arange(MODE_COUNT) * (2 * math.pi / MODE_COUNT)
    centers = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    near = torch.cdist(points, centers) < MODE_RADIUS
    return int((near.float().mean(0) >= MIN_MODE_SHARE).sum())


def train_dirac_game(loss: str, penalty: float, steps: int = 400, lr: float = 0.1) -> Tensor:
    """Train the smallest GAN and return (θ, ψ) before each step, (steps, 2).

    The data are the number 0, G draws the number θ, and D(x) = ψ x.

    Mescheder, Geiger, Nowozin, "Which Training Methods for GANs do actually Converge?" (2018).
    """
    theta, psi = nn.Parameter(torch.tensor([[1.0]])), nn.Parameter(torch.tensor([[0.0]]))
    objective, path = OBJECTIVES[loss], []
    optimizers = [torch.optim.SGD([p], lr) for p in (psi, theta)]
    for _ in range(steps):
        path.append(torch.cat([theta, psi], 1).detach())
        real, fake = torch.zeros(1, 1, requires_grad=True), theta.detach().requires_grad_()
        scores = real * psi, fake * psi
        loss_d = objective.discriminator(*scores)
        if penalty:
            loss_d = loss_d + penalty * (zero_centered(scores[0], real) + zero_centered(scores[1], fake))
        _descend(optimizers[0], loss_d)
        fakes = theta * psi
        _descend(optimizers[1], objective.generator(*([fakes, 0 * psi] if objective.is_paired else [fakes])))
    return torch.cat(path)


def train_on_line(kind: str, real: Sampler, fake: Sampler, steps: int) -> nn.Module:
    """Train only the discriminator of numbers (N, 1), and return it.

    Args:
        kind: "bce" for a classifier, "wasserstein" for a critic with a gradient penalty.
        real: draws real numbers.
        fake: draws fakes.
        steps: training steps.
    """
    torch.manual_seed(0)
    d = make_mlp(1, 1)
    optimizer = torch.optim.Adam(d.parameters(), 2e-3)
    for _ in range(steps):
        x, y = real(512), fake(512)
        if kind == "bce":
            _descend(optimizer, bce_discriminator(d(x), d(y)))
        else:
            penalty = gradient_penalty(d, x, y, torch.rand(512, 1))
            _descend(optimizer, wasserstein_discriminator(d(x), d(y)) + 10 * penalty)
    return d
