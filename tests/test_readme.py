"""The README: its commands are understood, its links have targets, its Python runs."""

import re
import shlex
from pathlib import Path

import pytest

from dcgan.cli.main import parse
from dcgan.run.folder import RunFolder

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", ROOT / "README.ko.md"]


def blocks(path: Path, language: str = "") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(path: Path) -> list[list[str]]:
    lines = [line for block in blocks(path) for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("dcgan ")]


@pytest.mark.parametrize("path", READMES, ids=lambda p: p.name)
def test_every_command_is_understood(path: Path):
    assert len(commands(path)) >= 5
    for words in commands(path):
        assert parse(words[1:]) is not None, words


def test_both_languages_show_the_same_commands_and_python():
    assert commands(READMES[0]) == commands(READMES[1])
    make = [[line for block in blocks(p) for line in block.splitlines() if line.startswith("make")] for p in READMES]
    assert make == [["make train", "make test"]] * 2
    stripped = [re.sub(r"#.*", "", "".join(blocks(p, "python"))).split() for p in READMES]
    assert stripped[0] == stripped[1]


@pytest.mark.parametrize(
    "path",
    [*READMES, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")],
    ids=lambda p: p.relative_to(ROOT).as_posix(),
)
def test_every_link_has_a_target(path: Path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    for link in links:
        if not link.startswith("https://"):
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize("target", ["train", "test", "test-slow", "check", "lowest"])
def test_the_makefile_has_every_target_of_the_documentation(target: str):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished_run: RunFolder):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dcgan.training.start.train", lambda *args, **settings: finished_run)  # 500 steps are a minute
    names: dict[str, object] = {}
    for block in blocks(READMES[0], "python"):
        exec(block, names)
    assert names["images"].shape == (16, 28, 28, 1)
    assert callable(names["get_noise"])


@pytest.mark.parametrize(
    "path", [*READMES, *(ROOT / "docs").rglob("*.md")], ids=lambda p: p.relative_to(ROOT).as_posix()
)
def test_no_table_is_cut_by_another_line(path: Path):
    """A comment, or any other line, between the rows of a table ends it: the rows after it are shown as text."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for table in re.split(r"\n\s*\n", text):
        lines = table.splitlines()
        if any(re.match(r"\|[\s:|-]+\|$", line) for line in lines):
            start = next(i for i, line in enumerate(lines) if line.startswith("|"))
            assert all(line.startswith("|") for line in lines[start:]), lines[start]
