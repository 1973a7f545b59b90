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
from multiprocessing import active_children, get_context
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist
from lightning_fabric.plugins.environments.lightning import find_free_network_port
from safetensors.torch import load_file

import dcgan
from dcgan import UserError
from dcgan.devices import processes
from dcgan.devices.connect import check_device, connect_devices, with_launcher_devices
from dcgan.devices.launcher import LaunchedProcess, detect_launcher, is_first_process
from dcgan.devices.processes import LostRankError, TrainingStopped, run_on_devices
from dcgan.run.folder import RunFolder
from dcgan.training.set_up import set_up
from tests.conftest import SMALL, SMALL_FLAGS
from tests.devices import crew
from tests.rounding import rounding_tolerance

pytestmark = pytest.mark.timeout(900)
START_TIMEOUT_S = 400
"""Time for a training to begin: it takes ten seconds on an idle machine, and a hundred beside six other jobs."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder with the results of `crew.work` in two processes. Tests only read it."""
    folder = tmp_path_factory.mktemp("crew")
    pixels = np.random.default_rng(0).integers(0, 256, (41, 28, 28), np.uint8)
    np.savez(folder / "data.npz", arr_0=pixels, arr_1=np.arange(41) % 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(folder / "cache"))
        run_on_devices(crew.config_for_two(), partial(crew.work, folder=folder), custom_names=[])
        yield folder


def saved_record(folder: RunFolder) -> dict:
    return json.loads((folder.checkpoint / "state.json").read_text())


def content(folder: RunFolder) -> tuple[bytes, list[dict]]:
    entries = [{k: v for k, v in entry.items() if k != "seconds"} for entry in folder.log.entries()]
    return (folder.checkpoint / "state.safetensors").read_bytes(), entries


def test_the_gradients_of_two_processes_are_those_of_one(results: Path):
    gradients = load_file(results / "gradients.safetensors")
    expected = crew.compute_gradients(None, results / "data.npz")
    assert expected.keys() == gradients.keys()
    for name, gradient in expected.items():
        atol = rounding_tolerance(gradient)
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-5, atol=atol, msg=lambda m, n=name: f"{n}: {m}")
    sizes = {name: max(float(g.abs().max()) for n, g in expected.items() if n.startswith(name)) for name in crew.CASES}
    assert min(sizes.values()) > 1e-3, sizes


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cpu:9", "there is no device cpu:9 here: cpu devices have the numbers 0 to 0"),
        ("cpu:foo", "the device must be cuda, mps, cpu, not cpu:foo"),
        ("cpu:", "the device must be cuda, mps, cpu, not cpu:"),
        ("tpu", "the device must be cuda, mps, cpu, not tpu"),
    ],
)
def test_devices_that_do_not_exist_are_refused(device: str, message: str):
    check_device("cpu:0")
    with pytest.raises(UserError) as error:
        check_device(device)
    assert str(error.value) == message


def test_a_new_process_closes_its_connections_before_it_ends(tmp_path: Path):
    dist.init_process_group("gloo", init_method=(tmp_path / "store").as_uri(), rank=0, world_size=1)
    rank = SimpleNamespace(is_global_zero=True, global_rank=0, world_size=1)
    paths = get_context("spawn").SimpleQueue()
    outcome = processes._run_and_report(rank, task=lambda fabric, announce: "runs/a", run_paths=paths)
    assert outcome == {"run_path": "runs/a"}
    assert not dist.is_initialized()


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_weights_after_twenty_steps_are_those_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
):
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "cache"))
    pixels = np.random.default_rng(0).integers(0, 256, (150, 28, 28), np.uint8)  # two epochs, and part of a third
    np.savez(tmp_path / "data.npz", pixels)
    task = partial(crew.train_twenty_steps, data=tmp_path / "data.npz", out=tmp_path / "weights.safetensors")
    run_on_devices(crew.equal_config(tmp_path / "data.npz", devices=count), task, custom_names=[])
    weights = load_file(tmp_path / "weights.safetensors")
    expected = crew.weights_after_twenty_steps(set_up(crew.equal_config(tmp_path / "data.npz")))
    assert torch.equal(weights.pop("seen"), expected.pop("seen"))
    for name, weight in expected.items():
        assert (weights[name] - weight).norm() <= 1e-4 * weight.norm(), name


def test_two_processes_resume_as_if_they_had_never_stopped(results: Path):
    part, whole = RunFolder(results / "part"), RunFolder(results / "whole")
    assert content(part) == content(whole)
    assert saved_record(whole)["step"] == 7
    assert saved_record(whole)["where"].startswith("2 x cpu")
    assert [entry["step"] for entry in whole.log.measurements()] == [2, 4, 6, 7]
    assert {path.name for path in whole.path.iterdir()} == {
        ".lock", "checkpoint", "config.json", "curves.png", "metrics.jsonl", "model", "reals.png", "report.html",
        "samples",
    }  # fmt: skip


def test_both_processes_stop_if_one_gets_a_signal(results: Path):
    assert [(results / f"stopped {rank}").read_text() for rank in (0, 1)] == [str(128 + signal.SIGTERM)] * 2
    assert saved_record(RunFolder(results / "stopped"))["step"] == 4


def test_both_processes_stop_if_a_callback_of_the_first_asks_for_it(results: Path):
    assert saved_record(RunFolder(results / "callbacks"))["step"] == 4
    assert (results / "events 0").read_text() == "start 0\nend 4 stopped\n"
    assert not (results / "events 1").exists()
    assert all((results / f"returned {rank}").exists() for rank in (0, 1))


def test_both_processes_go_back_if_one_has_a_fault(results: Path):
    folder = RunFolder(results / "faulty")
    (event,) = (event for event in folder.log.events() if event["event"] == "recovery")
    assert event["failed_step"] == 5
    assert saved_record(folder)["step"] == 7


def test_both_processes_end_when_the_evaluations_stop_improving(results: Path):
    record = saved_record(RunFolder(results / "patience"))
    assert record["step"] == record["best_step"] + 2 < 50


def test_the_processes_agree_on_the_images_of_a_duration_in_minutes(results: Path):
    record = saved_record(RunFolder(results / "minutes"))
    assert record["planned"] <= record["images_seen"] < record["planned"] + SMALL["batch_size"]


def when_training(folder: Path, act: Callable[[], None]) -> threading.Thread:
    """Do something in a thread once a run has saved its first checkpoint and has trained."""

    def wait() -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and len(list(RunFolder(folder).log.measurements())) < 2:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_run_in_new_processes_is_stopped_and_then_loses_a_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out, settings = tmp_path / "r", SMALL | {"devices": 2, "steps": 10**6}
    thread = when_training(out, partial(os.kill, os.getpid(), signal.SIGTERM))
    with pytest.raises(TrainingStopped, match="dcgan resume") as stop:
        dcgan.train("dcgan", out=out, **settings)
    thread.join()
    assert stop.value.exit_status == 128 + signal.SIGTERM
    step = saved_record(RunFolder(out))["step"]

    def kill_second() -> None:
        second = max((child for child in active_children()), key=lambda child: child.name)
        os.kill(second.pid or 0, signal.SIGKILL)

    RunFolder(out).log.path.unlink()
    thread = when_training(out, kill_second)
    message = f"rank 1 of 2, on {socket.gethostname()}, died \\(SIGKILL\\); .* with: dcgan resume {out}"
    with pytest.raises(LostRankError, match=message):
        dcgan.resume(out)
    thread.join()
    saved_step = saved_record(RunFolder(out))["step"]
    assert saved_step >= step
    folder = dcgan.resume(out, devices=1, steps=saved_step + 1)
    assert saved_record(folder)["step"] == saved_step + 1
    assert "ran on 2 x cpu" in capsys.readouterr().err


def start_torchrun(node: int, port: int, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={node}"]
    program = ["--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}", "-m", "dcgan"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # as the processes of `results` have, which share two cores
    return subprocess.Popen([*command, *program, *words], text=True, env=one_thread, **streams)


@pytest.mark.slow
def test_two_launchers_make_one_run(results: Path, tmp_path: Path):
    port, words = (
        find_free_network_port(),
        ["train", "--preset", "dcgan", *SMALL_FLAGS, "--steps", "7", "--out", str(tmp_path / "r"), "--json"],
    )
    launchers = [start_torchrun(node, port, *words) for node in (0, 1)]
    (out, err), (other_out, other_err) = (launcher.communicate(timeout=START_TIMEOUT_S) for launcher in launchers)
    assert [launcher.returncode for launcher in launchers] == [0, 0], err + other_err
    assert json.loads(out)["step"] == 7
    assert other_out == ""
    folder = RunFolder(tmp_path / "r")
    assert content(folder) == content(RunFolder(results / "whole"))
    assert (folder.config().devices, folder.config().num_nodes) == (1, 2)


TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}
SLURM = {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "8", "SLURM_NNODES": "2", "SLURM_PROCID": "5"}


@pytest.mark.parametrize("env", [TORCHRUN, SLURM | {"SLURM_NTASKS_PER_NODE": "4"}])
def test_a_launcher_is_detected(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]):
    assert detect_launcher() is None
    assert is_first_process()
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert detect_launcher() == LaunchedProcess(rank=5, devices=4, nodes=2)
    assert not is_first_process()
    config = with_launcher_devices(crew.config_for_two())
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
def test_impossible_devices_are_refused(refused, words: list[str], message: str):
    assert message in refused("train", "--device", "cpu", "--steps", "1", *words)


@pytest.mark.parametrize(
    "custom", [{"generator": torch.nn.Linear(1, 1)}, {"callbacks": [SimpleNamespace(on_end=print)]}]
)
def test_custom_parts_and_callbacks_need_a_launcher(tmp_path: Path, custom: dict):
    (name,) = custom
    message = f"^--devices 2 with your own {name}: start your script with torchrun --nproc-per-node 2 SCRIPT$"
    with pytest.raises(UserError, match=message):
        dcgan.train(out=tmp_path / "r", steps=1, **custom, **SMALL | {"devices": 2})
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_a_new_process_is_raised_by_the_caller(monkeypatch: pytest.MonkeyPatch):
    """A user's mistake and a refusal of the system look the same as in a single process."""
    for error, text in ((UserError("no data"), "no data"), (OSError(28, "disk full", "r"), "r: disk full")):

        class Fabric:
            is_global_zero = False

            def launch(self, function: Callable[..., dict]) -> dict:
                return function(self)

        monkeypatch.setattr(processes, "_run_as_rank", lambda *a, error=error, **k: (_ for _ in ()).throw(error))
        with pytest.raises(UserError, match=f"^{text}$"):
            processes._run_in_new_processes(Fabric(), 2, lambda fabric, announce: "")


def test_one_device_needs_no_process_group():
    assert connect_devices(crew.config_for_two(devices=1)).world_size == 1
    assert not torch.distributed.is_initialized()


SCRIPT_WITHOUT_MAIN_GUARD = """
import sys
import dcgan
print("the script runs", flush=True)
dcgan.train("vanilla", devices=2, steps=2, device="cpu", out=sys.argv[1])
"""


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT_WITHOUT_MAIN_GUARD)
    words = [sys.executable, str(script), str(tmp_path / "run")]
    process = subprocess.run(words, capture_output=True, text=True, timeout=START_TIMEOUT_S)
    assert process.returncode == 1
    *_, last_line = process.stderr.strip().splitlines()
    assert last_line.startswith("dcgan.errors.UserError: several devices need processes")
    assert 'below `if __name__ == "__main__":`' in last_line
    assert process.stderr.count("Traceback") == 1  # of the script itself, not of its new processes
    assert 'strategy="ddp"' not in process.stderr
    assert not (tmp_path / "run").exists()


def test_windows_ends_no_process_that_saves(monkeypatch: pytest.MonkeyPatch):
    """On Windows `os.kill` ends a process at once; a new process gets Ctrl-C from the console as its parent does."""
    kills: list[int] = []

    class Child:
        pid = 1

    class Fabric:
        def launch(self, function: Callable[..., dict]) -> dict:
            monkeypatch.setattr(processes, "active_children", lambda: [Child()])
            signal.raise_signal(signal.SIGINT)
            return {"stopped": "saved", "signal_number": 2}

    monkeypatch.setattr(processes.os, "kill", lambda process_id, number: kills.append(process_id))
    for name, expected in (("posix", [1]), ("nt", [])):
        kills.clear()
        monkeypatch.setattr(processes, "active_children", list)
        monkeypatch.setattr(processes, "is_windows", lambda name=name: name == "nt")
        with pytest.raises(TrainingStopped, match="saved"):
            processes._run_in_new_processes(Fabric(), 2, lambda fabric, announce: "")
        assert kills == expected
