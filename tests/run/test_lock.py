import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dcgan import UserError
from dcgan.run import lock
from dcgan.run.lock import HOLDER_NAME, LOCK_NAME, UNKNOWN_HOLDER, LockHolder, lock_holder, lock_run

HOLD_LOCK = """
import sys, time
from pathlib import Path
from dcgan.run.lock import lock_run
with lock_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""
THIS_PROCESS = LockHolder(os.getpid(), socket.gethostname())


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "WAIT_S", 0.05)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the lock of `tmp_path`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD_LOCK, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def message_for(process: "subprocess.Popen[str]") -> str:
    return f"process {process.pid} on {socket.gethostname()} is training in"


def test_a_second_process_is_refused_and_a_killed_one_leaves_no_lock(holder: "subprocess.Popen[str]", tmp_path: Path):
    with pytest.raises(UserError, match=message_for(holder)), lock_run(tmp_path):
        pass
    assert lock_holder(tmp_path) == LockHolder(holder.pid, socket.gethostname())
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK_NAME).exists()  # the files that it left lock nothing
    assert (tmp_path / HOLDER_NAME).exists()
    assert lock_holder(tmp_path) is None
    with lock_run(tmp_path):
        assert lock_holder(tmp_path) == THIS_PROCESS
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_NAME]


def test_a_run_that_another_process_trains_is_not_changed(refused, holder: "subprocess.Popen[str]", tmp_path: Path):
    assert message_for(holder) in refused("train", "--out", str(tmp_path), "--steps", "1")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([LOCK_NAME, HOLDER_NAME])


def test_a_lock_that_is_held_for_a_moment_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As `lock_holder` in another process holds it."""
    monkeypatch.setattr(lock, "WAIT_S", 60)
    is_held, may_release = threading.Event(), threading.Event()

    def hold() -> None:
        with lock_run(tmp_path):
            is_held.set()
            may_release.wait()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        is_held.wait()
        threading.Timer(0.2, may_release.set).start()
        with lock_run(tmp_path):
            assert may_release.is_set()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_cannot_be_locked(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot write"), lock_run(tmp_path):
        pass


def test_nobody_holds_the_lock_of_a_missing_folder(tmp_path: Path):
    assert lock_holder(tmp_path / "missing") is None
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_no_folder_cannot_be_locked(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"), lock_run(tmp_path / "file" / "run"):
        pass
    assert lock_holder(tmp_path / "file" / "run") is None


def test_the_holder_is_known_while_the_lock_is_held(tmp_path: Path):
    assert lock_holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with lock_run(tmp_path):
        assert lock_holder(tmp_path) == THIS_PROCESS
        assert lock_holder(tmp_path) == THIS_PROCESS
    assert lock_holder(tmp_path) is None


STRAY_HOLDERS = [
    b"",
    b"\0",
    b"{",
    b'{"process_id": 9',
    b"[]",
    b'{"process_id": "x", "host": "a"}',
    b"\xff",
    b"9" * 5000,
    b'{"process_id": 0, "host": "a"}',
    b'{"process_id": -1, "host": "a"}',
]


def test_a_holder_file_alone_locks_nothing(tmp_path: Path):
    """A killed process leaves it, and another process may have its number now."""
    own = json.dumps({"process_id": os.getpid(), "host": socket.gethostname()}).encode()
    for content in (*STRAY_HOLDERS, own):
        (tmp_path / HOLDER_NAME).write_bytes(content)
        assert lock_holder(tmp_path) is None
        (tmp_path / LOCK_NAME).write_bytes(content)
        assert lock_holder(tmp_path) is None


@pytest.mark.parametrize("content", [None, *STRAY_HOLDERS])
def test_a_lock_with_a_torn_holder_file_is_still_held(tmp_path: Path, content: bytes | None):
    with lock_run(tmp_path):
        if content is None:
            (tmp_path / HOLDER_NAME).unlink()
        else:
            (tmp_path / HOLDER_NAME).write_bytes(content)
        assert lock_holder(tmp_path) == UNKNOWN_HOLDER
        with pytest.raises(UserError, match="another process is training in"), lock_run(tmp_path):
            pass


def test_a_host_name_cannot_break_the_line(tmp_path: Path):
    with lock_run(tmp_path):
        (tmp_path / HOLDER_NAME).write_text(json.dumps({"process_id": 7, "host": "a\nb\x1b[31m"}))
        assert str(lock_holder(tmp_path)) == "process 7 on a\\nb\\x1b[31m"


def test_the_lock_works_from_another_thread(tmp_path: Path):
    """A training may run in one thread of a server and be watched from another."""
    with ThreadPoolExecutor(1) as pool:
        context = lock_run(tmp_path)
        pool.submit(context.__enter__).result()
        assert lock_holder(tmp_path) == THIS_PROCESS
        with pytest.raises(UserError, match="is training in"), lock_run(tmp_path):
            pass
        assert pool.submit(lock_holder, tmp_path).result() == THIS_PROCESS
        context.__exit__(None, None, None)
    assert lock_holder(tmp_path) is None


def test_the_lock_ends_with_an_error(tmp_path: Path):
    with pytest.raises(RuntimeError), lock_run(tmp_path):
        raise RuntimeError
    assert lock_holder(tmp_path) is None
