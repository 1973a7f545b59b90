import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dcgan.run.folder import RunFolder
from dcgan.run.lock import HOLDER_NAME, lock_holder, lock_run
from dcgan.studio import app, trainings
from dcgan.studio.allowed_paths import DataRoots
from dcgan.studio.runs import RunStore
from dcgan.studio.trainings import Trainings
from tests.studio.conftest import FakeProcess, wait_for


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
        "status_path": str(runs / ".studio" / "vanilla-x-1" / "status.json"),
        "holds_lock": True,
    }
    assert resume == {
        "action": "resume",
        "arguments": {"path": str(runs / "small"), "minutes": 9.0},
        "status_path": str(runs / ".studio" / "small" / "status.json"),
        "holds_lock": True,
    }
    busy = client.post("/api/runs", json=content)
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")


def test_without_a_preset_the_training_chooses(client: TestClient, started_commands: list[list[str]]):
    assert client.post("/api/runs", json={"data": "pictures"}).json() == {"name": "train-pictures-1"}
    assert json.loads(*started_commands[0][3:])["arguments"]["preset"] is None


def test_advised_settings_are_those_of_the_training(client: TestClient, started_commands: list[list[str]], runs: Path):
    settings = {"image_size": "32x64", "fit": "pad", "batch_size": 8}
    assert client.post("/api/runs", json={"preset": "match", "data": "pictures", **settings}).status_code == 201
    arguments = json.loads(*started_commands[0][3:])["arguments"]
    assert settings.items() <= arguments.items()
    assert settings.items() <= json.loads((runs / ".studio" / "match-pictures-1" / "request.json").read_text()).items()


@pytest.mark.parametrize(
    "setting",
    [{"fit": "cut"}, {"batch_size": 0}, {"batch_size": 65_537}, {"batch_size": 1.5}]
    + [{"image_size": size} for size in ("15", "257", "32x", "32x512", "-32", "٣٢x٣٢")],
)
def test_settings_that_no_training_can_have_start_none(
    client: TestClient, started_commands: list[list[str]], setting: dict[str, object]
):
    assert client.post("/api/runs", json={"preset": "match", **setting}).status_code in (400, 422)
    assert started_commands == []


@pytest.mark.parametrize("preset", ["dcgna", "../x", "/etc/passwd", "a.json"])
def test_only_presets_are_started(client: TestClient, started_commands: list[list[str]], preset: str):
    assert client.post("/api/runs", json={"preset": preset}).status_code == 400
    assert started_commands == []


def test_the_error_of_a_training_that_fails_stays_until_it_is_dismissed(client: TestClient, runs: Path):
    name = client.post("/api/runs", json={"data": "no such data"}).json()["name"]
    assert client.get(f"/api/runs/{name}").json()["state"] == "loading"
    failed = wait_for(lambda: client.get("/api/runs").json()["failed"])
    assert "no such data" in failed[name]
    run = client.get(f"/api/runs/{name}").json()
    assert (run["state"], run["failure"]) == ("failed", failed[name])
    with TestClient(app.create_app(runs)) as next_studio:
        assert next_studio.get("/api/runs").json()["failed"] == failed
        assert next_studio.post(f"/api/runs/{name}/dismiss", json={}).status_code == 200
    assert client.get("/api/runs").json()["failed"] == {}
    assert client.get(f"/api/runs/{name}").status_code == 404
    assert client.post(f"/api/runs/{name}/dismiss", json={}).status_code == 404


@pytest.mark.parametrize("studios", [1, 2])
def test_of_many_starts_at_once_only_two_are_accepted(runs: Path, started_commands: list[list[str]], studios: int):
    """In one studio, or in two studios over the same runs."""
    clients = [TestClient(app.create_app(runs)) for _ in range(studios)]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda i: clients[i % studios].post("/api/runs", json={}), range(16)))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [503] * 14
    names = [answer.json()["name"] for answer in answers if answer.status_code == 201]
    assert sorted(names) == ["fast-mnist-1", "fast-mnist-2"]
    assert len(started_commands) == 2


def test_trainings_of_other_processes_count(client: TestClient, runs: Path, started_commands: list[list[str]]):
    shutil.copytree(runs / "small", runs / "other")
    with lock_run(runs / "small"), lock_run(runs / "other"):
        assert client.post("/api/runs", json={}).status_code == 503
        assert client.post("/api/runs/other/resume", json={"minutes": 9}).json()["detail"] == "other is running already"
    with lock_run(runs / "small"):
        assert client.post("/api/runs", json={}).status_code == 201
        assert client.post("/api/runs/other/resume", json={"minutes": 9}).status_code == 503
    assert len(started_commands) == 1


def test_a_name_of_a_training_that_still_loads_is_not_given_again(
    runs: Path, started_commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(trainings, "MAX_TRAININGS", 9)
    names = [TestClient(app.create_app(runs)).post("/api/runs", json={}).json()["name"] for _ in range(3)]
    assert names == ["fast-mnist-1", "fast-mnist-2", "fast-mnist-3"]


@pytest.mark.usefixtures("started_commands")
@pytest.mark.parametrize(("chosen", "expected"), [(None, [None, "4"]), ("3", ["3", "3"])])
def test_a_training_beside_another_one_has_its_share_of_the_cores(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, chosen: str | None, expected: list[str | None]
):
    monkeypatch.setattr(trainings, "usable_core_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if chosen:
        monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    for _ in expected:
        assert client.post("/api/runs", json={}).status_code == 201
    assert FakeProcess.thread_counts == expected


@pytest.fixture
def created_trainings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Trainings]]:
    """Return a list that gets the trainings of each studio that is made. None of them outlives the test."""
    created: list[Trainings] = []

    def create_trainings(store: RunStore, data_roots: DataRoots) -> Trainings:
        created.append(Trainings(store, data_roots))
        return created[-1]

    monkeypatch.setattr(app, "Trainings", create_trainings)
    yield created
    for process in [process for own in created for process in own.processes.values()]:
        process.kill()
        process.wait()  # Python warns of a process whose status nobody has read


@pytest.mark.usefixtures("endless_import")
def test_a_training_is_shown_and_stopped_while_it_loads(tmp_path: Path, created_trainings: list[Trainings]):
    """The training is a real process; the studio that stops it is another one than the studio that started it."""
    runs = tmp_path / "runs"
    with TestClient(app.create_app(runs)) as client:
        name = client.post("/api/runs", json={"preset": "dcgan", "minutes": 50}).json()["name"]
        (run,) = client.get("/api/runs").json()["runs"]
        assert (run["name"], run["state"], run["preset"], run["data"]) == (name, "loading", "dcgan", "mnist")
    with TestClient(app.create_app(runs)) as client:
        wait_for(lambda: getattr(lock_holder(runs / ".studio" / name), "process_id", 0))
        assert client.get(f"/api/runs/{name}").json()["state"] == "loading"
        assert client.post(f"/api/runs/{name}/stop", json={}).status_code == 200
        wait_for(lambda: client.get(f"/api/runs/{name}").status_code == 404)
        assert client.get("/api/runs").json()["failed"] == {}
        assert lock_holder(runs / ".studio" / name) is None
        assert not (runs / name).exists()
    assert created_trainings[0].processes[name].wait(timeout=120) in trainings.STOPPED_STATUSES


def test_a_process_that_is_killed_is_said_to_have_ended(client: TestClient, runs: Path):
    name = client.post("/api/runs", json={}).json()["name"]
    process_id = wait_for(lambda: getattr(lock_holder(runs / ".studio" / name), "process_id", 0))
    os.kill(process_id, signal.SIGKILL)
    failed = wait_for(lambda: client.get("/api/runs").json()["failed"])
    assert "ended with status -9" in failed[name]
    assert f".studio/{name}/output.log" in failed[name]


def test_a_resume_that_is_shorter_than_what_was_trained_says_so(
    client: TestClient, runs: Path, started_commands: list[list[str]]
):
    path = runs / "small" / "checkpoint" / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 312.0}))
    for minutes in (0.1, 5.2):
        response = client.post("/api/runs/small/resume", json={"minutes": minutes})
        assert response.status_code == 400
        assert "small has trained for 5.2 minutes already: give more" in response.json()["detail"]
    assert started_commands == []
    assert client.post("/api/runs/small/resume", json={"minutes": 5.3}).status_code == 200


def test_data_outside_the_given_folders_are_neither_started_with_nor_resumed(
    client: TestClient, runs: Path, started_commands: list[list[str]]
):
    for data in ("/proc", "/etc", "../..", "~"):
        response = client.post("/api/runs", json={"data": data})
        assert response.status_code == 400
        assert "--data-root" in response.json()["detail"]
    config, state = (
        json.loads((runs / "small" / name).read_text()) for name in ("config.json", "checkpoint/state.json")
    )
    for data, path in (("/etc", None), ("pictures", "/etc"), ("/etc", str(Path.cwd() / "pictures"))):
        config["settings"]["data"], state["data_path"] = data, path
        (runs / "small" / "config.json").write_text(json.dumps(config))
        (runs / "small" / "checkpoint" / "state.json").write_text(json.dumps(state))
        response = client.post("/api/runs/small/resume", json={"minutes": 9})
        assert (response.status_code, started_commands) == (400, [])
        assert "--data-root" in response.json()["detail"]


@pytest.mark.parametrize("action", ["stop", "resume", "dismiss"])
@pytest.mark.parametrize("name", ["none", "..", "%2e%2e", ".studio", "small%2f.."])
def test_actions_on_nothing_are_not_found(client: TestClient, name: str, action: str):
    response = client.post(f"/api/runs/{name}/{action}", json={"minutes": 9} if action == "resume" else {})
    assert response.status_code in (404, 405)
    assert (client.get("/api/runs/small").status_code) == 200


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


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ProcessLookupError, "small is not running"),
        (PermissionError, f"process {os.getpid()} on {socket.gethostname()} trains small for another user"),
    ],
    ids=["ended", "of-another-user"],  # the texts differ between the processes that test
)
def test_a_process_that_cannot_be_signaled_is_explained(
    client: TestClient, runs: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError], reason: str
):
    def kill(process_id: int, number: int) -> None:
        raise error(1, "x")

    monkeypatch.setattr(trainings.os, "kill", kill)
    with lock_run(runs / "small"):
        response = client.post("/api/runs/small/stop", json={})
    assert (response.status_code, response.json()["detail"][: len(reason)]) == (400, reason)


def test_a_process_that_is_not_known_yet_is_not_on_another_computer(client: TestClient, runs: Path):
    with lock_run(runs / "small"):
        (runs / "small" / HOLDER_NAME).write_text("")
        response = client.post("/api/runs/small/stop", json={})
    expected = "it is not known yet which process trains small: try again in a moment"
    assert (response.status_code, response.json()["detail"]) == (400, expected)


def test_a_training_goes_on_without_the_studio_and_is_stopped_by_the_next_one(
    tmp_path: Path, created_trainings: list[Trainings]
):
    """The training is a real process. When it is stopped, it has saved its state."""
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
    assert created_trainings[0].processes[name].wait(timeout=120) in trainings.STOPPED_STATUSES
