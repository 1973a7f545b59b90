"""Games small enough to be seen whole: on one number, on a line, in the plane. Trained with the package's losses."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from dcgan.training.losses import OBJECTIVES, bce_discriminator, gradient_penalty, wasserstein_discriminator
from dcgan.training.losses import zero_centred_penalty as zero_centred

MODES = 8
Sampler = Callable[[int], Tensor]


def mlp(inputs: int, outputs: int, width: int = 64) -> nn.Sequential:
    """Two hidden layers without normalisation."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2),
        nn.Linear(width, outputs),
    )  # fmt: skip


def ring(n: int) -> Tensor:
    """Points (n, 2) around eight places on a circle of radius 2, each 0.05 wide."""
    angle = torch.randint(MODES, (n,)) * (2 * math.pi / MODES)
    return 2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(n, 2)


def bell(middle: float, width: float = 1) -> Sampler:
    """Points (n, 1) from N(middle, width)."""
    return lambda n: middle + width * torch.randn(n, 1)


def train_on_ring(betas: tuple[float, float], steps: int) -> Iterator[nn.Module]:
    """The generator after each step of the study's game in the plane, with these betas of Adam."""
    torch.manual_seed(0)
    objective, g, d = OBJECTIVES["non-saturating"], mlp(8, 2), mlp(2, 1)
    optimizers = [torch.optim.Adam(net.parameters(), 1e-3, betas=betas) for net in (d, g)]
    for _ in range(steps):
        fake = g(torch.randn(256, 8)).detach()
        _descend(optimizers[0], objective.discriminator(d(ring(256)), d(fake)))
        _descend(optimizers[1], objective.generator(d(g(torch.randn(256, 8)))))
        yield g


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def modes_found(points: Tensor) -> int:
    """How many of the eight places have at least one in a hundred of the points within 0.25."""
    angle = torch.arange(MODES) * (2 * math.pi / MODES)
    centres = 2 * torch.stack([angle.cos(), angle.sin()], 1)
    near = torch.cdist(points, centres) < 0.25
    return int((near.float().mean(0) >= 0.01).sum())


def dirac(loss: str, penalty: float, steps: int = 400, lr: float = 0.1) -> Tensor:
    """The smallest GAN: the data are the number 0, G draws the number θ, D(x) = ψ x. (θ, ψ) step by step, (steps, 2).

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
            loss_d = loss_d + penalty * (zero_centred(scores[0], real) + zero_centred(scores[1], fake))
        _descend(optimizers[0], loss_d)
        fakes = theta * psi
        _descend(optimizers[1], objective.generator(*([fakes, 0 * psi] if objective.is_paired else [fakes])))
    return torch.cat(path)


def on_a_line(kind: str, real: Sampler, fake: Sampler, steps: int) -> nn.Module:
    """A discriminator ("bce") or a critic with a gradient penalty ("wasserstein") of points (N, 1), trained alone."""
    torch.manual_seed(0)
    d = mlp(1, 1)
    optimizer = torch.optim.Adam(d.parameters(), 2e-3)
    for _ in range(steps):
        x, y = real(512), fake(512)
        if kind == "bce":
            _descend(optimizer, bce_discriminator(d(x), d(y)))
        else:
            penalty = gradient_penalty(d, x, y, torch.rand(512, 1))
            _descend(optimizer, wasserstein_discriminator(d(x), d(y)) + 10 * penalty)
    return d
