import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dcgan.data.open import open_images
from dcgan.errors import UserError
from dcgan.metrics.judge import network
from dcgan.metrics.judge.network import (
    check_judge_output,
    judge_images,
    load_judge,
    load_shipped_judge,
    measure_accuracy,
    save_judge,
)
from dcgan.metrics.judge.training import initialize_judge
from dcgan.run.folder import RunFolder
from tests.metrics.helpers import JUDGE_ORIGIN

SHIPPED = Path(str(files("dcgan.metrics") / "judge_mnist"))


@pytest.fixture
def judge_folder(tmp_path: Path) -> Path:
    """A copy of the shipped judge, to be damaged."""
    return Path(shutil.copytree(SHIPPED, tmp_path / "judge"))


def test_the_shipped_judge_recognizes_the_test_digits_as_its_card_says():
    config, test = json.loads((SHIPPED / "config.json").read_text()), open_images("mnist", "test")
    accuracy = measure_accuracy(load_shipped_judge(), test.pixels, test.labels)
    assert accuracy >= 0.994
    assert accuracy == pytest.approx(config["accuracy"], abs=2e-4)  # other threads or kernels can change one or two
    assert (SHIPPED / "model.safetensors").stat().st_size < 1_000_000
    assert "--seed 0" in config["command"]
    assert config["command"] in (SHIPPED / "README.md").read_text()


def test_the_result_does_not_depend_on_the_batch_size(monkeypatch: pytest.MonkeyPatch):
    judge, pixels = load_shipped_judge(), open_images("mnist", "test").pixels[:70]
    features, scores = judge_images(judge, pixels)
    assert features.shape == (70, network.FEATURE_COUNT)
    assert scores.shape == (70, 10)
    monkeypatch.setattr(network, "JUDGE_BATCH_SIZE", 7)
    for expected, actual in zip((features, scores), judge_images(judge, pixels), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def change_config(judge_folder: Path, **values: object) -> None:
    config = json.loads((judge_folder / "config.json").read_text())
    (judge_folder / "config.json").write_text(json.dumps(config | values))


@pytest.mark.parametrize(
    "values",
    [
        {"shape": [1, 28]},
        {"shape": "28"},
        {"classes": 10**9},
        {"classes": True},
        {"width": 10**9},
        {"width": 0},
        {"shape": [1, 28, 10**6]},
    ],
)
def test_a_config_that_describes_no_judge_is_refused(values: dict[str, object], judge_folder: Path):
    change_config(judge_folder, **values)
    with pytest.raises(UserError, match="describes no judge"):
        load_judge(judge_folder)


def change_data_type(path: Path) -> None:
    save_file({name: tensor.float() for name, tensor in load_file(path).items()}, path)


def remove_tensor(path: Path) -> None:
    tensors = load_file(path)
    del tensors["head.bias"]
    save_file(tensors, path)


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [change_data_type, remove_tensor, flip_bit, Path.unlink, lambda p: p.write_bytes(b"\x80\x04.")]
)
def test_damaged_weights_are_refused(damage: Callable[[Path], object], judge_folder: Path):
    damage(judge_folder / "model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors is damaged"):
        load_judge(judge_folder)


def write_names(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("mine")


def save_small_judge(folder: Path, seed: int = 0) -> None:
    save_judge(initialize_judge((1, 8, 8), 2, seed).eval(), folder, JUDGE_ORIGIN)


@pytest.mark.parametrize(
    "names", [("photo.png",), ("config.json",), ("config.json", "model.safetensors"), ("config.json", "README.md")]
)
def test_a_folder_that_holds_other_files_is_not_replaced(names: tuple[str, ...], tmp_path: Path):
    write_names(tmp_path / "j", *names)
    for write in (check_judge_output, save_small_judge):
        with pytest.raises(UserError, match=r"j holds other files than a judge: give another --out$"):
            write(tmp_path / "j")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j"]
    assert {path.name: path.read_text() for path in (tmp_path / "j").iterdir()} == dict.fromkeys(names, "mine")


def test_a_judge_with_a_file_of_the_user_is_not_replaced(judge_folder: Path):
    write_names(judge_folder, "notes.txt")
    with pytest.raises(UserError, match="holds other files than a judge"):
        save_small_judge(judge_folder)
    assert load_judge(judge_folder).class_count == 10


def test_a_saved_generator_is_not_replaced(finished_run: RunFolder, tmp_path: Path):
    """Its files have the names of those of a judge."""
    folder = Path(shutil.copytree(finished_run.model, tmp_path / "model"))
    for path in folder.iterdir():
        if path.name not in ("config.json", "model.safetensors", "README.md"):
            path.unlink()
    assert {"config.json", "model.safetensors"} <= {path.name for path in folder.iterdir()}
    with pytest.raises(UserError, match="holds other files than a judge"):
        check_judge_output(folder)


def test_an_earlier_judge_and_an_empty_folder_are_replaced(judge_folder: Path, tmp_path: Path):
    write_names(tmp_path / "empty")
    for folder in (judge_folder, tmp_path / "empty", tmp_path / "new" / "judge"):
        check_judge_output(folder)
        save_small_judge(folder)
        assert load_judge(folder).class_count == 2
    (judge_folder / "README.md").unlink()
    check_judge_output(judge_folder)


def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(UserError, match=f"{name} is not a folder: give another --out"):
            check_judge_output(tmp_path / name)
    with pytest.raises(UserError, match=r"cannot write .*file/judge: Not a directory$|cannot write .*: File exists$"):
        check_judge_output(tmp_path / "file" / "judge")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    for name in (".", "..", "a/.."):
        with pytest.raises(UserError, match=r"has no name of its own: give a new folder as --out"):
            check_judge_output(Path(name))


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*args: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr(network, "save_file", fail)
    with pytest.raises(UserError, match=r"^cannot write .*j: No space left on device$"):
        save_small_judge(tmp_path / "j")
    assert list(tmp_path.iterdir()) == []
