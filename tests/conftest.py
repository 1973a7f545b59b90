import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache as kept
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from lightning_fabric.utilities import registry
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

import dcgan
from dcgan.cache import cache_folder
from dcgan.data import mnist
from dcgan.metrics.judge import network as judge
from dcgan.run.folder import RunFolder
from dcgan.training import loop

# Hypothesis would fail an example that takes more than 200 ms: on a busy machine any may.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

SMALL = {
    "g_width": 4,
    "d_width": 2,
    "z_dim": 8,
    "batch_size": 16,
    "ema": 100,
    "log_every": 2,
    "save_every": 3,
    "device": "cpu",
}
SMALL_FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's cache, nor another test's."""
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For tests that take it for their DCGAN_CACHE: what a file's tests prepare or look at is kept for the next."""
    return tmp_path_factory.mktemp("shared-cache")


@pytest.fixture(scope="session", autouse=True)
def _once() -> Iterator[None]:
    """What every process does once a training is done once for hundreds of them: half of a small one's time.

    MNIST's lzma, the judge that looks at the grids, and Lightning's search for plugins among all installed packages.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "_unpack", kept(mnist._unpack))
        patch.setattr(judge, "load_shipped_judge", kept(judge.load_shipped_judge))
        patch.setattr(registry, "entry_points", kept(registry.entry_points))
        yield


def entries() -> list[str]:
    """The sets in the cache."""
    return sorted(path.name for path in cache_folder().iterdir() if not path.name.startswith("."))


def picture_folder(root: Path, count: int, classes: int = 0) -> Path:
    """A folder of small pictures, each of one colour: (i, 255 - i, 7)."""
    for i in range(count):
        folder = root / f"class {i % classes}" if classes else root
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + i % 7, 20), (i, 255 - i, 7)).save(folder / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Seven steps of a small study network. Read it; copy it before you change it."""
    return dcgan.train("dcgan", out=tmp_path_factory.mktemp("runs") / "small", steps=7, **SMALL)


class Clock:
    """What `training` takes the time from: a step lasts a hundredth of a second, however busy the machine is."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 0.01
        return self.now

    monotonic = staticmethod(time.monotonic)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A training's own clock, instead of the machine's."""
    found = Clock()
    monkeypatch.setattr(loop, "time", found)
    return found


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings end without curves and report, which are half the time of a small one."""
    monkeypatch.setattr(loop, "draw_curves", lambda *arguments, **options: None)
    monkeypatch.setattr(loop, "write_report", lambda folder: None)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cli(tmp_path: Path) -> Run:
    """Run the command in a process of its own, in an empty folder."""

    def call(*words: str, **options: object) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "COLUMNS": "80"}
        command = [sys.executable, "-m", "dcgan", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=200)

    return call


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the command in this process; give back its one line on standard error, after it exited with 2."""
    from dcgan.cli.main import run

    def call(*words: str) -> str:
        assert run(list(words)) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("dcgan: ")
        assert err.count("\n") == 1, err
        return err

    return call


BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium of the system's: `page = browser.new_page(viewport={"width": 390, "height": 844})`.

    Skipped where there is none, but for CI (`DCGAN_CI`), which must not pass without. Not for the whole session:
    Playwright keeps an event loop running in this thread, and `asyncio.run` of other tests would be refused.
    """
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        (pytest.fail if os.environ.get("DCGAN_CI") else pytest.skip)("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
