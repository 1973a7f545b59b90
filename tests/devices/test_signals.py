import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dcgan.devices.signals import STOP_SIGNALS, catch_stop_signals
from dcgan.run.folder import RunFolder
from tests.conftest import SMALL_FLAGS

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no SIGHUP")
START_TIMEOUT_S = 200.0


@pytest.fixture
def _restored_hangup() -> Iterator[None]:
    previous = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, previous)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_every_stop_signal_is_collected_and_its_handler_put_back(number: signal.Signals):
    previous = signal.getsignal(number)
    with catch_stop_signals() as received:
        signal.raise_signal(number)
        assert received == [number]
    assert signal.getsignal(number) is previous


@pytest.mark.usefixtures("_restored_hangup")
def test_a_hangup_that_is_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with catch_stop_signals() as received:
        signal.raise_signal(signal.SIGHUP)
        assert received == []
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


TRAIN = ["train", "--preset", "dcgan", *SMALL_FLAGS, "--steps", "1000000", "--out", "run"]


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert is_so()


def test_a_lost_connection_saves_unless_nohup_ignores_it(tmp_path: Path):
    """A process is started as by `nohup`, which ignores SIGHUP; it goes on, and SIGTERM stops it."""
    command = [sys.executable, "-m", "dcgan", *TRAIN]
    run = RunFolder(tmp_path / "run")

    def last_step() -> int:
        return max((entry["step"] for entry in run.log.measurements()), default=0)

    process = subprocess.Popen(
        ["bash", "-c", 'trap "" HUP; exec "$@"', "bash", *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: last_step() > 0)
    process.send_signal(signal.SIGHUP)
    step = last_step()
    wait_until(lambda: last_step() > step + 2)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert "stopped and saved; continue with: dcgan resume run" in process.communicate(timeout=START_TIMEOUT_S)[1]
    assert process.returncode == 128 + signal.SIGTERM
    process = subprocess.Popen([*command[:3], "resume", "run"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    step = last_step()
    wait_until(lambda: last_step() > step)
    process.send_signal(signal.SIGHUP)
    assert "stopped and saved" in process.communicate(timeout=START_TIMEOUT_S)[1]
    assert process.returncode == 128 + signal.SIGHUP


CLOSE_TERMINAL = """
import os, pty, select, sys, time
from pathlib import Path
process_id, terminal = pty.fork()
if not process_id:
    os.execv(sys.executable, [sys.executable, "-m", "dcgan", *sys.argv[1:]])
deadline, log = time.monotonic() + 200, Path("run/metrics.jsonl")
while time.monotonic() < deadline and not (log.exists() and log.read_text().count("loss_d") > 2):
    if select.select([terminal], [], [], 0.05)[0]:
        os.read(terminal, 4096)
os.close(terminal)
_, status = os.waitpid(process_id, 0)
print(os.waitstatus_to_exitcode(status))
"""


def test_a_terminal_that_is_closed_loses_nothing(tmp_path: Path):
    # The process gets SIGHUP, and whatever it writes to its standard error fails from then on.
    output = subprocess.run(
        [sys.executable, "-c", CLOSE_TERMINAL, *TRAIN], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert output.stdout.split() == [str(128 + signal.SIGHUP)], output.stderr
    assert (tmp_path / "run" / "report.html").is_file()  # it came to its end
    assert not [path for path in os.listdir(tmp_path / "run") if path.endswith(".new")]
