"""Pictures and zip files that a page sends become a new set below the first data root.

A file comes in parts of JSON, because every request to the studio is JSON of at most 1 MiB (see `security`). Nothing
that was there before is written to: a set is a new folder, made by this studio, and so is each of its files.
"""

import os
import re
import threading
import zipfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dcgan.data.passed_over import check_not_outside
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.studio.allowed_paths import DataRoots, data_spec
from dcgan.studio.runs import MAX_NAME_CHARS, NotFoundError
from dcgan.system.resources import check_disk

UPLOADS_FOLDER = "uploads"
"""The folder below the first data root that holds the new sets."""
MAX_SET_BYTES = 2**30
MAX_FILES = 20_000
"""Files of a set that are sent one by one; more fit into a zip."""
MAX_UNPACKED_BYTES = 2**33
"""What a zip says that it holds."""
MAX_SETS = 100
"""Sets that one studio makes."""
SET_NAME = re.compile(r"[^\W_][\w-]{0,39}")
FILE_NAME = re.compile(r"[^\W_][\w .()+,-]{0,118}")
"""A file name without a path, not hidden, that every system can hold."""
SIGNATURES = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".gif": (b"GIF87a", b"GIF89a"),
    ".bmp": (b"BM",),
    ".webp": (b"RIFF",),
    ".zip": (b"PK\x03\x04",),
}
"""With what files of each type begin. Other types are refused."""


@dataclass
class _NewSet:
    folder: Path
    bytes_written: int = 0
    files: list[str] = field(default_factory=list)


class Uploads:
    """The sets that this studio has made of files that pages sent."""

    def __init__(self, data_roots: DataRoots) -> None:
        self._data_roots = data_roots
        self._sets: dict[str, _NewSet] = {}
        self._lock = threading.Lock()

    def make_set(self, name: str) -> str:
        """Make an empty set, and return its name, which is `name` or that with a number.

        Raises:
            UserError: the name cannot be used, there is no data root, or the folder cannot be made.
        """
        if not SET_NAME.fullmatch(name):
            raise UserError(
                "a name of a set has up to 40 letters, digits, - and _, and begins with a letter or a digit"
            )
        if not self._data_roots.paths:
            raise UserError("the studio may not write data anywhere: start it with --data-root FOLDER")
        with self._lock:
            if len(self._sets) >= MAX_SETS:
                raise UserError(f"{MAX_SETS} sets were made by this studio: start it again to make more")
            for number in range(1, MAX_SETS + 1):
                unique_name = name if number == 1 else f"{name}-{number}"
                if folder := self._make_folder(unique_name):
                    self._sets[unique_name] = _NewSet(folder)
                    return unique_name
        raise UserError(f"there are many sets of the name {name}: give another one")

    def _make_folder(self, name: str) -> Path | None:
        """Return the new folder of a set; None if there is already something of this name."""
        root = self._data_roots.paths[0] / UPLOADS_FOLDER
        try:
            root.mkdir(exist_ok=True)
            self._data_roots.check(str(root))  # it may be a link that leads out
            (root / name).mkdir()
        except FileExistsError:
            return None
        except OSError as error:
            raise UserError(f"the set cannot be made: {error.strerror}") from None
        return root / name

    def add(self, name: str, file_name: str, offset: int, content: bytes, *, is_last: bool) -> str:
        """Append a part to a file of a set, and return the data to train on once the last part is there.

        Args:
            name: of the set, see `make_set`.
            file_name: of the file, without folders.
            offset: bytes of the file that were sent before; 0 begins a new file.
            content: the part.
            is_last: whether the file is complete with it.

        Raises:
            NotFoundError: this studio has made no such set.
            UserError: the file is of another type, exists already, is too large, or the part does not follow.
        """
        with self._lock:
            new_set = self._sets.get(name)
            if new_set is None:
                raise NotFoundError(f"there is no new set {printable(name)[:MAX_NAME_CHARS]!r}")
            try:
                return self._add(new_set, file_name, offset, content, is_last=is_last)
            except UserError:
                with suppress(OSError):  # a set that still holds nothing leaves nothing behind
                    new_set.folder.rmdir()
                raise

    def _add(self, new_set: _NewSet, file_name: str, offset: int, content: bytes, *, is_last: bool) -> str:
        path = new_set.folder / f".{self._check_name(new_set, file_name)}.part"
        try:
            self._check_size(new_set, len(content))
            new_set.folder.mkdir(exist_ok=True)
            _append(path, file_name, offset, content)
        except UserError:
            path.unlink(missing_ok=True)
            raise
        new_set.bytes_written += len(content)
        if is_last:
            self._finish(new_set, path, file_name)
        return data_spec(new_set.folder / file_name if _is_zip(file_name) else new_set.folder)

    def _check_name(self, new_set: _NewSet, file_name: str) -> str:
        if not FILE_NAME.fullmatch(file_name) or file_name.endswith((" ", ".")):
            raise UserError(f"{printable(file_name)[:MAX_NAME_CHARS]!r} is no name of a file that can be kept")
        if Path(file_name).suffix.lower() not in SIGNATURES:
            raise UserError(f"{file_name}: give pictures ({', '.join(list(SIGNATURES)[:-1])}) or a .zip of pictures")
        if new_set.files and (_is_zip(file_name) or _is_zip(new_set.files[0])):
            raise UserError("a set is one zip, or pictures: send each zip by itself")
        if file_name in new_set.files:
            raise UserError(f"the set has a file {file_name} already")
        return file_name

    def _check_size(self, new_set: _NewSet, byte_count: int) -> None:
        if new_set.bytes_written + byte_count > MAX_SET_BYTES:
            raise UserError(
                f"a set that is sent has at most {MAX_SET_BYTES >> 20:,} MiB: put larger ones into a folder"
            )
        if len(new_set.files) >= MAX_FILES:
            raise UserError(f"a set that is sent has at most {MAX_FILES:,} files: send a .zip instead")
        check_disk(byte_count, new_set.folder, "the part", "make room")

    def _finish(self, new_set: _NewSet, path: Path, file_name: str) -> None:
        try:
            if _is_zip(file_name):
                _check_zip(path, file_name)
            os.replace(path, new_set.folder / file_name)
        except UserError:
            path.unlink(missing_ok=True)
            raise
        new_set.files.append(file_name)


def _is_zip(file_name: str) -> bool:
    return file_name.lower().endswith(".zip")


def _append(path: Path, file_name: str, offset: int, content: bytes) -> None:
    if offset == 0 and not content.startswith(SIGNATURES[Path(file_name).suffix.lower()]):
        raise UserError(f"{file_name} is not what its ending says: it is damaged, or of another type")
    # A new file never replaces one that is there, and a part never follows a gap.
    if (path.stat().st_size if path.is_file() else 0) != offset:
        if offset:
            raise UserError(f"the parts of {file_name} did not come in order: send it again")
        path.unlink()  # sent again from its start
    with path.open("ab") as file:
        file.write(content)


def _check_zip(path: Path, file_name: str) -> None:
    """Refuse a zip that is damaged or holds too much. It is never unpacked: the data are read from inside it."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise UserError(f"{file_name} is no zip that can be read") from None
    for member in members:
        check_not_outside(member.filename, file_name, "zip")
    if total > MAX_UNPACKED_BYTES:
        raise UserError(f"{file_name} holds {total >> 30:,} GiB: at most {MAX_UNPACKED_BYTES >> 30} can be used")
