import time
from pathlib import Path

import psutil
import pytest
import torch

import dcgan
from dcgan.training import load_watch
from dcgan.training.callbacks import LogEvent
from dcgan.training.load_watch import LoadWatch

EVENT = LogEvent(step=50, images_seen=3200, seconds=4.0, metrics={}, score_kind="probability")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """A machine whose clocks and load are set by hand: seconds, and shares of all cores."""
    values = {"cores": 2, "threads": 2, "percent": 0.0, "wall": 0.0, "own": 0.0}
    monkeypatch.setattr(psutil, "cpu_count", lambda: values["cores"])
    monkeypatch.setattr(psutil, "cpu_percent", lambda: values["percent"])
    monkeypatch.setattr(time, "monotonic", lambda: values["wall"])
    monkeypatch.setattr(time, "process_time", lambda: values["own"])
    monkeypatch.setattr(torch, "get_num_threads", lambda: values["threads"])
    return values


@pytest.mark.parametrize(
    ("cores", "threads", "busy_cores", "own_cores", "advised"),
    [
        (2, 2, 2.0, 1.9, None),  # nobody else
        (2, 2, 2.0, 1.4, None),  # less than .7 of a core: a desktop
        (2, 2, 2.0, 1.2, 1),
        (2, 2, 2.0, 0.2, 1),  # another training with two threads
        (2, 1, 2.0, 1.0, None),  # one thread waits for no other
        (8, 8, 8.0, 5.0, 5),
        (8, 4, 8.0, 4.0, None),  # enough cores are free
        (64, 2, 50.0, 2.0, None),  # a container with two cores of a large machine
    ],
)
def test_the_message_says_how_many_threads_are_better(
    machine: dict[str, float], cores: int, threads: int, busy_cores: float, own_cores: float, advised: int | None
):
    machine |= {"cores": cores, "threads": threads, "percent": 100 * busy_cores / cores}
    messages: list[str] = []
    watch = LoadWatch(messages.append)
    machine |= {"wall": 10.0, "own": 10 * own_cores}
    watch.on_log(EVENT)
    assert len(messages) == (advised is not None)
    if advised:
        assert f"keep {busy_cores - own_cores:.1f} of {cores} cores busy" in messages[0]
        assert f"OMP_NUM_THREADS={advised} " in messages[0]


def test_a_short_time_does_not_count_and_the_message_comes_once(machine: dict[str, float]):
    machine["percent"] = 100.0
    messages: list[str] = []
    watch = LoadWatch(messages.append)
    for wall, count in ((4.0, 0), (6.0, 1), (20.0, 1)):
        machine["wall"] = wall
        watch.on_log(EVENT)
        assert len(messages) == count


def test_a_training_on_a_busy_machine_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(load_watch, "MIN_INTERVAL_S", 0.0)
    monkeypatch.setattr(psutil, "cpu_count", lambda: 2)
    monkeypatch.setattr(psutil, "cpu_percent", lambda: 1000.0)  # whatever share of it is ours
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    dcgan.train("vanilla", out=tmp_path / "run", steps=3, log_every=1)
    assert capsys.readouterr().err.count("other programs keep ") == 1
