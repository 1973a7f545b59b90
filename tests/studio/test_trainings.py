import json
import os
import socket
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_holder, lock_run
from dcgan.studio import app, trainings
from dcgan.studio.trainings import Trainings
from tests.studio.conftest import wait_for


def test_a_training_is_started_with_exactly_these_arguments(
    client: TestClient, started_commands: list[list[str]], runs: Path
):
    content = {"preset": "vanilla", "data": "--out=/tmp/x", "minutes": 2}
    assert client.post("/api/runs", json=content).json() == {"name": "vanilla-x-1"}
    assert client.post("/api/runs/small/resume", json={"minutes": 9}).status_code == 200
    assert [command[1:3] for command in started_commands] == [["-m", "dcgan.training.worker"]] * 2
    start, resume = (json.loads(*command[3:]) for command in started_commands)
    assert start == {
        "action": "train",
        "arguments": {"preset": "vanilla", "data": "--out=/tmp/x", "minutes": 2.0, "out": str(runs / "vanilla-x-1")},
        "status_path": str(runs / ".studio" / "vanilla-x-1.json"),
    }
    assert resume == {
        "action": "resume",
        "arguments": {"path": str(runs / "small"), "minutes": 9.0},
        "status_path": str(runs / ".studio" / "small.json"),
    }
    busy = client.post("/api/runs", json=content)
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    assert client.post("/api/runs/small/stop", json={}).status_code == 400


@pytest.mark.parametrize("preset", ["dcgna", "../x", "/etc/passwd", "a.json"])
def test_only_presets_are_started(client: TestClient, started_commands: list[list[str]], preset: str):
    assert client.post("/api/runs", json={"preset": preset}).status_code == 400
    assert started_commands == []


def test_the_error_of_a_training_that_fails_is_shown(client: TestClient):
    client.post("/api/runs", json={"data": "no such data"})
    failed = wait_for(lambda: client.get("/api/runs").json()["failed"])
    assert "no such data" in failed["fast-no_such_data-1"]


def test_a_training_on_another_computer_is_not_stopped_by_a_signal(
    client: TestClient, runs: Path, monkeypatch: pytest.MonkeyPatch
):
    signaled_processes: list[int] = []
    monkeypatch.setattr(trainings.os, "kill", lambda process_id, _: signaled_processes.append(process_id))
    host = socket.gethostname()
    with lock_run(runs / "small"):
        monkeypatch.setattr(trainings.socket, "gethostname", lambda: f"not-{host}")
        response = client.post("/api/runs/small/stop", json={})
        assert (response.status_code, signaled_processes) == (400, [])
        assert response.json()["detail"] == f"process {os.getpid()} on {host} trains small: stop it on that computer"
        monkeypatch.setattr(trainings.socket, "gethostname", lambda: host)
        assert client.post("/api/runs/small/stop", json={}).status_code == 200
    assert signaled_processes == [os.getpid()]


def test_a_training_goes_on_without_the_studio_and_is_stopped_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The training is a real process. When it is stopped, it has saved its state."""
    created_trainings: list[Trainings] = []

    def create_trainings(runs: Path) -> Trainings:
        created_trainings.append(Trainings(runs))
        return created_trainings[-1]

    monkeypatch.setattr(app, "Trainings", create_trainings)
    with TestClient(app.create_app(tmp_path / "runs")) as client:
        name = client.post("/api/runs", json={"preset": "dcgan", "minutes": 50}).json()["name"]
        folder = RunFolder(tmp_path / "runs" / name)
        wait_for(lambda: lock_holder(folder.path) and folder.checkpoint.is_dir())
    with TestClient(app.create_app(tmp_path / "runs")) as client:
        assert client.get(f"/api/runs/{name}").json()["state"] == "running"
        assert client.post(f"/api/runs/{name}/resume", json={"minutes": 60}).status_code == 400
        assert client.post(f"/api/runs/{name}/stop", json={}).status_code == 200
        wait_for(lambda: client.get(f"/api/runs/{name}").json()["state"] == "stopped")
    assert (folder.checkpoint / "state.json").is_file()
    # Python warns of a process whose status nobody has read.
    assert created_trainings[0].processes[name].wait(timeout=120) in trainings.STOPPED_STATUSES
