import errno
import json
import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_run
from dcgan.studio import app
from dcgan.studio.allowed_paths import DataRoots
from dcgan.studio.runs import NotFoundError, RunStore


@pytest.mark.parametrize("route", ["runs", "runs/small"])
def test_a_page_that_has_the_content_gets_an_empty_answer_until_it_changes(client: TestClient, runs: Path, route: str):
    def ask(etag: str) -> tuple[int, str, int]:
        response = client.get(f"/api/{route}", headers={"if-none-match": etag})
        return response.status_code, response.headers["etag"], len(response.content)

    first = ask("")
    assert first[0] == 200
    assert ask(first[1]) == (304, first[1], 0)
    assert ask(f'"other", W/{first[1]}')[0] == 304
    last = list(RunFolder(runs / "small").log.measurements())[-1]
    RunFolder(runs / "small").log.append({**last, "step": last["step"] + 1})
    second = ask(first[1])
    assert second[0] == 200
    with lock_run(runs / "small"):
        assert ask(second[1])[0] == 200


@pytest.mark.parametrize("path", ["/api/runs/small", "/api/models/small", "/api/models/small/quiz", "/api/runs"])
def test_errors_name_no_folder_of_this_machine(client: TestClient, runs: Path, path: str):
    for name in ("config.json", "model/config.json"):
        (runs / "small" / name).write_text("{")
    text = client.get(path).text
    assert "damaged" in text
    for folder in (runs, runs.parent, Path.home(), Path.cwd()):
        assert str(folder) not in text


def test_a_name_that_is_given_again_shows_the_grids_of_its_new_run(client: TestClient, runs: Path):
    """The grids of both runs have the same names."""
    name = client.get("/api/runs/small").json()["samples"][-1]
    route = f"/api/runs/small/samples/{name}"
    first = client.get(route)
    known = {"if-none-match": first.headers["etag"]}
    assert first.headers["cache-control"] == "no-cache"
    assert (client.get(route, headers=known).status_code, client.get(route, headers=known).content) == (304, b"")
    (runs / "small" / "samples" / name).write_bytes(b"the grid of another run")
    assert client.get(route, headers=known).content == b"the grid of another run"


def test_an_answer_may_hold_a_name_that_is_no_utf8(runs: Path, tmp_path: Path):
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xbb\xe7"))
    with TestClient(app.create_app(runs, DataRoots((root,)))) as client:
        answer = client.post("/api/data/checks", json={"data": "/etc"})
    assert (answer.status_code, "…/\udcbb\udce7" in answer.json()["detail"]) == (400, True)


def test_a_full_disk_and_a_missing_permission_are_named(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    for number in (errno.ENOSPC, errno.EACCES):

        def fail(*_: object, number: int = number) -> None:
            raise OSError(number, os.strerror(number), "/a/secret")

        monkeypatch.setattr(app, "write_note", fail)
        answer = client.post("/api/runs/small/note", json={"text": "x"})
        assert (answer.status_code, answer.json()["detail"].rpartition(": ")[2]) == (400, os.strerror(number))


def test_a_store_finds_no_run_by_a_path(runs: Path):
    store = RunStore(runs)
    for name in ("", ".", "..", "small/", "./small", "../runs/small", "small/model", "\0", str(runs / "small")):
        assert not store.has(name)
        with pytest.raises(NotFoundError):
            store.details(name)
    assert json.dumps(store.details("small"))
