"""What the studio may read: data below the folders given at its start, and real files inside the runs folder.

Everything that a page asks for, and everything that stands in a run's files, may come from somebody else. The checks
are made on real paths: a link is followed to its end before it is compared.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dcgan.config import split_specs
from dcgan.data.location import is_named_set
from dcgan.errors import UserError
from dcgan.files import printable

MAX_DATA_CHARS = 80
"""How much of the name of a data set an error shows."""
ABSOLUTE_PATH = re.compile(
    r"""(?<![\w.~…:/\\-])         # not in the middle of a relative path, of a fraction or of an address
        (?:[A-Za-z]:)?[\\/]{1,2}  # the root; on Windows, of a drive or of another computer
        (?:[^\\/\s'"`]+[\\/]+)*   # folders
        (?P<name>[^\\/\s'"`]+)    # the last part
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class DataRoots:
    """The folders below which data may be read."""

    paths: tuple[Path, ...]

    def check(self, data: str) -> None:
        """Refuse data that is neither built in nor below one of the folders; whether it exists is not looked up.

        Of joined sets, each is checked.

        Raises:
            UserError: the line names what was asked for, and how to allow it.
        """
        for spec in split_specs(data):
            if is_named_set(spec):
                continue
            path = _real_path(os.path.expanduser(spec))
            if not any(path.is_relative_to(_real_path(root)) for root in self.paths):
                roots = " and ".join(f"…/{root.absolute().name}" for root in self.paths) or "no folder"
                shown = printable(spec)[:MAX_DATA_CHARS]
                raise UserError(
                    f"the studio may not read {shown!r}: it reads sets that have a name, and what lies below {roots}; "
                    "start it with --data-root FOLDER to allow another folder"
                )


def default_data_roots() -> DataRoots:
    """Return the current folder, or no folder if that is the root of the file system, which holds everything."""
    folder = Path.cwd()
    return DataRoots(() if folder == Path(folder.anchor) else (folder,))


def data_spec(path: Path) -> str:
    """Return how a page names data at a path: from the current folder if they are below it, so that it shows no more.

    It begins with `./` then, because a folder may have the name of a built-in set.
    """
    try:
        relative = path.absolute().relative_to(Path.cwd())
    except ValueError:
        return str(path)
    return f"./{relative.as_posix()}" if relative.parts else "."


def check_run_files(runs: Path, run: Path) -> None:
    """Refuse a run whose files lead out of the folder of runs, or are no files that can be read to their end.

    The entries of the run, of its model and of its checkpoint are checked, whatever their names are.

    Raises:
        UserError: it names the first such entry.
    """
    for folder in (run, *(run / name for name in ("model", ".model.old", "checkpoint", "evaluation"))):
        for entry in _entries(folder):
            name = printable(os.path.relpath(entry.path, run))
            if entry.is_symlink() and not _real_path(entry.path).is_relative_to(_real_path(runs)):
                raise UserError(f"{name} is a link that leads out of the folder of runs: it is not followed")
            if not _is_file_or_folder(entry):
                raise UserError(f"{name} is neither a file nor a folder: remove it")


def hide_paths(text: str, runs: Path) -> str:
    """Return a text without the folders of this machine: of an absolute path, only the last part is left.

    Args:
        text: an error, for example.
        runs: the folder of runs; paths inside it stay, relative to it.
    """
    for folder in sorted({str(runs), str(runs.absolute()), str(_real_path(runs))}, key=len, reverse=True):
        text = text.replace(folder + os.sep, "").replace(folder, "the folder of runs") if folder != "." else text
    for folder in (str(Path.cwd()), str(Path.home())):  # they may have spaces, which the pattern does not expect
        text = text.replace(folder + os.sep, "…/") if len(folder) > 1 else text
    return ABSOLUTE_PATH.sub(r"…/\g<name>", text)


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        return


def _is_file_or_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        mode = entry.stat().st_mode
    except OSError:  # it has been removed, or is a link to nothing
        return True
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _real_path(path: str | Path) -> Path:
    return Path(os.path.realpath(path))
