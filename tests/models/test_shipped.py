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
from dcgan.metrics import judge
from dcgan.models import shipped
from dcgan.models.store import save_generator
from dcgan.run.folder import RunFolder
from dcgan.sampling import invert
from dcgan.training import networks
from tests.conftest import picture_folder


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be fetched")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", shipped.SHIPPED_NAMES)
def test_a_shipped_model_draws_by_its_name(name: str, here: Path):
    assert run(["sample", name, "--n", "10", "--out", "digits.npz"]) == 0
    with np.load("digits.npz") as arrays:
        assert (arrays["arr_0"] == dcgan.load(name).sample(10)).all()
    model = dcgan.load(name)
    assert (model.source, model.generator.picture_shape) == (name, (1, 28, 28))
    assert bool(model.classes) == (name == "mnist-cgan")
    assert open_samples(name).data == "mnist"


@pytest.mark.parametrize("name", shipped.SHIPPED_NAMES)
def test_the_card_says_how_it_was_made_and_what_it_is_worth(name: str):
    folder = shipped.folder_of_shipped(name)
    card, config = (folder / "README.md").read_text(), json.loads((folder / "config.json").read_text())
    assert config["trained"]["command"] in card
    assert any(f"--{length} " in config["trained"]["command"] for length in ("steps", "images", "epochs", "minutes"))
    for words in ("Seed ", "| Fréchet distance", "10,000 samples", "CC BY-SA 3.0"):
        assert words in card


def test_they_are_small_and_in_the_package():
    root = Path(dcgan.__file__).parent
    found = [p for name in shipped.SHIPPED_NAMES for p in shipped.folder_of_shipped(name).iterdir()]
    assert {p.name for p in found} == {"config.json", "model.safetensors", "README.md"}
    assert sum(p.stat().st_size for p in found) < 6_000_000
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["dcgan"]
    assert all(any(fnmatch.fnmatch(str(p.relative_to(root)), pattern) for pattern in patterns) for p in found)


def test_an_independent_judge_calls_the_sevens_sevens():
    pixels = torch.from_numpy(dcgan.load("mnist-cgan").sample(200, label=7)).permute(0, 3, 1, 2)
    _, scores = judge.judge_images(judge.load_shipped_judge(), pixels)
    assert (scores.argmax(1) == 7).float().mean() >= 0.95


def test_it_is_walked_inverted_and_exported_by_its_name(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(invert, "STEPS", 5)
    assert run(["interpolate", "mnist", "--stops", "2", "--frames", "3", "--out", "walk.png"]) == 0
    save_png(dcgan.load("mnist").sample(1)[0], here / "digit.png")
    assert run(["invert", "mnist", "digit.png", "--out", "found"]) == 0
    assert run(["export", "mnist-cgan", "--format", "safetensors", "--out", "taken"]) == 0
    assert (dcgan.load("taken").sample(20) == dcgan.load("mnist-cgan").sample(20)).all()
    assert onnx.export_onnx(dcgan.load("mnist"), here / "digits.onnx") <= 1e-5


def test_a_training_starts_from_it(refused: Callable[..., str]):
    mine, z = Generator(64, 1, 64).eval(), torch.randn(4, 64)
    networks.start_from(mine, dcgan.load("mnist-dcgan"))
    assert (mine(z) == dcgan.load("mnist-dcgan").generator(z)).all()
    assert "--init mnist-dcgan does not fit" in refused("train", "--init", "mnist-dcgan", "--steps", "1")
    assert "--init mnist knows no classes" in refused("train", "--init", "mnist", "--conditional", "--steps", "1")


def test_a_run_or_a_model_of_that_name_goes_first(here: Path, finished_run: RunFolder):
    ours = dcgan.load("mnist").sample(4)
    shutil.copytree(finished_run.path, "mnist")
    mine = dcgan.load(finished_run).sample(4)
    assert (dcgan.load("mnist").sample(4) == mine).all()
    save_generator(dcgan.load(finished_run).generator, here / "mnist-dcgan")
    assert (dcgan.load("mnist-dcgan").sample(4) == mine).all()
    shutil.rmtree("mnist")
    assert (dcgan.load("mnist").sample(4) == ours).all()


def test_a_folder_of_pictures_does_not_stand_in_the_way(here: Path, refused: Callable[..., str]):
    picture_folder(here / "mnist", 3)
    assert dcgan.load("mnist").sample(1).shape == (1, 28, 28, 1)
    assert open_samples("mnist").there is None
    assert open_samples("./mnist").there == 3
    assert "there is no model in" in refused("sample", "./mnist", "--out", "a.png")


def test_a_name_that_is_nearly_one_is_named(here: Path, refused: Callable[..., str]):
    assert "did you mean 'mnist-cgan'?" in refused("sample", "mnist-cgam", "--out", "a.png")
