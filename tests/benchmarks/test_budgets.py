"""The benchmark of planned lengths: an interrupted run goes on as if it had not been interrupted."""

from pathlib import Path

import pytest
import torch

from benchmarks import budgets
from dcgan.config import Config
from dcgan.errors import UserError
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from dcgan.training.step import train_step

SMALL = {"device": "cpu", "g_width": 8, "d_width": 8, "groups": 0, "batch_size": 16}


def steps(state: State, count: int) -> State:
    for _ in range(count):
        train_step(state)
    return state


def planned(seed: int = 3) -> Config:
    return budgets.plan(240, seed, SMALL)


def test_an_interrupted_run_goes_on_to_the_bit(tmp_path: Path):
    interrupted = steps(set_up(planned()), 9)
    budgets.save(interrupted, tmp_path / "runs" / "240-3")
    resumed = set_up(planned())
    budgets.restore(resumed, tmp_path / "runs" / "240-3")
    assert resumed.progress == interrupted.progress
    weights = [torch.cat([p.flatten() for p in steps(s, 9).ema.network.parameters()]) for s in (interrupted, resumed)]
    assert torch.equal(*weights)


def test_without_a_checkpoint_nothing_is_restored(tmp_path: Path):
    state = set_up(planned())
    budgets.restore(state, tmp_path / "none")
    assert state.progress.step == 0


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path):
    budgets.save(set_up(planned()), tmp_path / "240-3")
    with pytest.raises(UserError, match="other settings"):
        budgets.restore(set_up(planned(seed=4)), tmp_path / "240-3")
