"""The study's document: its text is whole, its figures are of this project, and sections say where they are real."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "docs" / "study"
ORIGINAL = (FOLDER / "original.txt").read_text(encoding="utf-8")
PAGE = (FOLDER / "document.md").read_text(encoding="utf-8")


def words(line: str) -> str:
    return re.sub(r"<(p|strong)[^>]*>|\s", "", line)


def test_every_line_of_the_text_is_there_in_its_order():
    lines = iter([words(line) for line in PAGE.splitlines()])
    for line in ORIGINAL.splitlines():
        if words(line) and "<img" not in words(line) and "user-images" not in line:
            assert words(line) in lines, line  # `in` moves the iterator on


def test_the_figures_are_files_of_this_project():
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", PAGE)
    assert len(pictures) == ORIGINAL.count("<img") == 4
    assert all((FOLDER / picture).exists() for picture in pictures)
    assert "githubusercontent" not in PAGE


def test_every_section_says_where_it_is_real():
    sections = re.split(r"^##+ ", PAGE.partition("---")[2], flags=re.MULTILINE)[2:]  # without the title
    with_text = [section for section in sections if section.partition("\n")[2].strip()]
    assert len(with_text) >= 9
    for section in with_text:
        assert "> → " in section, section.splitlines()[0]
