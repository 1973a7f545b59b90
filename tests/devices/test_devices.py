import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from safetensors.torch import load_file

import dcgan
from dcgan import UserError
from dcgan.devices import processes
from dcgan.devices.connect import connect_devices, with_launcher_devices
from dcgan.devices.launcher import LaunchedProcess, detect_launcher, is_first_process
from dcgan.devices.processes import LostRankError, TrainingStopped, run_on_devices
from dcgan.run.folder import RunFolder
from tests import crew
from tests.conftest import SMALL, SMALL_FLAGS

pytestmark = pytest.mark.timeout(900)
PATIENCE = 400
"""Seconds that are waited for something to begin: ten where nothing else runs, a hundred beside six other jobs."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where two processes have left what `crew.work` does. Read it."""
    place = tmp_path_factory.mktemp("crew")
    pixels = np.random.default_rng(0).integers(0, 256, (41, 28, 28), np.uint8)
    np.savez(place / "data.npz", arr_0=pixels, arr_1=np.arange(41) % 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(place / "cache"))
        run_on_devices(crew.both(), partial(crew.work, place=place), own=[])
        yield place


def state_of(folder: RunFolder) -> dict:
    return json.loads((folder.checkpoint / "state.json").read_text())


def content(folder: RunFolder) -> tuple[bytes, list[dict]]:
    entries = [{k: v for k, v in entry.items() if k != "seconds"} for entry in folder.log.entries()]
    return (folder.checkpoint / "state.safetensors").read_bytes(), entries


def test_the_gradients_of_two_are_those_of_one(place: Path):
    alone, together = crew.gradients(None, place / "data.npz"), load_file(place / "gradients.safetensors")
    assert alone.keys() == together.keys()
    for name, gradient in alone.items():
        torch.testing.assert_close(together[name], gradient, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    sizes = {name: max(float(g.abs().max()) for n, g in alone.items() if n.startswith(name)) for name in crew.CASES}
    assert min(sizes.values()) > 1e-3, sizes


def test_two_go_on_as_if_they_had_never_stopped(place: Path):
    part, whole = RunFolder(place / "part"), RunFolder(place / "whole")
    assert content(part) == content(whole)
    assert state_of(whole)["step"] == 7
    assert state_of(whole)["where"].startswith("2 x cpu")
    assert [line["step"] for line in whole.log.measurements()] == [2, 4, 6, 7]
    assert {path.name for path in whole.path.iterdir()} == {
        "checkpoint", "config.json", "curves.png", "metrics.jsonl", "model", "reals.png", "report.html", "samples",
    }  # fmt: skip


def test_two_stop_together_where_one_is_told_to(place: Path):
    assert [(place / f"stopped {rank}").read_text() for rank in (0, 1)] == [str(128 + signal.SIGTERM)] * 2
    assert state_of(RunFolder(place / "stopped"))["step"] == 4


def test_two_go_back_together_from_what_only_one_has_seen(place: Path):
    folder = RunFolder(place / "spoiled")
    (event,) = (event for event in folder.log.events() if event["event"] == "recovery")
    assert event["failed_step"] == 5
    assert state_of(folder)["step"] == 7


def test_two_end_together_when_nothing_gets_better(place: Path):
    found = state_of(RunFolder(place / "patient"))
    assert found["step"] == found["best_step"] + 2 < 50


def test_two_agree_on_how_long_some_minutes_are(place: Path):
    found = state_of(RunFolder(place / "timed"))
    assert found["planned"] <= found["images_seen"] < found["planned"] + SMALL["batch_size"]


def once_begun(folder: Path, act: Callable[[], None]) -> threading.Thread:
    """Do something in a thread when a run has saved its first state and is training."""

    def wait() -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and len(list(RunFolder(folder).log.measurements())) < 2:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_run_in_new_processes_that_is_stopped_and_then_loses_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, settings = tmp_path / "r", SMALL | {"devices": 2, "steps": 10**6}
    thread = once_begun(out, partial(os.kill, os.getpid(), signal.SIGTERM))
    with pytest.raises(TrainingStopped, match="dcgan resume") as stop:
        dcgan.train("dcgan", out=out, **settings)
    thread.join()
    assert stop.value.status == 128 + signal.SIGTERM
    step = state_of(RunFolder(out))["step"]

    def kill() -> None:
        second = max((child for child in active_children()), key=lambda child: child.name)
        os.kill(second.pid or 0, signal.SIGKILL)

    RunFolder(out).log.unlink()
    thread = once_begun(out, kill)
    words = f"rank 1 of 2, on {socket.gethostname()}, died \\(SIGKILL\\); .* with: dcgan resume {out}"
    with pytest.raises(LostRankError, match=words):
        dcgan.resume(out)
    thread.join()
    saved = state_of(RunFolder(out))["step"]
    assert saved >= step
    folder = dcgan.resume(out, devices=1, steps=saved + 1)
    assert state_of(folder)["step"] == saved + 1
    assert "ran on 2 x cpu" in capsys.readouterr().err


def torchrun(node: int, port: int, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={node}"]
    place = ["--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}", "-m", "dcgan"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # as the new processes have, which share two cores
    return subprocess.Popen([*command, *place, *words], text=True, env=one_thread, **streams)


def test_two_launchers_make_one_run(place: Path, tmp_path: Path):
    port, words = (
        find_free_network_port(),
        ["train", "--preset", "dcgan", *SMALL_FLAGS, "--steps", "7", "--out", str(tmp_path / "r"), "--json"],
    )
    launchers = [torchrun(node, port, *words) for node in (0, 1)]
    (out, err), (silent, also) = (launcher.communicate(timeout=PATIENCE) for launcher in launchers)
    assert [launcher.returncode for launcher in launchers] == [0, 0], err + also
    assert json.loads(out)["step"] == 7
    assert silent == ""
    folder = RunFolder(tmp_path / "r")
    assert content(folder) == content(RunFolder(place / "whole"))
    assert (folder.config().devices, folder.config().num_nodes) == (1, 2)


TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}
SLURM = {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "8", "SLURM_NNODES": "2", "SLURM_PROCID": "5"}


@pytest.mark.parametrize("env", [TORCHRUN, SLURM | {"SLURM_NTASKS_PER_NODE": "4"}])
def test_what_a_launcher_has_started(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]):
    assert detect_launcher() is None
    assert is_first_process()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert detect_launcher() == LaunchedProcess(rank=5, devices=4, nodes=2)
    assert not is_first_process()
    config = with_launcher_devices(crew.both())
    assert (config.devices, config.num_nodes) == (4, 2)


def test_a_batch_script_without_srun_is_one_process(monkeypatch: pytest.MonkeyPatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="--ntasks-per-node"):
        detect_launcher()
    monkeypatch.delenv("SLURM_STEP_ID")
    assert detect_launcher() is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--devices", "0"], "--devices must be above 0, not 0"),
        (["--devices", "2", "--batch-size", "1"], "--batch-size is over all devices: it must be at least 2, not 1"),
        (["--devices", "2", "--num-nodes", "2"], "--num-nodes 2 needs a launcher on every machine"),
    ],
)
def test_devices_that_cannot_be(refused, words: list[str], message: str):
    assert message in refused("train", "--device", "cpu", "--steps", "1", *words)


def test_own_parts_need_a_launcher(tmp_path: Path):
    with pytest.raises(UserError, match="your own generator: start your script with torchrun --nproc-per-node 2"):
        dcgan.train(out=tmp_path / "r", steps=1, generator=torch.nn.Linear(1, 1), **SMALL | {"devices": 2})


def test_what_a_new_process_says_comes_back(monkeypatch: pytest.MonkeyPatch):
    """Mistakes of the user, and the system's refusals, are the same whoever finds them."""
    for error, text in ((UserError("no data"), "no data"), (OSError(28, "disk full", "r"), "r: disk full")):

        class Fabric:
            is_global_zero = False

            def launch(self, function: Callable[..., dict]) -> dict:
                return function(self)

        monkeypatch.setattr(processes, "_together", lambda *a, error=error, **k: (_ for _ in ()).throw(error))
        with pytest.raises(UserError, match=f"^{text}$"):
            processes._in_new_processes(Fabric(), 2, lambda fabric, tell: "")


def test_one_device_is_no_group():
    assert connect_devices(crew.both(devices=1)).world_size == 1
    assert not torch.distributed.is_initialized()
