"""Every network with every objective, penalty, channel count, size and with or without classes, on the real loop."""

import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from dcgan import UserError
from dcgan.config import Config
from dcgan.data.open import ImageSet
from dcgan.training.losses import OBJECTIVES, Objective
from dcgan.training.snapshot import averaged_generator
from dcgan.training.state import State, set_up
from dcgan.training.step import train_step

PENALTIES = ({}, {"gp": 10.0}, {"r1": 0.1, "r2": 0.1})
NETWORKS = {
    "mlp": {"d_norm": "none", "d_width": 16},
    "dcgan": {},
    "dcgan64": {"d_norm": "layer"},
    "resnet": {"g_norm": "none", "d_norm": "none"},
}


def made_up(channels: int, size: int, classes: int, n: int = 8) -> ImageSet:
    source = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, channels, size, size), dtype=torch.uint8, generator=source)
    return ImageSet("made-up", pixels, torch.arange(n) % max(classes, 1), tuple(map(str, range(classes))))


def config(network: str, loss: str = "non-saturating", size: int = 28, classes: int = 0, **settings) -> Config:
    small = {"g_width": 4, "d_width": 4, "z_dim": 6, "batch_size": 4, "device": "cpu", "image_size": size}
    return Config(network=network, loss=loss, conditional=classes > 0, **(small | NETWORKS[network] | settings))


def two_steps(c: Config, data: ImageSet, monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setattr("dcgan.state.open_images", lambda spec, **asked: data)
    state = set_up(c)
    for _ in range(2):
        train_step(state)
    assert state.totals.isfinite().all()
    return state


def without_gradient(network: nn.Module) -> Iterator[str]:
    for name, parameter in network.named_parameters():
        if parameter.grad is None or not parameter.grad.isfinite().all() or not parameter.grad.any():
            yield name


def forbidden(c: Config, size: int) -> str:
    """The mathematics that forbids a combination: a piece of the message that must name it."""
    if c.network == "dcgan" and size != 28:
        return "28x28 only"
    if c.loss == "wasserstein" and not (c.gp or c.r1 or c.r2):
        return "bounded slope"
    return "BatchNorm" if c.d_norm == "batch" and (c.gp or c.r1 or c.r2) else ""


def blind(c: Config) -> set[str]:
    """Parameters whose gradient is zero by mathematics: these objectives see only differences of scores, so that a
    number added to every score changes nothing (for the hinge while all scores are inside the margins)."""
    if c.loss not in ("wasserstein", "relativistic", "hinge"):
        return set()
    return {"mlp": {"layers.3.bias"}, "dcgan": {"disc.2.0.bias"}, "dcgan64": set(), "resnet": {"score.bias"}}[c.network]


@pytest.mark.parametrize("classes", [0, 10])
@pytest.mark.parametrize("size", [16, 28, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("network", NETWORKS)
def test_two_steps_of_everything(network: str, channels: int, size: int, classes: int, monkeypatch):
    data = made_up(channels, size, classes)
    for loss, penalty in itertools.product(OBJECTIVES, PENALTIES):
        c = config(network, loss, size, classes, **penalty)
        if why := forbidden(c, size):
            with pytest.raises(UserError, match=why):
                two_steps(c, data, monkeypatch)
            continue
        state = two_steps(c, data, monkeypatch)
        # BatchNorm takes any constant away: the gradient of a bias before it is rounding noise, and may be 0.
        lost = set(without_gradient(state.generator))
        assert all(c.g_norm == "batch" and name.endswith("bias") for name in lost), (loss, penalty, lost)
        assert set(without_gradient(state.discriminator)) <= blind(c), (loss, penalty)


@pytest.mark.parametrize("penalty", [{"gp": 10.0}, {"r1": 1.0}, {"r2": 1.0}])
@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64"])
def test_batchnorm_does_not_go_with_a_penalty_on_each_picture(network: str, penalty: dict, monkeypatch):
    with pytest.raises(UserError, match=r"BatchNorm in the discriminator mixes pictures: use --d-norm layer"):
        two_steps(config(network, d_norm="batch", **penalty), made_up(1, 28, 0), monkeypatch)


@pytest.mark.parametrize("norm", ["batch", "instance", "layer", "none", "spectral"])
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64"])
def test_every_normalisation(network: str, classes: int, norm: str, monkeypatch):
    c = config(network, classes=classes, g_norm=norm, d_norm=norm)
    if network == "mlp" and norm == "instance":
        with pytest.raises(UserError, match="no pixels to normalise over"):
            two_steps(c, made_up(1, 28, classes), monkeypatch)
        return
    state = two_steps(c, made_up(1, 28, classes), monkeypatch)
    assert set(without_gradient(state.generator)) == set()


@pytest.mark.parametrize("name", ["g_norm", "d_norm"])
def test_the_residual_network_has_no_normalisation(name: str, monkeypatch):
    with pytest.raises(UserError, match=rf"use --{name[0]}-norm none"):
        two_steps(config("resnet", **{name: "batch"}), made_up(1, 28, 0), monkeypatch)


@pytest.mark.parametrize("classes", [0, 1, 1000])
@pytest.mark.parametrize("network", NETWORKS)
def test_batches_of_one_short_last_batches_one_class_and_a_thousand(network: str, classes: int, monkeypatch):
    """Seven pictures in batches of three: the epoch's last batch is a single picture. Then batches of one."""
    data = made_up(1, 28, classes, n=7)
    monkeypatch.setattr("dcgan.state.open_images", lambda spec, **asked: data)
    for batch_size, updates in ((3, 4), (1, 2)):
        for penalty in ({}, {"r1": 0.1}) if network != "dcgan" else ({},):
            state = set_up(config(network, classes=classes, batch_size=batch_size, **penalty))
            for _ in range(updates):
                train_step(state)
            assert state.totals.isfinite().all()
            averaged_generator(state)


def test_a_paired_objective_takes_pairs_at_an_epochs_end(monkeypatch):
    """Without --share-z the generator is paired with the next reals, which may be more or fewer than the last ones."""
    data = made_up(1, 28, 3, n=7)
    monkeypatch.setattr("dcgan.state.open_images", lambda spec, **asked: data)
    state = set_up(config("dcgan", "relativistic", classes=3, batch_size=3, share_z=False))
    sizes = []
    generator = state.objective.generator

    def watched(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        sizes.append((len(fake), len(real)))
        return generator(fake, real)

    state.objective = Objective(state.objective.discriminator, watched, is_paired=True)
    for _ in range(3):
        train_step(state)
    assert sizes == [(3, 3), (1, 1), (3, 3)]
    assert state.images_seen == 7


def test_labels_are_needed_to_be_conditional(monkeypatch):
    with pytest.raises(UserError, match=r"needs labels, and mnist has none: use --no-conditional"):
        two_steps(Config(conditional=True), made_up(1, 28, 0), monkeypatch)


def test_a_wasserstein_critic_may_be_bounded_by_spectral_normalisation(monkeypatch):
    two_steps(config("dcgan64", "wasserstein", d_norm="spectral"), made_up(1, 28, 0), monkeypatch)


def test_two_learning_rates_and_betas_reach_the_optimizers(monkeypatch):
    c = config("resnet", lr=1e-3, d_lr=4e-3, betas=(0.0, 0.99), burn_in=8, lr_end=0.5, images=16)
    data = made_up(1, 28, 0, n=8)
    monkeypatch.setattr("dcgan.state.open_images", lambda spec, **asked: data)
    state, found = set_up(c), []
    for _ in range(5):
        train_step(state)
        found.append(
            [(o.param_groups[0]["lr"], o.param_groups[0]["betas"][1]) for o in (state.optimizer_g, state.optimizer_d)]
        )
    assert found[0] == [(1e-3, 0.9), (4e-3, 0.9)]
    assert found[2] == [pytest.approx((7.5e-4, 0.99)), pytest.approx((3e-3, 0.99))]
    assert found[4] == [pytest.approx((5e-4, 0.99)), pytest.approx((2e-3, 0.99))]
