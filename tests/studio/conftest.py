import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from starlette.testclient import TestClient

from dcgan.run.folder import RunFolder
from dcgan.studio.app import create_app
from dcgan.studio.security import protect
from dcgan.training import worker


@pytest.fixture
def runs(finished_run: RunFolder, tmp_path: Path) -> Path:
    """A folder with one finished run."""
    shutil.copytree(finished_run.path, tmp_path / "runs" / "small")
    return tmp_path / "runs"


@pytest.fixture
def client(runs: Path) -> Iterator[TestClient]:
    """The studio over that folder, behind the checks of a studio that only this machine reaches."""
    with TestClient(protect(create_app(runs)), "http://localhost") as client:
        yield client


class FakeProcess:
    """Stands in for the process of a training, which never ends."""

    commands: list[list[str]]
    thread_counts: list[str | None]
    returncode = 0

    def __init__(self, command: list[str], env: dict[str, str], **options: object) -> None:
        assert options["start_new_session"]
        FakeProcess.commands.append(command)
        FakeProcess.thread_counts.append(env.get("OMP_NUM_THREADS"))

    def poll(self) -> int | None:
        return None

    def kill(self) -> None:
        pass

    def wait(self) -> int:
        return 0


@pytest.fixture
def started_commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Start no training; record the commands instead."""
    FakeProcess.commands, FakeProcess.thread_counts = [], []
    monkeypatch.setattr(worker.subprocess, "Popen", FakeProcess)
    return FakeProcess.commands


def wait_for(condition: Callable[[], Any], timeout_s: float = 120) -> Any:
    """Return the first true value of a condition.

    Playwright's `wait_for_function` cannot do this: the policy of the pages forbids to evaluate a text.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return value


def _restore_ctrl_c() -> None:
    """A process that a script starts in the background ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Server:
    """`dcgan studio` on a port of its own; it can be stopped and started again."""

    def __init__(self, runs: Path, *flags: str) -> None:
        self.runs, self.port, self.flags = runs, 0, flags
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "dcgan", "studio", str(self.runs), "--port", str(self.port), "--no-browser"]
        command += self.flags
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=_restore_ctrl_c
        )
        assert self.process.stderr is not None
        self.address = re.search(r"http://\S+", self.process.stderr.readline())[0]
        self.port = int(self.address.rsplit(":", 1)[1].strip("/"))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=120)
        assert self.process.returncode == 130


@pytest.fixture(scope="module")
def server_of_two_runs(finished_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio over two copies of the same run, `one` and `two`."""
    runs = tmp_path_factory.mktemp("studio")
    for name in ("one", "two"):
        shutil.copytree(finished_run.path, runs / name)
    server = Server(runs)
    yield server
    server.stop()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A phone that looks at the `server` of the file, in English.

    Everything that the page fetches comes from the server, and it causes no error.
    """
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="en-GB")
    context.set_default_timeout(120_000)  # other jobs on the machine may slow it down
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: None if _is_local(request.url, server) else errors.append(request.url))
    yield page
    context.close()
    assert errors == []


def _is_local(url: str, server: Server) -> bool:
    return url.startswith((server.address, "data:", "blob:"))
