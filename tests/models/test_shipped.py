import fnmatch
import json
import shutil
import socket
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import dcgan
from dcgan import Generator
from dcgan.cli.main import run
from dcgan.evaluation.samples import open_samples
from dcgan.exporting import onnx
from dcgan.images import save_png
from dcgan.metrics.judge import network as judge
from dcgan.models import shipped
from dcgan.models.store import save_generator
from dcgan.run.folder import RunFolder
from dcgan.sampling import invert
from dcgan.training import networks
from tests.conftest import make_picture_folder


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network must not be used")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", shipped.SHIPPED_NAMES)
def test_a_shipped_model_draws_by_its_name(name: str, work_folder: Path):
    assert run(["sample", name, "--n", "10", "--out", "digits.npz"]) == 0
    with np.load("digits.npz") as arrays:
        assert (arrays["arr_0"] == dcgan.load(name).sample(10)).all()
    model = dcgan.load(name)
    assert (model.source, model.generator.picture_shape) == (name, (1, 28, 28))
    assert bool(model.classes) == (name == "mnist-cgan")
    assert open_samples(name).training_data.name == "mnist"


@pytest.mark.parametrize("name", shipped.SHIPPED_NAMES)
def test_the_card_says_how_it_was_made_and_how_good_it_is(name: str):
    folder = shipped.shipped_folder(name)
    card, config = (folder / "README.md").read_text(), json.loads((folder / "config.json").read_text())
    assert config["trained"]["command"] in card
    assert any(f"--{length} " in config["trained"]["command"] for length in ("steps", "images", "epochs", "minutes"))
    for text in ("Seed ", "| Fréchet distance", "10,000 samples", "CC BY-SA 3.0"):
        assert text in card


def test_shipped_models_are_small_and_in_the_package():
    root = Path(dcgan.__file__).parent
    files = [p for name in shipped.SHIPPED_NAMES for p in shipped.shipped_folder(name).iterdir()]
    assert {p.name for p in files} == {"config.json", "model.safetensors", "README.md"}
    assert sum(p.stat().st_size for p in files) < 6_000_000
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["dcgan"]
    assert all(any(fnmatch.fnmatch(str(p.relative_to(root)), pattern) for pattern in patterns) for p in files)


def test_a_judge_recognizes_the_sevens():
    pixels = torch.from_numpy(dcgan.load("mnist-cgan").sample(200, label=7)).permute(0, 3, 1, 2)
    _, scores = judge.judge_images(judge.load_shipped_judge(), pixels)
    assert (scores.argmax(1) == 7).float().mean() >= 0.95


def test_walk_inversion_and_export_take_the_name(work_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(invert, "FINAL_STEPS", 5)
    assert run(["interpolate", "mnist", "--stops", "2", "--frames", "3", "--out", "walk.png"]) == 0
    save_png(dcgan.load("mnist").sample(1)[0], work_folder / "digit.png")
    assert run(["invert", "mnist", "digit.png", "--out", "inverted"]) == 0
    assert run(["export", "mnist-cgan", "--format", "safetensors", "--out", "exported"]) == 0
    assert (dcgan.load("exported").sample(20) == dcgan.load("mnist-cgan").sample(20)).all()
    assert onnx.export_onnx(dcgan.load("mnist"), work_folder / "digits.onnx") < 1e-3


def test_a_run_can_start_from_it(refused: Callable[..., str]):
    generator, z = Generator(64, 1, 64).eval(), torch.randn(4, 64)
    networks.load_initial_weights(generator, dcgan.load("mnist-dcgan"))
    assert (generator(z) == dcgan.load("mnist-dcgan").generator(z)).all()
    assert "--init mnist-dcgan does not fit" in refused("train", "--init", "mnist-dcgan", "--steps", "1")
    assert "--init mnist knows no classes" in refused("train", "--init", "mnist", "--conditional", "--steps", "1")


def test_a_run_or_a_model_of_that_name_has_priority(work_folder: Path, finished_run: RunFolder):
    shipped_samples = dcgan.load("mnist").sample(4)
    shutil.copytree(finished_run.path, "mnist")
    run_samples = dcgan.load(finished_run).sample(4)
    assert (dcgan.load("mnist").sample(4) == run_samples).all()
    save_generator(dcgan.load(finished_run).generator, work_folder / "mnist-dcgan")
    assert (dcgan.load("mnist-dcgan").sample(4) == run_samples).all()
    shutil.rmtree("mnist")
    assert (dcgan.load("mnist").sample(4) == shipped_samples).all()


def test_a_folder_of_pictures_does_not_hide_the_model(work_folder: Path, refused: Callable[..., str]):
    make_picture_folder(work_folder / "mnist", 3)
    assert dcgan.load("mnist").sample(1).shape == (1, 28, 28, 1)
    assert open_samples("mnist").count is None
    assert open_samples("./mnist").count == 3
    assert "there is no model in" in refused("sample", "./mnist", "--out", "a.png")


def test_a_misspelled_name_is_corrected(work_folder: Path, refused: Callable[..., str]):
    assert "did you mean 'mnist-cgan'?" in refused("sample", "mnist-cgam", "--out", "a.png")
