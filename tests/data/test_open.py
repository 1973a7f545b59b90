import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcgan
from dcgan.cache import cache_folder
from dcgan.data.find import list_file_names
from dcgan.data.open import open_images
from dcgan.data.rules import CURRENT_RULES, RULES_WITHOUT_METADATA
from dcgan.errors import UserError
from dcgan.run.folder import RunFolder
from tests.conftest import SMALL, cached_set_names, make_picture_folder
from tests.data.idx_content import to_idx_bytes


def test_mnist():
    images = open_images("mnist", "test")
    assert images.pixels.shape == (10_000, 1, 28, 28)
    assert images.pixels.dtype == torch.uint8
    assert images.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert images.classes[7] == "7"


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(UserError, match="did you mean 'mnist'"):
        open_images("mnits")


def test_an_unknown_split_is_refused():
    with pytest.raises(UserError, match="there is no split 'half' of a set; the splits are train, validation, test"):
        open_images("mnist", "half")


def test_the_validation_split_of_a_set_with_its_own_test_split_is_in_training():
    validation = open_images("mnist", "validation")
    assert 2_900 < len(validation) <= 3_000
    train = {bytes(row) for row in open_images("mnist").pixels.flatten(1).numpy()}
    assert all(bytes(row) in train for row in validation.pixels.flatten(1).numpy())


def test_mnist_at_another_size_and_with_other_channels():
    images = open_images("mnist", "test", size=(32, 36), channels=3)
    assert images.pixels.shape == (10_000, 3, 32, 36)
    assert images.original_size == "28x28"
    assert images.content_key != open_images("mnist", "test").content_key


def test_the_names_of_files_are_those_of_the_rules_by_which_a_set_is_read(tmp_path: Path):
    """Version 3 of the rules does not read `metadata.csv`, so its indices are into a longer list."""
    folder = make_picture_folder(tmp_path / "s", 12)
    (folder / "metadata.csv").write_text("file_name\n" + "".join(f"{i}.png\n" for i in range(6, 12)))
    for data in (str(folder), f"join:{folder} {make_picture_folder(tmp_path / 'b', 2)}"):
        for rules, count in ((CURRENT_RULES, 6), (RULES_WITHOUT_METADATA, 12)):
            images, names = open_images(data, "all", rules=rules), list_file_names(data, rules=rules)
            rows = [row for row, i in enumerate(images.columns["indices"]) if "b: " not in names[i]]
            assert len(rows) == count
            for row in rows:  # the first channel of each picture is its number
                name = names[images.columns["indices"][row]]
                assert int(images.pixels[row, 0].max()) == int(name.removeprefix("s: ").removesuffix(".png"))


def test_content_keys_are_those_of_version_0_1_0(tmp_path: Path):
    """A run is resumed only if the key in its checkpoint is that of its data."""
    mnist_keys = {
        "train": "892f3bcf08cc49649cf06fd5a32497c5b415aff17d3ca52be76342fd1419cd62",
        "validation": "cabb395c6a0853bffaa8bfe0458a5f2b70388974b88b7f349976b260a4cc5b20",
        "test": "f904163dc1cdc86eba33b2f2566cd53f49f5b7098f27e0430f8da23a47a29573",
        "all": "9c5f9a2707c05f0fdeca5c13c40888b2cf26b3595ea1ae243c2e9bd55b413da7",
    }
    assert {split: open_images("mnist", split).content_key for split in mnist_keys} == mnist_keys
    resized = open_images("mnist", size=(32, 36), channels=3, fit="pad").content_key
    assert resized == "43bcaf310f58f140964fef7657a136a133c4ae9cdc7504a9af1a0f43fba17bb6"
    stacked = open_images("stacked-mnist", "test", seed=3).content_key
    assert stacked == "04ce9ab7894d7fb2965fef2ac908a3b841fd558ff8c0f05c2b102320f3d4f884"
    np.save(tmp_path / "a.npy", np.arange(20 * 16 * 16, dtype=np.uint8).reshape(20, 16, 16))
    from_array = open_images(str(tmp_path / "a.npy")).content_key
    assert from_array == "570affdf72a258bc0a7c6af2960ed7b4921855b6efcf7baa24ff528bfe6cfba1"


def test_the_stacks_of_a_seed_are_those_of_version_0_1_0():
    images = open_images("stacked-mnist", "test", seed=3)
    content = images.pixels.numpy().tobytes() + images.labels.numpy().tobytes()
    assert hashlib.sha256(content).hexdigest() == "a312dd88e5f776850b7feadcab80c7039d8863b719e874033f7b2ac7e70d8eed"


def save_random_array(path: Path, count: int = 20) -> None:
    np.save(path, np.random.default_rng(0).integers(0, 256, (count, 20, 20)).astype(np.uint8))


def make_unusable_data(root: Path) -> list[tuple[str, str]]:
    """Return names of data that cannot be used, each with a part of the error line."""
    (root / "empty").mkdir()
    (root / "texts").mkdir()
    (root / "texts" / "a.txt").touch()
    make_picture_folder(root / "one", 1)
    make_picture_folder(root / "broken", 3)
    for name in ("0.png", "1.png"):
        (root / "broken" / name).write_bytes(b"x")
    (root / "truncated.zip").write_bytes(b"PK\x03\x04 and no more")
    with zipfile.ZipFile(root / "outside.zip", "w") as archive:
        archive.writestr("../a.png", b"x")
    with zipfile.ZipFile(root / "broken.zip", "w") as archive:
        for name in "ab":
            archive.writestr(f"{name}.png", b"x")
    (root / "idx").mkdir()
    (root / "idx" / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03\0\0\0\x09" + b"\0\0\0\x10" * 2 + b"x" * 99)
    np.save(root / "float.npy", np.zeros((9, 20, 20)))
    np.save(root / "shape.npy", np.zeros((9, 20), np.uint8))
    save_random_array(root / "single.npy", 1)
    (root / "a.rar").touch()
    make_picture_folder(root / "flowers", 3)
    return [
        ("empty", "it is empty"),
        ("texts", "it holds 1 .txt"),
        ("one", "one usable picture"),
        ("broken", "one usable picture, but needs at least 2; 2 files cannot be used, such as 0.png (not a picture"),
        ("truncated.zip", "damaged, or no zip"),
        ("outside.zip", "points outside it: ../a.png"),
        ("broken.zip", "no usable picture"),
        ("idx", "damaged: it ends before"),
        ("float.npy", "holds float64, not uint8"),
        ("shape.npy", "has the shape (9, 20)"),
        ("single.npy", "one usable picture"),
        ("a.rar", "a kind that is not read"),
        ("flowrs", "did you mean 'flowers'?"),
        ("./flowrs", "did you mean 'flowers'?"),
        ("cifar", "did you mean 'cifar10'?"),
        ("x" * 5000, "there is no data"),
        ("a\0b", "there is no data"),
        ("a\x1b[31m\nb\udcff", "there is no data"),
    ]


def test_unusable_data_gives_one_line_and_leaves_no_files(refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name, message in make_unusable_data(tmp_path):
        error = refused("train", "--data", name, "--out", "r")
        assert message in error
        assert error.rstrip("\n").isprintable()
        assert not (tmp_path / "r").exists()
        assert not cache_folder().exists() or list(cache_folder().iterdir()) == []


def train_on(data: Path, out: Path, **settings: object) -> RunFolder:
    return dcgan.train("dcgan", data=str(data), out=out, **{**SMALL, "steps": 3, **settings})


@pytest.mark.parametrize(("channels", "mode"), [(None, "RGB"), (1, "L"), (4, "RGBA")])
def test_training_on_a_folder(tmp_path: Path, channels: int | None, mode: str, capsys: pytest.CaptureFixture[str]):
    folder = make_picture_folder(tmp_path / "my pictures", 40)
    (folder / "bro\nken.png").write_bytes(b"x")
    run = train_on(folder, tmp_path / "r", channels=channels)
    for picture in (run.path / "reals.png", max(run.samples.iterdir())):
        with Image.open(picture) as image:
            assert image.mode == mode
    skipped_files = json.loads((run.path / "skipped.json").read_text())
    assert skipped_files == [{"file": "bro\\nken.png", "reason": "not a picture, or of a kind that is not read"}]
    messages = capsys.readouterr().err
    assert "40 pictures of 20x20 to 20x26" not in messages  # 36 of them are trained on
    assert "36 pictures of 20x20 to 20x26" in messages
    assert "resized to 28x28 (crop), the size that the network dcgan draws" in messages
    assert "1 file cannot be used, such as" in messages
    assert dcgan.load(run).sample(2).shape == (2, 28, 28, len(mode))


def test_training_on_an_array_a_zip_and_idx_files(tmp_path: Path):
    save_random_array(tmp_path / "a.npy")
    make_picture_folder(tmp_path / "s", 20, classes=2)
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for file in (tmp_path / "s").rglob("*.png"):
            archive.write(file, file.relative_to(tmp_path))
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx" / "train-images-idx3-ubyte").write_bytes(to_idx_bytes(np.zeros((20, 28, 28), np.uint8)))
    for name in ("a.npy", "s.zip", "idx"):
        run = train_on(tmp_path / name, tmp_path / f"run of {name}")
        assert next(run.log.measurements())["step"] == 2
        assert not (run.path / "skipped.json").exists()


@pytest.mark.parametrize("augment", ["flip", "diffaugment", "flip+diffaugment"])
def test_a_resumed_run_on_a_folder_equals_one_that_never_stopped(tmp_path: Path, augment: str):
    folder = make_picture_folder(tmp_path / "s", 40)
    uninterrupted = train_on(folder, tmp_path / "uninterrupted", augment=augment, steps=5)
    stopped = train_on(folder, tmp_path / "stopped", augment=augment, steps=2)
    state = "checkpoint/state.safetensors"
    assert (dcgan.resume(stopped, steps=5).path / state).read_bytes() == (uninterrupted.path / state).read_bytes()


def test_a_run_whose_pictures_changed_is_not_resumed(tmp_path: Path):
    folder = make_picture_folder(tmp_path / "s", 40)
    run = train_on(folder, tmp_path / "r")
    before = (run.path / "metrics.jsonl").read_bytes()
    (folder / "0.png").unlink()
    with pytest.raises(UserError, match=r"^[^\n]*cannot [^\n]* holds other pictures now"):
        dcgan.resume(run, steps=9)
    assert (run.path / "metrics.jsonl").read_bytes() == before


def test_a_folder_whose_name_is_not_text_can_be_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    name = os.fsdecode(b"caf\xe9 \x1b[31m")
    try:
        make_picture_folder(tmp_path / name, 20)
    except OSError:
        pytest.skip("this file system accepts text only")
    run = dcgan.train("dcgan", data=name, **{**SMALL, "steps": 2})
    assert str(run.path).isprintable()
    assert (run.model / "README.md").read_text().count("caf\\udce9 \\x1b[31m") >= 1
    assert list(dcgan.resume(run, steps=3).log.measurements())[-1]["step"] == 3


def test_a_size_that_the_network_cannot_draw_is_refused_before_anything_is_prepared(tmp_path: Path):
    with pytest.raises(UserError, match="28x28 only"):
        train_on(make_picture_folder(tmp_path / "s", 20), tmp_path / "r", image_size="28x32")
    assert not cache_folder().exists() or cached_set_names() == []


def test_opening_works_in_a_script_without_a_main_guard(tmp_path: Path):
    """Decoding in processes must not run the user's script again."""
    folder = make_picture_folder(tmp_path / "s", 260)
    (tmp_path / "script.py").write_text(
        "import dcgan.data.decode_workers as workers\nfrom dcgan.data.open import open_images\n"
        "workers.usable_core_count = lambda: 2\n"
        f"print(len(open_images({str(folder)!r}, 'all')))\n"
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "260\n", done.stderr
