import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcgan
from dcgan import Generator, UserError, models, sample
from dcgan.run import RunFolder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> sample.Model:
    folder = tmp_path_factory.mktemp("m")
    generator = Generator(16, 3, 8)
    generator(torch.randn(200, 16))  # BatchNorm statistics that matter
    models.save_generator(generator.eval(), folder / "model")
    return sample.load(folder / "model")


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130])
def test_a_sample_does_not_depend_on_how_many_are_asked_for(model: sample.Model, n: int):
    assert (model.sample(n, seed=5) == model.sample(200, seed=5)[:n]).all()


def test_samples_are_bytes(model: sample.Model):
    pixels = model.sample(3)
    assert pixels.shape == (3, 28, 28, 3)
    assert pixels.dtype == np.uint8
    assert (model.sample(3, seed=1) != pixels).any()


def test_truncation_brings_samples_together(model: sample.Model):
    spread = [model.sample(64, truncation=t).astype(float).std(axis=0).mean() for t in (None, 1.0, 0.1)]
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"n": -1}, {"seed": -1}, {"seed": 2**63}, {"truncation": 0.0}, {"truncation": float("nan")}]
)
def test_impossible_requests(model: sample.Model, wrong: dict):
    with pytest.raises(UserError, match="must be"):
        model.sample(**wrong)


def test_a_run_a_model_folder_and_a_run_object_are_models(finished_run: RunFolder):
    first = dcgan.load(finished_run.path).sample(2)
    assert (dcgan.load(finished_run.model).sample(2) == first).all()
    assert (dcgan.load(finished_run).sample(2) == first).all()
    assert dcgan.load(str(finished_run.path)).trained["data"] == "mnist"


def test_the_runs_last_grid_is_drawn_again(finished_run: RunFolder, tmp_path: Path):
    sample.write(dcgan.load(finished_run).sample(64, seed=0), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == max(finished_run.samples.iterdir()).read_bytes()


@pytest.mark.parametrize("name", ["nothing", "a/b/c", "../nothing", ""])
def test_what_is_no_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="there is no"):
        dcgan.load(name)


def test_a_hub_id_without_a_network_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="no folder somebody/digits"):
        dcgan.load("somebody/digits")


def test_a_hub_id_is_fetched_without_pickles(monkeypatch: pytest.MonkeyPatch, finished_run: RunFolder):
    asked = []

    def snapshot(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(finished_run.model)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert dcgan.load("somebody/digits").sample(1).shape == (1, 28, 28, 1)
    assert asked == [("somebody/digits", ["config.json", "model.safetensors"])]


def test_files(model: sample.Model, tmp_path: Path):
    pixels = model.sample(3)
    sample.write(pixels, tmp_path / "new" / "a.npz")
    with np.load(tmp_path / "new" / "a.npz", allow_pickle=False) as arrays:
        assert (arrays["arr_0"] == pixels).all()
    sample.write(pixels, tmp_path / "many")
    files = sorted((tmp_path / "many").iterdir())
    assert len(files) == 3
    with Image.open(files[2]) as image:
        assert (np.asarray(image) == pixels[2]).all()
    sample.write(pixels, tmp_path / "a.PNG")
    with Image.open(tmp_path / "a.PNG") as image:
        assert image.size == (62, 62)


def test_a_place_in_use_is_refused(model: sample.Model, tmp_path: Path):
    (tmp_path / "x").touch()
    for out in (tmp_path, tmp_path / "a.jpg", tmp_path / "a.TIFF", tmp_path / "x"):
        with pytest.raises(UserError):
            sample.write(model.sample(1), out)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        sample.write(model.sample(1), tmp_path / "folder.png")
    with pytest.raises(UserError, match="cannot write"):
        sample.write(model.sample(1), tmp_path / "x" / "a.png")


def test_the_model_of_a_run_that_was_removed(finished_run: RunFolder, tmp_path: Path):
    shutil.copytree(finished_run.path, tmp_path / "r")
    shutil.rmtree(tmp_path / "r" / "model")
    with pytest.raises(UserError, match="no model in"):
        dcgan.load(tmp_path / "r")
