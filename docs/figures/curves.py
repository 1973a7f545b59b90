"""Curves: activations, losses and their slopes, the optimum, distances, and the games of `toys`."""

import math

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from torch import Tensor, nn

from dcgan.presets import PRESETS
from dcgan.training.losses import OBJECTIVES
from dcgan.training.schedule import schedule_at
from docs.figures import toys
from docs.figures.style import BLUE, CARD, GREEN, ORANGE, PURPLE, SOFT, panels, save

COLOURS = dict(zip(OBJECTIVES, (ORANGE, BLUE, GREEN, PURPLE, SOFT, "#b03060"), strict=True))


def activations() -> None:
    """ReLU, LeakyReLU(0.2) and tanh."""
    x = torch.linspace(-3, 3, 200)
    figure, axes = panels(1, 3, 8.2, 2.3)
    for ax, (name, y) in zip(
        axes, {"ReLU": F.relu(x), "LeakyReLU(0.2)": F.leaky_relu(x, 0.2), "tanh": torch.tanh(x)}.items(), strict=True
    ):
        ax.axhline(0, color=SOFT, linewidth=0.8)
        ax.axvline(0, color=SOFT, linewidth=0.8)
        ax.plot(x, y, color=BLUE)
        ax.set_title(name, size=10)
    save(figure, "activations")


def generator_losses() -> None:
    """Both losses of G against D(G(z)), and the length of their gradients for the score."""
    s = torch.linspace(-6, 6, 400, requires_grad=True)
    d = s.detach().sigmoid()
    figure, axes = panels(1, 2, 8.2, 3.0)
    for name, formula in (("minimax", "log(1 − D)"), ("non-saturating", "−log D")):
        losses = torch.stack([OBJECTIVES[name].generator(score.view(1)) for score in s])
        (gradient,) = torch.autograd.grad(losses.sum(), s)
        axes[0].plot(d, losses.detach(), color=COLOURS[name], label=f"{name}: {formula}")
        axes[1].plot(d, gradient.abs(), color=COLOURS[name], label=name)
    axes[0].set(xlabel="D(G(z))", ylabel="loss of G")
    axes[1].set(xlabel="D(G(z))", ylabel="|∂ loss / ∂ score|")
    axes[0].legend(fontsize=9)
    axes[1].annotate("D ≈ 0", (0.02, 0.03), (0.12, 0.35), arrowprops={"arrowstyle": "->", "color": SOFT})
    save(figure, "generator-losses")


def objectives() -> None:
    """What D pays for one fake, and what G pays for it, by the fake's score."""
    s = torch.linspace(-3, 3, 200)
    away = {"least-squares": 1.0, "hinge": 9.0}  # a real that D already has right, so that only the fake's part is left
    figure, axes = panels(1, 2, 8.2, 3.0, sharey=True)
    for name in ("non-saturating", "least-squares", "hinge", "wasserstein"):
        objective, real = OBJECTIVES[name], torch.tensor([away.get(name, 0.0)])
        rest = objective.discriminator(real, torch.zeros(1)) - _fake_part(name, torch.zeros(1))
        paid = torch.stack([objective.discriminator(real, x.view(1)) - rest for x in s])
        axes[0].plot(s, paid, color=COLOURS[name], label=name)
        axes[1].plot(s, torch.stack([objective.generator(x.view(1)) for x in s]), color=COLOURS[name])
    axes[0].set(xlabel="score", ylabel="loss", title="D")
    axes[1].set(xlabel="score", title="G")
    axes[0].legend(fontsize=9)
    save(figure, "objectives")


def _fake_part(name: str, s: Tensor) -> Tensor:
    """The fake's part of D's loss at one score, to take the real's part away."""
    parts = {
        "non-saturating": F.softplus(s) / 2,
        "least-squares": s.square() / 2,
        "hinge": F.relu(1 + s),
        "wasserstein": s,
    }
    return parts[name].squeeze()


def optimum() -> None:
    """A trained D on two known densities, against p / (p + q): apart, nearer, and the same."""
    x = torch.linspace(-4, 4, 300)
    figure, axes = panels(1, 3, 8.2, 2.7, sharey=True)
    for ax, middle in zip(axes, (1.5, 0.5, -1.0), strict=True):
        d = toys.on_a_line("bce", toys.bell(-1), toys.bell(middle), 1500)
        p, q = _normal(x, -1), _normal(x, middle)
        ax.fill_between(x, p, color=BLUE, alpha=0.25, linewidth=0, label="P_data")
        ax.fill_between(x, q, color=ORANGE, alpha=0.25, linewidth=0, label="P_g")
        ax.plot(x, p / (p + q), color=SOFT, linestyle="--", label="p / (p + q)")
        ax.plot(x, _scores(d, x).sigmoid(), color=GREEN, label="D")
        ax.set_ylim(0, 1.02)
    axes[0].legend(fontsize=8, loc="upper right")
    save(figure, "optimum")


def _normal(x: Tensor, middle: float) -> Tensor:
    return torch.exp(-((x - middle) ** 2) / 2) / math.sqrt(2 * math.pi)


@torch.no_grad()
def _scores(d: nn.Module, x: Tensor) -> Tensor:
    scores: Tensor = d(x.view(-1, 1)).view(-1)
    return scores


def distances() -> None:
    """Two points θ apart: Jensen-Shannon says only whether they are the same, Wasserstein how far they are."""
    theta = torch.linspace(-2, 2, 401)
    figure, axes = panels(1, 2, 8.2, 2.4)
    axes[0].plot(theta, torch.full_like(theta, math.log(2)), color=ORANGE)
    axes[0].plot(0, math.log(2), "o", color=CARD, markeredgecolor=ORANGE, markersize=7)
    axes[0].plot(0, 0, "o", color=ORANGE, markersize=7)
    axes[0].set(xlabel="θ", ylim=(-0.1, 1))
    axes[0].set_title("Jensen-Shannon", size=10)
    axes[0].text(-2, 0.75, "ln 2", size=9)
    axes[1].plot(theta, theta.abs(), color=BLUE)
    axes[1].plot(0, 0, "o", color=BLUE, markersize=7)
    axes[1].set_xlabel("θ")
    axes[1].set_title("Wasserstein", size=10)
    save(figure, "distances")


def critic() -> None:
    """Between clouds that do not touch, a classifier is flat; a critic with a gradient penalty has a slope near 1.

    The data lie where the untrained critic happens to be higher: on a line a slope of the wrong sign cannot turn
    round, because the penalty of a slope of 0 stands in its way.
    """
    x = torch.linspace(-4, 4, 300)
    figure, axes = panels(1, 2, 8.2, 2.9)
    classifier, measured = (
        toys.on_a_line(kind, toys.bell(-2, 0.3), toys.bell(2, 0.3), 1500) for kind in ("bce", "wasserstein")
    )
    axes[0].plot(x, _scores(classifier, x).sigmoid(), color=ORANGE)
    axes[0].set_title("σ(D)", size=10)
    axes[1].plot(x, _scores(measured, x), color=BLUE)
    axes[1].set_title("D, gradient penalty", size=10)
    for ax in axes:
        low, high = ax.get_ylim()
        for middle, colour, name in ((-2, BLUE, "P_data"), (2, ORANGE, "P_g")):
            bump = torch.exp(-((x - middle) ** 2) / 0.18) * 0.25 * (high - low) + low
            ax.fill_between(x, low, bump, color=colour, alpha=0.25, linewidth=0)
            ax.text(middle, low + 0.27 * (high - low), name, ha="center", size=9, color=colour)
    save(figure, "critic")


def mixtures() -> None:
    """Where the gradient penalty looks: at a random place on the line from each fake to a real."""
    torch.manual_seed(3)
    real, fake = toys.ring(12), 0.5 * torch.randn(12, 2)
    mixed = torch.lerp(fake, real, torch.rand(12, 1))
    figure, (ax,) = panels(1, 1, 5.0, 3.2)
    for a, b in zip(real, fake, strict=True):
        ax.plot(*zip(a.tolist(), b.tolist(), strict=True), color=SOFT, linewidth=0.7)
    for points, colour, name, marker in (
        (real, BLUE, "x", "o"), (fake, ORANGE, "G(z)", "s"), (mixed, GREEN, "m", "D")
    ):  # fmt: skip
        ax.plot(points[:, 0], points[:, 1], marker, color=colour, markersize=6, label=name)
    ax.set_aspect("equal")
    ax.axis("off")
    ax.legend(fontsize=10, loc="center left", bbox_to_anchor=(1, 0.5))
    save(figure, "mixtures")


def dirac() -> None:
    """The game on one number: two objectives that go round and round, and two with a penalty that arrive."""
    figure, axes = panels(1, 4, 8.6, 2.6, sharex=True, sharey=True)
    games = (("non-saturating", 0.0), ("wasserstein", 0.0), ("non-saturating", 1.0), ("relativistic", 1.0))
    for ax, (loss, penalty) in zip(axes, games, strict=True):
        path = toys.dirac(loss, penalty)
        ax.plot(path[:, 0], path[:, 1], color=GREEN if penalty else ORANGE, linewidth=1)
        ax.plot(*path[0], "o", color=SOFT)
        ax.plot(0, 0, "*", color=BLUE, markersize=11)
        ax.set_title(f"{loss}\n+ R1 + R2" if penalty else f"{loss}\n", size=9)
        ax.set(xlabel="θ", aspect="equal")
    axes[0].set_ylabel("ψ")
    save(figure, "dirac")


SHOWN_STEPS = (100, 300, 600, 1200)


def ring() -> None:
    """The same game in the plane with much momentum and with none: what G draws over time."""
    figure, axes = panels(2, len(SHOWN_STEPS), 8.6, 4.5)
    torch.manual_seed(9)
    data = toys.ring(1000)
    for row, betas in enumerate(((0.9, 0.999), (0.0, 0.99))):
        for step, g in enumerate(toys.train_on_ring(betas, max(SHOWN_STEPS)), start=1):
            if step in SHOWN_STEPS:
                _points(axes[row * len(SHOWN_STEPS) + SHOWN_STEPS.index(step)], data, g, step)
        axes[row * len(SHOWN_STEPS)].set_ylabel(f"betas {betas}")
    save(figure, "ring")


@torch.no_grad()
def _points(ax: Axes, data: Tensor, g: nn.Module, step: int) -> None:
    drawn = g(torch.randn(1000, 8, generator=torch.Generator().manual_seed(step)))
    ax.plot(data[:, 0], data[:, 1], ".", color=BLUE, markersize=2)
    ax.plot(drawn[:, 0], drawn[:, 1], ".", color=ORANGE, markersize=2)
    ax.set_title(f"{step:,}: {toys.modes_found(drawn)}/8", size=10)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(True)


def burn_in() -> None:
    """What `r3gan` changes over its first images: the learning rate, the penalties' weight, beta2, the half-life."""
    config = PRESETS["r3gan"]
    images = torch.linspace(0, 1.6 * config.burn_in, 200)
    now = [schedule_at(config, int(i), None) for i in images]
    curves = {
        "lr": [n.lr for n in now],
        "γ": [config.r1 * n.zero_centred for n in now],
        "β2": [n.beta2 for n in now],
        "EMA": [n.half_life for n in now],
    }
    figure, axes = panels(1, 4, 8.2, 2.2)
    for ax, (name, values) in zip(axes, curves.items(), strict=True):
        ax.plot(images / 1000, values, color=BLUE)
        ax.set_title(name, size=10)
        ax.set_xlabel("images / 1,000")
        ax.axvline(config.burn_in / 1000, color=SOFT, linestyle=":", linewidth=1)
    save(figure, "burn-in")
