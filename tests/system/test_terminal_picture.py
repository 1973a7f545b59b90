import io

import pytest
from PIL import Image

from dcgan.system.terminal_picture import show_picture, shows_pictures


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


def test_a_terminal_with_colors_shows_pictures():
    assert shows_pictures(Terminal())


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", ""), ("COLUMNS", "39")])
def test_settings_that_mean_no_picture(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    assert not shows_pictures(Terminal())


@pytest.mark.parametrize("stream", [io.StringIO(), LatinTerminal()])
def test_streams_that_show_no_picture(stream: io.StringIO):
    assert not shows_pictures(stream)


@pytest.mark.parametrize(("columns", "width"), [("100", 80), ("60", 60)])
def test_a_character_is_two_pixels(monkeypatch: pytest.MonkeyPatch, columns: str, width: int):
    monkeypatch.setenv("COLUMNS", columns)
    stream = Terminal()
    image = Image.new("RGB", (120, 30), "white")
    image.paste("black", (0, 15, 120, 30))
    show_picture(image, stream)
    lines = stream.getvalue().rstrip("\n").split("\n")
    assert len(lines) == round(30 * width / 120 / 2)
    assert [line.count("\N{LOWER HALF BLOCK}") for line in lines] == [width] * len(lines)
    assert lines[0] != lines[-1]  # white above black
