from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

import dcgan
from dcgan.data.open import open_images


def test_samples_stand_beside_training_pictures(client: TestClient, runs: Path):
    pairs = client.get("/api/models/small/nearest", params={"seed": 1}).json()
    samples, nearest = (np.array(pairs[name], np.uint8).reshape(8, *[28, 28, 1]) for name in ("samples", "nearest"))
    assert np.array_equal(samples, dcgan.load(runs / "small").sample(8, seed=1))
    training = {picture.numpy().tobytes() for picture in open_images("mnist", "train").pixels}
    assert all(picture.tobytes() in training for picture in nearest)
    expected = np.sqrt(((samples.astype(float) - nearest) ** 2).mean((1, 2, 3)))
    assert np.allclose(pairs["distances"], expected, atol=0.06)
