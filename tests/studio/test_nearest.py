from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

import dcgan
from dcgan.data.open import ImageSet, open_images
from dcgan.studio import models


def test_samples_stand_beside_training_pictures(client: TestClient, runs: Path):
    pairs = client.get("/api/models/small/nearest", params={"seed": 1}).json()
    samples, nearest = (np.array(pairs[name], np.uint8).reshape(8, *[28, 28, 1]) for name in ("samples", "nearest"))
    assert np.array_equal(samples, dcgan.load(runs / "small").sample(8, seed=1))
    training = {picture.numpy().tobytes() for picture in open_images("mnist", "train").pixels}
    assert all(picture.tobytes() in training for picture in nearest)
    expected = np.sqrt(((samples.astype(float) - nearest) ** 2).mean((1, 2, 3)))
    assert np.allclose(pairs["distances"], expected, atol=0.06)


def test_the_training_pictures_are_those_of_the_seed_of_the_run(
    client: TestClient, runs: Path, monkeypatch: pytest.MonkeyPatch
):
    """Stacked digits are drawn by it."""
    config = runs / "small" / "config.json"
    config.write_text(config.read_text().replace('"seed": 0', '"seed": 3'))
    seeds = []

    def open_and_note(*arguments: Any, **options: Any) -> ImageSet:
        seeds.append(options["seed"])
        return open_images(*arguments, **options)

    monkeypatch.setattr(models, "open_images", open_and_note)
    assert client.get("/api/models/small/nearest").status_code == 200
    assert set(seeds) == {3}
