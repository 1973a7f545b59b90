import json
from pathlib import Path

from starlette.testclient import TestClient


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
