import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import dcgan
from dcgan import UserError
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.training import start, verify
from dcgan.training.networks import NO_CUSTOM_PARTS
from dcgan.training.verify import compare_runs, verify_resume
from dcgan.training.worker_status import StatusFile
from tests.conftest import SMALL, SMALL_FLAGS

ROOT = Path(__file__).parents[2]
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes that are forked")


def kill_trainings(count: int, seed: int, folder: Path) -> int:
    """Run `kills.py`; return how often a training was killed."""
    words = [sys.executable, "-m", "tests.training.kills", str(count), str(seed), str(folder)]
    process = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr[-2000:]
    return int(process.stdout.split()[0])


@needs_fork
@pytest.mark.timeout(900)  # it takes ten seconds on a machine that does nothing else
def test_killed_runs_resume_to_the_bit(tmp_path: Path):
    assert kill_trainings(3, 0, tmp_path) >= 3


@needs_fork
@pytest.mark.slow
def test_runs_that_are_killed_fifty_times_resume_to_the_bit(tmp_path: Path):
    assert kill_trainings(50, 1, tmp_path) >= 50


@pytest.mark.slow
def test_the_command_proves_that_a_resumed_run_is_the_same(cli, tmp_path: Path):
    process = cli("verify-resume", "--json", "--preset", "dcgan", "--steps", "12", "--lr-end", "0.1", *SMALL_FLAGS)
    assert process.returncode == 0, process.stderr
    proof = json.loads(process.stdout)
    assert proof["equal"]
    assert 0 <= proof["went_on_from"] <= proof["killed_after"] < 12
    assert proof["tensors"].keys() >= {"state/generator/gen.0.0.weight", "model/gen.0.0.weight"}
    assert list(tmp_path.iterdir()) == []


@needs_fork
@pytest.mark.slow
def test_a_run_on_two_devices_is_killed_with_all_its_processes_and_resumes_to_the_bit():
    settings = {**SMALL, "devices": 2, "device": "cpu"}
    proof = verify_resume(configure("dcgan", **settings), steps=12, seed=0)
    assert proof.killed_after < 12
    assert proof.tensors.keys() >= {"state/generator/gen.0.0.weight", "model/gen.0.0.weight"}


def test_a_status_file_can_be_given_to_the_processes_of_several_devices(tmp_path: Path):
    assert start._names(NO_CUSTOM_PARTS, [StatusFile(tmp_path / "status.json")]) == []
    assert start._names(NO_CUSTOM_PARTS, [object()]) == ["callbacks"]


def test_the_first_tensor_that_differs_is_named(finished_run: RunFolder, tmp_path: Path):
    hashes, entry_count = compare_runs(finished_run, finished_run)
    assert entry_count == len(list(finished_run.log.entries()))
    assert len(set(hashes.values())) > 10
    other = dcgan.train("dcgan", out=tmp_path / "r", steps=7, seed=1, **SMALL)
    with pytest.raises(UserError, match=r"NOT the same .*: model/gen.0.0.bias differs"):
        compare_runs(finished_run, other)


@pytest.mark.parametrize(("change", "message"), [("loss_g", "line 2 of the log differs"), (None, "has 7 lines")])
def test_the_first_difference_of_the_logs_is_named(
    finished_run: RunFolder, tmp_path: Path, change: str | None, message: str
):
    shutil.copytree(finished_run.path, tmp_path / "r")
    other = RunFolder(tmp_path / "r")
    entries = list(other.log.entries())
    if change:
        entries[1][change] += 1e-12
    other.log.replace(entries if change else entries[:-1])
    with pytest.raises(UserError, match=message):
        compare_runs(finished_run, other)


def test_the_length_of_a_proof_is_given_in_steps(refused):
    assert "as --steps" in refused("verify-resume", "--epochs", "1")
    assert "must be above 0" in refused("verify-resume", "--steps", "0")


class FakeTraining:
    """A training whose process is killed, or ends, after it has written what a test wants."""

    def __init__(self, run: RunFolder, *, is_fast: bool) -> None:
        self.run, self.is_fast, self.polls, self.was_killed = run, is_fast, 0, False
        run.path.mkdir()

    def has_ended(self) -> bool:
        self.polls += 1
        if self.polls == 2:  # the first entry of the log is there, and no checkpoint yet
            self.run.log.append({"event": "pictures", "step": 0, "images_seen": 0})
        if self.polls == 5:
            self.run.checkpoint.with_name(".checkpoint.old").mkdir()  # as while it is replaced
        return self.is_fast and self.polls > 2

    def kill(self) -> None:
        self.was_killed = True

    def wait(self) -> None:
        assert self.is_fast


def test_no_training_is_killed_before_there_is_something_to_resume(tmp_path: Path):
    run = RunFolder(tmp_path / "r")
    training = FakeTraining(run, is_fast=False)
    assert verify._kill(training, run, 0, random.Random(0)) == 0
    assert training.was_killed
    assert training.polls > 5


def test_a_training_that_ends_before_the_kill_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run, trainings = RunFolder(tmp_path / "r"), []

    def start(action: str, arguments: dict, stop_signals: list[int]) -> FakeTraining:
        trainings.append(FakeTraining(run, is_fast=len(trainings) < ended_count))
        return trainings[-1]

    monkeypatch.setattr(verify, "_Training", start)
    ended_count = 2
    assert verify._train_and_kill({}, run, 7, random.Random(0), []) == 0
    assert len(trainings) == 3
    trainings.clear()
    ended_count = 100
    with pytest.raises(UserError, match="ended before it could be killed: give more than 7 --steps"):
        verify._train_and_kill({}, run, 7, random.Random(0), [])
    assert len(trainings) == verify.MAX_KILL_ATTEMPTS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_training_outlives_the_command(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    workers = []

    def start(action: str, arguments: dict, status_path: Path, *, new_session: bool) -> subprocess.Popen:
        assert new_session  # so that its whole session can be killed
        workers.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True))
        threading.Timer(0.2, signal.raise_signal, [number]).start()
        return workers[-1]

    monkeypatch.setattr(verify, "start_worker", start)
    with pytest.raises(KeyboardInterrupt) as stop:
        verify_resume(configure("dcgan", **SMALL), steps=3)
    assert stop.value.exit_status == 128 + number
    assert [worker.poll() for worker in workers] == [-signal.SIGKILL]


BUSY_COUNT = 20


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_runs_resume_to_the_bit_while_every_core_is_busy():
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        for i in range(BUSY_COUNT):
            verify_resume(configure("dcgan", **SMALL), steps=12, seed=i)
    finally:
        for process in busy:
            process.kill()
            process.wait()
