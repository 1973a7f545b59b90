"""`dcgan.notebook` computes the same losses and gradients as the study's code and as the engine."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import study
from dcgan import Discriminator, Generator, notebook
from dcgan.images import save_png
from dcgan.presets import configure
from dcgan.training.callbacks import LogEvent, SnapshotEvent
from dcgan.training.losses import OBJECTIVES
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from dcgan.training.step import next_reals, train_step
from tests.rounding import rounding_tolerance

CRITERION = nn.BCEWithLogitsLoss()


@pytest.fixture
def networks() -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    return Generator(8, 1, 8), Discriminator(1, 4)


@pytest.fixture
def real() -> torch.Tensor:
    return torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(1)) * 2 - 1


def gradients(loss: torch.Tensor, *networks: nn.Module) -> list[torch.Tensor | None]:
    for network in networks:
        network.zero_grad()
    loss.backward()
    return [None if p.grad is None else p.grad.clone() for network in networks for p in network.parameters()]


def are_equal(a: list[torch.Tensor | None], b: list[torch.Tensor | None]) -> bool:
    return all((x is None and y is None) or torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_get_noise():
    torch.manual_seed(5)
    ours = notebook.get_noise(3, 4)
    torch.manual_seed(5)
    assert torch.equal(ours, study.get_noise(3, 4))
    assert notebook.get_noise(3, 4, device="cpu").shape == (3, 4)


def test_get_gen_loss_is_the_studys(networks):
    gen, disc = networks
    torch.manual_seed(2)
    ours = gradients(notebook.get_gen_loss(gen, disc, CRITERION, 6, 8, "cpu"), gen, disc)
    torch.manual_seed(2)
    assert are_equal(ours, gradients(study.get_gen_loss(gen, disc, CRITERION, 6, 8, "cpu"), gen, disc))


def test_get_disc_loss_is_the_studys(networks, real):
    gen, disc = networks
    torch.manual_seed(2)
    ours = gradients(notebook.get_disc_loss(gen, disc, CRITERION, real, 6, 8, "cpu"), gen, disc)
    assert all(g is None for g in ours[: len(list(gen.parameters()))])
    torch.manual_seed(2)
    assert are_equal(ours, gradients(study.get_disc_loss(gen, disc, CRITERION, real, 6, 8, "cpu"), gen, disc))


def test_get_disc_loss_leaves_batchnorm_as_the_study_does(networks, real):
    gen, disc = networks
    study_disc = Discriminator(1, 4)
    study_disc.load_state_dict(disc.state_dict())
    torch.manual_seed(2)
    notebook.get_disc_loss(gen, disc, CRITERION, real, 6, 8, "cpu")
    torch.manual_seed(2)
    study.get_disc_loss(gen, study_disc, CRITERION, real, 6, 8, "cpu")
    assert all(torch.equal(a, b) for a, b in zip(disc.buffers(), study_disc.buffers(), strict=True))


@pytest.fixture
def state() -> State:
    settings = {"g_width": 8, "d_width": 4, "z_dim": 8, "batch_size": 6, "device": "cpu"}
    return set_up(configure("dcgan", **settings, share_z=False))


def engine_step(state: State, monkeypatch: pytest.MonkeyPatch) -> tuple[list, list, list]:
    """Do one step of the engine whose optimizers change nothing; return the gradients of D and G, and the latents."""
    latents: list[torch.Tensor] = []
    original_randn = torch.randn

    def recording_randn(*args, **kwargs):
        latents.append(original_randn(*args, **kwargs))
        return latents[-1]

    step_gradients: list[list] = []
    for optimizer, network in ((state.optimizer_d, state.discriminator), (state.optimizer_g, state.generator)):
        parameters = list(network.parameters())
        monkeypatch.setattr(optimizer, "step", lambda p=parameters: step_gradients.append([x.grad.clone() for x in p]))
    monkeypatch.setattr(torch, "randn", recording_randn)
    train_step(state)
    monkeypatch.setattr(torch, "randn", original_randn)
    return step_gradients[0], step_gradients[1], latents


@pytest.mark.parametrize("share_z", [False, True])
def test_the_engine_computes_the_notebooks_losses_and_gradients(state: State, monkeypatch, share_z: bool):
    state.config = replace(state.config, share_z=share_z)
    gen, disc = state.generator, state.discriminator
    real, _ = next_reals(state)
    grads_d, grads_g, latents = engine_step(state, monkeypatch)
    assert len(latents) == (1 if share_z else 2)
    loss_d, loss_g = state.sums.totals[:2].tolist()

    monkeypatch.setattr(notebook, "get_noise", lambda *a, **k: latents[0])
    loss = notebook.get_disc_loss(gen, disc, CRITERION, real, 6, 8, "cpu")
    assert loss.item() == pytest.approx(loss_d, rel=1e-5)
    for engine, by_hand in zip(grads_d, gradients(loss, disc), strict=True):
        assert torch.allclose(engine, by_hand, atol=rounding_tolerance(by_hand))

    monkeypatch.setattr(notebook, "get_noise", lambda *a, **k: latents[-1])
    loss = notebook.get_gen_loss(gen, disc, CRITERION, 6, 8, "cpu")
    assert loss.item() == pytest.approx(loss_g, rel=1e-5)
    for engine, by_hand in zip(grads_g, gradients(loss, gen), strict=True):
        assert torch.allclose(engine, by_hand, atol=rounding_tolerance(by_hand))


def test_the_engines_objective_is_the_notebooks_criterion(real):
    real_scores, fake_scores = real[:, 0, 0, :1], real[:, 0, 1, :1]
    objective = OBJECTIVES["non-saturating"]
    by_hand = (CRITERION(fake_scores, torch.zeros(6, 1)) + CRITERION(real_scores, torch.ones(6, 1))) / 2
    assert torch.equal(objective.discriminator(real_scores, fake_scores), by_hand)
    assert torch.equal(objective.generator(fake_scores), CRITERION(fake_scores, torch.ones(6, 1)))


@pytest.mark.parametrize("size", [(1, 28, 28), (3, 8, 8)])
def test_show_tensor_images(monkeypatch, size):
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    shown_images = []
    monkeypatch.setattr(plt, "show", lambda: shown_images.append(plt.gca().images[0].get_array()))
    n = size[0] * size[1] * size[2]
    notebook.show_tensor_images(torch.linspace(-1, 1, 30 * n).view(30, n), num_images=10, size=size)
    plt.close("all")
    assert shown_images[0].shape[:2] == (2 * (size[1] + 2) + 2, 5 * (size[2] + 2) + 2)
    assert 0 <= shown_images[0].min() <= shown_images[0].max() <= 1


def test_show_snapshots_shows_each_grid_with_the_last_measurement(monkeypatch, tmp_path: Path, capsys):
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    titles: list[str] = []
    monkeypatch.setattr(plt, "show", lambda: titles.append(plt.gca().get_title()))
    save_png(np.zeros((8, 8, 1), np.uint8), tmp_path / "grid.png")
    metrics = {"loss_d": 0.7, "loss_g": 0.8, "d_real": 0.5, "d_fake": 0.4}
    callback = notebook.ShowSnapshots()
    callback.on_log(LogEvent(100, 12800, 1.0, metrics, "probability"))
    callback.on_snapshot(SnapshotEvent(100, 12800, tmp_path / "grid.png", tmp_path))
    plt.close("all")
    assert titles == ["step 100, 12,800 images"]
    assert "Loss_D 0.700, Loss_G 0.800" in capsys.readouterr().out
