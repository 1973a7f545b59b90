"""What breaks from outside: full disks, folders that cannot be written, damaged and hostile files, changed settings."""

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
from dcgan.run.folder import RunFolder
from dcgan.training import checkpoint, start
from dcgan.training.state import COUNTERS, State
from tests.conftest import SMALL, SMALL_FLAGS, make_picture_folder

SOURCE = Path(dcgan.__file__).parent
FUZZ = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def run(finished_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the finished run, to be broken."""
    shutil.copytree(finished_run.path, tmp_path / "r")
    return RunFolder(tmp_path / "r")


def content(folder: RunFolder) -> dict[str, bytes]:
    return {str(p.relative_to(folder.path)): p.read_bytes() for p in folder.path.rglob("*") if p.is_file()}


@pytest.fixture
def untouched(run: RunFolder, refused) -> Callable[..., str]:
    """Refuse to resume, in one line with status 2, without touching anything."""

    def resume(*words: str) -> str:
        before = content(run)
        said: str = refused("resume", str(run.path), *words)
        assert content(run) == before
        return said

    return resume


def change(path: Path, **values: Any) -> None:
    """Change a JSON file, as an editor would."""
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("name", "value"), [("network", "mlp"), ("z_dim", 9), ("batch_size", 8), ("seed", 1), ("lr", 1e-3), ("ema", 0)]
)
def test_a_changed_setting_is_refused_by_name(run: RunFolder, untouched, name: str, value: Any):
    path = run.path / "config.json"
    change(path, settings=json.loads(path.read_text())["settings"] | {name: value})
    said = untouched("--steps", "9")
    assert f"{name} in its config.json is {value} now and was {SMALL.get(name, '')}" in said


def test_how_often_is_logged_and_saved_may_change(run: RunFolder):
    path = run.path / "config.json"
    change(path, settings=json.loads(path.read_text())["settings"] | {"log_every": 1, "save_every": 4})
    resumed = dcgan.resume(run, steps=9)
    assert [line["step"] for line in resumed.log.measurements()] == [2, 4, 6, 8, 9]


def test_a_finished_run_offers_steps(untouched):
    assert "is finished at step 7: give a larger --steps" in untouched()
    assert "is finished" in untouched("--epochs", "0.001")


def test_the_state_of_a_newer_version_is_refused(run: RunFolder, untouched):
    change(run.checkpoint / "state.json", format_version=99)
    assert "was written by a newer dcgan" in untouched("--steps", "9")


def test_other_pictures_are_refused(refused, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = make_picture_folder(tmp_path / "data", 20)
    folder = dcgan.train("dcgan", out=tmp_path / "r", data=str(data), steps=2, **SMALL)
    shutil.rmtree(data)
    before = content(folder)
    make_picture_folder(tmp_path / "data", 21)
    capsys.readouterr()
    assert "holds other pictures now" in refused("resume", str(folder.path), "--steps", "4")
    assert content(folder) == before


def test_another_machine_is_said(run: RunFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(start, "describe_arithmetic", lambda fabric: "2 x cuda (a large one), torch 9")
    dcgan.resume(run, steps=8)
    assert re.search(r"ran on 1 x cpu .*, now on 2 x cuda .*: .*not the same to the bit", capsys.readouterr().err)


def test_a_longer_plan_is_kept_from_the_first_moment(run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    def killed(*arguments: object) -> None:
        raise SystemExit

    monkeypatch.setattr(start, "fit", killed)
    with pytest.raises(SystemExit):
        dcgan.resume(run, steps=9)
    monkeypatch.undo()
    assert list(dcgan.resume(run).log.measurements())[-1]["step"] == 9


def test_past_the_plan_the_last_rate_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rates, real = [], start.update

    def update(state: State) -> None:
        real(state)
        rates.append(state.optimizer_g.param_groups[0]["lr"])

    monkeypatch.setattr(start, "train_step", update)
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=2, lr=1.0, lr_end=0.5, **SMALL)
    dcgan.resume(folder, steps=5)
    assert rates == pytest.approx([1, 0.75, 0.5, 0.5, 0.5])


def test_the_state_is_saved_by_the_clock_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    steps, real = [], start.save_state

    def save_state(state: State, folder: RunFolder) -> None:
        steps.append(state.step)
        real(state, folder)

    monkeypatch.setattr(start, "save_state", save_state)
    monkeypatch.setattr(start, "SAVE_INTERVAL_S", 0.0)
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=5, **SMALL)
    assert steps == [1, 2, 4, 5]  # 0 and 3 are on the beat of save_every and hold a grid and a model besides
    assert sorted(path.stem for path in folder.samples.iterdir()) == ["00000000", "00000048", "00000080"]


LIMITED = """
import resource, sys
from dcgan.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1))
main(sys.argv[2:])
"""


@pytest.mark.skipif(os.name == "nt", reason="no limits there")
def test_a_full_disk_ends_in_a_line_and_keeps_the_state(run: RunFolder):
    words = [sys.executable, "-c", LIMITED, "30000", "resume", str(run.path), "--steps", "12"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("dcgan: ")
    assert done.stdout == ""
    assert json.loads((run.checkpoint / "state.json").read_text())["step"] == 7
    assert list(dcgan.resume(run, steps=9).log.measurements())[-1]["step"] == 9


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 kB; root can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_full_and_then_is_not(disk: Path, finished_run: RunFolder, refused):
    shutil.copytree(finished_run.path, disk / "r")
    with (disk / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1024)):
            pass
    said = refused("resume", str(disk / "r"), "--steps", "12")
    assert "No space left on device" in said
    assert list(RunFolder(disk / "r").log.measurements()) == list(finished_run.log.measurements())
    (disk / "filler").unlink()
    assert list(dcgan.resume(disk / "r", steps=9).log.measurements())[-1]["step"] == 9


def test_a_disk_that_cannot_be_written(disk: Path, finished_run: RunFolder, refused):
    shutil.copytree(finished_run.path, disk / "r")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert "Read-only file system" in refused("resume", str(disk / "r"), "--steps", "12")
    assert "Read-only file system" in refused("train", "--out", str(disk / "new"), "--steps", "1", *SMALL_FLAGS)


@pytest.mark.parametrize("name", ["state.safetensors", "state.json"])
def test_a_cut_or_flipped_state_is_refused_wherever_it_was_hit(run: RunFolder, name: str):
    path, chance = run.checkpoint / name, random.Random(0)
    whole = path.read_bytes()
    for _ in range(100):
        at = chance.randrange(len(whole))
        flipped = bytearray(whole)
        flipped[at] ^= 1 << chance.randrange(8)
        for broken in (whole[:at], bytes(flipped)):
            path.write_bytes(broken)
            if name.endswith(".json") and _same_json(broken, whole):
                continue  # a space for another
            with pytest.raises(UserError, match=r"damaged|newer|not written by dcgan"):
                checkpoint.read_checkpoint(run.checkpoint, COUNTERS)


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from([0, -1, 10**9, 10**30, 2**70]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)


@FUZZ
@given(data=st.data(), value=ANYTHING)
def test_a_fuzzed_model_is_refused_or_works(finished_run: RunFolder, tmp_path: Path, data: st.DataObject, value: Any):
    folder = tmp_path / "model"
    shutil.copytree(finished_run.model, folder, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    name = data.draw(st.sampled_from(sorted(config)))
    (folder / "config.json").write_text(json.dumps(config | {name: value}))
    with contextlib.suppress(UserError):  # and nothing else
        model = dcgan.load(folder)
        assert model.sample(1).shape == (1, 28, 28, 1)
        assert isinstance(model.classes, tuple)


@FUZZ
@given(data=st.data(), value=ANYTHING)
def test_a_fuzzed_config_is_refused_or_works(finished_run: RunFolder, tmp_path: Path, data: st.DataObject, value: Any):
    path = tmp_path / "config.json"
    config = read_json(finished_run.path / "config.json")
    name = data.draw(st.sampled_from(sorted(config["settings"])))
    path.write_text(json.dumps(config | {"settings": config["settings"] | {name: value}}))
    with contextlib.suppress(UserError):  # and nothing else
        assert RunFolder(tmp_path).config().size >= (16, 16)


@FUZZ
@given(at=st.integers(0, 2000), replacement=st.binary(min_size=1, max_size=12))
def test_a_fuzzed_header_takes_no_memory(finished_run: RunFolder, tmp_path: Path, at: int, replacement: bytes):
    folder = tmp_path / "model"
    shutil.copytree(finished_run.model, folder, dirs_exist_ok=True)
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    broken = whole[:at] + replacement + whole[at + len(replacement) :]
    path.write_bytes(broken)
    if broken != whole:
        with pytest.raises(UserError):
            dcgan.load(folder)


@pytest.mark.parametrize("picture", [[1, 2**16, 2**16], [1, 10**9, 28], [2**20, 28, 28]])
def test_a_picture_of_a_terabyte_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: list[int]
):
    folder = dcgan.train("dcgan64", out=tmp_path / "r", steps=1, **{**SMALL, "image_size": 28}).model
    change(folder / "config.json", picture_shape=picture)
    with pytest.raises(UserError, match="describes no dcgan64 generator"):
        dcgan.load(folder)


def test_a_file_of_settings_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("dcgan.config.LARGEST_JSON", 100)
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
            called = ast.unparse(node.func)
            if path.name == "features.py" and called in ("torch.load", "torch.save"):
                assert "weights_only=True" in ast.unparse(node) or called == "torch.save"  # Inception's weights
                continue
            assert called not in ("torch.load", "torch.save", "fabric.load", "fabric.save", "eval", "exec"), path
            if called == "np.load":
                assert "allow_pickle=False" in ast.unparse(node), path
