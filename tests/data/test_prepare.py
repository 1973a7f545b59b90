import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dcgan.cache import MAX_LEFTOVER_AGE_S, cache_folder
from dcgan.data import decode, entry, prepare, writer
from dcgan.data import open as open_module
from dcgan.data.classes import describe_small_classes
from dcgan.data.open import open_images
from dcgan.data.rules import CURRENT_RULES, RULES_WITHOUT_GROUPS
from dcgan.errors import UserError
from tests.conftest import cached_set_names, make_picture_folder
from tests.data.idx_content import to_idx_bytes
from tests.data.pictures import darken, draw_shapes, exchange_channels


def test_prepared_pictures_are_those_of_the_files(tmp_path: Path):
    folder = make_picture_folder(tmp_path / "s", 60, classes=2)
    parts = [open_images(str(folder), part, size=(16, 16)) for part in ("train", "validation", "test", "all")]
    train, validation, test, everything = parts
    assert [len(part) for part in parts] == [54, 3, 3, 60]
    assert torch.equal(everything.pixels, torch.cat([train.pixels, validation.pixels, test.pixels]))
    assert train.pixels.shape[1:] == (3, 16, 16)
    assert train.classes == ("class 0", "class 1")
    for image, label in zip(everything.pixels, everything.labels, strict=True):
        value = int(image[0, 8, 8])  # each picture has one color, which is its number
        assert image[:, 8, 8].tolist() == [value, 255 - value, 7]
        assert value % 2 == label
    assert sorted(everything.pixels[:, 0, 8, 8].tolist()) == list(range(60))


def test_a_set_is_prepared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = make_picture_folder(tmp_path / "s", 20)
    first = open_images(str(folder))
    monkeypatch.setattr(prepare, "_decode_batches", None)
    again = open_images(str(folder))
    assert torch.equal(first.pixels, again.pixels)
    assert first.content_key == again.content_key
    assert len(cached_set_names()) == 1


@pytest.mark.parametrize("change", ["touch", "add", "remove", "size", "channels", "fit"])
def test_any_change_prepares_the_set_again(tmp_path: Path, change: str):
    folder = make_picture_folder(tmp_path / "s", 20)
    first = open_images(str(folder), size=(16, 16))
    options: dict = {"size": (16, 16)}
    if change == "touch":
        os.utime(folder / "0.png", ns=(1, 1))
    elif change == "add":
        Image.new("RGB", (20, 20)).save(folder / "new.png")
    elif change == "remove":
        (folder / "0.png").unlink()
    else:
        options |= {"size": {"size": (20, 16)}, "channels": {"channels": 1}, "fit": {"fit": "pad"}}[change]
    again = open_images(str(folder), **options)
    assert len(cached_set_names()) == 2
    assert (first.content_key == again.content_key) == (change == "touch")  # the content is the same then


def test_a_killed_preparation_leaves_no_unfinished_set(tmp_path: Path):
    folder = make_picture_folder(tmp_path / "s", 12)
    code = (
        "import sys, time, dcgan.data.prepare as p; from dcgan.data.open import open_images\n"
        "def decode_and_wait(*a):\n    yield from decode(*a); print('half', flush=True); time.sleep(100)\n"
        "decode = p._decode_batches; p._decode_batches = decode_and_wait; open_images(sys.argv[1])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "half\n"
    assert len(list(cache_folder().iterdir())) == 1
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert cached_set_names() == []
    assert len(open_images(str(folder), "all")) == 12
    if os.name == "posix":
        assert len(list(cache_folder().iterdir())) == 1  # the files of the killed process are removed


def test_ctrl_c_while_preparing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = make_picture_folder(tmp_path / "s", 12)

    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "_decode_batches", interrupt)
    with pytest.raises(KeyboardInterrupt):
        open_images(str(folder))
    assert list(cache_folder().iterdir()) == []


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = make_picture_folder(tmp_path / "s", 12)
    (tmp_path / "file").touch()
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"^cannot write the cache [^\n]*set DCGAN_CACHE"):
        open_images(str(folder))


def test_old_leftovers_of_other_machines_are_removed(tmp_path: Path):
    old, new = cache_folder() / ".k.elsewhere.1", cache_folder() / ".k.elsewhere.2"
    for leftover in (old, new):
        leftover.mkdir(parents=True)
    os.utime(old, (time.time() - 2 * MAX_LEFTOVER_AGE_S,) * 2)
    open_images(str(make_picture_folder(tmp_path / "s", 12)))
    assert not old.exists()
    assert new.exists()


def test_channels_grow_when_a_later_picture_needs_them(tmp_path: Path):
    folder = tmp_path / "s"
    folder.mkdir()
    for i in range(prepare.WRITE_BATCH_SIZE + 4):
        Image.new("L", (16, 16), i).save(folder / f"{i:03d}.png")
    for i, (mode, color) in enumerate([("RGB", (1, 2, 3)), ("RGBA", (4, 5, 6, 7)), ("L", 8)]):
        for k in range(prepare.WRITE_BATCH_SIZE):
            Image.new(mode, (16, 16), color).save(folder / f"x{i}{k}.png")
    images = open_images(str(folder), "all")
    assert images.pixels.shape == (4 + 4 * prepare.WRITE_BATCH_SIZE, 4, 16, 16)
    first = {tuple(p) for p in images.pixels[:, :, 0, 0].tolist()}
    grays = {(i, i, i, 255) for i in range(prepare.WRITE_BATCH_SIZE + 4)}
    assert first == grays | {(1, 2, 3, 255), (4, 5, 6, 7), (8, 8, 8, 255)}


def test_equal_pictures_are_in_one_split(tmp_path: Path):
    folder = make_picture_folder(tmp_path / "s", 50)
    for i in range(50):
        (folder / f"copy {i}.png").write_bytes((folder / f"{i}.png").read_bytes())
    train, validation, test = (
        set(open_images(str(folder), part).pixels[:, 0, 0, 0].tolist()) for part in ("train", "validation", "test")
    )
    assert not train & validation
    assert not train & test
    assert not validation & test
    assert train | validation | test == set(range(50))


def test_the_same_pictures_are_held_out_at_every_size(tmp_path: Path):
    folder = make_picture_folder(tmp_path / "s", 50)
    held_out = [
        open_images(str(folder), "test", size=size).pixels[:, 0, 8, 8].tolist() for size in ((16, 16), (32, 20))
    ]
    assert held_out[0] == held_out[1]


def test_a_sparse_array_stays_sparse_and_memory_bounded(tmp_path: Path):
    n = 40_000
    array = np.lib.format.open_memmap(tmp_path / "big.npy", "w+", np.uint8, (n, 32, 32, 3))
    array[5], array[-1] = (9, 0, 0), 3  # the first is red: a set of gray pictures would get one channel
    del array
    images = open_images(str(tmp_path / "big.npy"), "all")
    assert images.pixels.shape == (n, 3, 32, 32)
    assert sorted(images.pixels.view(n, -1).amax(1).unique().tolist()) == [0, 3, 9]
    pixels = cache_folder() / cached_set_names()[0] / "pixels.npy"
    assert pixels.stat().st_blocks * 512 < 2**26 < pixels.stat().st_size


@pytest.mark.slow
def test_a_million_pictures_train_within_a_gibibyte():
    command = [sys.executable, "-m", "benchmarks.data", "--only", "million"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["million"]
    assert max(result[name] for name in ("prepare_peak_mib", "draw_peak_mib", "train_peak_mib")) < 1024


def test_two_preparations_at_once_end_in_one_entry(tmp_path: Path):
    folder = make_picture_folder(tmp_path / "s", 30)
    code = "import sys; from dcgan.data.open import open_images; print(open_images(sys.argv[1]).content_key)"
    command = [sys.executable, "-c", code, str(folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    keys = {process.communicate()[0] for process in processes}
    assert len(keys) == 1
    assert len(list(cache_folder().iterdir())) == 1


RANDOM_FILES = st.tuples(
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=12),
    st.sampled_from(["L", "RGB", "RGBA", "P", "1", "LA", "CMYK", "I;16", "broken", "truncated"]),
    st.integers(1, 50),
    st.integers(1, 50),
)


def all_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    random_files=st.lists(RANDOM_FILES, max_size=12),
    classes=st.integers(0, 3),
    name=st.sampled_from(["a b", "그림", "naïve", "x\ty"]),
)
def test_random_folders(tmp_path_factory: pytest.TempPathFactory, random_files: list, classes: int, name: str):
    root = tmp_path_factory.mktemp("random") / name
    readable = set()
    for i, (stem, mode, w, h) in enumerate(random_files):
        folder = root / f"class {i % classes}" if classes else root
        folder.mkdir(parents=True, exist_ok=True)
        if len(f"{i}{stem}".encode()) > 200:
            continue
        path = folder / f"{i}{stem}.{'tif' if mode == 'CMYK' else 'png'}"
        Image.new("L" if mode in ("broken", "truncated") else mode, (w, h), 1).save(path)
        if mode == "broken":
            path.write_bytes(b"no picture")
        elif mode == "truncated":
            path.write_bytes(path.read_bytes()[:40])
        else:
            readable.add(path)
    root.mkdir(parents=True, exist_ok=True)
    if len(readable) < 2:
        with pytest.raises(UserError) as error:
            open_images(str(root), "all", size=(16, 18))
        assert str(error.value).isprintable()
        return
    images = open_images(str(root), "all", size=(16, 18))
    assert len(images) == len(readable)
    assert images.pixels.shape[2:] == (16, 18)
    assert len(images.skipped_files) == len(all_files(root)) - len(readable)
    assert all(name.isprintable() and reason.isprintable() for name, reason in images.skipped_files)


def test_a_black_picture_before_a_colored_one(tmp_path: Path):
    for i in range(prepare.WRITE_BATCH_SIZE):
        Image.new("RGB", (16, 16), "black").save(tmp_path / f"a{i:03d}.png")
    make_picture_folder(tmp_path, 4)
    images = open_images(str(tmp_path), "all")
    assert len(images) == prepare.WRITE_BATCH_SIZE + 4
    assert images.pixels.shape[1] == 3


def write_zip(path: Path, folder: Path, *numbers: int) -> None:
    with zipfile.ZipFile(path.with_suffix(".new"), "w") as archive:
        for i, number in enumerate(numbers):
            archive.write(folder / f"{number}.png", f"{i}.png")
    os.replace(path.with_suffix(".new"), path)


def test_a_zip_that_is_replaced_while_the_process_runs(tmp_path: Path):
    folder, path = make_picture_folder(tmp_path / "s", 8), tmp_path / "a.zip"
    for numbers in ((0, 1, 2, 3), (4, 5, 6, 7)):
        write_zip(path, folder, *numbers)
        images = open_images(str(path), "all")
        assert sorted(images.pixels[:, 0, 8, 8].tolist()) == list(numbers)


@pytest.mark.parametrize("kind", ["zip", "folder", "npy"])
def test_a_set_that_changes_while_it_is_prepared_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    folder, path = make_picture_folder(tmp_path / "s", 8), tmp_path / f"a.{kind}"
    if kind == "zip":
        write_zip(path, folder, 0, 1, 2, 3)
    elif kind == "npy":
        np.save(path, np.zeros((8, 16, 16), np.uint8))
    source = folder if kind == "folder" else path

    def change(*arguments: object) -> dict:
        os.utime(folder / "3.png" if kind == "folder" else path, ns=(1, 1))
        return sort(*arguments)

    sort = entry._sort_by_split
    monkeypatch.setattr(entry, "_sort_by_split", change)
    with pytest.raises(UserError, match="was changed while it was prepared: try again"):
        open_images(str(source))
    assert cached_set_names() == []


def test_an_error_of_the_disk_does_not_stay_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = make_picture_folder(tmp_path / "s", 12)
    with monkeypatch.context() as patch:

        def fail(path: str, member: str | None) -> bytes:
            raise OSError(errno.EIO, "Input/output error", path)

        patch.setattr(decode, "read_file_bytes", fail)
        with pytest.raises(UserError, match=r"^cannot read 0.png now: Input/output error; nothing was prepared"):
            open_images(str(folder))
    assert len(open_images(str(folder), "all")) == 12


@pytest.mark.parametrize("kind", ["folder", "metadata.csv", "dataset.json", "npz", "idx", "tar"])
def test_a_class_may_have_a_single_picture(tmp_path: Path, kind: str):
    """Eight pictures of which the last one has a class of its own."""
    labels, source = [0] * 7 + [1], tmp_path / "s"
    make_picture_folder(source, 8)
    if kind == "folder":
        for i, label in enumerate(labels):
            (source / str(label)).mkdir(exist_ok=True)
            (source / f"{i}.png").rename(source / str(label) / f"{i}.png")
    elif kind == "metadata.csv":
        rows = [f"{i}.png,{label}\n" for i, label in enumerate(labels)]
        (source / kind).write_text("file_name,label\n" + "".join(rows))
    elif kind == "dataset.json":
        (source / kind).write_text(json.dumps({"labels": [[f"{i}.png", label] for i, label in enumerate(labels)]}))
    elif kind == "npz":
        source = tmp_path / "a.npz"
        np.savez(source, images=np.zeros((8, 16, 16), np.uint8), labels=np.array(labels))
    elif kind == "idx":
        source = tmp_path / "idx"
        source.mkdir()
        (source / "train-images-idx3-ubyte").write_bytes(to_idx_bytes(np.zeros((8, 16, 16), np.uint8)))
        (source / "train-labels-idx1-ubyte").write_bytes(to_idx_bytes(np.array(labels, np.uint8)))
    else:
        source = tmp_path / "a.tar"
        with tarfile.open(source, "w") as archive:
            for i, label in enumerate(labels):
                archive.add(tmp_path / "s" / f"{i}.png", f"{i}.png")
                (tmp_path / f"{i}.cls").write_text(str(label))
                archive.add(tmp_path / f"{i}.cls", f"{i}.cls")
    images = open_images(str(source))
    assert images.labels is not None
    assert (images.classes, images.labels.bincount().tolist()) == (("0", "1"), [7, 1])
    assert describe_small_classes(images) == [
        "1 of 2 classes has one picture to train on: 1; its samples can only be copies of it"
    ]


IN_A_SMALL_DISK = """
import os, subprocess, sys
folder = os.path.join(os.environ["DCGAN_CACHE"], "disk")
os.makedirs(folder)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + sys.argv[2], "none", folder], check=True)
os.environ["DCGAN_CACHE"] = folder
from dcgan.data.open import open_images
from dcgan.errors import UserError
try:
    open_images(sys.argv[1])
except UserError as error:
    print(error)
"""
CAN_MAKE_DISKS = (
    shutil.which("unshare")
    and not subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
    ).returncode
)


@pytest.mark.skipif(not CAN_MAKE_DISKS, reason="this system gives no disk of a size that a test chooses")
@pytest.mark.parametrize("kind", ["joined", "sparse"])
def test_a_full_disk_is_one_line_and_no_signal(tmp_path: Path, kind: str):
    """Each set fits on the disk and both together do not; or an array with holes, into which pictures are moved."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 1024, 64, 64), dtype=np.uint8)
    if kind == "joined":
        for i in range(2):
            np.save(tmp_path / f"{i}.npy", noise[i, :200])
        data, size = f"join:{tmp_path}/0.npy {tmp_path}/1.npy", "2400k"
    else:
        np.save(tmp_path / "a.npy", np.concatenate([noise[0], np.zeros_like(noise[1])]))
        data, size = str(tmp_path / "a.npy"), "4400k"
    command = ["unshare", "-rm", sys.executable, "-c", IN_A_SMALL_DISK, data, size]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert re.fullmatch(
        r"cannot write the cache [^\n]*: No space left on device; make room, or [^\n]*\n", result.stdout
    )


def test_a_class_may_have_no_training_picture_that_can_be_read(tmp_path: Path):
    for split in ("train", "test"):
        make_picture_folder(tmp_path / split, 8, classes=2)
    for path in (tmp_path / "train" / "class 1").iterdir():
        path.write_bytes(b"x")
    images = open_images(str(tmp_path))
    assert images.labels is not None
    assert images.labels.bincount(minlength=2).tolist() == [4, 0]
    assert describe_small_classes(images) == [
        "1 of 2 classes has no picture to train on: class 1; its samples mean nothing"
    ]


def test_variants_of_a_picture_are_not_in_training_and_held_out(tmp_path: Path):
    """Every picture is there in three colors and mirrored; the older rules divide them."""
    pictures = draw_shapes(60)
    variants = torch.cat([pictures, exchange_channels(pictures), darken(pictures), pictures.flip(3)])
    np.save(tmp_path / "a.npy", variants.permute(0, 2, 3, 1).numpy())

    def originals(split: str, rules: int, size: int = 64) -> list[int]:
        images = open_images(str(tmp_path / "a.npy"), split, size=(size, size), rules=rules)
        return (images.columns["indices"] % 60).tolist()

    for size in (64, 24):
        parts = [originals(split, CURRENT_RULES, size) for split in ("train", "validation", "test")]
        assert [len(part) for part in parts] == [216, 12, 12]
        assert len({i for part in parts for i in set(part)}) == sum(len(set(part)) for part in parts) == 60
        assert parts == [originals(split, CURRENT_RULES) for split in ("train", "validation", "test")]
    old = [set(originals(split, RULES_WITHOUT_GROUPS)) for split in ("train", "test")]
    assert old[0] & old[1]


def test_files_of_one_set_are_divided_equally_at_every_size_and_in_every_format(tmp_path: Path):
    for i, picture in enumerate(draw_shapes(120, side=160).permute(0, 2, 3, 1).numpy()):
        Image.fromarray(picture).save(tmp_path / f"{i}.jpg", quality=95)
    splits = []
    for size in (16, 64, 128):
        images = open_images(str(tmp_path), "test", size=(size, size))
        splits.append(sorted(images.columns["indices"].tolist()))
        assert "groups" in images.columns
    assert splits[0] == splits[1] == splits[2]
    assert len(splits[0]) == 6


def test_a_set_that_is_too_large_to_search_for_near_duplicates_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (40, 20, 20, 1)).astype(np.uint8))
    assert open_images(str(tmp_path / "a.npy")).notices == ()
    for module in (open_module, prepare, writer):
        monkeypatch.setattr(module, "MAX_COMPARED", 39)
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "other cache"))
    [notice] = open_images(str(tmp_path / "a.npy")).notices
    assert "40 pictures are too many to search for near duplicates" in notice
    assert open_images(str(tmp_path / "a.npy"), rules=RULES_WITHOUT_GROUPS).notices == ()


def test_near_duplicates_of_held_out_pictures_that_are_trained_on_are_said(tmp_path: Path):
    """All pictures are variants of one, and no group of that size can be held out."""
    picture = np.random.default_rng(0).integers(0, 200, (20, 20, 3))
    for i in range(30):
        Image.fromarray((picture + i).astype(np.uint8)).save(tmp_path / f"{i}.png")
    images = open_images(str(tmp_path), "test")
    [notice] = images.notices
    assert notice.startswith("3 of 3 held-out pictures have near duplicates in training")
    assert len(images) == 2
