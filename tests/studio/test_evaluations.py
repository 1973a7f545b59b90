import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dcgan.reporting.series import Measurements
from dcgan.run.folder import RunFolder
from dcgan.studio.evaluations import read_floor


def test_figures_have_intervals_and_floors(client: TestClient, runs: Path):
    route = "/api/runs/small/evaluation"
    assert client.get(route).json() == {"context": {}, "metrics": []}
    (runs / "small" / "evaluation").mkdir()
    estimate = {"mean": 2.5, "low": 2.0, "high": 3.0, "real_against_real": 0.5}
    metrics = {"precision": estimate, "new": {**estimate, "real_against_real": None}, "bad": {"mean": float("nan")}}
    content = {"format_version": 1, "features": "random", "n": 100, "metrics": metrics}
    (runs / "small" / "evaluation" / "figures.json").write_text(json.dumps(content))
    answer = client.get(route).json()
    assert answer["context"] == {"features": "random", "n": 100}
    row = {"mean": 2.5, "low": 2.0, "high": 3.0}
    assert answer["metrics"] == [
        {"key": "precision", "title": "precision ↑", **row, "floor": 0.5},
        {"key": "new", "title": "new", **row, "floor": None},
    ]
    assert client.get("/api/runs/mnist/evaluation").status_code == 404


def test_an_evaluation_that_leads_out_is_not_read(client: TestClient, runs: Path, tmp_path: Path):
    (tmp_path / "secret.json").write_text("{}")
    (runs / "small" / "evaluation").mkdir()
    (runs / "small" / "evaluation" / "figures.json").symlink_to(tmp_path / "secret.json")
    assert client.get("/api/runs/small/evaluation").status_code == 400


FRECHET, KERNEL = "frechet_inception_distance", "kernel_inception_distance_mean"


@pytest.mark.parametrize(
    ("metric", "differences", "floor"),
    [
        (KERNEL, {}, 0.5),
        (KERNEL, {"split": "test", "n": 100}, 0.5),  # it does not depend on the number of pictures
        (KERNEL, {"features": "random"}, None),
        (FRECHET, {}, 0.5),
        (FRECHET, {"n": 100}, None),
        (FRECHET, {"split": "test"}, None),
    ],
)
def test_a_floor_is_that_of_what_is_measured(tmp_path: Path, metric: str, differences: dict, floor: float | None):
    run, context = RunFolder(tmp_path), {"features": "lite2", "split": "validation", "n": 500}
    measured = Measurements(metric, [{"event": "measured", metric: 1.0, **context}])
    assert read_floor(run, measured) is None  # it was not evaluated
    run.evaluation.mkdir()
    estimate = {"mean": 2.5, "low": 2.0, "high": 3.0, "real_against_real": 0.5}
    content = {"format_version": 1, **context, **differences, "metrics": {metric: estimate}}
    (run.evaluation / "figures.json").write_text(json.dumps(content))
    assert read_floor(run, measured) == floor
