"""The start form's data: folders to choose from, checks, and sets that a page sends."""

import base64
import io
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from dcgan.studio import data_checks, uploads
from dcgan.studio.allowed_paths import DataRoots
from dcgan.studio.app import create_app
from dcgan.studio.security import protect
from tests.conftest import make_picture_folder
from tests.studio.conftest import wait_for


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with a folder of pictures, a broken one among them, and a link that leads out."""
    folder = make_picture_folder(tmp_path / "root" / "pictures", 30)
    (folder / "broken.png").write_bytes(b"no picture")
    (tmp_path / "root" / "way out").symlink_to(tmp_path)
    (tmp_path / "root" / ".hidden").mkdir()
    (tmp_path / "root" / "set.zip").write_bytes(b"")
    return tmp_path / "root"


@pytest.fixture
def data_client(runs: Path, root: Path) -> Iterator[TestClient]:
    with TestClient(protect(create_app(runs, DataRoots((root,)))), "http://localhost") as client:
        yield client


def test_folders_below_the_roots_are_listed_and_no_others(data_client: TestClient, root: Path, tmp_path: Path):
    top = data_client.get("/api/data/folders").json()
    assert top["sets"][:2] == ["mnist", "stacked-mnist"]
    assert top["folders"] == [{"name": "root", "data": str(root)}]
    inside = data_client.get("/api/data/folders", params={"folder": str(root)}).json()
    assert [entry["name"] for entry in inside["folders"]] == ["pictures"]
    assert [entry["name"] for entry in inside["files"]] == ["set.zip"]
    assert inside["parent"] == ""
    pictures = data_client.get("/api/data/folders", params={"folder": str(root / "pictures")}).json()
    assert (pictures["pictures"], pictures["parent"]) == (31, str(root))
    for folder in (tmp_path, root / "way out", root / "..", Path("/etc")):
        answer = data_client.get("/api/data/folders", params={"folder": str(folder)})
        assert (answer.status_code, "may not read" in answer.json()["detail"]) == (400, True)
    assert data_client.get("/api/data/folders", params={"folder": str(root / "no")}).status_code == 404


def test_folders_below_the_current_one_are_named_from_it(runs: Path, root: Path, monkeypatch: pytest.MonkeyPatch):
    (root / "mnist").mkdir()
    monkeypatch.chdir(root)
    with TestClient(create_app(runs)) as client:
        assert client.get("/api/data/folders").json()["folders"] == [{"name": "root", "data": "."}]
        inside = client.get("/api/data/folders", params={"folder": "."}).json()["folders"]
    assert inside[0] == {"name": "mnist", "data": "./mnist"}  # not the built-in set of this name


def test_names_that_no_request_can_have_are_left_out_of_the_list(runs: Path, root: Path):
    unnameable = [os.fsencode(root) + b"/\xbb\xe7\xc1\xf8", os.fsencode(root) + b"/two\nlines"]
    for folder in unnameable:
        os.mkdir(folder)
        Path(os.fsdecode(folder + b".zip")).write_bytes(b"")
    (root / "사진").mkdir()
    with TestClient(create_app(runs, DataRoots((root, Path(os.fsdecode(unnameable[0])))))) as client:
        top = client.get("/api/data/folders").json()
        inside = client.get("/api/data/folders", params={"folder": str(root)}).json()
    assert [entry["name"] for entry in top["folders"]] == ["root"]
    assert [entry["name"] for entry in inside["folders"]] == ["pictures", "사진"]
    assert [entry["name"] for entry in inside["files"]] == ["set.zip"]


def test_sets_are_no_folders_and_a_home_folder_is_found(runs: Path, root: Path, monkeypatch: pytest.MonkeyPatch):
    """Folders with the names of sets lie outside the roots here; the same name in the home folder is inside."""
    monkeypatch.setenv("HOME", str(root))
    for name in ("mnist", "join:mnist mnist", "~"):
        (root.parent / name).mkdir()
    monkeypatch.chdir(root.parent)
    with TestClient(create_app(runs, DataRoots((root,)))) as client:
        for folder in ("mnist", "join:mnist mnist"):
            assert client.get("/api/data/folders", params={"folder": folder}).status_code == 404
        inside = client.get("/api/data/folders", params={"folder": "~"}).json()
    assert [entry["name"] for entry in inside["folders"]] == ["pictures"]


def test_a_check_says_what_is_in_a_folder(data_client: TestClient, root: Path):
    check_id = data_client.post("/api/data/checks", json={"data": str(root / "pictures")}).json()["id"]
    route = f"/api/data/checks/{check_id}"
    wait_for(lambda: data_client.get(route).json()["state"] != "checking")
    answer = data_client.get(route).json()
    assert answer["state"] == "done", answer
    report = answer["report"]
    assert report["pictures"] == 30
    assert [broken["file"] for broken in report["broken"]] == ["broken.png"]
    command = shlex.split(report["advice"].pop("command"))  # it can be copied, so it names the data as the page did
    assert command[command.index("--data") + 1] == str(root / "pictures")
    assert report["advice"]["seconds_per_step"] > 0
    assert str(root) not in str(answer)  # no folder of this machine
    with Image.open(io.BytesIO(data_client.get(f"{route}/sheet").content)) as sheet:
        assert sheet.width > 100


def test_a_check_that_fails_says_why_and_others_are_refused(data_client: TestClient, root: Path):
    (root / "empty").mkdir()
    check_id = data_client.post("/api/data/checks", json={"data": str(root / "empty")}).json()["id"]
    wait_for(lambda: data_client.get(f"/api/data/checks/{check_id}").json()["state"] == "failed")
    error = data_client.get(f"/api/data/checks/{check_id}").json()["error"]
    assert "empty" in error
    assert str(root) not in error
    assert data_client.get(f"/api/data/checks/{check_id}/sheet").status_code == 404
    assert data_client.get("/api/data/checks/other").status_code == 404
    assert data_client.post("/api/data/checks", json={"data": "/etc"}).status_code == 400


def test_a_check_that_is_ended_for_later_ones_says_so(data_client: TestClient, monkeypatch: pytest.MonkeyPatch):
    def spawn(data: str, folder: Path) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

    monkeypatch.setattr(data_checks, "_spawn", spawn)
    ids = [data_client.post("/api/data/checks", json={"data": "mnist"}).json()["id"] for _ in range(3)]
    wait_for(lambda: data_client.get(f"/api/data/checks/{ids[0]}").json()["state"] != "checking")
    answers = [data_client.get(f"/api/data/checks/{check_id}").json() for check_id in ids]
    assert [answer["state"] for answer in answers] == ["ended", "checking", "checking"]
    assert "look at the data again" in answers[0]["error"]


def to_png(color: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 20), (color, 0, 9)).save(file, "PNG")
    return file.getvalue()


def send(client: TestClient, name: str, file: str, content: bytes, part_bytes: int = 50) -> tuple[int, dict[str, str]]:
    """Send a file in parts, and return the last answer."""
    for offset in range(0, max(1, len(content)), part_bytes):
        part = content[offset : offset + part_bytes]
        body = {"file": file, "offset": offset, "content": base64.b64encode(part).decode()}
        body["is_last"] = offset + part_bytes >= len(content)
        answer = client.post(f"/api/data/sets/{name}/files", json=body)
        if answer.status_code != 200:
            break
    return answer.status_code, answer.json()


def test_pictures_become_a_new_set_below_the_root(data_client: TestClient, root: Path):
    for expected in ("mine", "mine-2"):  # a set that is there is never written to
        assert data_client.post("/api/data/sets", json={"name": "mine"}).json() == {"name": expected}
    assert send(data_client, "mine", "a b.png", to_png(1)) == (200, {"data": str(root / "uploads" / "mine")})
    assert (root / "uploads" / "mine" / "a b.png").read_bytes() == to_png(1)
    assert send(data_client, "mine", "a b.png", to_png(2))[0] == 400
    assert [path.name for path in (root / "uploads" / "mine").iterdir()] == ["a b.png"]


def make_zip(member: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(member, to_png(1))
    return file.getvalue()


def test_a_zip_is_kept_as_it_is(data_client: TestClient, root: Path):
    content = make_zip("folder/a.png")
    name = data_client.post("/api/data/sets", json={"name": "zipped"}).json()["name"]
    assert send(data_client, name, "cut.zip", content[:60])[0] == 400
    assert not (root / "uploads" / "zipped").exists()
    assert send(data_client, name, "set.zip", content) == (200, {"data": str(root / "uploads" / "zipped" / "set.zip")})
    for other, other_content in (("other.zip", content), ("a.png", to_png(1))):
        status, answer = send(data_client, name, other, other_content)
        assert (status, answer["detail"]) == (400, "a set is one zip, or pictures: send each zip by itself")
    assert [path.name for path in (root / "uploads" / "zipped").iterdir()] == ["set.zip"]
    assert (root / "uploads" / "zipped" / "set.zip").read_bytes() == content


def test_a_zip_that_leads_out_of_its_folder_is_not_kept(data_client: TestClient, root: Path):
    name = data_client.post("/api/data/sets", json={"name": "zipped"}).json()["name"]
    status, answer = send(data_client, name, "set.zip", make_zip("../../outside.png"))
    assert (status, "holds an entry that points outside it" in answer["detail"]) == (400, True)
    assert not list(root.parent.rglob("outside.png"))
    assert not (root / "uploads" / "zipped").exists()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *((name, to_png(1)) for name in ("../a.png", "/etc/a.png", ".a.png", "a\\b.png", "a/b.png", "a.py", "a.png ")),
        ("a.png", b"MZ no picture"),
        ("a.jpg", to_png(1)),
    ],
)
def test_names_and_types_that_are_refused(data_client: TestClient, root: Path, file: str, content: bytes):
    name = data_client.post("/api/data/sets", json={"name": "mine"}).json()["name"]
    assert send(data_client, name, file, content, 1000)[0] == 400
    assert not (root / "uploads" / "mine").exists()
    assert send(data_client, name, "a.png", to_png(1))[0] == 200  # a good file after it makes the set


def test_sizes_gaps_and_foreign_sets_are_refused(data_client: TestClient, root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uploads, "MAX_SET_BYTES", 100)
    name = data_client.post("/api/data/sets", json={"name": "mine"}).json()["name"]
    status, answer = send(data_client, name, "a.png", to_png(1) + bytes(200))
    assert (status, "at most" in answer["detail"]) == (400, True)
    assert not (root / "uploads" / name).exists()
    name = data_client.post("/api/data/sets", json={"name": "mine"}).json()["name"]
    body = {"file": "b.png", "offset": 7, "content": base64.b64encode(b"x").decode(), "is_last": True}
    assert "in order" in data_client.post(f"/api/data/sets/{name}/files", json=body).json()["detail"]
    assert data_client.post("/api/data/sets/pictures/files", json=body).status_code == 404
    for bad in ("../x", ".x", "a/b", "x" * 41):
        assert data_client.post("/api/data/sets", json={"name": bad}).status_code in (400, 422)


def test_a_link_in_the_place_of_the_uploads_is_not_followed(data_client: TestClient, root: Path, tmp_path: Path):
    (root / "uploads").symlink_to(tmp_path / "runs")
    assert data_client.post("/api/data/sets", json={"name": "mine"}).status_code == 400
    assert not (tmp_path / "runs" / "mine").exists()
