import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import dcgan
from dcgan.cli.main import run
from tests.extras import require

START_TIMEOUT_S = 240


def export(model: str, out: Path) -> Path:
    assert run(["export", model, "--format", "space", "--out", str(out)]) == 0
    return out


def load_app(folder: Path) -> ModuleType:
    """Import the page's program, which needs Gradio only once its page is made."""
    spec = importlib.util.spec_from_file_location("space_app", folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    return app


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Space of a model with classes."""
    return export("mnist-cgan", tmp_path_factory.mktemp("s") / "space")


def test_a_space_draws_the_samples_of_the_package(space: Path):
    app, model = load_app(space), dcgan.load("mnist-cgan")
    none, some = [0] * 4, [1.5, 0, -2, 0.5]
    assert (app.draw_latents(3, 70) == model.latents(70, 3).numpy()).all()
    for drawn, expected in (
        (app.draw_pictures(3, 70, None, none), model.sample(70, seed=3)),
        (app.draw_pictures(3, 5, "7", none), model.sample(5, seed=3, label="7")),
        (app.draw_pictures(3, 5, "7", some), model.sample(5, 3, label="7", directions={1: 1.5, 3: -2, 4: 0.5})),
    ):
        assert np.abs(drawn.astype(int) - expected).max() <= 1
    grid = app.draw_grid(3, 5, "7", *some)
    assert grid.size == (92 * 6, 62 * 6)
    assert (np.asarray(grid)[12:180:6, 12:180:6] == app.draw_pictures(3, 5, "7", some)[0, ..., 0]).all()


def test_a_model_without_classes(tmp_path: Path):
    app = load_app(export("mnist", tmp_path / "space"))
    expected = dcgan.load("mnist").sample(3, seed=1)
    assert np.abs(app.draw_pictures(1, 3, None, [0] * 4).astype(int) - expected).max() <= 1


def test_a_space_is_complete_and_needs_neither_this_package_nor_torch(space: Path):
    assert sorted(path.name for path in space.iterdir()) == [
        "README.md", "app.py", "model.onnx", "requirements.txt", "settings.json"
    ]  # fmt: skip
    imports = set(re.findall(r"^ *(?:import|from) (\w+)", (space / "app.py").read_text(), re.MULTILINE))
    assert imports == {"gradio", "json", "numpy", "onnxruntime", "pathlib", "PIL"}
    readme = (space / "README.md").read_text()
    assert readme.startswith('---\ntitle: "dcgan: mnist"\nsdk: gradio\napp_file: app.py\n')
    assert "licence" in readme
    assert "license:" not in readme
    assert json.loads((space / "settings.json").read_text())["classes"] == list("0123456789")


def test_flags_of_other_formats_and_full_folders_are_refused(refused: Callable[..., str], tmp_path: Path):
    words = ("export", "mnist", "--format", "space", "--out")
    assert "--single-file can be used with --format web" in refused(*words, str(tmp_path / "s"), "--single-file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").touch()
    assert "is not an empty folder" in refused(*words, str(tmp_path / "full"))


@pytest.mark.filterwarnings("ignore")
def test_a_space_that_is_started_draws(space: Path, tmp_path: Path):
    require("gradio")
    from gradio_client import Client

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name in ("dcgan", "torch"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('a Space must not need this')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1"}
    environment["GRADIO_ANALYTICS_ENABLED"] = "False"
    with subprocess.Popen([sys.executable, str(space / "app.py")], env=environment) as process:
        try:
            client = connect(Client, f"http://127.0.0.1:{port}", process)
            path = client.predict(0, 4, "7", 0, 0, 0, 0, api_name="/draw")
        finally:
            process.terminate()
    drawn = np.asarray(Image.open(path).convert("L"))
    assert (drawn == np.asarray(load_app(space).draw_grid(0, 4, "7", 0, 0, 0, 0))).all()


def connect(client: type, address: str, process: "subprocess.Popen[bytes]"):
    """Return a client of the page once it has started."""
    end = time.monotonic() + START_TIMEOUT_S
    while True:
        assert process.poll() is None, "the page has ended"
        try:
            return client(address, verbose=False)
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)
