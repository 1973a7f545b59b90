import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dcgan.run.folder import RunFolder
from dcgan.studio.runs import RunStore, thin_out


def test_a_run_is_shown(client: TestClient, finished_run: RunFolder):
    (run,) = client.get("/api/runs").json()["runs"]
    assert (run["name"], run["state"], run["preset"], run["data"]) == ("small", "done", "dcgan", "mnist")
    assert run["last"]["step"] == 7
    details = client.get("/api/runs/small").json()
    assert [line["step"] for line in details["lines"]] == [line["step"] for line in finished_run.log.measurements()]
    assert details["scores"] == "probability"
    assert details["samples"] == sorted(p.name for p in finished_run.samples.iterdir())
    grid = client.get(f"/api/runs/small/samples/{run['preview']}")
    assert grid.content == (finished_run.samples / run["preview"]).read_bytes()


@pytest.mark.parametrize(
    ("changes", "score_kind"),
    [
        ({"score_kind": "relative"}, "relative"),
        ({"score_kind": "raw"}, "raw"),
        ({"score_kind": None}, "probability"),  # version 0.1.0 wrote none: the objective's name says it
        ({"score_kind": None, "own": ["loss"]}, "raw"),
    ],
)
def test_the_run_folder_says_what_the_scores_are(runs: Path, changes: dict[str, object], score_kind: str):
    path = runs / "small" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert RunStore(runs).details("small")["scores"] == score_kind


@pytest.mark.parametrize(
    "path",
    [
        "runs/none",
        "runs/..",
        "runs/%2e%2e",
        "runs/small%2f..",
        "runs/.studio",
        "models/none",
        "models/..%2f..%2fetc",
        "runs/small/samples/..%2fconfig.json",
        "runs/small/samples/config.json",
        "runs/small/samples/00000000.png%00",
    ],
)
def test_nothing_outside_the_runs_is_served(client: TestClient, path: str):
    assert client.get(f"/api/{path}").status_code == 404


def test_links_out_of_the_folder_are_not_followed(client: TestClient, runs: Path, finished_run: RunFolder):
    (runs / "link").symlink_to(finished_run.path)
    (runs / "small" / "samples" / "99999999.png").symlink_to("/etc/hostname")
    assert [run["name"] for run in client.get("/api/runs").json()["runs"]] == ["small"]
    assert client.get("/api/runs/link").status_code == 404
    assert client.get("/api/runs/small/samples/99999999.png").status_code == 404


DAMAGES: dict[str, Callable[[Path], object]] = {
    "config is no JSON": lambda run: (run / "config.json").write_text("{"),
    "config is a list": lambda run: (run / "config.json").write_text("[]"),
    "config of a newer version": lambda run: (run / "config.json").write_text('{"format_version": 99}'),
    "config is a folder": lambda run: [(run / "config.json").unlink(), (run / "config.json").mkdir()],
    "log is a folder": lambda run: [(run / "metrics.jsonl").unlink(), (run / "metrics.jsonl").mkdir()],
    "samples is a file": lambda run: [shutil.rmtree(run / "samples"), (run / "samples").write_text("")],
    "state is no JSON": lambda run: (run / "checkpoint" / "state.json").write_text("nonsense"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_shown_as_broken(client: TestClient, runs: Path, damage: str):
    shutil.copytree(runs / "small", runs / "undamaged")
    DAMAGES[damage](runs / "small")
    response = client.get("/api/runs")
    assert response.status_code == 200
    states = {run["name"]: run["state"] for run in response.json()["runs"]}
    assert states["undamaged"] == "done"
    assert states["small"] in ("broken", "stopped", "done")
    assert client.get("/api/runs/small").status_code == 200
    assert str(runs) not in json.dumps(response.json())


def test_damaged_lines_of_the_log_are_left_out(client: TestClient, runs: Path):
    with (runs / "small" / "metrics.jsonl").open("ab") as log:
        log.write(b'{"step": 1e999}\n\xff\xfe\n{"step":')
    assert len(client.get("/api/runs/small").json()["lines"]) == 4


def test_long_runs_are_thinned_out():
    assert thin_out(list(range(10)), 20) == list(range(10))
    for n in (401, 799, 800, 801, 100_000):
        items = thin_out(list(range(n)), 400)
        assert len(items) <= 400
        assert (items[0], items[-1]) == (0, n - 1)
