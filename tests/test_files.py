from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dcgan.files import atomic_file, atomic_folder, printable, recover_interrupted_folder


def _fail_after_writing(path: Path) -> None:
    path.write_text("half")
    raise RuntimeError


def test_a_file_is_replaced_as_a_whole(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(path) as temporary:
        _fail_after_writing(temporary)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path):
    folder = tmp_path / "a"
    for content in ("old", "new"):
        with atomic_folder(folder) as temporary:
            (temporary / "x").write_text(content)
        assert (folder / "x").read_text() == content
    assert list(tmp_path.iterdir()) == [folder]


def test_a_failed_write_leaves_the_old_folder(tmp_path: Path):
    folder = tmp_path / "a"
    folder.mkdir()
    with pytest.raises(RuntimeError), atomic_folder(folder) as temporary:
        _fail_after_writing(temporary / "x")
    assert list(folder.iterdir()) == []
    assert list(tmp_path.iterdir()) == [folder]


def test_an_interruption_between_the_two_renames_is_repaired(tmp_path: Path):
    (tmp_path / ".a.old").mkdir()
    (tmp_path / ".a.old" / "x").write_text("old")
    recover_interrupted_folder(tmp_path / "a")
    assert (tmp_path / "a" / "x").read_text() == "old"
    with atomic_folder(tmp_path / "a") as temporary:
        (temporary / "x").write_text("new")
    assert (tmp_path / "a" / "x").read_text() == "new"


@pytest.mark.parametrize(
    ("name", "printable_name"),
    [
        ("a b é 그림", "a b é 그림"),
        ("a\nb\x1b[31m", "a\\nb\\x1b[31m"),
        ("caf\udce9", "caf\\udce9"),
        ("\u202egnp", "\\u202egnp"),
    ],
)
def test_a_printable_name_cannot_break_a_line(name: str, printable_name: str):
    assert printable(name) == printable_name


def test_all_files_of_a_folder_have_the_usual_permissions(tmp_path: Path):
    with atomic_folder(tmp_path / "f") as temporary:
        save_file({"a": torch.zeros(1)}, temporary / "a.safetensors")
        (temporary / "b").touch()
    assert {path.stat().st_mode for path in (tmp_path / "f").iterdir()} == {(tmp_path / "f" / "b").stat().st_mode}
