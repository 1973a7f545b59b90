from pathlib import Path

import pytest
import torch

import dcgan
from dcgan.evaluation import compute
from dcgan.evaluation.measure import evaluate
from tests.conftest import SMALL
from tests.evaluation.helpers import SAMPLE_COUNT, write_digits

pytestmark = pytest.mark.usefixtures("small_reference")


def test_judges_are_trained_on_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    training_sizes: list[tuple[int, int]] = []

    def train_on_fakes(
        fakes: torch.Tensor,
        requested_labels: torch.Tensor,
        real: torch.Tensor,
        real_labels: torch.Tensor,
        class_count: int,
        *,
        seed: int,
        show_progress: bool,
    ) -> float:
        training_sizes.append((len(fakes), len(requested_labels)))
        assert len(real) == len(real_labels) in (10_000, 70_000)
        assert not show_progress
        return 0.5 + 0.01 * seed

    monkeypatch.setattr("dcgan.metrics.modes.train_on_fakes", train_on_fakes)
    monkeypatch.setattr(compute, "MAX_TRAINING_SAMPLES", 700)
    options = {"train_on_fakes": True, "show_progress": False}
    run = dcgan.train("cgan", out=tmp_path / "r", steps=1, **SMALL)
    accuracy = evaluate(run.path, n=SAMPLE_COUNT, **options).metrics["train_on_fakes_accuracy"]
    # more samples than the other metrics are computed from; the last judge is trained on real pictures
    assert training_sizes == 6 * [(700, 700)]
    assert accuracy.mean == pytest.approx(0.52)
    assert accuracy.real_against_real == 0.5
    training_sizes.clear()
    evaluate(run.path, n=SAMPLE_COUNT, split="all", **options)
    assert training_sizes == 5 * [(700, 700)]  # no real against real: all data are what samples are compared with
    samples = write_digits(tmp_path / "s.npz", labels=True)
    training_sizes.clear()
    accuracy = evaluate(str(samples), data="mnist", **options).metrics["train_on_fakes_accuracy"]
    assert accuracy.mean == 0.5
    assert training_sizes[:6] == [(550, 550)] + 5 * [(110, 110)]
    training_sizes.clear()
    evaluate(str(samples), data="mnist", n=51, **options)  # the parts differ by one sample at most
    assert training_sizes[:6] == [(51, 51), (11, 11)] + 4 * [(10, 10)]
