"""A picture file's bytes -> pixels of one size, by Pillow. No torch here, so that decoding processes start fast."""

import hashlib
import io
import math
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from dcgan.files import printable

Pixels = npt.NDArray[np.uint8]

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF")
"""What is read. Pillow knows more, but some of those start other programs (EPS) or are no pictures."""
MAX_BYTES = 256 * 2**20
"""A larger file is left out before it is in memory: Pillow's own limit is on pixels, not on bytes."""
HASH_BYTES = 16


@dataclass(frozen=True)
class ResizeOptions:
    """How pictures are brought to one shape.

    Attributes:
        height: of the prepared pictures, in pixels.
        width: likewise.
        channels: 1 gray, 3 RGB, 4 RGBA; None keeps what each picture needs.
        fit: `crop` the middle, `pad` to the frame, or `stretch`.
    """

    height: int
    width: int
    channels: int | None
    fit: str


@dataclass(frozen=True)
class DecodedImage:
    """One decoded file.

    Attributes:
        pixels: uint8 (H, W, C); C is 1, 3 or 4.
        size: (height, width) before it was resized, upright.
        mode: Pillow's name of what the file holds, such as `RGB` or `I;16`.
        digest: of the file's bytes, so that it does not depend on the options.
    """

    pixels: Pixels
    size: tuple[int, int]
    mode: str
    digest: bytes


def decode_all(places: Sequence[tuple[str, str | None]], options: ResizeOptions) -> list[DecodedImage | str]:
    """Decode files, each a path, or a path of a zip and a name inside. What cannot be read becomes its reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata that does not matter here
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return [_decode_or_reason(place, options) for place in places]


def _decode_or_reason(place: tuple[str, str | None], options: ResizeOptions) -> DecodedImage | str:
    try:
        return decode_image(read_file_bytes(*place), options)
    except Exception as error:  # Pillow's plugins raise anything on damaged files: see their reports of fuzzing
        return skip_reason(error)


def read_file_bytes(path: str, member: str | None) -> bytes:
    """The bytes of a file, or of a zip's member, never more than `MAX_BYTES`."""
    with _archive(path).open(member) if member is not None else open(path, "rb") as file:
        content: bytes = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES >> 20} MiB")
    if not content:
        raise ValueError("the file is empty")
    return content


@lru_cache(maxsize=1)
def _archive(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def skip_reason(error: Exception) -> str:
    """Why a picture was left out, in a few printable words."""
    if isinstance(error, UnidentifiedImageError):
        return "not a picture, or of a kind that is not read"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"too large: over {Image.MAX_IMAGE_PIXELS:,} pixels"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(" ".join(text.split())[:200]) or type(error).__name__


def decode_image(content: bytes, options: ResizeOptions) -> DecodedImage:
    """Decode one picture's bytes. Of an animation it takes the first frame.

    Raises:
        Exception: almost any, for a damaged file.
    """
    digest = hashlib.blake2b(content, digest_size=HASH_BYTES).digest()
    with Image.open(io.BytesIO(content), formats=readable_formats()) as image:
        mode, (width, height), turn = image.mode, image.size, _turn(image)
        # A JPEG can be decoded at 1/2, 1/4 or 1/8: still at least twice the wanted size, so the filter below decides.
        image.draft(None, (2 * max(options.height, options.width),) * 2)
        upright = image.transpose(turn) if turn is not None else image
        pixels = _pixels(_fitted(_eight_bit(upright), options), options.channels)
    if turn in _SIDEWAYS:
        width, height = height, width
    return DecodedImage(pixels, (height, width), mode, digest)


def native_size(content: str | IO[bytes]) -> tuple[int, int]:
    """Height and width from a picture's header."""
    with Image.open(content, formats=readable_formats()) as image:
        return image.height, image.width


@lru_cache(maxsize=1)
def readable_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation -> what makes the picture upright."""
_SIDEWAYS = {_TURNS[number] for number in (5, 6, 7, 8)}


def _turn(image: Image.Image) -> Image.Transpose | None:
    if image.format not in ("JPEG", "MPO", "TIFF", "WEBP", "PNG", "AVIF"):
        return None
    try:
        return _TURNS.get(image.getexif().get(0x0112, 1))
    except Exception:  # damaged metadata does not make the picture unusable
        return None


def _eight_bit(image: Image.Image) -> Image.Image:
    """Any mode -> L, RGB or RGBA."""
    if image.mode.startswith("I"):  # 16 bits, which old Pillows call I
        wide = np.asarray(image).astype(np.int64).clip(0, 65_535)
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range: save it with 8 or 16 bits")
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _fitted(image: Image.Image, options: ResizeOptions) -> Image.Image:
    """Resize with antialiasing (bicubic) to the wanted frame."""
    width, height = image.size
    wide, high = options.width, options.height
    if options.fit == "pad":
        scale = min(wide / width, high / height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
            image = image.convert("RGB")
        frame = Image.new(image.mode, (wide, high))  # black, or transparent around what is transparent
        frame.paste(_resized(image, inner, None), ((wide - inner[0]) // 2, (high - inner[1]) // 2))
        return frame
    if options.fit == "stretch":
        return _resized(image, (wide, high), None)
    scale = min(width / wide, height / high)
    left, top = (width - wide * scale) / 2, (height - high * scale) / 2
    return _resized(image, (wide, high), (left, top, left + wide * scale, top + high * scale))


def _resized(image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None) -> Image.Image:
    if image.size == size and (box is None or box == (0, 0, *size)):
        return image
    if box is not None:  # rounding must not reach over the edge
        box = (max(0, box[0]), max(0, box[1]), min(image.width, box[2]), min(image.height, box[3]))
    return image.resize(size, Image.Resampling.BICUBIC, box=box)


def _pixels(image: Image.Image, channels: int | None) -> Pixels:
    """The picture as uint8 (H, W, C); without `channels`, the fewest that lose nothing."""
    if channels in (1, 3) and image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if channels is not None:
        image = image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
    pixels = np.asarray(image)
    if image.mode == "L":
        return pixels[..., None]
    if image.mode == "RGBA" and (channels == 4 or pixels[..., 3].min() < 255):
        return pixels * (pixels[..., 3:] > 0)  # colours that nobody can see are noise: nothing to learn there
    pixels = pixels[..., :3]
    if channels is None and (pixels == pixels[..., :1]).all():
        return pixels[..., :1]
    return pixels


def suggested_size(sizes: npt.NDArray[np.integer[Any]]) -> tuple[int, int]:
    """The (height, width) to train at, for pictures of `sizes` (N, 2): theirs if equal and 16 to 64, else a square.

    The square is the largest of 16, 32 and 64 that half of the pictures fill without being enlarged: what a laptop
    trains in hours.
    """
    height, width = (int(side) for side in sizes[0])
    if (sizes == sizes[0]).all() and min(height, width) >= 16 and max(height, width) <= 64:
        return height, width
    side = min(64, max(16, 2 ** int(math.log2(max(1, float(np.median(sizes.min(axis=1))))))))
    return side, side
