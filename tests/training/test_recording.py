"""What can be tested of recorded steps without a GPU; the rest is in tests/test_gpu.py."""

from contextlib import contextmanager

import pytest
import torch

from dcgan.presets import configure
from dcgan.rng import RandomPurpose
from dcgan.training.recording import StepRecorder
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from dcgan.training.step import train_step
from tests.conftest import SMALL


class UnusableGraph:
    """A graph that cannot be recorded."""

    def register_generator_state(self, generator: torch.Generator) -> None:
        assert generator.device.type == "cpu"


@contextmanager
def refuse(graph: UnusableGraph):
    raise RuntimeError("operation not permitted when stream is capturing")
    yield


def make_state(*, has_recorder: bool) -> State:
    state = set_up(configure("fast", **SMALL))
    if has_recorder:
        assert state.optimizer_d is not None
        state.recorder = StepRecorder(
            state.config.seed, state.fabric.device, [state.optimizer_g, state.optimizer_d], state.batch_indices
        )
    return state


def test_there_is_no_recorder_on_a_cpu():
    assert make_state(has_recorder=False).recorder is None


def test_a_training_goes_on_if_its_steps_cannot_be_recorded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(torch.cuda, "CUDAGraph", UnusableGraph)
    monkeypatch.setattr(torch.cuda, "graph", refuse)
    recorded, plain = make_state(has_recorder=True), make_state(has_recorder=False)
    for _ in range(4):
        train_step(recorded)
        train_step(plain)
    assert recorded.progress == plain.progress
    for ours, theirs in zip(recorded.generator.parameters(), plain.generator.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    message = capsys.readouterr().err
    assert message.count("the steps cannot be recorded here") == 1
    assert "operation not permitted" in message
    assert not any(group["capturable"] for group in recorded.optimizer_g.param_groups)


def test_what_a_step_asks_for_is_noted():
    state = make_state(has_recorder=True)
    train_step(state)
    assert state.recorder is not None
    inputs = state.recorder._inputs
    assert inputs is not None
    assert inputs.batches == [0]
    assert next(purpose for purpose, offset in inputs.purposes if offset == 0) == RandomPurpose.D_LATENTS
    assert inputs.purposes[-1] == (RandomPurpose.G_LATENTS, state.config.batch_size)
