import json
import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dcgan.run.lock import lock_run
from tests.studio.conftest import wait_for

MANY = "x" * 81


def change(client: TestClient, action: str, content: dict[str, str], name: str = "small") -> tuple[int, str]:
    answer = client.post(f"/api/runs/{name}/{action}", json=content)
    return answer.status_code, answer.json().get("detail", "")


def test_a_run_is_renamed(client: TestClient, runs: Path):
    assert client.get("/api/runs/small").status_code == 200
    assert change(client, "rename", {"name": "emoji.2"}) == (200, "")
    assert [run["name"] for run in client.get("/api/runs").json()["runs"]] == ["emoji.2"]
    assert client.get("/api/runs/small").status_code == 404
    assert client.get("/api/runs/emoji.2").json()["state"] == "done"
    assert (runs / "emoji.2" / "checkpoint").is_dir()


def test_what_a_studio_knows_of_a_training_is_renamed_and_deleted_too(client: TestClient, runs: Path):
    name = client.post("/api/runs", json={"preset": "vanilla", "minutes": 0.01}).json()["name"]
    wait_for(lambda: client.get(f"/api/runs/{name}").json()["state"] == "done")
    assert change(client, "rename", {"name": "first"}, name) == (200, "")
    assert sorted(os.listdir(runs / ".studio")) == [".lock", "first"]
    assert change(client, "delete", {"name": "first"}, "first") == (200, "")
    assert sorted(os.listdir(runs / ".studio")) == [".lock"]
    assert sorted(os.listdir(runs)) == [".studio", "small"]


@pytest.mark.parametrize("name", ["", ".hidden", "../out", "a/b", "a b", MANY, "-flag", "a\n", "..", "CON:"])
def test_names_that_cannot_be_used(client: TestClient, runs: Path, name: str):
    status, reason = change(client, "rename", {"name": name})
    assert status in (400, 422)
    assert "\n" not in reason
    assert sorted(path.name for path in runs.iterdir() if path.name != ".studio") == ["small"]


def test_a_name_that_is_taken(client: TestClient, runs: Path):
    (runs / "other").mkdir()
    assert change(client, "rename", {"name": "other"}) == (400, "there is already something of the name other")
    assert change(client, "rename", {"name": "small"})[0] == 400


def test_a_run_is_deleted_only_if_its_name_is_repeated(client: TestClient, runs: Path):
    assert change(client, "delete", {"name": "smal"}) == (400, "the name was not repeated: nothing is deleted")
    assert (runs / "small").is_dir()
    assert change(client, "delete", {"name": "small"}) == (200, "")
    assert client.get("/api/runs").json()["runs"] == []
    assert os.listdir(runs) == [".studio"]
    assert os.listdir(runs / ".studio") == [".lock"]
    assert change(client, "delete", {"name": "small"})[0] == 404


@pytest.mark.parametrize("action", ["rename", "delete"])
def test_a_run_that_trains_stays(client: TestClient, runs: Path, action: str):
    with lock_run(runs / "small"):
        assert change(client, action, {"name": "small"}) == (400, "small is running: stop it first")
    assert (runs / "small").is_dir()


def test_deleting_follows_no_link(client: TestClient, runs: Path, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "picture.png").touch()
    (runs / "small" / "samples" / "more").symlink_to(tmp_path / "outside")
    (runs / "linked").symlink_to(tmp_path / "outside")
    assert change(client, "delete", {"name": "linked"}, "linked")[0] == 404
    assert change(client, "delete", {"name": "small"}) == (200, "")
    assert (tmp_path / "outside" / "picture.png").exists()


def test_a_note_is_kept_with_the_run(client: TestClient, runs: Path):
    assert client.get("/api/runs/small").json()["note"] == ""
    text = "the learning rate was too high,\nsee <b>run 2</b>: 한국어"
    assert change(client, "note", {"text": f"  {text}  "}) == (200, "")
    assert client.get("/api/runs/small").json()["note"] == text
    assert client.get("/api/runs").json()["runs"][0]["note"] == text
    assert change(client, "rename", {"name": "other"}) == (200, "")
    assert client.get("/api/runs/other").json()["note"] == text
    assert change(client, "note", {"text": " "}, "other") == (200, "")
    assert not (runs / "other" / "note.txt").exists()


def test_notes_that_are_refused(client: TestClient, runs: Path):
    assert change(client, "note", {"text": "x" * 2001})[0] == 422
    assert change(client, "note", {"text": "x"}, "nothing")[0] == 404
    headers = {"origin": "http://evil.example", "content-type": "application/json"}
    answer = client.post("/api/runs/small/note", content=json.dumps({"text": "x"}), headers=headers)
    assert answer.status_code == 403
    assert not (runs / "small" / "note.txt").exists()
