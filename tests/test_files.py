import errno
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dcgan import files
from dcgan.errors import UserError
from dcgan.files import (
    atomic_file,
    atomic_folder,
    current_folder,
    error_reason,
    list_names,
    printable,
    read_atomic_folder,
    recover_interrupted_folder,
)


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


def test_a_reader_finds_the_old_folder_and_changes_nothing(tmp_path: Path):
    (tmp_path / ".a.old").mkdir()
    (tmp_path / ".a.old" / "x").write_text("old")
    assert current_folder(tmp_path / "a") == tmp_path / ".a.old"
    assert read_atomic_folder(tmp_path / "a", lambda folder: (folder / "x").read_text()) == "old"
    assert [path.name for path in tmp_path.iterdir()] == [".a.old"]
    (tmp_path / "a").mkdir()
    assert current_folder(tmp_path / "a") == tmp_path / "a"
    assert current_folder(tmp_path / "b") == tmp_path / "b"


def test_a_reader_never_sees_two_folders_mixed_and_never_stops_the_writer(tmp_path: Path):
    folder, is_done = tmp_path / "a", threading.Event()
    failures: list[BaseException] = []

    def write(number: int) -> None:
        with atomic_folder(folder) as temporary:
            for name in ("x", "y"):
                (temporary / name).write_text(str(number))

    def write_often() -> None:
        try:
            for number in range(60):
                write(number)
        except BaseException as error:
            failures.append(error)
        is_done.set()

    def read(path: Path) -> tuple[str, str]:
        return (path / "x").read_text(), (path / "y").read_text()

    write(-1)
    writer = threading.Thread(target=write_often)
    writer.start()
    read_count = 0
    while not is_done.is_set():
        x, y = read_atomic_folder(folder, read)
        assert x == y
        read_count += 1
    writer.join()
    assert not failures
    assert read_count > 0


def test_a_damaged_folder_is_reported_at_once(tmp_path: Path):
    (tmp_path / "a").mkdir()
    calls = []

    def read(path: Path) -> None:
        calls.append(path)
        raise UserError("damaged")

    with pytest.raises(UserError, match="damaged"):
        read_atomic_folder(tmp_path / "a", read)
    assert calls == [tmp_path / "a"]
    with pytest.raises(FileNotFoundError):
        read_atomic_folder(tmp_path / "b", lambda folder: (folder / "x").read_text())


def test_a_folder_in_use_on_windows_is_replaced_once_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    rename, attempts = Path.rename, []

    def rename_at_third_attempt(path: Path, target: Path) -> Path:
        attempts.append(path)
        if len(attempts) < 3:
            raise PermissionError
        return rename(path, target)

    monkeypatch.setattr(files, "RENAME_INTERVAL_S", 0.001)
    monkeypatch.setattr(Path, "rename", rename_at_third_attempt)
    with pytest.raises(PermissionError), atomic_folder(tmp_path / "a"):
        pass
    with monkeypatch.context() as patch:
        patch.setattr(files, "fsync_file", lambda path: None)
        patch.setattr(os, "name", "nt")
        files._rename_folder(tmp_path, tmp_path.with_name("renamed"))
    assert len(attempts) == 3


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


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("\n  first\x1b[31m line \nsecond"), r"first\x1b[31m line"),
        (ConnectionResetError(), "ConnectionResetError"),
        (OSError("\n"), "OSError"),
        (ValueError("x" * 300), "x" * 200),
    ],
)
def test_the_reason_of_an_error_is_one_line(error: Exception, reason: str):
    assert error_reason(error) == reason


def test_few_names_of_many_are_listed():
    assert list_names(["a", "b"]) == "a, b"
    assert list_names(map(str, range(5))) == "0, 1, 2, 3, …"
    assert list_names(["a\n", "b"], 1) == r"a\n, …"
    assert list_names([]) == "nothing"


def test_all_files_of_a_folder_have_the_usual_permissions(tmp_path: Path):
    with atomic_folder(tmp_path / "f") as temporary:
        save_file({"a": torch.zeros(1)}, temporary / "a.safetensors")
        (temporary / "b").touch()
    assert {path.stat().st_mode for path in (tmp_path / "f").iterdir()} == {(tmp_path / "f" / "b").stat().st_mode}


def test_a_link_to_a_folder_stays_and_what_it_leads_to_is_replaced(tmp_path: Path):
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with atomic_folder(tmp_path / "link") as folder:
        (folder / "a").touch()
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "target").iterdir()] == ["a"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "target"]


@pytest.mark.parametrize("write", [files.atomic_file, files.atomic_folder])
def test_a_full_disk_names_the_file(tmp_path: Path, write: Callable[[Path], AbstractContextManager[Path]]):
    with pytest.raises(OSError, match="No space left on device") as error, write(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.filename == str(tmp_path / "x")
    with pytest.raises(OSError, match="No such file") as error, write(tmp_path / "x"):
        (tmp_path / "y").read_text()
    assert error.value.filename == str(tmp_path / "y")
