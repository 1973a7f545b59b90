"""A run's pictures as data URIs, small enough for one page. What is no picture is named, not shown."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from dcgan.files import printable

FRAMES, FRAME_BYTES = 30, 75_000
"""Grids in the slider, and what each may weigh: at most 3 MB as text."""
SINGLE_BYTES = 150_000
"""What any other picture may weigh."""
ROW_BYTES = 12_000
"""And a row of one class."""
GAP = 2
"""Pixels between the pictures of a grid."""


@dataclass(frozen=True)
class EmbeddedImage:
    """A picture in the page.

    Attributes:
        uri: all of it, as text.
        alt: what it shows.
        width: in pixels.
        height: the same.
        caption: what is written beside it.
    """

    uri: str
    alt: str
    width: int
    height: int
    caption: str = ""


def embed_image(
    path: Path, alt: str, faults: list[str], *, most: int = SINGLE_BYTES, caption: str = ""
) -> EmbeddedImage | None:
    """Read a picture. One that is missing or damaged is None, and `faults` says so."""
    try:
        with Image.open(path) as image:
            image.load()
            return _inlined(image, alt, most, caption)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        faults.append(f"{printable(path.name)} cannot be shown: {_why(error)}")
        return None


def embed_class_rows(path: Path, names: Sequence[str], faults: list[str]) -> list[EmbeddedImage]:
    """A sheet of classes, cut into its rows."""
    try:
        with Image.open(path) as image:
            image.load()
            step = (image.height - GAP) / len(names)
            boxes = [(0, round(i * step), image.width, round((i + 1) * step) + GAP) for i in range(len(names))]
            return [
                _inlined(image.crop(box), f"generated pictures of class {name}", ROW_BYTES, name)
                for box, name in zip(boxes, names, strict=True)
            ]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        faults.append(f"{printable(path.name)} cannot be shown: {_why(error)}")
        return []


def _why(error: Exception) -> str:
    """The reason, without the path that Python's own text has in it."""
    if isinstance(error, UnidentifiedImageError):
        return "it is no picture"
    return printable(getattr(error, "strerror", None) or str(error))[:200]


def _inlined(image: Image.Image, alt: str, most: int, caption: str) -> EmbeddedImage:
    """As a PNG, or where that weighs too much as a JPEG, and smaller until it fits."""
    content, kind = _encoded(image, "PNG"), "png"
    plain, scale = image.convert("L" if image.mode == "L" else "RGB"), 1.0
    while len(content) > most:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        content, kind = _encoded(plain.resize(size, Image.Resampling.LANCZOS), "JPEG"), "jpeg"
        scale *= 0.7
    text = base64.b64encode(content).decode("ascii")
    return EmbeddedImage(f"data:image/{kind};base64,{text}", alt, image.width, image.height, caption)


def _encoded(image: Image.Image, kind: str) -> bytes:
    """Encoded anew, so that only the pixels of a file get into the page."""
    buffer = io.BytesIO()
    options = {"quality": 88} if kind == "JPEG" else {"optimize": True}
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def list_grids(samples: Path, faults: list[str]) -> list[tuple[int, Path]]:
    """The fixed-noise grids, by images seen."""
    paths = sorted(samples.iterdir()) if samples.is_dir() else []
    found = [(int(path.stem), path) for path in paths if re.fullmatch(r"\d{8,18}\.png", path.name, re.ASCII)]
    if not found:
        faults.append("samples/ holds no grids of samples")
    return sorted(found)


def embed_grids(found: Sequence[tuple[int, Path]], faults: list[str]) -> list[EmbeddedImage]:
    """Grids over time, spread evenly where there are too many, the first and the last among them."""
    count = min(len(found), FRAMES)
    chosen = [found[round(i * (len(found) - 1) / max(count - 1, 1))] for i in range(count)]
    shown = [
        embed_image(path, f"the fixed-noise grid after {seen:,} images", faults, most=FRAME_BYTES, caption=f"{seen:,}")
        for seen, path in chosen
    ]
    return [frame for frame in shown if frame]
