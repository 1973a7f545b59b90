import io
import sys

import pytest
from PIL import Image

from dcgan.system.terminal_picture import show_picture


class Terminal(io.StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


class LatinTerminal(Terminal):
    encoding = "latin-1"  # type: ignore[assignment]


@pytest.fixture(autouse=True)
def terminal_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "40")


def draw(stream: io.StringIO, width: int = 120, height: int = 30) -> list[str]:
    """Draw a picture that is white above and black below; return the lines."""
    image = Image.new("RGB", (width, height), "white")
    image.paste("black", (0, height // 2, width, height))
    show_picture(image, stream)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize(("columns", "width"), [("100", 80), ("60", 60), ("40", 40)])
def test_a_character_is_two_pixels(monkeypatch: pytest.MonkeyPatch, columns: str, width: int):
    monkeypatch.setenv("COLUMNS", columns)
    lines = draw(Terminal())
    assert len(lines) == round(30 * width / 120 / 2)
    assert [line.count("\N{LOWER HALF BLOCK}") for line in lines] == [width] * len(lines)
    assert lines[0] != lines[-1]


def test_a_tall_picture_is_made_smaller():
    lines = draw(Terminal(), 16, 256)
    assert len(lines) == 20
    assert lines[0].count("\N{LOWER HALF BLOCK}") == 2


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", ""), ("COLUMNS", "39")])
def test_settings_that_mean_no_picture(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    assert draw(Terminal()) == []


@pytest.mark.parametrize("stream", [io.StringIO(), LatinTerminal()])
def test_streams_that_show_no_picture(stream: io.StringIO):
    assert draw(stream) == []


def test_without_the_package_there_is_no_picture(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "rich_pixels", None)
    assert draw(Terminal()) == []
