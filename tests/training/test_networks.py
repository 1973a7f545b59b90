"""Real steps of every network with every objective, penalty, channel count and size, with and without classes."""

import itertools

import pytest
import torch
from torch import nn

from dcgan import UserError
from dcgan.config import Config
from dcgan.data.open import ImageSet
from dcgan.training.losses import OBJECTIVES, Objective
from dcgan.training.set_up import set_up
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State
from dcgan.training.step import train_step

PENALTIES = ({}, {"gp": 10.0}, {"r1": 0.1, "r2": 0.1})
NETWORKS = {
    "mlp": {"d_norm": "none", "d_width": 16},
    "dcgan": {},
    "dcgan64": {"d_norm": "layer"},
    "resnet": {"g_norm": "none", "d_norm": "none"},
}

ADVERSARIAL_OBJECTIVES = [name for name, objective in OBJECTIVES.items() if objective.has_discriminator]


def random_set(channels: int, size: int, classes: int, n: int = 8) -> ImageSet:
    source = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=source)
    return ImageSet("random", pixels, torch.arange(n) % max(classes, 1), tuple(map(str, range(classes))))


def make_config(network: str, loss: str = "non-saturating", size: int = 28, classes: int = 0, **settings) -> Config:
    small = {"g_width": 4, "d_width": 4, "z_dim": 6, "batch_size": 4, "device": "cpu", "image_size": size}
    return Config(network=network, loss=loss, conditional=classes > 0, **(small | NETWORKS[network] | settings))


def use_data(monkeypatch: pytest.MonkeyPatch, data: ImageSet) -> None:
    """Let `set_up` train on these pictures."""
    monkeypatch.setattr("dcgan.training.set_up.open_images", lambda *arguments, **options: data)


def train_two_steps(config: Config, data: ImageSet, monkeypatch: pytest.MonkeyPatch) -> State:
    use_data(monkeypatch, data)
    state = set_up(config)
    for _ in range(2):
        train_step(state)
    assert state.sums.totals.isfinite().all()
    return state


def parameters_without_gradient(network: nn.Module) -> set[str]:
    return {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any()
    }


def refusal(config: Config, size: int) -> str:
    """Return a part of the message with which an impossible combination is refused; nothing if it is possible."""
    if config.network == "dcgan" and size != 28:
        return "28x28 only"
    if config.loss == "wasserstein" and not (config.gp or config.r1 or config.r2):
        return "bounded gradient"
    return "BatchNorm" if config.d_norm == "batch" and (config.gp or config.r1 or config.r2) else ""


def parameters_with_zero_gradient(config: Config) -> set[str]:
    """Return the parameters whose gradient is exactly zero.

    These objectives depend only on differences of scores, so that a number which is added to every score changes
    nothing. For the hinge this is so while all scores are inside the margins.
    """
    if config.loss not in ("wasserstein", "relativistic", "hinge"):
        return set()
    names = {"mlp": {"layers.3.bias"}, "dcgan": {"disc.2.0.bias"}, "dcgan64": set(), "resnet": {"score.bias"}}
    return names[config.network]


@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("size", [16, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("network", NETWORKS)
def test_two_steps_of_every_combination(network: str, channels: int, size: int, classes: int, monkeypatch):
    data = random_set(channels, size, classes)
    for loss, penalty in itertools.product(ADVERSARIAL_OBJECTIVES, PENALTIES):
        config = make_config(network, loss, size, classes, **penalty)
        if message := refusal(config, size):
            with pytest.raises(UserError, match=message):
                train_two_steps(config, data, monkeypatch)
            continue
        state = train_two_steps(config, data, monkeypatch)
        # BatchNorm removes any constant: the gradient of a bias before it is rounding noise, and may be 0.
        names = parameters_without_gradient(state.generator)
        assert all(config.g_norm == "batch" and name.endswith("bias") for name in names), (loss, penalty, names)
        assert parameters_without_gradient(state.discriminator) <= parameters_with_zero_gradient(config), (
            loss,
            penalty,
        )


@pytest.mark.parametrize("penalty", [{"gp": 10.0}, {"r1": 1.0}, {"r2": 1.0}])
@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64"])
def test_batchnorm_and_a_penalty_for_each_picture_are_refused(network: str, penalty: dict, monkeypatch):
    with pytest.raises(UserError, match=r"BatchNorm in the discriminator mixes pictures: use --d-norm layer"):
        train_two_steps(make_config(network, d_norm="batch", **penalty), random_set(1, 28, 0), monkeypatch)


@pytest.mark.parametrize("norm", ["batch", "instance", "layer", "none", "spectral"])
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64"])
def test_every_normalization(network: str, classes: int, norm: str, monkeypatch):
    config = make_config(network, classes=classes, g_norm=norm, d_norm=norm)
    if network == "mlp" and norm == "instance":
        with pytest.raises(UserError, match="no pixels to normalize over"):
            train_two_steps(config, random_set(1, 28, classes), monkeypatch)
        return
    state = train_two_steps(config, random_set(1, 28, classes), monkeypatch)
    assert parameters_without_gradient(state.generator) == set()


@pytest.mark.parametrize("name", ["g_norm", "d_norm"])
def test_the_residual_network_has_no_normalization(name: str, monkeypatch):
    with pytest.raises(UserError, match=rf"use --{name[0]}-norm none"):
        train_two_steps(make_config("resnet", **{name: "batch"}), random_set(1, 28, 0), monkeypatch)


@pytest.mark.parametrize("classes", [0, 1, 1000])
@pytest.mark.parametrize("network", NETWORKS)
def test_batches_of_one_picture_and_sets_of_one_or_a_thousand_classes(network: str, classes: int, monkeypatch):
    """Seven pictures in batches of three, so that the epoch's last batch is a single picture; then batches of one."""
    use_data(monkeypatch, random_set(1, 28, classes, n=7))
    for batch_size, updates in ((3, 4), (1, 2)):
        for penalty in ({}, {"r1": 0.1}) if network != "dcgan" else ({},):
            state = set_up(make_config(network, classes=classes, batch_size=batch_size, **penalty))
            for _ in range(updates):
                train_step(state)
            assert state.sums.totals.isfinite().all()
            averaged_generator(state)


def test_a_paired_objective_gets_pairs_at_the_end_of_an_epoch(monkeypatch):
    """Without --share-z the fakes are paired with the next reals, which may be more or fewer than the last ones."""
    use_data(monkeypatch, random_set(1, 28, 3, n=7))
    state = set_up(make_config("dcgan", "relativistic", classes=3, batch_size=3, share_z=False))
    sizes = []
    generator = state.objective.generator

    def record(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        sizes.append((len(fake), len(real)))
        return generator(fake, real)

    state.objective = Objective(state.objective.discriminator, record, is_paired=True)
    for _ in range(3):
        train_step(state)
    assert sizes == [(3, 3), (1, 1), (3, 3)]
    assert state.progress.images_seen == 7


def test_a_conditional_run_needs_labels(monkeypatch):
    with pytest.raises(UserError, match=r"needs labels, and mnist has none: use --no-conditional"):
        train_two_steps(Config(conditional=True), random_set(1, 28, 0), monkeypatch)


def test_spectral_normalization_may_bound_a_wasserstein_critic(monkeypatch):
    train_two_steps(make_config("dcgan64", "wasserstein", d_norm="spectral"), random_set(1, 28, 0), monkeypatch)


def test_two_learning_rates_and_betas_reach_the_optimizers(monkeypatch):
    config = make_config("resnet", lr=1e-3, d_lr=4e-3, betas=(0.0, 0.99), burn_in=8, lr_end=0.5, images=16)
    use_data(monkeypatch, random_set(1, 28, 0, n=8))
    state, steps = set_up(config), []
    for _ in range(5):
        train_step(state)
        steps.append(
            [(o.param_groups[0]["lr"], o.param_groups[0]["betas"][1]) for o in (state.optimizer_g, state.optimizer_d)]
        )
    assert steps[0] == [(1e-3, 0.9), (4e-3, 0.9)]
    assert steps[2] == [pytest.approx((7.5e-4, 0.99)), pytest.approx((3e-3, 0.99))]
    assert steps[4] == [pytest.approx((5e-4, 0.99)), pytest.approx((2e-3, 0.99))]
