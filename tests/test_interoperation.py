"""The page docs/interoperation.md: each of its recipes runs as it stands, in an empty folder."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dcgan
from dcgan.run.folder import RunFolder

PAGE = Path(__file__).parents[1] / "docs" / "interoperation.md"

pytestmark = pytest.mark.usefixtures("without_report")


def recipe(title: str) -> str:
    """Return the block of Python below a heading."""
    (section,) = re.findall(
        rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    (block,) = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(block)


def run_recipe(title: str) -> dict[str, Any]:
    """Run a recipe and return its variables."""
    names: dict[str, Any] = {}
    exec(compile(recipe(title), str(PAGE), "exec"), names)
    return names


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def saved_step(run: RunFolder) -> int:
    return int(json.loads((run.checkpoint / "state.json").read_text())["step"])


def test_there_are_five_recipes():
    assert len(re.findall("^```python$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == 5


def test_your_own_arrays():
    names = run_recipe("Your own arrays")
    assert names["samples"].shape == (16, 32, 32, 3)
    assert names["model"].classes == ("0", "1", "2", "3")
    dcgan.resume(names["run"], steps=5, show_progress=False)
    dcgan.resume(names["run"], data=(names["X"], names["y"]), steps=6, show_progress=False)
    assert saved_step(names["run"]) == 6


def test_your_own_dataset_or_loader(capsys: pytest.CaptureFixture[str]):
    names = run_recipe("Your own Dataset or DataLoader")
    assert "(4, 28, 28, 1)" in capsys.readouterr().out
    assert names["run"].path.name == "dcgan-Stripes-1"


def test_your_own_networks():
    names = run_recipe("Your own networks")
    assert names["pictures"].shape == (9, 1, 28, 28)
    assert (names["run"].model / "model.safetensors").is_file()
    parts = {"generator": names["Generator"](), "discriminator": names["discriminator"]}
    dcgan.resume(names["run"], **parts, steps=5, show_progress=False)
    assert saved_step(names["run"]) == 5


def test_callbacks():
    names = run_recipe("Callbacks")
    assert saved_step(names["run"]) == 5  # the step that followed
    assert [images for images, _ in list(names["reporter"].measurements.queue)] == [512]  # one was taken out


def test_the_trained_generator_in_pytorch():
    names = run_recipe("The trained generator in PyTorch")
    assert names["brighter"] > names["images"].mean()
    assert names["batch"].shape == (4, 1, 28, 28)
    assert np.abs(names["edited"].astype(int) - dcgan.load("mnist-dcgan").sample(4)).max() > 50


def test_the_package_is_typed():
    assert (Path(dcgan.__file__).parent / "py.typed").is_file()
