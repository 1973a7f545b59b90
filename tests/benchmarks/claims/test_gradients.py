import pytest

from benchmarks.claims import gradients
from benchmarks.claims.gradients import train_and_measure


def test_measuring_gradients_does_not_change_the_training(monkeypatch: pytest.MonkeyPatch):
    often_measured = train_and_measure("vanilla", 0, 2)
    monkeypatch.setattr(gradients, "MEASURED_STEPS", (2,))
    assert train_and_measure("vanilla", 0, 2)["notes"] == often_measured["notes"][-1:]
    first = often_measured["notes"][0]
    assert first["d_fake"] == pytest.approx(0.5, abs=0.1)
    assert first["minimax"] == pytest.approx(first["non-saturating"], rel=0.5)
