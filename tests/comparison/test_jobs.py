import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import dcgan
from dcgan import UserError
from dcgan.comparison import jobs
from dcgan.comparison.plan import make_plan
from tests.conftest import make_picture_folder

SAMPLE_COUNT = 300
OPTIONS = {"presets": ("vanilla",), "n": SAMPLE_COUNT}
FLAGS = ["--presets", "vanilla", "--n", str(SAMPLE_COUNT)]


@pytest.fixture
def one_thread() -> Iterator[None]:
    """The bits of a training may depend on the number of threads."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(count)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_runs_at_once_are_the_same_runs_and_are_not_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    few = make_picture_folder(tmp_path / "few", 90)  # real pictures and their features are quickly there
    options = OPTIONS | {"steps": 1, "data": str(few), "image_size": 28}
    one = dcgan.compare(tmp_path / "one", **options, seeds=(0,)).outcome.metrics["vanilla"]["0"]
    two = dcgan.compare(tmp_path / "two", **options, seeds=(0, 1), jobs=2).outcome.metrics["vanilla"]["0"]
    for metrics in (one, two):
        assert metrics.pop("seconds") > 0
    assert one == two
    monkeypatch.setattr(jobs, "_start", None)
    dcgan.compare(tmp_path / "two", **options, seeds=(0, 1), jobs=2)


@pytest.fixture
def plans_only(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Comparisons write their plan and do nothing."""
    with monkeypatch.context() as context:
        for name in ("finish_run", "finish_runs_at_once", "gather_outcome"):
            context.setattr(f"dcgan.comparison.comparison.{name}", lambda *_: None)
        for name in ("write_tables", "draw_comparison_curves", "draw_grids"):
            context.setattr(f"dcgan.comparison.comparison.{name}", lambda *_: None)
        yield


@pytest.mark.slow
def test_an_error_of_one_run_ends_all(tmp_path: Path):
    (tmp_path / "c").mkdir()
    plan = make_plan(("vanilla",), (0, 1, 2), {"steps": 1}, "mnist", 28, SAMPLE_COUNT, jobs=2)
    (tmp_path / "c" / "vanilla-1" / "checkpoint").mkdir(parents=True)
    (tmp_path / "c" / "vanilla-1" / "other.txt").touch()
    with pytest.raises(UserError, match="vanilla-1"):
        jobs.finish_runs_at_once(plan, tmp_path / "c", lambda *_: None)


@pytest.mark.parametrize("sent", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_saves_all_runs_and_the_same_command_continues(tmp_path: Path, sent: signal.Signals):
    words = [sys.executable, "-m", "dcgan", "compare", *FLAGS, "--seeds", "0", "1", "--steps", "100000", "--jobs", "2"]
    command = subprocess.Popen([*words, "--out", "c"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    checkpoints = [tmp_path / "c" / f"vanilla-{seed}" / "checkpoint" / "state.json" for seed in (0, 1)]
    deadline = time.monotonic() + 200
    while not all(path.exists() for path in checkpoints):
        assert command.poll() is None, command.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    before = [json.loads(path.read_text())["step"] for path in checkpoints]
    command.send_signal(sent)
    _, err = command.communicate(timeout=60)
    assert command.returncode == 128 + sent
    assert err.strip().endswith("stopped and saved; the same command again continues")
    assert "Traceback" not in err
    assert [json.loads(path.read_text())["step"] for path in checkpoints] > before


@pytest.mark.slow
def test_a_process_that_dies_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start = jobs._start

    def start_and_kill(*arguments):
        job = start(*arguments)
        os.kill(job.process.pid, signal.SIGKILL)
        return job

    monkeypatch.setattr(jobs, "_start", start_and_kill)
    with pytest.raises(
        UserError, match=r"the process of vanilla-\d died \(SIGKILL\); the same command again continues"
    ):
        dcgan.compare(tmp_path / "c", **OPTIONS, seeds=(0, 1), steps=1, jobs=2)


@pytest.mark.slow
def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text("import dcgan\ndcgan.compare('c', presets=('vanilla',), seeds=(0, 1), steps=1, jobs=2)\n")
    process = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert "--jobs need" in process.stderr
    assert '`if __name__ == "__main__":`' in process.stderr


@pytest.mark.usefixtures("plans_only")
def test_minutes_are_those_of_as_many_jobs(tmp_path: Path):
    for unit in ("minutes", "steps"):
        dcgan.compare(tmp_path / unit, **OPTIONS, seeds=(0,), **{unit: 2})
    with pytest.raises(UserError, match="was started with --jobs 1, not --jobs 2"):
        dcgan.compare(tmp_path / "minutes", **OPTIONS, seeds=(0,), minutes=2, jobs=2)
    dcgan.compare(tmp_path / "steps", **OPTIONS, seeds=(0,), steps=2, jobs=2)


def test_no_jobs_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="--jobs must be at least 1, not 0"):
        dcgan.compare(tmp_path / "c", **OPTIONS, seeds=(0,), steps=1, jobs=0)
