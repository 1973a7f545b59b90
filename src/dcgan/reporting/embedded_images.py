"""The pictures of a run as data URIs, small enough for one page. A file that is no picture is named in the report."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from dcgan.files import printable
from dcgan.images import GRID_GAP

MAX_GRIDS = 30
"""Grids in the slider."""
MAX_GRID_BYTES = 75_000
"""Size of each of them, so that all together are at most 3 MB as text."""
MAX_IMAGE_BYTES = 150_000
"""Size of any other picture."""
MAX_ROW_BYTES = 12_000
"""Size of the row of one class or group."""
MAX_REASON_CHARS = 200
UNREADABLE_IMAGE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises for files that are missing, damaged, or no pictures."""


@dataclass(frozen=True)
class EmbeddedImage:
    """A picture in the page.

    Attributes:
        uri: the encoded picture as a data URI.
        alt: what it shows, in words.
        width: in pixels.
        height: in pixels.
        caption: the text beside it.
    """

    uri: str
    alt: str
    width: int
    height: int
    caption: str = ""


def embed_image(
    path: Path, alt: str, faults: list[str], *, max_bytes: int = MAX_IMAGE_BYTES, caption: str = ""
) -> EmbeddedImage | None:
    """Return a picture from a file, or None if it is missing or damaged; `faults` then gets a line that says so."""
    try:
        with Image.open(path) as image:
            image.load()
            return _embed(image, alt, max_bytes, caption)
    except UNREADABLE_IMAGE as error:
        faults.append(_fault(path, error))
        return None


def embed_rows(path: Path, names: Sequence[str], kind: str, faults: list[str]) -> list[EmbeddedImage]:
    """Return the rows of a grid that has a row for each class or group; none if the grid is missing or damaged.

    Args:
        path: of the grid.
        names: of its rows.
        kind: what a row is of, before its name, as in `class 3`; may be empty.
        faults: gets a line if the grid cannot be shown.
    """
    try:
        with Image.open(path) as image:
            image.load()
            row_height = (image.height - GRID_GAP) / len(names)
            edges = [round(i * row_height) for i in range(len(names) + 1)]
            return [
                _embed(
                    image.crop((0, top, image.width, bottom + GRID_GAP)),
                    f"generated pictures of {kind}{name}",
                    MAX_ROW_BYTES,
                    name,
                )
                for top, bottom, name in zip(edges, edges[1:], names, strict=False)
            ]
    except UNREADABLE_IMAGE as error:
        faults.append(_fault(path, error))
        return []


def embed_grids(grids: Sequence[tuple[int, Path]], faults: list[str]) -> list[EmbeddedImage]:
    """Return at most `MAX_GRIDS` of the grids, spread evenly from the first to the last."""
    count = min(len(grids), MAX_GRIDS)
    chosen = [grids[round(i * (len(grids) - 1) / max(count - 1, 1))] for i in range(count)]
    images = [
        embed_image(
            path,
            f"the fixed-noise grid after {images_seen:,} images",
            faults,
            max_bytes=MAX_GRID_BYTES,
            caption=f"{images_seen:,}",
        )
        for images_seen, path in chosen
    ]
    return [image for image in images if image]


def _fault(path: Path, error: Exception) -> str:
    """Return a line that says why a picture is not shown, without the path that Python's own text holds."""
    is_foreign = isinstance(error, UnidentifiedImageError)
    reason = "it is no picture" if is_foreign else printable(getattr(error, "strerror", None) or str(error))
    return f"{printable(path.name)} cannot be shown: {reason[:MAX_REASON_CHARS]}"


def _embed(image: Image.Image, alt: str, max_bytes: int, caption: str) -> EmbeddedImage:
    """Encode a picture as a PNG; if that is too large, as a JPEG, ever smaller until it fits."""
    content, kind = _encode(image, "PNG"), "png"
    flat, scale = image.convert("L" if image.mode == "L" else "RGB"), 1.0
    while len(content) > max_bytes:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        content, kind = _encode(flat.resize(size, Image.Resampling.LANCZOS), "JPEG"), "jpeg"
        scale *= 0.7
    text = base64.b64encode(content).decode("ascii")
    return EmbeddedImage(f"data:image/{kind};base64,{text}", alt, image.width, image.height, caption)


def _encode(image: Image.Image, kind: str) -> bytes:
    """Encode a picture again, so that nothing of a file but its pixels gets into the page."""
    buffer = io.BytesIO()
    options = {"quality": 88} if kind == "JPEG" else {"optimize": True}
    image.save(buffer, kind, **options)
    return buffer.getvalue()
