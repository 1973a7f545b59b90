"""Tests that need a GPU. They are skipped where there is none."""

from collections.abc import Iterator

import pytest
import torch

from dcgan.presets import configure
from dcgan.training.state import State, set_up
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
def _error_if_the_host_waits() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.usefixtures("_error_if_the_host_waits")
def test_no_step_waits_for_the_device(state: State):
    for _ in range(3):
        train_step(state)


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
    plain, compiled = (set_up(configure(preset, compile=c, **SMALL)) for c in (False, True))
    for _ in range(3):
        train_step(plain)
        train_step(compiled)
    assert torch.allclose(plain.sums.totals, compiled.sums.totals, rtol=1e-2, atol=1e-2)
