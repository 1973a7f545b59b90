"""The glyphs of the benchmark of other gray sets, and how they are divided."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from benchmarks import gray_sets

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
KATAKANA_A, LETTERS = "\u30a2", ["A", "g", "."]


@pytest.fixture
def font_folder(tmp_path: Path) -> Path:
    """Return a folder with one font, which has Latin letters and no katakana."""
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "DejaVuSans.ttf").write_bytes((FONTS / "DejaVuSans.ttf").read_bytes())
    return tmp_path / "fonts"


def test_glyphs_are_white_in_the_middle_of_a_black_picture(font_folder: Path):
    glyphs = dict(gray_sets.draw_glyphs(font_folder, LETTERS))
    assert list(glyphs) == LETTERS
    for glyph in glyphs.values():
        pixels = np.asarray(glyph)
        assert pixels.shape == (gray_sets.SIDE, gray_sets.SIDE)
        rows, columns = np.nonzero(pixels > 127)
        assert abs(rows.mean() - gray_sets.SIDE / 2) < 3
        assert abs(columns.mean() - gray_sets.SIDE / 2) < 3


def test_characters_that_a_font_does_not_have_are_left_out(font_folder: Path):
    assert [character for character, _ in gray_sets.draw_glyphs(font_folder, ["A", KATAKANA_A, " "])] == ["A"]


def test_all_pictures_of_a_character_are_in_one_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def draw_levels(folder: Path) -> Iterator[tuple[str, Image.Image]]:
        for level in range(200):
            yield str(level % 40), Image.new("L", (gray_sets.SIDE, gray_sets.SIDE), level)

    kana = replace(gray_sets.GRAY_SETS["kana"], open_pictures=draw_levels)
    monkeypatch.setitem(gray_sets.GRAY_SETS, "kana", kana)
    gray_sets.write_set("kana", tmp_path)
    keys = {
        part: {int(np.asarray(Image.open(path))[0, 0]) % 40 for path in (tmp_path / "kana" / part).iterdir()}
        for part in ("train", "test")
    }
    assert not keys["train"] & keys["test"]
    assert len(keys["train"] | keys["test"]) == 40
    assert 0 < len(keys["test"]) < 20
    assert "Debian" in (tmp_path / "kana.licence.txt").read_text()
