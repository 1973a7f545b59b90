"""Benchmarks whose runs are interrupted: a run goes on as if it had not been interrupted."""

from pathlib import Path

import pytest
import torch

from benchmarks import resumable
from benchmarks.resumable import start, train_until
from dcgan.config import Config
from dcgan.errors import UserError

SMALL = {"g_width": 8, "d_width": 8, "groups": 0, "batch_size": 16}
MIDDLE, END = 9 * 16, 18 * 16


def planned(seed: int = 3) -> Config:
    return resumable.plan(240, seed, **SMALL)


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for checkpoints, which are written after each step."""
    monkeypatch.setattr(resumable, "CHECKPOINT_SECONDS", -1.0)
    return tmp_path / "runs" / "240-3"


def test_an_interrupted_run_goes_on_to_the_bit(checkpoint: Path):
    interrupted = start(planned(), checkpoint)
    train_until(interrupted, MIDDLE, checkpoint, "")
    resumed = start(planned(), checkpoint)
    assert resumed.progress == interrupted.progress
    assert resumed.progress.images_seen == MIDDLE
    for state in (interrupted, resumed):
        train_until(state, END, checkpoint, "")
    weights = [torch.cat([p.flatten() for p in s.ema.network.parameters()]) for s in (interrupted, resumed)]
    assert torch.equal(*weights)


def test_without_a_checkpoint_a_run_begins(checkpoint: Path):
    assert start(planned(), checkpoint).progress.step == 0


def test_a_checkpoint_of_other_settings_is_refused(checkpoint: Path):
    train_until(start(planned(), checkpoint), 16, checkpoint, "")
    with pytest.raises(UserError, match="other settings"):
        start(planned(seed=4), checkpoint)
