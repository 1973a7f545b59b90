import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
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
    returncode = 0

    def __init__(self, command: list[str], **options: object) -> None:
        assert options["start_new_session"]
        FakeProcess.commands.append(command)

    def poll(self) -> int | None:
        return None


@pytest.fixture
def started_commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Start no training; record the commands instead."""
    FakeProcess.commands = []
    monkeypatch.setattr(worker.subprocess, "Popen", FakeProcess)
    return FakeProcess.commands


def wait_for(condition: Callable[[], Any], timeout_s: float = 120, interval_s: float = 0.1) -> Any:
    """Return the first true value of a condition.

    Playwright's `wait_for_function` cannot do this: the policy of the pages forbids to evaluate a text.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(interval_s)
    return value
