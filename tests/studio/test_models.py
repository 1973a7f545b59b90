import time
from pathlib import Path

import numpy as np
import pytest
import torch
from starlette.testclient import TestClient

import dcgan
from dcgan.data.open import open_images
from dcgan.metrics.judge import network as judge
from dcgan.models import shipped
from dcgan.sampling import latents


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
    [("mnist-cgan", 10), *(pytest.param(name, 100, marks=pytest.mark.slow) for name in ("mnist", "mnist-cgan"))],
)
def test_nine_of_ten_test_digits_keep_their_class(client: TestClient, name: str, n: int):
    digits, right_count = open_images("mnist", "test"), 0
    client.post(f"/api/models/{name}/invert", json={"pixels": [0] * 784})  # loads the model, draws its start pool
    for pixels, label in zip(digits.pixels[:n], digits.labels[:n], strict=True):
        start = time.process_time()
        inversion = client.post(f"/api/models/{name}/invert", json={"pixels": pixels.flatten().tolist()}).json()
        assert time.process_time() - start < 2
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
    inversion = client.post("/api/models/small/invert", json={"pixels": image.flatten().tolist()}).json()
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
def test_sizes_are_checked(client: TestClient, path: str, content: dict[str, object]):
    assert client.post(f"/api/models/small/{path}", json=content).status_code in (400, 422)
