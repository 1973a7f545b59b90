from pathlib import Path

import numpy as np
import torch
from starlette.testclient import TestClient

import dcgan
from dcgan.images import to_float
from dcgan.run.folder import RunFolder
from dcgan.studio import discriminator


def test_scores_and_maps_are_those_of_the_discriminator(client: TestClient, runs: Path):
    assert client.get("/api/models/small").json()["has_discriminator"]
    z = client.get("/api/models/small/latents", params={"n": 3}).json()["z"]
    answer = client.post("/api/models/small/scores", json={"z": z}).json()
    model, folder = dcgan.load(runs / "small"), RunFolder(runs / "small")
    images = torch.from_numpy(model.sample(3)).permute(0, 3, 1, 2)
    network = discriminator._load(folder, model)
    assert answer["kind"] == "probability"
    assert np.allclose(answer["scores"], network(to_float(images)).flatten().sigmoid().tolist(), atol=1e-4)
    maps = np.array(answer["maps"]).reshape(3, 28, 28)
    assert maps.max() == 255
    # The brightest pixel changes the score more than a dark one does.
    y, x = np.unravel_index(maps[0].argmax(), (28, 28))
    v, u = np.unravel_index(maps[0].argmin(), (28, 28))
    network, first, changes = network.double(), to_float(images[:1]).double(), []
    for row, column in ((y, x), (v, u)):
        changed = first.clone()
        changed[0, 0, row, column] += 0.01
        changes.append(abs(float(network(changed) - network(first))))
    assert changes[0] > changes[1]


def test_a_model_without_a_discriminator_says_so(client: TestClient):
    assert not client.get("/api/models/mnist").json()["has_discriminator"]
    z = client.get("/api/models/mnist/latents", params={"n": 1}).json()["z"]
    answer = client.post("/api/models/mnist/scores", json={"z": z})
    assert (answer.status_code, "no discriminator" in answer.json()["detail"]) == (400, True)


def test_classes_are_mixed(client: TestClient):
    z = client.get("/api/models/mnist-cgan/latents", params={"n": 2}).json()["z"]

    def draw(labels: list[int], **mix: float) -> np.ndarray:
        answer = client.post("/api/models/mnist-cgan/draw", json={"z": z, "labels": labels, **mix})
        return np.frombuffer(answer.content, np.uint8).astype(int)

    pure, other = draw([3, 3]), draw([8, 8])
    assert np.abs(draw([3, 3], mix_label=8, mix_share=0) - pure).max() <= 1
    assert np.abs(draw([3, 3], mix_label=8, mix_share=1) - other).max() <= 1
    between = draw([3, 3], mix_label=8, mix_share=0.5)
    assert min(np.abs(between - pure).mean(), np.abs(between - other).mean()) > 1
    body = {"z": z, "labels": [3, 3], "mix_label": 10}
    assert client.post("/api/models/mnist-cgan/draw", json=body).status_code == 400
