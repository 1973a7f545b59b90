"""Files and folders that are written as a whole or not at all, and the JSON objects that the package writes."""

import hashlib
import json
import os
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from dcgan.errors import UserError

FORMAT_VERSION = 1
"""Version of `config.json`, of the saved model and of the checkpoint. Files of a newer version are refused by name;
files of an older version stay readable."""
MAX_JSON_CHARS = 2**24
"""A JSON object of ours has some thousands of characters. What is longer is refused without reading all of it."""
MAX_READ_ATTEMPTS = 20
"""How often a reader begins again because the folder was replaced while it was read."""
RENAME_TIMEOUT_S, RENAME_INTERVAL_S = 5.0, 0.05
"""How long a rename is tried again on Windows, where it fails while any process has a file of the folder open."""
T = TypeVar("T")


@contextmanager
def name_in_errors(path: Path) -> Iterator[None]:
    """Let errors of the block that name no file name this one, as that of a full disk, which names none."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; rename the file to `path` if the block ends without an error."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with name_in_errors(path):
            yield temporary
            fsync_file(temporary)
            os.replace(temporary, path)
            fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty temporary folder to fill; it replaces the folder `path` if the block ends without an error.

    Not every system can replace a folder in one step. The old folder is therefore first renamed to `.NAME.old`. If the
    process dies between the two steps, readers find the content there (`current_folder`), and the next writer renames
    it back (`recover_interrupted_folder`).
    """
    path = path.resolve() if path.is_symlink() else path  # the folder is replaced, and the link stays
    temporary, old = path.with_name(f".{path.name}.new"), _old_folder(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        with name_in_errors(path):
            yield temporary
            for file in temporary.iterdir():
                file.chmod(temporary.stat().st_mode & 0o666)  # safetensors makes its files readable by their owner only
                fsync_file(file)
            fsync_folder(temporary)
        recover_interrupted_folder(path)
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            _rename_folder(path, old)
        _rename_folder(temporary, path)
        fsync_folder(path.parent)  # the new folder must be on the disk under its name before the old one is removed
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def recover_interrupted_folder(path: Path) -> None:
    """Rename `.NAME.old` back to `path` if an interrupted `atomic_folder` left no folder there.

    Only the process that writes the folder may call this. In another process it could rename the folder at the moment
    at which the writer has moved it out of the way, and the writer's next step would fail.
    """
    old = _old_folder(path)
    if old.exists() and not path.exists():
        _rename_folder(old, path)


def current_folder(path: Path) -> Path:
    """Return where the content of a folder that `atomic_folder` writes is now: in `path`, or in `.NAME.old`.

    Nothing is changed. The folder that is returned may be replaced at any moment: see `read_atomic_folder`.
    """
    old = _old_folder(path)
    return path if path.exists() or not old.is_dir() else old


def read_atomic_folder(path: Path, read: Callable[[Path], T]) -> T:
    """Return what `read` returns for a folder that another process may replace by `atomic_folder` while it is read.

    If the folder was replaced meanwhile, `read` is called again: it may have found files of both folders, or none.

    Args:
        path: the folder.
        read: takes the folder in which the content is at that moment. It changes nothing.
    """
    for _ in range(MAX_READ_ATTEMPTS):
        folder = current_folder(path)
        with _held_open(folder):
            identity = _folder_identity(folder)
            try:
                content = read(folder)
            except (UserError, OSError):
                if identity is not None and identity == _folder_identity(current_folder(path)):
                    raise
            else:
                if identity == _folder_identity(current_folder(path)):
                    return content
    return read(current_folder(path))


def _old_folder(path: Path) -> Path:
    return path.parent / f".{path.name}.old"  # `with_name` refuses the current folder, which has no name


def _folder_identity(folder: Path) -> tuple[str, int, int, int] | None:
    """Return what another folder, this one under another name, or one with other files in it, does not have."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return folder.name, status.st_dev, status.st_ino, status.st_mtime_ns


@contextmanager
def _held_open(folder: Path) -> Iterator[None]:
    """Keep a folder open, so that its inode number is not given to a new folder when it is removed meanwhile.

    On Windows nothing is opened: it would stop the writer's rename, and file numbers are not used again at once.
    """
    try:
        descriptor = None if os.name == "nt" else os.open(folder, os.O_RDONLY)
    except OSError:  # the folder is gone: `read_atomic_folder` notices it
        descriptor = None
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _rename_folder(path: Path, target: Path) -> None:
    """Rename a folder. On Windows, wait until no other process has one of its files open."""
    deadline = time.monotonic() + RENAME_TIMEOUT_S
    while True:
        try:
            path.rename(target)
        except PermissionError:
            if os.name != "nt" or time.monotonic() > deadline:
                raise
            time.sleep(RENAME_INTERVAL_S)
        else:
            return


def sha256(path: Path) -> str:
    """Return the SHA-256 checksum of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync_file(path: Path) -> None:
    """Ask the operating system to write a file's content to the disk now."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def fsync_folder(folder: Path) -> None:
    """Ask the operating system to write a folder's list of names to the disk now: only then is a rename permanent."""
    if os.name == "nt":  # Windows cannot open a folder, and writes names in order
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write one of our JSON objects, with the format version in front; the file is written as a whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(to_json_text(content), encoding="utf-8")


def to_json_text(content: dict[str, Any]) -> str:
    """Return the text of one of our JSON objects, with the format version in front."""
    return json.dumps({"format_version": FORMAT_VERSION, **content}, indent=2) + "\n"


def read_json(path: Path) -> dict[str, Any]:
    """Read one of our JSON objects.

    Raises:
        UserError: the file cannot be read, is damaged, or was written by a newer version or by another program.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_JSON_CHARS)  # a longer text is cut off here, and is then not valid JSON
        data = json.loads(text)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{path} is damaged: it is not JSON") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} is damaged: it is not a JSON object")
    version = data.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise UserError(f"{path} was not written by dcgan: it has no format_version")
    if version > FORMAT_VERSION:
        raise UserError(f"{path} was written by a newer dcgan (format {version}): update this installation")
    return data


def error_reason(error: BaseException, most_chars: int = 200) -> str:
    """Return the first line of an error's text, printable; the name of its type if it has no text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return printable((lines[0] if lines else type(error).__name__)[:most_chars])


def write_reason(error: OSError) -> str:
    """Return why something cannot be written. The system says of a link that leads nowhere only that it exists."""
    path = os.fspath(error.filename or "")
    if isinstance(error, FileExistsError) and os.path.islink(path) and not os.path.exists(path):
        target = printable(os.readlink(path))
        return f"{printable(path)} is a link to {target}, where nothing is; make a folder there, or remove the link"
    return str(error.strerror or error)


def list_names(names: Iterable[str], most: int = 4) -> str:
    """Return the first names, printable and joined by commas; `nothing` if there are none."""
    listed = list(names)
    text = ", ".join(map(printable, listed[:most]))
    return f"{text}, …" if len(listed) > most else text or "nothing"


def composed(name: str) -> str:
    """Return a name with its accents and syllables as one character each, which macOS writes as several."""
    return unicodedata.normalize("NFC", name)


def printable(text: str) -> str:
    r"""Return a text in which control characters and bytes that are no text are escaped, as in `\x1b`.

    File names come from anywhere. A name with a newline or a terminal's escape code must not break a line, a JSON
    file or a terminal.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
