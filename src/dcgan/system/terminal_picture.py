"""A small picture on a terminal: each character shows two pixels, one above the other, as colored half blocks.

Every terminal with colors and UTF-8 shows these. Pictures of full size (sixel, Kitty) are not used: to find out whether
a terminal shows them, a program must read its answer from the keyboard.
"""

import codecs
import os
import shutil
from typing import TextIO

from PIL import Image

MAX_COLUMNS, MIN_COLUMNS = 80, 40
"""Characters of a line that a picture takes at most, and below which it is not shown."""


def shows_pictures(stream: TextIO) -> bool:
    """Return whether a stream is a terminal with colors, UTF-8 and lines that are long enough.

    The variables `NO_COLOR` and `TERM=dumb` say that colors are not wanted.
    """
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") in (None, "", "dumb"):
        return False
    is_utf8 = codecs.lookup(stream.encoding or "ascii").name == "utf-8"
    return is_utf8 and shutil.get_terminal_size().columns >= MIN_COLUMNS


def show_picture(image: Image.Image, stream: TextIO) -> None:
    """Draw a picture over the width of a terminal, at most `MAX_COLUMNS` pixels.

    Args:
        image: RGB, with at least two rows.
        stream: the terminal, see `shows_pictures`.
    """
    from rich.console import Console  # slow to import, and only a terminal needs them
    from rich_pixels import Pixels

    columns = min(MAX_COLUMNS, shutil.get_terminal_size().columns)
    rows = max(2, round(image.height * columns / image.width / 2) * 2)
    small = image.resize((columns, rows), Image.Resampling.BOX)
    Console(file=stream).print(Pixels.from_image(small))
