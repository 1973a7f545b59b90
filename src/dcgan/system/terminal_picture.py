"""A small picture on a terminal: each character shows two pixels, one above the other, as colored half blocks.

Every terminal with colors and UTF-8 shows these. Pictures of full size (sixel, Kitty) are not used: to find out whether
a terminal shows them, a program must read its answer from the keyboard.
"""

import codecs
import os
from contextlib import suppress
from typing import TextIO

from PIL import Image

MAX_COLUMNS, MIN_COLUMNS = 80, 40
"""Characters of a line that a picture takes at most, and below which it is not shown."""
MAX_LINES = 20


def show_picture(image: Image.Image, stream: TextIO) -> None:
    """Draw a picture on a stream if that is a terminal with colors, UTF-8 and lines that are long enough.

    Nothing is drawn if `NO_COLOR` is set, if `TERM` is `dumb` or not set, as in consoles of Windows, or if a package is
    missing.

    Args:
        image: RGB.
        stream: where to draw.
    """
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") in (None, "", "dumb"):
        return
    with suppress(ImportError):
        from rich.console import Console  # slow to import, and only a terminal needs them
        from rich_pixels import Pixels

        console = Console(file=stream)
        if codecs.lookup(console.encoding).name == "utf-8" and console.width >= MIN_COLUMNS:
            scale = min(min(MAX_COLUMNS, console.width) / image.width, 2 * MAX_LINES / image.height)
            size = max(1, round(image.width * scale)), max(2, 2 * round(image.height * scale / 2))
            console.print(Pixels.from_image(image.resize(size, Image.Resampling.BOX)))
