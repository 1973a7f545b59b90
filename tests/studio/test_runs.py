import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dcgan.reporting.series import score_chart
from dcgan.run.folder import RunFolder
from dcgan.run.log import EARLY_EVENT
from dcgan.studio.runs import RunStore, _seconds_left, thin_out


def test_a_run_is_shown(client: TestClient, finished_run: RunFolder):
    (run,) = client.get("/api/runs").json()["runs"]
    assert (run["name"], run["state"], run["preset"], run["data"]) == ("small", "done", "dcgan", "mnist")
    assert run["last"]["step"] == 7
    details = client.get("/api/runs/small").json()
    measurements = [m for m in finished_run.log.entries() if m.get("event", EARLY_EVENT) == EARLY_EVENT]
    losses, scores = details["charts"]
    assert [curve["name"] for curve in losses["curves"]] == ["Loss_D", "Loss_G"]
    for chart, key in ((losses, "loss_d"), (scores, "d_real")):
        points = chart["curves"][0]["points"]
        assert [x for x, _ in points] == [m["images_seen"] for m in measurements]
        assert [y for _, y in points] == pytest.approx([m[key] for m in measurements], rel=1e-5)
    assert details["samples"] == sorted(p.name for p in finished_run.samples.iterdir())
    assert run["grid_version"] == str((finished_run.path / "config.json").stat().st_mtime_ns)
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
    _, scores = RunStore(runs).details("small")["charts"]
    expected = score_chart(list(RunFolder(runs / "small").log.measurements()), score_kind)
    assert scores["title"] == expected.title
    assert [curve["name"] for curve in scores["curves"]] == list(expected.curves)
    assert scores["y_limits"] == expected.y_limits
    assert scores["reference"] == (expected.reference and vars(expected.reference))


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


@pytest.mark.parametrize("name", ["samples", "model", "checkpoint", "metrics.jsonl", "config.json"])
def test_links_in_a_run_that_lead_out_are_not_followed(
    client: TestClient, runs: Path, finished_run: RunFolder, name: str
):
    path = runs / "small" / name
    path.rename(runs.parent / name)
    path.symlink_to(runs.parent / name)
    (run,) = client.get("/api/runs").json()["runs"]
    assert (run["state"], run.get("preview")) == ("broken", None)
    assert run["problem"].startswith(f"{name} is a link that leads out")
    grid = sorted(finished_run.samples.iterdir())[0].name
    for route in (f"runs/small/samples/{grid}", "models/small", "models/small/quiz"):
        assert client.get(f"/api/{route}").status_code in (400, 404)
    assert client.post("/api/runs/small/resume", json={"minutes": 9}).status_code == 400


@pytest.mark.parametrize("name", ["metrics.jsonl", "config.json", "checkpoint/state.json", ".lock-holder.json"])
def test_a_pipe_does_not_hang_the_studio(client: TestClient, runs: Path, name: str):
    (runs / "small" / name).unlink(missing_ok=True)
    os.mkfifo(runs / "small" / name)
    (run,) = client.get("/api/runs").json()["runs"]
    assert run["state"] == "broken"
    assert f"{name} is neither a file nor a folder" in run["problem"]
    assert client.get("/api/runs/small").json()["state"] == "broken"


def test_a_run_that_stopped_is_shown_as_far_as_its_state_is(client: TestClient, runs: Path):
    """The last line of the log is older than the state that is saved at the stop."""
    path = runs / "small" / "checkpoint" / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"step": 99, "images_seen": 1584, "seconds": 7.5}))
    last = client.get("/api/runs/small").json()["last"]
    assert (last["step"], last["images_seen"], last["seconds"]) == (99, 1584, 7.5)


def test_runs_are_read_once_and_again_when_they_change(runs: Path, monkeypatch: pytest.MonkeyPatch):
    store, read_count = RunStore(runs), 0
    read_anew = RunStore._read_anew

    def count(self: RunStore, *arguments: object) -> object:
        nonlocal read_count
        read_count += 1
        return read_anew(self, *arguments)

    monkeypatch.setattr(RunStore, "_read_anew", count)
    for _ in range(5):
        store.summary("small")
        store.details("small")
    assert read_count == 1
    for change in (
        lambda run: run.log.append({**list(run.log.measurements())[-1], "step": 8, "images_seen": 128}),
        lambda run: (run.samples / "00000999.png").write_bytes(b""),
        lambda run: (run.path / "model" / "model.safetensors").unlink(),
        lambda run: (run.path / "config.json").write_text("{"),
    ):
        before = store.details("small")
        change(RunFolder(runs / "small"))
        assert store.details("small") != before
    assert read_count == 5


def test_two_readers_do_not_take_each_other_for_a_training(runs: Path):
    """A lock can only be tried by taking it for a moment."""
    (runs / "small" / ".lock").touch()
    stores = [RunStore(runs) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        states = set(threads.map(lambda i: stores[i % 4].summary("small")["state"], range(200)))
    assert states == {"done"}


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
    assert len(client.get("/api/runs/small").json()["charts"][0]["curves"][0]["points"]) == 5


def test_long_runs_are_thinned_out():
    assert thin_out(list(range(10)), 20) == list(range(10))
    for n in (401, 799, 800, 801, 100_000):
        items = thin_out(list(range(n)), 400)
        assert len(items) <= 400
        assert (items[0], items[-1]) == (0, n - 1)


@pytest.mark.parametrize(
    ("planned", "minutes", "left"), [(None, None, None), (None, 2.0, 90.0), (None, 0.1, 0.0), (600, 2.0, 150.0)]
)
def test_the_time_left_follows_from_the_plan_in_minutes_until_it_is_one_in_images(
    planned: int | None, minutes: float | None, left: float | None
):
    assert _seconds_left(planned, minutes, {"images_seen": 100, "seconds": 30.0}) == left
    assert _seconds_left(planned, minutes, None) is None
