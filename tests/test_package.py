import importlib
import json
import multiprocessing
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import dcgan
from tests.conftest import SMALL, SMALL_FLAGS

MODULES = [m.name for m in pkgutil.walk_packages(dcgan.__path__, "dcgan.") if m.name != "dcgan.__main__"]


def test_public_names_stay_what_they_are_after_every_import():
    """After every submodule was imported, `dcgan.train` must still be the function."""
    for name in MODULES:
        importlib.import_module(name)
    for name in dcgan.__all__:
        assert callable(getattr(dcgan, name)) or isinstance(getattr(dcgan, name), dict), name
        assert name in dir(dcgan)
    assert dcgan.Generator(3).z_dim == 3


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        dcgan.trian  # noqa: B018


def test_the_import_loads_neither_torch_nor_numpy():
    code = "import sys, dcgan; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_a_docstring(name: str):
    assert importlib.import_module(name).__doc__


def test_the_package_is_typed_and_licensed():
    root = Path(__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert (root / "src" / "dcgan" / "py.typed").exists()
    assert project["license"] == "MIT"
    assert "MIT License" in (root / "LICENSE").read_text()
    assert dcgan.__version__ in (root / "CHANGELOG.md").read_text()


def test_a_built_package_has_the_learning_pages_and_their_pictures(tmp_path: Path):
    root = Path(__file__).parent.parent
    words = [sys.executable, "setup.py", "--quiet", "build_py", f"--build-lib={tmp_path}"]
    subprocess.run(words, cwd=root, check=True, capture_output=True)
    lessons, documentation = tmp_path / "dcgan" / "studio" / "lessons", root / "docs"
    pages = [path.relative_to(documentation) for path in documentation.glob("learn/*/*.md")]
    assert pages
    manifest = (root / "MANIFEST.in").read_text(encoding="utf-8")  # what a source archive has for such a build
    for page in pages:
        text = (lessons / page).read_text(encoding="utf-8")
        assert text == (documentation / page).read_text(encoding="utf-8")
        for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
            path = (lessons / page.parent / picture).resolve()
            assert path.is_file(), (page, picture)
            assert path.parent.name == "learn" or f"docs/images/{path.name}" in manifest, picture


def _train(out: str) -> int:
    return int(list(dcgan.train("dcgan", out=out, steps=2, **SMALL).log.measurements())[-1]["step"])


def test_training_works_in_a_spawned_process(tmp_path: Path):
    """This is the start method of Windows and macOS: a child process imports everything itself."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_train, (str(tmp_path / "r"),)) == 2
    assert json.loads((tmp_path / "r" / "config.json").read_text())["settings"]["steps"] == 2


FIRST_STEP = """
import sys
from dcgan.cli.main import run
from dcgan.training import loop

def train_step(state):
    print(sorted({"matplotlib", "torchvision", "torch_fidelity", "scipy", "fastapi", "onnx"} & sys.modules.keys()))
    raise KeyboardInterrupt

loop.train_step = train_step
run(sys.argv[1:])
"""


def test_a_training_imports_nothing_before_its_first_step_that_it_does_not_need(tmp_path: Path):
    words = [sys.executable, "-c", FIRST_STEP, "train", *SMALL_FLAGS, "--steps=1", f"--out={tmp_path / 'r'}"]
    process = subprocess.run(words, check=False, capture_output=True, text=True)
    assert process.stdout == "[]\n", process.stderr


def test_the_installed_command_is_a_function():
    """The entry point in pyproject.toml must name a function: a module of the same name can be imported too."""
    root = Path(__file__).parent.parent
    module, _, name = tomllib.loads((root / "pyproject.toml").read_text())["project"]["scripts"]["dcgan"].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
