"""What `dcgan data check` finds of the data in the start form. Each check is a process, a few at once at most.

A check reads every picture and does a few training steps, which takes longer than an answer may. The page asks again.
"""

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dcgan.files import printable
from dcgan.studio.allowed_paths import DataRoots, hide_paths
from dcgan.studio.runs import MAX_MESSAGE_CHARS, MAX_NAME_CHARS, NotFoundError, RunStore

MAX_RUNNING = 2
"""Checks at the same time. A further one ends the oldest: the visitor has gone on to other data."""
MAX_KEPT = 20
"""Checks whose results are kept."""
ID_BYTES = 8
ERROR_PREFIX = "dcgan: "


@dataclass(frozen=True)
class _Check:
    data: str
    folder: Path
    process: "subprocess.Popen[bytes]"
    was_ended: threading.Event = field(default_factory=threading.Event)


class DataChecks:
    """Starts checks and reads their results, which lie in a temporary folder until the studio ends."""

    def __init__(self, store: RunStore, data_roots: DataRoots) -> None:
        self._store, self._data_roots = store, data_roots
        self._checks: OrderedDict[str, _Check] = OrderedDict()
        self._lock = threading.Lock()
        self._folder: Path | None = None

    def start(self, data: str) -> str:
        """Start a check and return its id.

        Raises:
            UserError: the data may not be read.
        """
        self._data_roots.check(data)
        with self._lock:
            self._make_room()
            check_id = secrets.token_hex(ID_BYTES)
            self._folder = self._folder or Path(tempfile.mkdtemp(prefix="dcgan-studio-"))
            folder = self._folder / check_id
            folder.mkdir()
            self._checks[check_id] = _Check(data, folder, _spawn(data, folder))
        return check_id

    def _make_room(self) -> None:
        running = [check for check in self._checks.values() if check.process.poll() is None]
        for check in running[: max(0, len(running) - MAX_RUNNING + 1)]:
            check.was_ended.set()
            check.process.kill()
        while len(self._checks) >= MAX_KEPT:
            _, check = self._checks.popitem(last=False)
            _end(check)

    def result(self, check_id: str) -> dict[str, Any]:
        """Return how far a check is: its `state`, then its `report` or an `error`.

        The state is `checking`, `done`, `failed`, or `ended` if the check was ended for later ones. The report is that
        of `dcgan data check --json`, see docs/data.md, without the folders of this machine; only the command keeps the
        data as the page named them.

        Raises:
            NotFoundError: there is no such check, or it is no longer kept.
        """
        check = self._find(check_id)
        status = check.process.poll()
        if status is None:
            return {"state": "checking"}
        if status == 0:
            with contextlib.suppress(OSError, ValueError):
                report = json.loads((check.folder / "report.json").read_text(encoding="utf-8"))
                return {"state": "done", "report": self._hide(report)}
        if check.was_ended.is_set():
            return {"state": "ended", "error": "this check was ended for a later one: look at the data again"}
        return {"state": "failed", "error": self._error(check)}

    def sheet(self, check_id: str) -> Path:
        """Return the path of a check's contact sheet.

        Raises:
            NotFoundError: there is none.
        """
        path = self._find(check_id).folder / "sheet.png"
        if not path.is_file():
            raise NotFoundError("there is no contact sheet")
        return path

    def close(self) -> None:
        """End all checks and remove their files."""
        with self._lock:
            for check in self._checks.values():
                _end(check)
            self._checks.clear()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _find(self, check_id: str) -> _Check:
        check = self._checks.get(check_id)
        if check is None:
            raise NotFoundError(f"there is no check {printable(check_id)[:MAX_NAME_CHARS]!r}")
        return check

    def _error(self, check: _Check) -> str:
        """Return the last line that the process printed as an error."""
        try:
            lines = (check.folder / "errors.log").read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        line = next((line for line in reversed(lines) if line.strip()), "the check ended without a result")
        return printable(hide_paths(line.removeprefix(ERROR_PREFIX), self._store.path))[:MAX_MESSAGE_CHARS]

    def _hide(self, value: Any) -> Any:
        """Return a report without the folders of this machine in its texts.

        The command stays as it is: the visitor copies it, and it holds no more than the data that the page sent.
        """
        if isinstance(value, str):
            return hide_paths(value, self._store.path)
        if isinstance(value, list):
            return [self._hide(item) for item in value]
        if isinstance(value, dict):
            return {key: item if key == "command" else self._hide(item) for key, item in value.items()}
        return value


def _spawn(data: str, folder: Path) -> "subprocess.Popen[bytes]":
    root = str(Path(__file__).parents[2])  # the process must run the same package as this one
    python_path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    # `--out=` and `--`: data whose name begins with a hyphen are no flag.
    command = [sys.executable, "-m", "dcgan", "data", "check", "--json", "--out", str(folder / "sheet.png"), "--", data]
    with (folder / "report.json").open("wb") as output, (folder / "errors.log").open("wb") as errors:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,  # Ctrl-C in the studio's terminal ends the studio, which then ends the check
            env={**os.environ, "PYTHONPATH": python_path},
        )


def _end(check: _Check) -> None:
    if check.process.poll() is None:
        check.process.kill()
        check.process.wait()
    shutil.rmtree(check.folder, ignore_errors=True)
