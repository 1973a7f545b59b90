"""What can be tested of recorded steps without a GPU; the rest is in tests/test_gpu.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from dcgan.presets import configure
from dcgan.rng import RandomPurpose
from dcgan.training.progress import Progress
from dcgan.training.recording import StepParts, StepRecorder
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


def make_state(*, has_recorder: bool, preset: str = "fast", **settings: Any) -> State:
    small = {name: value for name, value in SMALL.items() if name != "d_width" or preset != "match"}
    state = set_up(configure(preset, **(small | settings)))
    if has_recorder:
        optimizers = [optimizer for optimizer in (state.optimizer_g, state.optimizer_d) if optimizer is not None]
        state.recorder = StepRecorder(state.config.seed, state.fabric.device, optimizers, state.batch_indices)
    return state


def save_few_pictures(folder: Path) -> dict[str, Any]:
    """Save color pictures; return the settings of a small training on them."""
    np.save(folder / "pictures.npy", np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8))
    return {"data": str(folder / "pictures.npy"), "image_size": 16, "z_dim": 24, "groups": 2, "batch_size": 8}


def test_there_is_no_recorder_on_a_cpu():
    assert make_state(has_recorder=False).recorder is None


@pytest.mark.parametrize("preset", ["fast", "match"])
def test_a_training_goes_on_if_its_steps_cannot_be_recorded(
    preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(torch.cuda, "CUDAGraph", UnusableGraph)
    monkeypatch.setattr(torch.cuda, "graph", refuse)
    settings = save_few_pictures(tmp_path) if preset == "match" else {}
    recorded, plain = (make_state(has_recorder=r, preset=preset, **settings) for r in (True, False))
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


class NotedGraph:
    """A graph that notes when it is replayed."""

    replayed: ClassVar[list[str]] = []

    def __init__(self) -> None:
        self.name = "begin"

    def register_generator_state(self, generator: torch.Generator) -> None: ...

    def pool(self) -> str:
        return "the memory of the first part"

    def replay(self) -> None:
        self.replayed.append(self.name)


def test_what_is_between_two_recorded_parts_is_done_between_them(monkeypatch: pytest.MonkeyPatch):
    @contextmanager
    def record(graph: NotedGraph, pool: str | None = None) -> Iterator[None]:
        graph.name = "end" if pool else "begin"
        yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", NotedGraph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    order, progress = NotedGraph.replayed, Progress(planned_images=100, first_plan=100)
    recorder = StepRecorder(0, torch.device("cpu"), [], lambda seen: torch.arange(4) + seen)

    def begin() -> Tensor:
        order.append("draws")
        return recorder.indices(progress.images_seen)

    def end(indices: Tensor) -> None:
        order.append("updates")
        progress.images_seen += len(indices)

    def between(indices: Tensor) -> None:
        order.append(f"compares {indices.tolist()}")

    for step in range(3):
        order.clear()
        recorder.run("a kind", progress, StepParts(begin, between, end))
        compares = f"compares {[4 * step + i for i in range(4)]}"
        replayed = ["begin", compares, "end"]
        assert order == [["draws", compares, "updates"], ["draws", "updates", *replayed], replayed][step]
        assert progress.images_seen == 4 * (step + 1)


def test_what_a_step_asks_for_is_noted():
    state = make_state(has_recorder=True)
    train_step(state)
    assert state.recorder is not None
    inputs = state.recorder._inputs
    assert inputs is not None
    assert inputs.batches == [0]
    assert next(purpose for purpose, offset in inputs.purposes if offset == 0) == RandomPurpose.D_LATENTS
    assert inputs.purposes[-1] == (RandomPurpose.G_LATENTS, state.config.batch_size)


def test_what_a_step_without_a_discriminator_asks_for_is_noted(tmp_path: Path):
    state = make_state(has_recorder=True, preset="match", **save_few_pictures(tmp_path))
    train_step(state)
    assert state.recorder is not None
    inputs = state.recorder._inputs
    assert inputs is not None
    assert inputs.batches == [0]
    assert inputs.purposes == [(RandomPurpose.G_LATENTS, 0)]
