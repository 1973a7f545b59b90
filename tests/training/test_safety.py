"""Faults from outside: full disks, folders that cannot be written, damaged and hostile files, changed settings."""

import ast
import contextlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dcgan
from dcgan import UserError
from dcgan.files import read_json
from dcgan.reporting import curves
from dcgan.run.folder import RunFolder
from dcgan.training import checkpoint, loop, restore, start
from dcgan.training.callbacks import StepEvent
from dcgan.training.snapshot import RunWriter
from dcgan.training.state import State
from tests.conftest import SMALL, SMALL_FLAGS, make_picture_folder

pytestmark = pytest.mark.usefixtures("without_report")

SOURCE = Path(dcgan.__file__).parent
FUZZ = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def run(finished_run: RunFolder, tmp_path: Path) -> RunFolder:
    """Return a copy of the finished run, which the test may damage."""
    shutil.copytree(finished_run.path, tmp_path / "r")
    return RunFolder(tmp_path / "r")


def content(folder: RunFolder) -> dict[str, bytes]:
    return {str(p.relative_to(folder.path)): p.read_bytes() for p in folder.path.rglob("*") if p.is_file()}


@pytest.fixture
def resume_refused(run: RunFolder, refused) -> Callable[..., str]:
    """Return a function that resumes the run, which must be refused in one line with status 2 and change nothing."""

    def resume(*words: str) -> str:
        before = content(run)
        line: str = refused("resume", str(run.path), *words)
        assert content(run) == before
        return line

    return resume


def change(path: Path, **values: Any) -> None:
    """Change a JSON file as an editor does."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("name", "value"), [("network", "mlp"), ("z_dim", 9), ("batch_size", 8), ("seed", 1), ("lr", 1e-3), ("ema", 0)]
)
def test_a_changed_setting_is_refused_by_name(run: RunFolder, resume_refused, name: str, value: Any):
    path = run.path / "config.json"
    change(path, settings=json.loads(path.read_text())["settings"] | {name: value})
    line = resume_refused("--steps", "9")
    assert f"{name} in its config.json is {value} now and was {SMALL.get(name, '')}" in line


def test_the_intervals_of_logs_and_snapshots_may_change(run: RunFolder):
    path = run.path / "config.json"
    change(path, settings=json.loads(path.read_text())["settings"] | {"log_every": 1, "save_every": 4})
    resumed = dcgan.resume(run, steps=9)
    assert [entry["step"] for entry in resumed.log.measurements()] == [2, 4, 6, 8, 9]


def test_a_finished_run_needs_more_steps(resume_refused):
    assert "is finished at step 7: give a larger --steps" in resume_refused()
    assert "is finished at step 7, after 112 images: give a larger --images" in resume_refused("--images", "100")
    assert "after 0.0 epochs: give a larger --epochs" in resume_refused("--epochs", "0.001")
    assert "after 0.0 minutes: give a larger --minutes" in resume_refused("--minutes", "0.000001")


def test_the_checkpoint_of_a_newer_version_is_refused(run: RunFolder, resume_refused):
    change(run.checkpoint / "state.json", format_version=99)
    assert "was written by a newer dcgan" in resume_refused("--steps", "9")


def test_other_pictures_are_refused(refused, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = make_picture_folder(tmp_path / "data", 20)
    folder = dcgan.train("dcgan", out=tmp_path / "r", data=str(data), steps=2, **SMALL)
    shutil.rmtree(data)
    before = content(folder)
    make_picture_folder(tmp_path / "data", 21)
    capsys.readouterr()
    assert "holds other pictures now" in refused("resume", str(folder.path), "--steps", "4")
    assert content(folder) == before


def test_another_kind_of_machine_is_reported(
    run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(restore, "describe_arithmetic", lambda fabric: "2 x cuda (a large one), torch 9")
    dcgan.resume(run, steps=8)
    assert re.search(r"ran on 1 x cpu .*, now on 2 x cuda .*: .*not the same to the bit", capsys.readouterr().err)


def test_a_longer_plan_is_saved_at_once(run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    def end(*arguments: object) -> None:
        raise SystemExit

    monkeypatch.setattr(start, "fit", end)
    with pytest.raises(SystemExit):
        dcgan.resume(run, steps=9)
    monkeypatch.undo()
    assert list(dcgan.resume(run).log.measurements())[-1]["step"] == 9


def test_after_the_first_plan_the_learning_rate_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rates, train_step = [], loop.train_step

    def recorded_step(state: State) -> None:
        train_step(state)
        rates.append(state.optimizer_g.param_groups[0]["lr"])

    monkeypatch.setattr(loop, "train_step", recorded_step)
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=2, lr=1.0, lr_end=0.5, **SMALL)
    dcgan.resume(folder, steps=5)
    assert rates == pytest.approx([1, 0.75, 0.5, 0.5, 0.5])


def test_the_checkpoint_is_saved_after_some_time_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    steps, save_state = [], loop.save_state

    def recorded_save(state: State, writer: RunWriter) -> None:
        steps.append(state.progress.step)
        save_state(state, writer)

    monkeypatch.setattr(loop, "save_state", recorded_save)
    monkeypatch.setattr(loop, "SAVE_INTERVAL_S", 0.0)
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=5, **SMALL)
    # Steps 0 and 3 are multiples of save_every, and 5 is the last one: they are saved with a grid and a model.
    assert steps == [1, 2, 4]
    assert sorted(path.stem for path in folder.samples.iterdir()) == ["00000000", "00000048", "00000080"]


WITH_SIZE_LIMIT = """
import resource, sys
from dcgan.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1))
main(sys.argv[2:])
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such limit")
def test_a_full_disk_ends_in_one_line_and_keeps_the_checkpoint(run: RunFolder):
    words = [sys.executable, "-c", WITH_SIZE_LIMIT, "30000", "resume", str(run.path), "--steps", "12"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("dcgan: ")
    assert done.stdout == ""
    assert json.loads((run.checkpoint / "state.json").read_text())["step"] == 7
    assert list(dcgan.resume(run, steps=9).log.measurements())[-1]["step"] == 9


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return a disk of 1 MB; only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_run_continues_after_a_disk_was_full(disk: Path, finished_run: RunFolder, refused):
    shutil.copytree(finished_run.path, disk / "r")
    with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1024)):
            pass
    assert "No space left on device" in refused("resume", str(disk / "r"), "--steps", "12")
    assert list(RunFolder(disk / "r").log.measurements()) == list(finished_run.log.measurements())
    (disk / "filler").unlink()
    assert list(dcgan.resume(disk / "r", steps=9).log.measurements())[-1]["step"] == 9


def test_a_read_only_disk_is_refused(disk: Path, finished_run: RunFolder, refused):
    shutil.copytree(finished_run.path, disk / "r")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert "Read-only file system" in refused("resume", str(disk / "r"), "--steps", "12")
    assert "Read-only file system" in refused("train", "--out", str(disk / "new"), "--steps", "1", *SMALL_FLAGS)


FULL_DISK = Path("/dev/full")
"""What is written there fails as on a full disk."""
needs_full_disk = pytest.mark.skipif(not FULL_DISK.exists(), reason="only Linux has this device")


class AtStep:
    """A callback that does something after a step."""

    def __init__(self, step: int, action: Callable[[], object]) -> None:
        self.step, self.action = step, action

    def on_step(self, event: StepEvent) -> None:
        if event.step == self.step:
            self.action()


@needs_full_disk
def test_a_log_that_cannot_be_written_is_one_line_with_its_name(tmp_path: Path):
    def fill_disk() -> None:
        (tmp_path / "r" / "metrics.jsonl").unlink()
        (tmp_path / "r" / "metrics.jsonl").symlink_to(FULL_DISK)

    with pytest.raises(UserError, match=r"^cannot read or write .*/r/metrics.jsonl: No space left on device$"):
        dcgan.train("dcgan", out=tmp_path / "r", steps=4, callbacks=[AtStep(1, fill_disk)], **SMALL)


def test_curves_that_cannot_be_written_are_one_line_with_their_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "draw_curves", curves.draw_curves)
    make_folder = (tmp_path / "r" / "curves.png").mkdir
    with pytest.raises(UserError, match=r"^cannot read or write .*/r/.*curves.png.*: ") as caught:
        dcgan.train("dcgan", out=tmp_path / "r", steps=2, callbacks=[AtStep(1, make_folder)], **SMALL)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["samples", "metrics.jsonl"])
def test_what_is_of_the_wrong_kind_in_a_run_is_refused_with_its_name(run: RunFolder, name: str):
    path = run.path / name
    if path.is_dir():
        shutil.rmtree(path)
        path.touch()
    else:
        path.unlink()
        path.mkdir()
    with pytest.raises(UserError, match=rf"^cannot read or write .*/r/{name}: "):
        dcgan.resume(run, steps=9)


def test_a_leftover_of_the_wrong_kind_is_removed(run: RunFolder):
    (run.path / ".metrics.jsonl.new").mkdir()
    dcgan.resume(run, steps=9)
    assert not (run.path / ".metrics.jsonl.new").exists()


def test_an_error_of_a_file_outside_the_run_stays_as_it_is(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        dcgan.train(
            "dcgan", out=tmp_path / "r", steps=2, callbacks=[AtStep(1, (tmp_path / "elsewhere").read_bytes)], **SMALL
        )


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
def test_a_truncated_or_flipped_checkpoint_is_refused_wherever_it_is_damaged(run: RunFolder, name: str):
    path, source = run.checkpoint / name, random.Random(0)
    intact = path.read_bytes()
    for _ in range(100):
        position = source.randrange(len(intact))
        flipped = bytearray(intact)
        flipped[position] ^= 1 << source.randrange(8)
        for damaged in (intact[:position], bytes(flipped)):
            path.write_bytes(damaged)
            if name.endswith(".json") and _is_equal_json(damaged, intact):
                continue  # only white space is another
            with pytest.raises(UserError, match=r"damaged|newer|not written by dcgan"):
                checkpoint.read_checkpoint(run.checkpoint)


def _is_equal_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from([0, -1, 10**9, 10**30, 2**70]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)


@FUZZ
@given(data=st.data(), value=ANY_JSON)
def test_a_fuzzed_model_is_refused_or_works(finished_run: RunFolder, tmp_path: Path, data: st.DataObject, value: Any):
    folder = tmp_path / "model"
    shutil.copytree(finished_run.model, folder, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    name = data.draw(st.sampled_from(sorted(config)))
    (folder / "config.json").write_text(json.dumps(config | {name: value}))
    with contextlib.suppress(UserError):  # no other error may be raised
        model = dcgan.load(folder)
        assert model.sample(1).shape == (1, 28, 28, 1)
        assert isinstance(model.classes, tuple)


@FUZZ
@given(data=st.data(), value=ANY_JSON)
def test_a_fuzzed_config_is_refused_or_works(finished_run: RunFolder, tmp_path: Path, data: st.DataObject, value: Any):
    path = tmp_path / "config.json"
    config = read_json(finished_run.path / "config.json")
    name = data.draw(st.sampled_from(sorted(config["settings"])))
    path.write_text(json.dumps(config | {"settings": config["settings"] | {name: value}}))
    with contextlib.suppress(UserError):  # no other error may be raised
        assert RunFolder(tmp_path).config().size >= (16, 16)


@FUZZ
@given(position=st.integers(0, 2000), replacement=st.binary(min_size=1, max_size=12))
def test_a_fuzzed_header_is_refused(finished_run: RunFolder, tmp_path: Path, position: int, replacement: bytes):
    folder = tmp_path / "model"
    shutil.copytree(finished_run.model, folder, dirs_exist_ok=True)
    path = folder / "model.safetensors"
    intact = path.read_bytes()
    damaged = intact[:position] + replacement + intact[position + len(replacement) :]
    path.write_bytes(damaged)
    if damaged != intact:
        with pytest.raises(UserError):
            dcgan.load(folder)


@pytest.mark.parametrize("shape", [[1, 2**16, 2**16], [1, 10**9, 28], [2**20, 28, 28]])
def test_a_picture_of_a_terabyte_is_refused_before_a_network_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: list[int]
):
    folder = dcgan.train("dcgan64", out=tmp_path / "r", steps=1, **{**SMALL, "image_size": 28}).model
    change(folder / "config.json", picture_shape=shape)
    with pytest.raises(UserError, match="describes no dcgan64 generator"):
        dcgan.load(folder)


def test_a_long_json_file_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dcgan.files.MAX_JSON_CHARS", 100)
    (tmp_path / "config.json").write_text('{"format_version": 1}' + " " * 200 + "x")
    assert read_json(tmp_path / "config.json") == {"format_version": 1}
    (tmp_path / "config.json").write_text('{"format_version": 1, "more": "' + "x" * 200 + '"}')
    with pytest.raises(UserError, match="not JSON"):
        read_json(tmp_path / "config.json")


def test_no_pickle_is_loaded_anywhere():
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            assert not {"pickle", "marshal", "shelve", "dill", "joblib"} & set(names), path
            if not isinstance(node, ast.Call):
                continue
            function = ast.unparse(node.func)
            if path.name in ("inception.py", "lite.py") and function in ("torch.load", "torch.save"):
                assert "weights_only=True" in ast.unparse(node) or function == "torch.save"  # pretrained weights
                continue
            assert function not in ("torch.load", "torch.save", "fabric.load", "fabric.save", "eval", "exec"), path
            if function == "np.load":
                assert "allow_pickle=False" in ast.unparse(node), path
