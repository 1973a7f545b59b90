"""The memory of a training: expected before it begins, and refused where it does not fit."""

import copy
from pathlib import Path

import pytest
import torch

from benchmarks import costs as benchmark
from dcgan.errors import UserError
from dcgan.presets import configure
from dcgan.system import resources
from dcgan.training import memory
from dcgan.training.memory import check_step_memory
from dcgan.training.set_up import set_up
from dcgan.training.step import train_step
from tests.conftest import make_picture_folder

needs_peak = pytest.mark.skipif(not resources.reset_peak_memory(), reason="this system does not say what is held")


@needs_peak
def test_what_is_expected_is_what_is_then_held(tmp_path: Path):
    data = make_picture_folder(tmp_path / "pictures", 300)
    stated, held = benchmark.train("fast", str(data), 48, steps=4, out=tmp_path / "run")
    assert stated == pytest.approx(held, rel=0.15)


@needs_peak
@pytest.mark.parametrize("preset", ["fast", "wgan-gp"])
def test_nothing_of_the_training_changes(preset: str):
    states = [set_up(configure(preset, data="mnist", batch_size=40, g_width=4, d_width=4)) for _ in range(2)]
    before = copy.deepcopy(states[0].progress)
    assert check_step_memory(states[0]) > 2**20
    assert states[0].progress == before
    for state in states:
        train_step(state)
    own, other = (state.generator.state_dict() for state in states)
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert torch.equal(states[0].sums.totals, states[1].sums.totals)


@needs_peak
def test_a_batch_that_does_not_fit_is_refused_with_one_line(monkeypatch: pytest.MonkeyPatch):
    state = set_up(configure("dcgan", data="mnist", batch_size=4000))
    monkeypatch.setattr(resources, "available_memory", lambda: 10**6)
    with pytest.raises(
        UserError, match=r"^steps with 4,000 pictures of 28x28 need .* of memory, 1.0 MB are free: lower"
    ):
        check_step_memory(state)


def test_where_the_system_says_nothing_nothing_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "reset_peak_memory", lambda: False)
    assert check_step_memory(set_up(configure("dcgan", data="mnist"))) is None
