import importlib
import json
import multiprocessing
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import dcgan
from tests.conftest import SMALL, SMALL_FLAGS

MODULES = [m.name for m in pkgutil.walk_packages(dcgan.__path__, "dcgan.") if m.name != "dcgan.__main__"]


def test_public_names_stay_what_they_are_after_every_import():
    """`dcgan.train` must be the function still when every submodule has been imported."""
    for name in MODULES:
        importlib.import_module(name)
    for name in dcgan.__all__:
        assert callable(getattr(dcgan, name)) or isinstance(getattr(dcgan, name), dict), name
        assert name in dir(dcgan)
    assert dcgan.Generator(3).z_dim == 3


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        dcgan.trian  # noqa: B018


def test_import_costs_nothing():
    code = "import sys, dcgan; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str):
    assert importlib.import_module(name).__doc__


def test_the_package_is_typed_and_licensed():
    root = Path(__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert (root / "src" / "dcgan" / "py.typed").exists()
    assert project["license"] == "MIT"
    assert "MIT License" in (root / "LICENSE").read_text()
    assert dcgan.__version__ in (root / "CHANGELOG.md").read_text()


def _train(out: str) -> int:
    return int(list(dcgan.train("dcgan", out=out, steps=2, **SMALL).log.measurements())[-1]["step"])


def test_it_works_under_spawn(tmp_path: Path):
    """The start method of Windows and macOS: a child imports everything anew, nothing is inherited."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_train, (str(tmp_path / "r"),)) == 2
    assert json.loads((tmp_path / "r" / "config.json").read_text())["settings"]["steps"] == 2


FIRST_STEP = """
import sys
from dcgan import cli, training

def update(state):
    print(sorted({"matplotlib", "torchvision", "torch_fidelity", "scipy", "fastapi", "onnx"} & sys.modules.keys()))
    raise KeyboardInterrupt

training.update = update
cli.run(sys.argv[1:])
"""


def test_a_training_imports_nothing_before_its_first_step_that_it_does_not_need(tmp_path: Path):
    words = [sys.executable, "-c", FIRST_STEP, "train", *SMALL_FLAGS, "--steps=1", f"--out={tmp_path / 'r'}"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
