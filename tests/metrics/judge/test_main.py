"""The command `python -m dcgan.metrics.judge`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dcgan.errors import UserError
from dcgan.metrics.judge import __main__ as judge_command
from dcgan.metrics.judge.network import load_judge
from tests.metrics.helpers import make_stripes


def run_command(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "dcgan.metrics.judge", *words], capture_output=True, text=True)


@pytest.mark.slow
def test_the_command_makes_a_judge_of_any_labeled_data(tmp_path: Path):
    pixels, labels = make_stripes(300, (1, 16, 16))
    np.savez(tmp_path / "d.npz", arr_0=pixels.permute(0, 2, 3, 1).numpy(), arr_1=labels.numpy())
    result = run_command("--data", str(tmp_path / "d.npz"), "--out", str(tmp_path / "j"), "--epochs", "1")
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr
    printed, config = json.loads(result.stdout), json.loads((tmp_path / "j" / "config.json").read_text())
    assert printed["accuracy"] == config["accuracy"] > 0.9
    assert config["train_pictures"] + config["test_pictures"] < 300  # the validation split is in neither
    assert config["names"] == ["0", "1"]
    assert load_judge(tmp_path / "j").class_count == 2


def test_the_command_refuses_data_without_labels(tmp_path: Path):
    pixels, _ = make_stripes(300, (1, 16, 16))
    np.savez(tmp_path / "d.npz", arr_0=pixels.permute(0, 2, 3, 1).numpy())
    result = run_command("--data", str(tmp_path / "d.npz"), "--out", str(tmp_path / "j"))
    assert result.returncode == 2
    assert result.stderr.startswith("judge: ")
    assert "has no labels" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "j").exists()


def test_the_command_refuses_a_folder_of_other_files_before_it_opens_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "photo.png").touch()
    monkeypatch.setattr(judge_command, "open_images", lambda data, split: pytest.fail("the data are opened"))
    with pytest.raises(UserError, match="holds other files than a judge: give another --out"):
        judge_command.TrainJudge(out=tmp_path)()
    assert (tmp_path / "photo.png").exists()


def test_a_system_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def fail(command: judge_command.TrainJudge) -> None:
        raise PermissionError(13, "Permission denied", "d.npz")

    monkeypatch.setattr(judge_command.TrainJudge, "__call__", fail)
    monkeypatch.setattr(sys, "argv", ["judge"])
    with pytest.raises(SystemExit) as stop:
        judge_command.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err == "judge: d.npz: Permission denied\n"
