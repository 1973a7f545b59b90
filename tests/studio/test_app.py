import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import schemathesis
import torch
from hypothesis import HealthCheck, given, settings
from starlette.testclient import TestClient

import dcgan
from dcgan.data.open import open_images
from dcgan.metrics import judge
from dcgan.models import shipped
from dcgan.run import lock
from dcgan.run.folder import RunFolder
from dcgan.sampling import latents
from dcgan.studio import app as studio
from dcgan.studio import drawing_queue, serve, trainings
from dcgan.studio import runs as runs_module
from dcgan.studio.security import LARGEST_BODY, SecurityMiddleware


@pytest.fixture
def runs(finished_run: RunFolder, tmp_path: Path) -> Path:
    """A folder with one whole run."""
    shutil.copytree(finished_run.path, tmp_path / "runs" / "small")
    return tmp_path / "runs"


@pytest.fixture
def client(runs: Path) -> Iterator[TestClient]:
    with TestClient(SecurityMiddleware(studio.create_app(runs), serve.LOOPBACK), "http://localhost") as found:
        yield found


class FakeTraining:
    """In the place of a process."""

    started: list[list[str]]
    returncode = 0

    def __init__(self, words: list[str], **options: object) -> None:
        assert options["start_new_session"]
        FakeTraining.started.append(words)

    def poll(self) -> int | None:
        return None


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """No training is started; this is what would have been."""
    FakeTraining.started = []
    monkeypatch.setattr(trainings.subprocess, "Popen", FakeTraining)
    return FakeTraining.started


def test_a_run_is_shown(client: TestClient, finished_run: RunFolder):
    (run,) = client.get("/api/runs").json()["runs"]
    assert (run["name"], run["state"], run["preset"], run["data"]) == ("small", "done", "dcgan", "mnist")
    assert run["last"]["step"] == 7
    detail = client.get("/api/runs/small").json()
    assert [line["step"] for line in detail["lines"]] == [line["step"] for line in finished_run.log.measurements()]
    assert detail["scores"] == "probability"
    assert detail["samples"] == sorted(p.name for p in finished_run.samples.iterdir())
    picture = client.get(f"/api/runs/small/samples/{run['preview']}")
    assert picture.content == (finished_run.samples / run["preview"]).read_bytes()


def test_models_that_come_with_the_package_are_there_too(client: TestClient, runs: Path):
    assert client.get("/api/runs").json()["shipped"] == list(shipped.SHIPPED_NAMES)
    for name in shipped.SHIPPED_NAMES:
        ours = dcgan.load(name)
        assert client.get(f"/api/models/{name}").json()["z_dim"] == ours.generator.z_dim
        quiz = client.get(f"/api/models/{name}/quiz").json()
        assert len(quiz["pictures"]) == 20
        assert quiz["says_real"] is None  # no discriminator comes along
        assert client.get(f"/api/runs/{name}").status_code == 404
    (runs / "small").rename(runs / "mnist")
    assert client.get("/api/models/mnist").json()["z_dim"] == 8  # the visitor's own goes first
    assert client.get("/api/runs").json()["shipped"] == ["mnist-dcgan", "mnist-cgan"]


@pytest.mark.parametrize(
    ("name", "n"),
    [("mnist-cgan", 10), *(pytest.param(name, 100, marks=pytest.mark.slow) for name in ("mnist", "mnist-cgan"))],
)
def test_nine_of_ten_test_digits_keep_their_class(client: TestClient, name: str, n: int):
    digits, kept = open_images("mnist", "test"), 0
    client.post(f"/api/models/{name}/invert", json={"pixels": [0] * 784})  # loads the model, draws its pool
    for pixels, label in zip(digits.pixels[:n], digits.labels[:n], strict=True):
        begin = time.process_time()
        found = client.post(f"/api/models/{name}/invert", json={"pixels": pixels.flatten().tolist()}).json()
        assert time.process_time() - begin < 2
        seen = torch.tensor(found["pixels"], dtype=torch.uint8).view(1, 1, 28, 28)
        kept += int(judge.judge_images(judge.load_shipped_judge(), seen)[1].argmax()) == int(label)
    assert kept >= 0.9 * n


@pytest.mark.parametrize(
    "path",
    [
        *(
            "runs/none",
            "runs/..",
            "runs/%2e%2e",
            "runs/small%2f..",
            "runs/.studio",
            "models/none",
            "models/..%2f..%2fetc",
        ),
        *(
            "runs/small/samples/..%2fconfig.json",
            "runs/small/samples/config.json",
            "runs/small/samples/00000000.png%00",
        ),
    ],
)
def test_nothing_outside_the_runs_is_reached(client: TestClient, path: str):
    assert client.get(f"/api/{path}").status_code == 404


def test_links_out_of_the_folder_are_not_followed(client: TestClient, runs: Path, finished_run: RunFolder):
    (runs / "link").symlink_to(finished_run.path)
    (runs / "small" / "samples" / "99999999.png").symlink_to("/etc/hostname")
    assert [run["name"] for run in client.get("/api/runs").json()["runs"]] == ["small"]
    assert client.get("/api/runs/link").status_code == 404
    assert client.get("/api/runs/small/samples/99999999.png").status_code == 404


BREAK: dict[str, Callable[[Path], object]] = {
    "config is no JSON": lambda run: (run / "config.json").write_text("{"),
    "config is a list": lambda run: (run / "config.json").write_text("[]"),
    "config of a newer version": lambda run: (run / "config.json").write_text('{"format_version": 99}'),
    "config is a folder": lambda run: [(run / "config.json").unlink(), (run / "config.json").mkdir()],
    "log is a folder": lambda run: [(run / "metrics.jsonl").unlink(), (run / "metrics.jsonl").mkdir()],
    "samples is a file": lambda run: [shutil.rmtree(run / "samples"), (run / "samples").write_text("")],
    "state is no JSON": lambda run: (run / "checkpoint" / "state.json").write_text("nonsense"),
}


@pytest.mark.parametrize("how", BREAK)
def test_a_broken_run_is_shown_as_broken(client: TestClient, runs: Path, how: str):
    shutil.copytree(runs / "small", runs / "whole")
    BREAK[how](runs / "small")
    found = client.get("/api/runs")
    assert found.status_code == 200
    states = {run["name"]: run["state"] for run in found.json()["runs"]}
    assert states["whole"] == "done"
    assert states["small"] in ("broken", "stopped", "done")
    assert client.get("/api/runs/small").status_code == 200
    assert str(runs) not in json.dumps(found.json())


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_damaged_model_is_a_mistake_not_a_crash(client: TestClient, runs: Path, file: str):
    (runs / "small" / "model" / file).write_bytes(b"damaged")
    for path in ("", "/latents", "/quiz"):
        assert client.get(f"/api/models/small{path}").status_code == 400


def test_torn_lines_of_the_log_are_left_out(client: TestClient, runs: Path):
    with (runs / "small" / "metrics.jsonl").open("ab") as log:
        log.write(b'{"step": 1e999}\n\xff\xfe\n{"step":')
    assert len(client.get("/api/runs/small").json()["lines"]) == 4


def test_the_server_draws_what_the_command_draws(client: TestClient, runs: Path):
    about = client.get("/api/models/small").json()
    assert (about["z_dim"], about["shape"], about["classes"]) == (8, [1, 28, 28], [])
    z = client.get("/api/models/small/latents", params={"seed": 4, "n": 3}).json()["z"]
    assert np.allclose(z, latents.draw_latents(4, 3, 8))
    pixels = client.post("/api/models/small/draw", json={"z": z}).content
    assert (
        np.frombuffer(pixels, np.uint8).reshape(3, 28, 28, 1).tolist()
        == dcgan.load(runs / "small").sample(3, seed=4).tolist()
    )


def test_a_picture_is_inverted(client: TestClient, runs: Path):
    picture = dcgan.load(runs / "small").sample(1, seed=4)[0]
    found = client.post("/api/models/small/invert", json={"pixels": picture.flatten().tolist()}).json()
    assert len(found["z"]) == 8
    far = np.sqrt(((np.array(found["pixels"]) - picture.flatten().astype(float)) ** 2).mean())
    assert far == pytest.approx(found["error"], abs=0.5)


def test_the_quiz_shows_real_and_generated_pictures_and_asks_the_discriminator(client: TestClient):
    quiz = client.get("/api/models/small/quiz", params={"seed": 1}).json()
    assert len(quiz["pictures"]) == len(quiz["is_real"]) == len(quiz["says_real"]) == 20
    assert 0 < sum(quiz["is_real"]) < 20
    real = {bytes(p) for p, is_real in zip(quiz["pictures"], quiz["is_real"], strict=True) if is_real}
    digits = dcgan.data.open_images("mnist", "test").pixels.numpy()
    assert real <= {digit.tobytes() for digit in digits}
    assert client.get("/api/models/small/quiz", params={"seed": 1}).json() == quiz


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("draw", {"z": [[0.0] * 7]}),
        ("draw", {"z": []}),
        ("draw", {"z": [[0.0] * 8] * 65}),
        ("draw", {"z": [[1e9] * 8]}),
        ("invert", {"pixels": [0] * 783}),
        ("invert", {"pixels": [256] * 784}),
    ],
)
def test_sizes_are_bounded(client: TestClient, path: str, content: dict[str, object]):
    assert client.post(f"/api/models/small/{path}", json=content).status_code in (400, 422)


def test_a_training_is_started_with_just_these_words(client: TestClient, started: list[list[str]], runs: Path):
    wanted = {"preset": "vanilla", "data": "--out=/tmp/x", "minutes": 2}
    assert client.post("/api/runs", json=wanted).json() == {"name": "vanilla-x-1"}
    (words,) = started
    expected = ["--preset", "vanilla", "--data=--out=/tmp/x", "--minutes=2.0", f"--out={runs / 'vanilla-x-1'}"]
    assert words[1:] == ["-m", "dcgan", "train", *expected]
    assert client.post("/api/runs/small/resume", json={"minutes": 9}).status_code == 200
    assert started[1][3:] == ["resume", str(runs / "small"), "--minutes=9.0"]
    busy = client.post("/api/runs", json=wanted)
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    assert client.post("/api/runs/small/stop", json={}).status_code == 400


@pytest.mark.parametrize("preset", ["dcgna", "../x", "/etc/passwd", "a.json"])
def test_only_presets_are_started(client: TestClient, started: list[list[str]], preset: str):
    assert client.post("/api/runs", json={"preset": preset}).status_code == 400
    assert started == []


def test_a_training_that_fails_at_once_says_why(client: TestClient):
    client.post("/api/runs", json={"data": "no such data"})
    failed = _wait(lambda: client.get("/api/runs").json()["failed"])
    assert "no such data" in failed["fast-no_such_data-1"]


def test_no_more_than_some_things_wait(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(drawing_queue, "MOST_WAITING", 0)
    refused = client.get("/api/models/small")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert "try again" in refused.json()["detail"]


# who may ask


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "[::2]"])
def test_a_name_that_is_bound_to_this_address_is_refused(client: TestClient, host: str):
    assert client.get("/api/runs", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:7860", "[::1]:7860"])
def test_loopback_is_served(client: TestClient, host: str):
    assert client.get("/api/runs", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://localhost", "http://localhost:1"])
def test_another_page_starts_no_training(client: TestClient, started: list[list[str]], origin: str):
    assert client.post("/api/runs", json={}, headers={"origin": origin}).status_code == 403
    assert client.post("/api/runs", content="{}", headers={"content-type": "text/plain"}).status_code == 415
    assert started == []
    assert client.post("/api/runs", json={}, headers={"origin": "http://localhost"}).status_code == 201


def test_bodies_are_bounded(client: TestClient):
    headers = {"content-type": "application/json"}
    assert client.post("/api/runs", content=b" " * (LARGEST_BODY + 1), headers=headers).status_code == 413
    pieces = (b" " * 2**20 for _ in range(9))
    assert client.post("/api/runs", content=pieces, headers=headers).status_code == 413
    assert client.post("/api/runs", content=b"{}", headers=headers | {"content-length": "x"}).status_code == 413


def test_another_host_needs_the_token(runs: Path):
    app, address = serve.guarded(runs, "0.0.0.0", 80)
    token = address.partition("?token=")[2]
    assert len(token) >= 24
    with TestClient(app, "http://box.example") as client:
        for headers in ({}, {"authorization": "Bearer x"}, {"cookie": b"dcgan-token=\xe9"}, {"cookie": 'a="; ;='}):
            assert client.get("/api/runs", headers=headers).status_code == 401
        assert client.get("/?token=x").status_code == 401
        assert client.get("/api/runs", headers={"authorization": f"Bearer {token}"}).status_code == 200
        assert "set-cookie" in client.get(f"/?token={token}").headers
        assert client.get("/api/runs").status_code == 200  # by the cookie
    assert serve.guarded(runs, "127.0.0.1", 80)[1] == "http://127.0.0.1:80/"


@pytest.mark.parametrize(
    ("host", "is_so"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("box", False)]
)
def test_what_is_loopback(host: str, is_so: bool):
    assert serve.is_loopback(host) == is_so


def test_every_answer_forbids_to_fetch_from_elsewhere(client: TestClient):
    for path in ("/", "/api/runs", "/web/play.js"):
        assert "default-src 'self'" in client.get(path).headers["content-security-policy"]


def test_a_port_in_use_is_one_line(runs: Path, refused: Callable[..., str]):
    with serve._listen("127.0.0.1", 0) as taken:
        line = refused("studio", str(runs), "--port", str(taken.getsockname()[1]), "--no-browser")
    assert "give another --port" in line
    assert "is no folder" in refused("studio", __file__, "--port", "0", "--no-browser")
    assert "from 0 to 65535" in refused("studio", str(runs), "--port", "70000", "--no-browser")
    assert "cannot listen" in refused("studio", str(runs), "--host", "203.0.113.1", "--port", "0", "--no-browser")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]):
    monkeypatch.setattr("dcgan.commands.studio.find_spec", lambda name: None)
    assert "the studio needs fastapi and uvicorn: pip install 'dcgan[studio]'" in refused("studio")


def test_the_pages_weigh_little_and_name_no_other_place():
    root = Path(dcgan.__file__).parent
    files = [p for folder in ("web", "studio/static") for p in (root / folder).iterdir()]
    assert sum(p.stat().st_size for p in files) < 300_000
    for path in files:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
        assert "http" not in text, path


def test_long_runs_are_thinned():
    assert runs_module.thinned(list(range(10)), 20) == list(range(10))
    for n in (401, 799, 800, 801, 100_000):
        kept = runs_module.thinned(list(range(n)), 400)
        assert len(kept) <= 400
        assert (kept[0], kept[-1]) == (0, n - 1)


@pytest.mark.filterwarnings("ignore")
def test_whatever_is_asked_there_is_no_server_error(runs: Path, started: list[list[str]]):
    """Schemathesis against the OpenAPI description. Events never end, so they are tried in the browser."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", studio.create_app(runs)).exclude(path_regex="/events$")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 11
    for operation in operations:

        @settings(max_examples=10, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            if "name" in case.path_parameters:
                case.path_parameters["name"] = "small"  # else it would all end at "there is no run"
            response = case.call()
            assert response.status_code < 500 or response.status_code == 503, response.content

        ask()


def _wait(happens: Callable[[], Any], seconds: float = 120) -> Any:
    until = time.monotonic() + seconds
    while not (found := happens()):
        assert time.monotonic() < until
        time.sleep(0.1)
    return found


def test_a_training_lives_on_without_the_studio_and_is_stopped_by_the_next_one(tmp_path: Path):
    """In a real process: stopped, it has saved, and can go on."""
    with TestClient(studio.create_app(tmp_path / "runs")) as client:
        name = client.post("/api/runs", json={"preset": "dcgan", "minutes": 50}).json()["name"]
        folder = RunFolder(tmp_path / "runs" / name)
        _wait(lambda: lock.lock_holder(folder.path) and folder.checkpoint.is_dir(), 120)
    with TestClient(studio.create_app(tmp_path / "runs")) as client:
        assert client.get(f"/api/runs/{name}").json()["state"] == "running"
        assert client.post(f"/api/runs/{name}/resume", json={"minutes": 60}).status_code == 400
        assert client.post(f"/api/runs/{name}/stop", json={}).status_code == 200
        _wait(lambda: client.get(f"/api/runs/{name}").json()["state"] == "stopped", 120)
    assert (folder.checkpoint / "state.json").is_file()
