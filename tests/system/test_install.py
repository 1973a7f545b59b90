"""How to install: what messages say, and that nothing names a package that is not published."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from dcgan.system import install

ROOT = Path(__file__).parents[2]
TEXTS = {".md", ".py", ".toml", ".yml", ".ipynb", ".html", ".js"}
INSTALLS_THE_NAME = re.compile(
    r"""(?:(?<!un)install|inject|uvx|pipx\ run)\s+(?:-\S+\s+)*  # the command and its flags
        ['"\\]*dcgan(?:\\?\[[\w,]*\\?\])?                # the name, perhaps with extras
        (?!\ ?@)(?=['"`\\\s.,)]|$)                       # from no address""",
    re.VERBOSE,
)


def texts() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = (ROOT / name for name in done.stdout.splitlines())
    return [path for path in paths if path.suffix in TEXTS and path.is_file() and path != Path(__file__)]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pip install dcgan", True),
        ("`pip install 'dcgan[export]'`", True),
        ("uv tool install --quiet dcgan.", True),
        ("uvx dcgan train", True),
        (f"pip install 'dcgan[export] @ {install.SOURCE}'", False),
        (f"pipx install {install.SOURCE}", False),
        ("pip install '.[export]'", False),
    ],
)
def test_the_search_finds_an_unpublished_name(line: str, found: bool):
    assert bool(INSTALLS_THE_NAME.search(line)) is found


def test_nothing_tells_users_to_install_a_name_that_is_not_published():
    lines = {
        path.relative_to(ROOT).as_posix(): line
        for path in texts()
        for line in path.read_text(encoding="utf-8").splitlines()
        if INSTALLS_THE_NAME.search(line)
    }
    assert lines == {}


def test_every_address_to_install_from_is_the_constant():
    addresses = {
        found
        for path in texts()
        for found in re.findall(r"git\+https://[^\s'\"`\\)]+", path.read_text(encoding="utf-8"))
    }
    assert addresses == {install.SOURCE}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["urls"]["Repository"] == install.SOURCE.removeprefix("git+")


def test_the_command_for_an_extra_names_the_packages_that_it_needs():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    expected = " ".join(f"'{requirement}'" for requirement in extras["export"])
    assert install.install_command("export") == f"pip install {expected}"


def test_without_metadata_the_command_names_the_source(monkeypatch: pytest.MonkeyPatch):
    def find_nothing(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(install, "requires", find_nothing)
    assert install.install_command("studio") == f"pip install 'dcgan[studio] @ {install.SOURCE}'"


def test_the_command_is_shown_only_where_it_is_not_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "env" / "bin" / "python"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.chdir(tmp_path)
    assert install.find_hidden_command() is None  # there is no such file
    (tmp_path / "env" / "bin").mkdir(parents=True)
    for name in ("dcgan", "activate"):
        (tmp_path / "env" / "bin" / name).touch(mode=0o755)
    assert install.find_hidden_command() == ("env/bin/dcgan", "env/bin/activate")
    monkeypatch.setenv("PATH", str(tmp_path / "env" / "bin"))
    assert install.find_hidden_command() is None
