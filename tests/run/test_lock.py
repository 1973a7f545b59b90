import os
import subprocess
import sys
from pathlib import Path

import pytest

from dcgan import UserError
from dcgan.run import lock
from dcgan.run.lock import LOCK_NAME, lock_run

HOLD = """
import sys, time
from pathlib import Path
from dcgan.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that holds the lock of `tmp_path`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_refused_and_a_dead_one_keeps_no_lock(holder: "subprocess.Popen[str]", tmp_path: Path):
    with pytest.raises(UserError, match="another process is training"), lock_run(tmp_path):
        pass
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK_NAME).exists()  # what it left behind means nothing
    with lock_run(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_another_process_trains_is_not_touched(
    refused, holder: "subprocess.Popen[str]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    assert "another process is training" in refused("train", "--out", str(tmp_path), "--steps", "1")
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_NAME]


def test_whoever_waits_for_a_lock_file_that_goes_takes_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    taken = []
    real = os.open

    def late(path: Path, *arguments: int) -> int:
        """Between opening and locking, the one that held the lock removes its file."""
        file = real(path, *arguments)
        if not taken:
            Path(path).unlink()
        taken.append(file)
        return file

    monkeypatch.setattr("dcgan.lock.os.open", late)
    with lock_run(tmp_path):
        assert len(taken) == 2
        assert (tmp_path / LOCK_NAME).exists()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_cannot_be_locked(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot write"), lock_run(tmp_path):
        pass


def test_the_holder_is_known_while_it_holds(tmp_path: Path):
    assert lock.lock_holder(tmp_path) is None
    with lock.lock_run(tmp_path):
        assert lock.lock_holder(tmp_path) == os.getpid()
    assert lock.lock_holder(tmp_path) is None
    for left in (b"", b"\0", b"\0999999999\n", b"\0x", f"\0{os.getpid()}".encode(), b"\0" + b"9" * 40):
        (tmp_path / lock.LOCK_NAME).write_bytes(left)  # of a killed process, whose number another one may bear
        assert lock.lock_holder(tmp_path) is None
