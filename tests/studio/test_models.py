import base64
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

import dcgan
from dcgan.data.open import open_images
from dcgan.metrics.judge import network as judge
from dcgan.models import shipped, upsample
from dcgan.models.store import save_generator
from dcgan.sampling import latents
from dcgan.studio.app import create_app


def to_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_models_that_come_with_the_package_are_listed(client: TestClient, runs: Path):
    assert client.get("/api/runs").json()["shipped"] == list(shipped.SHIPPED_NAMES)
    for name in shipped.SHIPPED_NAMES:
        model = dcgan.load(name)
        assert client.get(f"/api/models/{name}").json()["z_dim"] == model.generator.z_dim
        quiz = client.get(f"/api/models/{name}/quiz").json()
        assert len(quiz["pictures"]) == 20
        assert quiz["says_real"] is None  # the package has no discriminator for it
        assert client.get(f"/api/runs/{name}").status_code == 404
    (runs / "small").rename(runs / "mnist")
    assert client.get("/api/models/mnist").json()["z_dim"] == 8  # the visitor's own run comes first
    assert client.get("/api/runs").json()["shipped"] == ["mnist-dcgan", "mnist-cgan"]


@pytest.mark.parametrize(
    ("name", "n"),
    [("mnist-cgan", 4), *(pytest.param(name, 100, marks=pytest.mark.slow) for name in ("mnist", "mnist-cgan"))],
)
def test_nine_of_ten_test_digits_keep_their_class(client: TestClient, name: str, n: int):
    digits, right_count = open_images("mnist", "test"), 0
    client.post(
        f"/api/models/{name}/invert", json={"pixels": to_base64(bytes(784))}
    )  # loads the model, draws its start pool
    for pixels, label in zip(digits.pixels[:n], digits.labels[:n], strict=True):
        start = time.process_time()
        inversion = client.post(
            f"/api/models/{name}/invert", json={"pixels": to_base64(pixels.numpy().tobytes())}
        ).json()
        assert time.process_time() - start < 5  # which other jobs on the machine lengthen
        image = torch.tensor(inversion["pixels"], dtype=torch.uint8).view(1, 1, 28, 28)
        right_count += int(judge.judge_images(judge.load_shipped_judge(), image)[1].argmax()) == int(label)
    assert right_count >= 0.9 * n


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_damaged_model_is_a_user_error(client: TestClient, runs: Path, file: str):
    (runs / "small" / "model" / file).write_bytes(b"damaged")
    for path in ("", "/latents", "/quiz"):
        assert client.get(f"/api/models/small{path}").status_code == 400


def test_the_server_draws_what_the_command_draws(client: TestClient, runs: Path):
    description = client.get("/api/models/small").json()
    assert (description["z_dim"], description["shape"], description["classes"]) == (8, [1, 28, 28], [])
    z = client.get("/api/models/small/latents", params={"seed": 4, "n": 3}).json()["z"]
    assert np.allclose(z, latents.draw_latents(4, 3, 8))
    pixels = client.post("/api/models/small/draw", json={"z": z}).content
    assert (
        np.frombuffer(pixels, np.uint8).reshape(3, 28, 28, 1).tolist()
        == dcgan.load(runs / "small").sample(3, seed=4).tolist()
    )


def test_a_picture_is_inverted(client: TestClient, runs: Path):
    image = dcgan.load(runs / "small").sample(1, seed=4)[0]
    inversion = client.post("/api/models/small/invert", json={"pixels": to_base64(image.tobytes())}).json()
    assert len(inversion["z"]) == 8
    distance = np.sqrt(((np.array(inversion["pixels"]) - image.flatten().astype(float)) ** 2).mean())
    assert distance == pytest.approx(inversion["error"], abs=0.5)


def test_the_quiz_shows_real_and_generated_pictures_and_asks_the_discriminator(client: TestClient):
    quiz = client.get("/api/models/small/quiz", params={"seed": 1}).json()
    assert len(quiz["pictures"]) == len(quiz["is_real"]) == len(quiz["says_real"]) == 20
    assert 0 < sum(quiz["is_real"]) < 20
    reals = {bytes(p) for p, is_real in zip(quiz["pictures"], quiz["is_real"], strict=True) if is_real}
    digits = open_images("mnist", "test").pixels.numpy()
    assert reals <= {digit.tobytes() for digit in digits}
    assert client.get("/api/models/small/quiz", params={"seed": 1}).json() == quiz


@pytest.mark.parametrize(("count", "length"), [(160, 20), (40, 8), (400, 20)])
def test_no_picture_is_in_a_quiz_twice(runs: Path, monkeypatch: pytest.MonkeyPatch, count: int, length: int):
    """Of 160 pictures eight are held out as the test split, and eight for validation."""
    monkeypatch.chdir(runs.parent)
    rng = np.random.default_rng(0)
    (runs.parent / "pictures").mkdir()
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(runs.parent / "pictures" / f"{i}.png")
    path = runs / "small" / "model" / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"trained": {"data": "pictures"}}))
    shutil.rmtree(runs / "small" / "checkpoint")  # it knows that the run was trained on MNIST
    with TestClient(create_app(runs)) as client:  # its data root is the current folder
        for seed in range(5):
            quiz = client.get("/api/models/small/quiz", params={"seed": seed}).json()
            assert len(quiz["pictures"]) == length
            reals = [bytes(p) for p, is_real in zip(quiz["pictures"], quiz["is_real"], strict=True) if is_real]
            assert 0 < len(reals) == len(set(reals))


def test_the_data_of_a_foreign_model_are_not_read(client: TestClient, runs: Path):
    path = runs / "small" / "model" / "config.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"trained": content["trained"] | {"data": "/etc"}}))
    response = client.get("/api/models/small/quiz")
    assert response.status_code == 400
    assert "may not read '/etc'" in response.json()["detail"].replace("…", "")


@pytest.mark.parametrize("name", ["model", "checkpoint"])
def test_a_folder_that_is_being_replaced_is_left_as_it_is(client: TestClient, runs: Path, name: str):
    """A training renames the old folder, then the new one. A reader that repaired the first would break the second."""
    run = runs / "small"
    (run / name).rename(run / f".{name}.old")
    names = sorted(path.name for path in run.iterdir())
    for path in ("/api/models/small", "/api/models/small/quiz", "/api/runs/small", "/api/runs"):
        assert client.get(path).status_code == 200
    assert sorted(path.name for path in run.iterdir()) == names


def test_reading_writes_nothing(client: TestClient, runs: Path):
    def state() -> dict[str, int]:
        return {str(path): path.lstat().st_mtime_ns for path in (runs, *runs.rglob("*"))}

    before = state()
    for path in ("runs", "runs/small", "models/small", "models/small/latents", "models/small/quiz"):
        assert client.get(f"/api/{path}").status_code == 200
    client.post("/api/models/small/invert", json={"pixels": to_base64(bytes(784))})
    assert state() == before


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("draw", {"z": [[0.0] * 7]}),
        ("draw", {"z": []}),
        ("draw", {"z": [[0.0] * 8] * 65}),
        ("draw", {"z": [[1e9] * 8]}),
        ("invert", {"pixels": to_base64(bytes(783))}),
        ("invert", {"pixels": [0] * 784}),
    ],
)
def test_sizes_are_checked(client: TestClient, path: str, content: dict[str, object]):
    assert client.post(f"/api/models/small/{path}", json=content).status_code in (400, 422)


def _save_styled_model(folder: Path, plain_from: int) -> None:
    """Save a network of the family `upsample`, untrained, in which the style has no effect from a layer on."""
    torch.manual_seed(0)
    generator = upsample.Generator(32, (3, 16, 16), 4)
    for norm in generator.norms[plain_from:]:
        torch.nn.init.zeros_(norm.scale_and_shift.weight)
    save_generator(generator, folder, {})


@pytest.mark.parametrize("plain_from", [1, 2])
def test_styles_are_mixed_from_a_layer_on(client: TestClient, runs: Path, plain_from: int):
    _save_styled_model(runs / "small" / "model", plain_from)
    route = "/api/models/small"
    assert client.get(route).json()["style_levels"] == 3
    z = torch.randn(3, 32).tolist()
    drawn = np.frombuffer(client.post(f"{route}/draw", json={"z": z}).content, np.uint8).reshape(3, 16, 16, 3)
    for level in (1, 2):
        answer = client.post(f"{route}/styles", json={"z": z, "level": level})
        mixed = np.frombuffer(answer.content, np.uint8).reshape(3, 3, 16, 16, 3).astype(int)
        changes = np.abs(mixed - drawn[:, None]).max((2, 3, 4))
        assert (np.diag(changes) <= 1).all()  # another batch, so another rounding
        has_effect = level < plain_from
        assert ((changes > 1) == (has_effect & ~np.eye(3, dtype=bool))).all()


def test_styles_of_a_network_without_them_are_not_mixed(client: TestClient):
    assert client.get("/api/models/small").json()["style_levels"] == 0
    for content, status in (
        ({"z": [[0.0] * 8] * 2, "level": 1}, 400),  # this network has no style
        ({"z": [[0.0] * 8] * 2, "level": 0}, 422),
        ({"z": [[0.0] * 8], "level": 1}, 422),
        ({"z": [[0.0] * 8] * 7, "level": 1}, 422),
    ):
        assert client.post("/api/models/small/styles", json=content).status_code == status
