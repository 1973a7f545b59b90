"""How this package and its optional parts are installed, and where its command is."""

import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires
from importlib.util import find_spec
from pathlib import Path

from dcgan.errors import UserError

SOURCE = "git+https://repository.invalid/dcgan"
"""From where pip, uv and pipx install this package: the only place that says it, and the documentation repeats it.

The name `dcgan` on the package index is not this project's until a release is published under it, so nothing may tell
users to install that name. `repository.invalid` is a placeholder, since no domain can have that name;
`.ci/check_release.py` refuses to release with it.
"""


def install_command(extra: str) -> str:
    """Return the command that installs what an optional part needs, such as `pip install 'onnx>=1.17'`.

    It names the packages themselves, as the metadata of the installed package list them, so that it works wherever
    this package was installed from.

    Args:
        extra: the name of the optional part in `pyproject.toml`.
    """
    try:
        requirements = requires("dcgan") or []
    except PackageNotFoundError:  # the sources were put on the path, and nothing was installed
        requirements = []
    marker = f'; extra == "{extra}"'
    packages = [text.removesuffix(marker) for text in requirements if text.endswith(marker)]
    if not packages:
        return f"pip install 'dcgan[{extra}] @ {SOURCE}'"
    return "pip install " + " ".join(f"'{package}'" for package in packages)


def check_installed(subject: str, packages: tuple[str, ...], extra: str) -> None:
    """Check that the packages of an optional part are installed.

    Args:
        subject: what needs them, as the start of a sentence.
        packages: the names by which they are imported.
        extra: the name of the optional part in `pyproject.toml`.

    Raises:
        UserError: some are missing; the text says how to install them.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise UserError(f"{subject} needs {' and '.join(missing)}: {install_command(extra)}")


def find_hidden_command() -> tuple[str, str] | None:
    """Return the paths of the command and of the script that activates its environment, if `dcgan` is not on the path.

    None if it is, or if the environment has no such files.
    """
    folder = Path(sys.executable).parent
    command = _first_existing(folder / "dcgan.exe", folder / "dcgan")
    activate = _first_existing(folder / "activate.bat", folder / "activate")
    if shutil.which("dcgan") or command is None or activate is None:
        return None
    return _short_path(command), _short_path(activate)


def _first_existing(*paths: Path) -> Path | None:
    return next((path for path in paths if path.exists()), None)


def _short_path(path: Path) -> str:
    """Return the path from the current folder if it is below it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
