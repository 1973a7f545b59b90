"""Tests that need a GPU. They are skipped where there is none."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dcgan
from dcgan.devices.connect import can_compile
from dcgan.metrics.nearest import CopySearch
from dcgan.presets import configure
from dcgan.training.history import History
from dcgan.training.recovery import copy_healthy_state, roll_back
from dcgan.training.set_up import set_up
from dcgan.training.sliced import FILTER_SIDES, _band_filters
from dcgan.training.state import State
from dcgan.training.step import train_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
SMALL = {"device": "cuda", "batch_size": 64}


@pytest.fixture(params=["fast", "dcgan", "dcgan64", "wgan-gp", "cgan", "r3gan"])
def state(request: pytest.FixtureRequest) -> State:
    """Return the state after three steps of a preset: memory is allocated and kernels are chosen."""
    state = set_up(configure(request.param, **SMALL))
    for _ in range(3):
        train_step(state)
    return state


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """Return the path of 200 color pictures of rectangles."""
    random, pixels = np.random.default_rng(0), np.full((200, 32, 32, 3), 255, dtype=np.uint8)
    for picture in pixels:
        top, left, height, width = random.integers(2, 14, 4)
        picture[top : top + height, left : left + width] = random.integers(0, 200, 3)
    np.save(tmp_path / "shapes.npy", pixels)
    return tmp_path / "shapes.npy"


@pytest.fixture
def _default_debug_mode() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.usefixtures("_default_debug_mode")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_no_step_waits_for_the_device(state: State):
    torch.cuda.set_sync_debug_mode("error")  # only now: setting up a training waits
    for _ in range(3):
        train_step(state)


@pytest.mark.usefixtures("_default_debug_mode")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_no_recorded_step_of_the_recipe_of_color_pictures_waits_for_the_device(shapes: Path):
    state = set_up(configure("match", device="cuda", data=str(shapes)))
    for side in FILTER_SIDES:
        _band_filters(side, state.fabric.device)  # the first step with each waits once
    for _ in range(3):
        train_step(state)
    assert state.recorder is not None
    assert state.recorder._recording is not None
    torch.cuda.set_sync_debug_mode("error")
    for _ in range(2):  # all of this epoch, but for the last step, whose batch is shortened
        train_step(state)


@pytest.mark.parametrize(
    "settings",
    [
        {"preset": "fast"},
        {"preset": "fast", "augment": "flip+diffaugment"},
        {"preset": "dcgan"},
        {"preset": "dcgan", "share_z": True, "precision": "bf16"},
        {"preset": "wgan-gp"},
        {"preset": "cgan"},
        {"preset": "r3gan", "burn_in": 0},
        {"preset": "fast", "d_norm": "none", "r1": 0.1, "penalty_every": 8},
        {"preset": "vanilla"},
        {"preset": "match"},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_a_recorded_step_does_what_the_step_does(settings: dict[str, Any], shapes: Path):
    data = {"data": str(shapes)} if settings["preset"] == "match" else {}
    state = set_up(configure(**(SMALL | settings | data)))
    if state.config.penalty_every > 1:
        train_step(state)  # the first one has penalties, and such a step is not recorded
    train_step(state)
    healthy = copy_healthy_state(state, History(None, []))
    before = state.matcher.recent_samples.clone() if state.matcher else torch.empty(0)
    train_step(state)
    assert state.recorder is not None
    assert state.recorder._recording is not None
    recorded, weights = state.sums.totals.clone(), copy_weights(state)
    recent = state.matcher.recent_samples.clone() if state.matcher else torch.empty(0)
    roll_back(state, History(None, []), healthy, "a loss")
    state.recorder, state.progress.lr_scale = None, 1.0
    train_step(state)
    # Sums over many numbers have no fixed order on a GPU, and Adam's first steps are as large for small gradients.
    assert torch.allclose(recorded, state.sums.totals, rtol=1e-2, atol=1e-2)
    for ours, theirs in zip(weights, copy_weights(state), strict=True):
        assert (ours - theirs).norm() <= 0.02 * theirs.norm() + 1e-3
    if state.matcher is not None:  # the step writes them between the two recorded parts
        assert not torch.equal(recent, before)
        assert torch.allclose(recent, state.matcher.recent_samples, atol=1e-2)


def copy_weights(state: State) -> list[torch.Tensor]:
    """Return the weights of the generator without their graph, which would keep nodes of an eager step alive."""
    return [weight.detach().clone() for weight in state.generator.parameters()]


def test_a_recording_is_given_other_pictures_latents_and_rates_at_each_step():
    state = set_up(configure("dcgan", lr_end=0.01, steps=10, **SMALL))
    changes = []
    for _ in range(10):
        before, sums = copy_weights(state), state.sums.totals.clone()
        train_step(state)
        size = sum(float((new - old).abs().sum()) for new, old in zip(copy_weights(state), before, strict=True))
        changes.append((size, float((state.sums.totals - sums)[0])))
    assert len({loss for _, loss in changes}) == 10
    assert changes[-1][0] < 0.2 * changes[3][0]


def test_a_run_that_goes_back_records_again():
    state = set_up(configure("dcgan", **SMALL))
    for _ in range(4):
        train_step(state)
    healthy = copy_healthy_state(state, History(None, []))
    train_step(state)
    state.sums.fault.fill_(1)
    roll_back(state, History(None, []), healthy, "the discriminator's loss")
    before = copy_weights(state)
    for _ in range(4):
        train_step(state)
    assert not state.sums.fault
    assert all(bool(weight.isfinite().all()) for weight in copy_weights(state))
    assert any(not torch.equal(new, old) for new, old in zip(copy_weights(state), before, strict=True))


def test_the_images_are_on_the_device(state: State):
    assert state.data.pixels.device.type == "cuda"
    assert state.conditions is None or state.conditions.device.type == "cuda"


@pytest.mark.parametrize("preset", ["dcgan", "wgan-gp", "r3gan"])
def test_training_in_bf16(preset: str):
    state = set_up(configure(preset, precision="bf16", **SMALL))
    for _ in range(3):
        train_step(state)
    assert state.sums.totals.isfinite().all()
    assert not state.sums.fault


@pytest.mark.parametrize("preset", ["fast", "dcgan", "wgan-gp", "r3gan"])
def test_compiled_networks_learn_the_same(preset: str):
    if not can_compile(torch.device("cuda")):
        pytest.skip("this torch cannot compile transposed convolutions for CUDA")
    plain, compiled = (set_up(configure(preset, compile=c, **SMALL)) for c in (False, True))
    for _ in range(3):
        train_step(plain)
        train_step(compiled)
    assert torch.allclose(plain.sums.totals, compiled.sums.totals, rtol=1e-2, atol=1e-2)


def test_the_recipe_of_color_pictures_trains_is_measured_and_resumes(shapes: Path, tmp_path: Path):
    settings = {"data": str(shapes), "device": "cuda", "evaluate_every": 2, "save_every": 2}
    dcgan.train("match", steps=4, out=tmp_path / "run", **settings)
    run = dcgan.resume(tmp_path / "run", steps=6)
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    measured = [line for line in lines if line.get("event") == "measured"]
    assert [line["step"] for line in measured] == [2, 4, 6]
    assert all(math.isfinite(line["kernel_inception_distance_mean"]) for line in measured)


def test_copies_are_searched_on_the_device_as_on_the_cpu():
    generator = torch.Generator().manual_seed(0)
    train = torch.randint(0, 256, (300, 3, 8, 8), generator=generator, dtype=torch.uint8)
    train = train.repeat_interleave(4, 2).repeat_interleave(4, 3)
    queries = [torch.cat([train[:50], train[200:250].flip(3)])]
    here, there = CopySearch(train).find(queries), CopySearch(train.cuda()).find(queries)
    for cpu, cuda in zip(here.tensors(), there.tensors(), strict=True):
        assert cuda.device.type == "cpu"
        assert torch.allclose(cpu.double(), cuda.double(), atol=1e-3)
