import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
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
from dcgan.training import loop, validate

# Hypothesis would fail an example that takes more than 200 ms: on a busy machine any may.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# `nohup` starts a program with SIGHUP ignored, and its processes inherit that: tests of it start from its default.
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

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
def _separate_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give each test a cache of its own, so that none reads or writes the user's or another test's.

    It is deleted after the test: the caches of all tests would fill a small disk. By then, what the test has changed
    with its own `monkeypatch` is as it was, because this fixture is set up first.
    """
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(folder))
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache for all tests of a file. A test that uses it sets `DCGAN_CACHE` to it."""
    return tmp_path_factory.mktemp("shared-cache")


@pytest.fixture(scope="session", autouse=True)
def _cached_start() -> Iterator[None]:
    """Do once for all trainings what each process does once: half of the time of a small training.

    This is the decompression of MNIST, loading the judge of the grids, and Lightning's search for plugins among all
    installed packages.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mnist, "_unpack", cache(mnist._unpack))
        patch.setattr(judge, "load_shipped_judge", cache(judge.load_shipped_judge))
        patch.setattr(registry, "entry_points", cache(registry.entry_points))
        yield


def cached_set_names() -> list[str]:
    """Return the names of the image sets in the cache."""
    return sorted(path.name for path in cache_folder().iterdir() if not path.name.startswith("."))


def make_picture_folder(root: Path, count: int, classes: int = 0) -> Path:
    """Make a folder of small pictures, each of one color: (i, 255 - i, 7)."""
    for i in range(count):
        folder = root / f"class {i % classes}" if classes else root
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + i % 7, 20), (i, 255 - i, 7)).save(folder / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Return a run of seven steps of a small study network. Tests only read it; a test that changes it copies it."""
    return dcgan.train("dcgan", out=tmp_path_factory.mktemp("runs") / "small", steps=7, **SMALL)


@pytest.fixture
def endless_import(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each new process wait where it imports torch, so that its training loads until it is stopped."""
    modules = tmp_path_factory.mktemp("modules")
    (modules / "torch.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(modules))


class Clock:
    """A clock for `training.loop`: each step takes a hundredth of a second, however busy the machine is."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 0.01
        return self.now

    monotonic = staticmethod(time.monotonic)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the machine's clock in the training loop."""
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let trainings end without curves and report, which take half the time of a small one."""
    monkeypatch.setattr(loop, "draw_curves", lambda *arguments, **options: None)
    monkeypatch.setattr(loop, "write_report", lambda folder: None)


@pytest.fixture
def small_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run that is evaluated while it trains draw and compare few pictures."""
    monkeypatch.setattr(validate, "FRECHET", replace(validate.FRECHET, sample_count=130))
    monkeypatch.setattr(validate, "KERNEL", replace(validate.KERNEL, sample_count=16, min_reals=4))
    monkeypatch.setattr(validate, "MAX_REFERENCE_IMAGES", 200)
    monkeypatch.setattr(validate, "MAX_WATCHED", 300)
    monkeypatch.setattr(validate, "COPY_SAMPLES", 120)
    monkeypatch.setattr(validate, "CONFIRMING_SAMPLES", 130)


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def cli(tmp_path: Path) -> Run:
    """Return a function that runs the command in a new process, in an empty folder."""

    def call(*words: str, **options: object) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "COLUMNS": "80"}
        command = [sys.executable, "-m", "dcgan", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=200)

    return call


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a command which must exit with status 2, and returns its one line of error."""
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
    """Return the system's headless Chromium: `page = browser.new_page(viewport={"width": 390, "height": 844})`.

    Where there is none, the test is skipped; in CI (`DCGAN_CI`) it fails. The fixture does not last for the whole
    session, because Playwright keeps an event loop running in this thread, and `asyncio.run` in other tests would fail.
    """
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        (pytest.fail if os.environ.get("DCGAN_CI") else pytest.skip)("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()
