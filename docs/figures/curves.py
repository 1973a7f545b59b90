"""Curves: activations, losses and their slopes, the optimum, distances, and the games of `toys`."""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from torch import Tensor, nn

from dcgan.presets import PRESETS
from dcgan.training.losses import OBJECTIVES
from dcgan.training.schedule import schedule_at
from docs.figures import toys
from docs.figures.style import BACKGROUND, BLUE, GREEN, ORANGE, PURPLE, SOFT, make_panels, save_figure

OBJECTIVE_COLORS = {
    "minimax": ORANGE,
    "non-saturating": BLUE,
    "least-squares": GREEN,
    "hinge": PURPLE,
    "wasserstein": SOFT,
}
FEW_PICTURES_FILE = Path(__file__).parents[1] / "few_pictures.json"
RING_STEPS = (100, 300, 600, 1200)
"""Steps at which the game in the plane is drawn."""


def draw_activations() -> None:
    """Draw ReLU, LeakyReLU(0.2) and tanh."""
    x = torch.linspace(-3, 3, 200)
    figure, axes = make_panels(1, 3, 8.2, 2.3)
    for ax, (name, y) in zip(
        axes, {"ReLU": F.relu(x), "LeakyReLU(0.2)": F.leaky_relu(x, 0.2), "tanh": torch.tanh(x)}.items(), strict=True
    ):
        ax.axhline(0, color=SOFT, linewidth=0.8)
        ax.axvline(0, color=SOFT, linewidth=0.8)
        ax.plot(x, y, color=BLUE)
        ax.set_title(name, size=10)
    save_figure(figure, "activations")


def draw_generator_losses() -> None:
    """Draw both losses of G against D(G(z)), and the length of their gradients with respect to the score."""
    s = torch.linspace(-6, 6, 400, requires_grad=True)
    d = s.detach().sigmoid()
    figure, axes = make_panels(1, 2, 8.2, 3.0)
    for name, formula in (("minimax", "log(1 − D)"), ("non-saturating", "−log D")):
        losses = torch.stack([OBJECTIVES[name].generator(score.view(1)) for score in s])
        (gradient,) = torch.autograd.grad(losses.sum(), s)
        axes[0].plot(d, losses.detach(), color=OBJECTIVE_COLORS[name], label=f"{name}: {formula}")
        axes[1].plot(d, gradient.abs(), color=OBJECTIVE_COLORS[name], label=name)
    axes[0].set(xlabel="D(G(z))", ylabel="loss of G")
    axes[1].set(xlabel="D(G(z))", ylabel="|∂ loss / ∂ score|")
    axes[0].legend(fontsize=9)
    axes[1].annotate("D ≈ 0", (0.02, 0.03), (0.12, 0.35), arrowprops={"arrowstyle": "->", "color": SOFT})
    save_figure(figure, "generator-losses")


def draw_objectives() -> None:
    """Draw the part of D's loss that comes from one fake, and G's loss, against the score of the fake."""
    s = torch.linspace(-3, 3, 200)
    # the score of a real whose part of the loss is 0, so that only the part of the fake is left
    real_scores = {"least-squares": 1.0, "hinge": 9.0}
    figure, axes = make_panels(1, 2, 8.2, 3.0, sharey=True)
    for name in ("non-saturating", "least-squares", "hinge", "wasserstein"):
        objective, real = OBJECTIVES[name], torch.tensor([real_scores.get(name, 0.0)])
        real_part = objective.discriminator(real, torch.zeros(1)) - _fake_part(name, torch.zeros(1))
        fake_part = torch.stack([objective.discriminator(real, x.view(1)) - real_part for x in s])
        axes[0].plot(s, fake_part, color=OBJECTIVE_COLORS[name], label=name)
        axes[1].plot(s, torch.stack([objective.generator(x.view(1)) for x in s]), color=OBJECTIVE_COLORS[name])
    axes[0].set(xlabel="score", ylabel="loss", title="D")
    axes[1].set(xlabel="score", title="G")
    axes[0].legend(fontsize=9)
    save_figure(figure, "objectives")


def _fake_part(name: str, s: Tensor) -> Tensor:
    """Return the part of D's loss that comes from a fake with this score, so that the other part can be subtracted."""
    parts = {
        "non-saturating": F.softplus(s) / 2,
        "least-squares": s.square() / 2,
        "hinge": F.relu(1 + s),
        "wasserstein": s,
    }
    return parts[name].squeeze()


def draw_optimum() -> None:
    """Draw a trained D and p / (p + q) for two known densities: apart, nearer, and the same."""
    x = torch.linspace(-4, 4, 300)
    figure, axes = make_panels(1, 3, 8.2, 2.7, sharey=True)
    for ax, mean in zip(axes, (1.5, 0.5, -1.0), strict=True):
        d = toys.train_on_line("bce", toys.normal_sampler(-1), toys.normal_sampler(mean), 1500)
        p, q = _normal_density(x, -1), _normal_density(x, mean)
        ax.fill_between(x, p, color=BLUE, alpha=0.25, linewidth=0, label="P_data")
        ax.fill_between(x, q, color=ORANGE, alpha=0.25, linewidth=0, label="P_g")
        ax.plot(x, p / (p + q), color=SOFT, linestyle="--", label="p / (p + q)")
        ax.plot(x, _scores(d, x).sigmoid(), color=GREEN, label="D")
        ax.set_ylim(0, 1.02)
    axes[0].legend(fontsize=8, loc="upper right")
    save_figure(figure, "optimum")


def _normal_density(x: Tensor, mean: float) -> Tensor:
    return torch.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)


@torch.no_grad()
def _scores(d: nn.Module, x: Tensor) -> Tensor:
    scores: Tensor = d(x.view(-1, 1)).view(-1)
    return scores


def draw_distances() -> None:
    """Draw two distances of two points that are θ apart.

    Jensen-Shannon says only whether the points are the same; Wasserstein says how far apart they are.
    """
    theta = torch.linspace(-2, 2, 401)
    figure, axes = make_panels(1, 2, 8.2, 2.4)
    axes[0].plot(theta, torch.full_like(theta, math.log(2)), color=ORANGE)
    axes[0].plot(0, math.log(2), "o", color=BACKGROUND, markeredgecolor=ORANGE, markersize=7)
    axes[0].plot(0, 0, "o", color=ORANGE, markersize=7)
    axes[0].set(xlabel="θ", ylim=(-0.1, 1))
    axes[0].set_title("Jensen-Shannon", size=10)
    axes[0].text(-2, 0.75, "ln 2", size=9)
    axes[1].plot(theta, theta.abs(), color=BLUE)
    axes[1].plot(0, 0, "o", color=BLUE, markersize=7)
    axes[1].set_xlabel("θ")
    axes[1].set_title("Wasserstein", size=10)
    save_figure(figure, "distances")


def draw_critic() -> None:
    """Draw a classifier, which is flat between two clouds, and a critic with a gradient penalty, whose slope is near 1.

    The data lie where the untrained critic happens to be higher: on a line a slope of the wrong sign cannot change its
    sign, because it would have to pass a slope of 0, which the penalty forbids.
    """
    x = torch.linspace(-4, 4, 300)
    figure, axes = make_panels(1, 2, 8.2, 2.9)
    classifier, critic = (
        toys.train_on_line(kind, toys.normal_sampler(-2, 0.3), toys.normal_sampler(2, 0.3), 1500)
        for kind in ("bce", "wasserstein")
    )
    axes[0].plot(x, _scores(classifier, x).sigmoid(), color=ORANGE)
    axes[0].set_title("σ(D)", size=10)
    axes[1].plot(x, _scores(critic, x), color=BLUE)
    axes[1].set_title("D, gradient penalty", size=10)
    for ax in axes:
        low, high = ax.get_ylim()
        for mean, color, name in ((-2, BLUE, "P_data"), (2, ORANGE, "P_g")):
            bump = torch.exp(-((x - mean) ** 2) / 0.18) * 0.25 * (high - low) + low
            ax.fill_between(x, low, bump, color=color, alpha=0.25, linewidth=0)
            ax.text(mean, low + 0.27 * (high - low), name, ha="center", size=9, color=color)
    save_figure(figure, "critic")


def draw_mixtures() -> None:
    """Draw where the gradient penalty is computed: at a random point on the line from each fake to a real."""
    torch.manual_seed(3)
    real, fake = toys.draw_ring(12), 0.5 * torch.randn(12, 2)
    mixed = torch.lerp(fake, real, torch.rand(12, 1))
    figure, (ax,) = make_panels(1, 1, 5.0, 3.2)
    for a, b in zip(real, fake, strict=True):
        ax.plot(*zip(a.tolist(), b.tolist(), strict=True), color=SOFT, linewidth=0.7)
    for points, color, name, marker in (
        (real, BLUE, "x", "o"), (fake, ORANGE, "G(z)", "s"), (mixed, GREEN, "m", "D")
    ):  # fmt: skip
        ax.plot(points[:, 0], points[:, 1], marker, color=color, markersize=6, label=name)
    ax.set_aspect("equal")
    ax.axis("off")
    ax.legend(fontsize=10, loc="center left", bbox_to_anchor=(1, 0.5))
    save_figure(figure, "mixtures")


def draw_dirac_games() -> None:
    """Draw the game on one number: two objectives circle around the optimum, two with a penalty reach it."""
    figure, axes = make_panels(1, 4, 8.6, 2.6, sharex=True, sharey=True)
    games = (("non-saturating", 0.0), ("wasserstein", 0.0), ("non-saturating", 1.0), ("relativistic", 1.0))
    for ax, (loss, penalty) in zip(axes, games, strict=True):
        path = toys.train_dirac_game(loss, penalty)
        ax.plot(path[:, 0], path[:, 1], color=GREEN if penalty else ORANGE, linewidth=1)
        ax.plot(*path[0], "o", color=SOFT)
        ax.plot(0, 0, "*", color=BLUE, markersize=11)
        ax.set_title(f"{loss}\n+ R1 + R2" if penalty else f"{loss}\n", size=9)
        ax.set(xlabel="θ", aspect="equal")
    axes[0].set_ylabel("ψ")
    save_figure(figure, "dirac")


def draw_ring_games() -> None:
    """Draw what G generates over time in the game in the plane, with much momentum and with none."""
    figure, axes = make_panels(2, len(RING_STEPS), 8.6, 4.5)
    torch.manual_seed(9)
    data = toys.draw_ring(1000)
    for row, betas in enumerate(((0.9, 0.999), (0.0, 0.99))):
        for step, g in enumerate(toys.train_on_ring(betas, max(RING_STEPS)), start=1):
            if step in RING_STEPS:
                _draw_points(axes[row * len(RING_STEPS) + RING_STEPS.index(step)], data, g, step)
        axes[row * len(RING_STEPS)].set_ylabel(f"betas {betas}")
    save_figure(figure, "ring")


@torch.no_grad()
def _draw_points(ax: Axes, data: Tensor, g: nn.Module, step: int) -> None:
    generated = g(torch.randn(1000, 8, generator=torch.Generator().manual_seed(step)))
    ax.plot(data[:, 0], data[:, 1], ".", color=BLUE, markersize=2)
    ax.plot(generated[:, 0], generated[:, 1], ".", color=ORANGE, markersize=2)
    ax.set_title(f"{step:,}: {toys.count_modes(generated)}/8", size=10)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(True)


def draw_burn_in() -> None:
    """Draw what `r3gan` changes at first: the learning rate, the weight of the penalties, beta2, the half-life."""
    config = PRESETS["r3gan"]
    images = torch.linspace(0, 1.6 * config.burn_in, 200)
    values_at = [schedule_at(config, int(i), None) for i in images]
    curves = {
        "lr": [n.lr for n in values_at],
        "γ": [config.r1 * n.penalty_scale for n in values_at],
        "β2": [n.beta2 for n in values_at],
        "EMA": [n.half_life for n in values_at],
    }
    figure, axes = make_panels(1, 4, 8.2, 2.2)
    for ax, (name, values) in zip(axes, curves.items(), strict=True):
        ax.plot(images / 1000, values, color=BLUE)
        ax.set_title(name, size=10)
        ax.set_xlabel("images / 1,000")
        ax.axvline(config.burn_in / 1000, color=SOFT, linestyle=":", linewidth=1)
    save_figure(figure, "burn-in")


def draw_few_pictures() -> None:
    """Draw the scores that `benchmarks.few_pictures` measured."""
    results = json.loads(FEW_PICTURES_FILE.read_text())
    names = {"train": ("trained on", BLUE), "held_out": ("never seen", GREEN), "samples": ("samples", ORANGE)}
    figure, axes = make_panels(1, len(results), 8.2, 2.6, sharey=True)
    for ax, (case, entries) in zip(axes, results.items(), strict=True):
        for key, (name, color) in names.items():
            ax.plot([e["images_seen"] / 1000 for e in entries], [e[key] for e in entries], color=color, label=name)
        ax.set(xlabel="1,000 images seen", ylim=(0, 1))
        ax.set_title(case, size=10)
    axes[0].set_ylabel("D(x)")
    axes[0].legend(fontsize=8)
    save_figure(figure, "few-pictures")
