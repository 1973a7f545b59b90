"""The benchmark of learning rates measures generators with and without classes."""

import pytest
from torch import Tensor, nn

from benchmarks import stability
from benchmarks.judge_metrics import JudgeMetrics, Measurement
from dcgan.presets import configure
from dcgan.training.set_up import set_up
from dcgan.training.step import train_step


@pytest.mark.parametrize("preset", ["cgan", "fast"])
def test_a_generator_is_measured(preset: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stability, "SAMPLE_COUNT", 50)
    state = set_up(configure(preset, device="cpu", batch_size=8, g_width=4, d_width=4))
    train_step(state)
    judge, asked = JudgeMetrics(), []
    measure = judge.measure

    def note_labels(generator: nn.Module, z: Tensor, labels: Tensor | None) -> Measurement:
        asked.append(labels)
        return measure(generator, z, labels)

    monkeypatch.setattr(judge, "measure", note_labels)
    measured = stability.measure_state(state, judge)
    assert measured["images_seen"] == 8
    assert measured["frechet"] > 0
    if preset == "cgan":
        assert asked[0].bincount().tolist() == [5] * 10
    else:
        assert asked == [None]
