"""What holds on a GPU only. Skipped where there is none."""

from collections.abc import Iterator

import pytest
import torch

from dcgan.config import configure
from dcgan.state import State, setup
from dcgan.step import update

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
SMALL = {"device": "cuda", "batch_size": 64}


@pytest.fixture(params=["fast", "dcgan", "dcgan64", "wgan-gp", "cgan", "r3gan"])
def state(request: pytest.FixtureRequest) -> State:
    """Three steps of a preset: memory is taken and kernels are chosen."""
    state = setup(configure(request.param, **SMALL))
    for _ in range(3):
        update(state)
    return state


@pytest.fixture
def no_waiting() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def test_no_step_waits_for_the_device(state: State, no_waiting: None):
    for _ in range(3):
        update(state)


def test_the_pictures_are_on_the_device(state: State):
    assert state.data.pixels.device.type == "cuda"
    assert state.told is None or state.told.device.type == "cuda"


@pytest.mark.parametrize("preset", ["dcgan", "wgan-gp", "r3gan"])
def test_bf16(preset: str):
    state = setup(configure(preset, precision="bf16", **SMALL))
    for _ in range(3):
        update(state)
    assert state.totals.isfinite().all()
    assert not state.fault


@pytest.mark.parametrize("preset", ["fast", "dcgan", "wgan-gp", "r3gan"])
def test_compiled_networks_learn_the_same(preset: str):
    plain, compiled = (setup(configure(preset, compile=c, **SMALL)) for c in (False, True))
    for _ in range(3):
        update(plain)
        update(compiled)
    assert torch.allclose(plain.totals, compiled.totals, rtol=1e-2, atol=1e-2)
