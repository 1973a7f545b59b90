"""The bytes of an image file -> pixels of one size, by Pillow.

Nothing here imports torch, so that the processes that decode start fast.
"""

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

from dcgan.config import MIN_SIDE
from dcgan.data.digests import digest
from dcgan.files import printable
from dcgan.images import Pixels, composite_on_white, to_pillow

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF")
"""The formats that are read. Pillow knows more, but some of those start other programs (EPS) or are not images."""
MAX_FILE_BYTES = 256 * 2**20
"""A larger file is skipped before it is in memory: Pillow's own limit is on pixels, not on bytes."""
MAX_SUGGESTED_SIDE = 64
"""Pixels of a side up to which a size is suggested: a laptop trains on such images in hours."""

FileLocation = tuple[str, str | None]
"""A file's path and None, or a zip's path and the name of a member."""
PillowBox = tuple[float, float, float, float]
"""Left, upper, right and lower edge of a part of an image, in pixels."""


@dataclass(frozen=True)
class ResizeOptions:
    """How images are brought to one shape.

    Attributes:
        height: height of the resized images in pixels.
        width: width of the resized images in pixels.
        channels: 1 is gray, 3 is RGB, 4 is RGBA; None keeps the channels that each image needs.
        fit: `crop` the middle, `pad` to the frame, or `stretch`.
    """

    height: int
    width: int
    channels: int | None
    fit: str

    def key_text(self) -> str:
        """Return the options as text for the content key of an image set.

        Checkpoints hold such keys, and a run is resumed only if its key is still the same. So this is the text that
        version 0.1.0 wrote, whatever the class and its attributes are called.
        """
        return f"Options(height={self.height}, width={self.width}, channels={self.channels}, fit={self.fit!r})"


@dataclass(frozen=True)
class DecodedImage:
    """One decoded file.

    Attributes:
        pixels: uint8 (H, W, C); C is 1, 3 or 4.
        original_size: (height, width) of the upright image before it was resized.
        mode: Pillow's name for the kind of pixels in the file, such as `RGB` or `I;16`.
        digest: digest of the file's bytes; it does not depend on the options.
    """

    pixels: Pixels
    original_size: tuple[int, int]
    mode: str
    digest: bytes


def decode_files(locations: Sequence[FileLocation], options: ResizeOptions) -> list[DecodedImage | str]:
    """Decode files; the result for a file that cannot be read is the reason."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which does not matter here
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return [_decode_or_reason(location, options) for location in locations]


def _decode_or_reason(location: FileLocation, options: ResizeOptions) -> DecodedImage | str:
    try:
        return decode_image(read_file_bytes(*location), options)
    except Exception as error:  # Pillow's plugins raise any error on damaged files, as reports of fuzzing show
        return skip_reason(error)


def read_file_bytes(path: str, member: str | None) -> bytes:
    """Return the bytes of a file or of a member of a zip.

    Raises:
        ValueError: there are none, or more than `MAX_FILE_BYTES`.
    """
    with _open_zip(path).open(member) if member is not None else open(path, "rb") as file:
        content: bytes = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES >> 20} MiB")
    if not content:
        raise ValueError("the file is empty")
    return content


@lru_cache(maxsize=1)
def _open_zip(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def skip_reason(error: Exception) -> str:
    """Return why an image is skipped, in a few printable words."""
    if isinstance(error, UnidentifiedImageError):
        return "not a picture, or of a kind that is not read"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"too large: over {Image.MAX_IMAGE_PIXELS:,} pixels"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return printable(" ".join(text.split())[:200]) or type(error).__name__


def decode_image(content: bytes, options: ResizeOptions) -> DecodedImage:
    """Decode the bytes of one file; the first frame is used if it is an animation.

    Raises:
        Exception: almost any, if the file is damaged.
    """
    with Image.open(io.BytesIO(content), formats=readable_formats()) as image:
        mode, (width, height), transpose = image.mode, image.size, _exif_transpose(image)
        # A JPEG can be decoded at 1/2, 1/4 or 1/8. The result is at least twice as large as wanted, so the filter in
        # `_resize_to_fit` decides how the image looks.
        image.draft(None, (2 * max(options.height, options.width),) * 2)
        upright = image.transpose(transpose) if transpose is not None else image
        pixels = _to_pixels(_resize_to_fit(_to_8_bits(upright), options), options.channels)
    if transpose in _SIDEWAYS_TRANSPOSES:
        width, height = height, width
    return DecodedImage(pixels, (height, width), mode, digest(content))


def read_image_size(file: str | IO[bytes]) -> tuple[int, int]:
    """Return the height and width in an image file's header."""
    with Image.open(file, formats=readable_formats()) as image:
        return image.height, image.width


@lru_cache(maxsize=1)
def readable_formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


EXIF_ORIENTATION_TAG = 0x0112
_EXIF_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's orientation -> what makes the image upright."""
_SIDEWAYS_TRANSPOSES = {_EXIF_TRANSPOSES[orientation] for orientation in (5, 6, 7, 8)}


def _exif_transpose(image: Image.Image) -> Image.Transpose | None:
    """Return what makes an image upright; None if it is upright already."""
    if image.format not in ("JPEG", "MPO", "TIFF", "WEBP", "PNG", "AVIF"):
        return None
    try:
        return _EXIF_TRANSPOSES.get(image.getexif().get(EXIF_ORIENTATION_TAG, 1))
    except Exception:  # damaged metadata does not make the image unusable
        return None


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Convert an image of any mode to L, RGB or RGBA."""
    if image.mode.startswith("I"):  # 16 bits; old versions of Pillow call this mode I
        values = np.asarray(image).astype(np.int64).clip(0, 65_535)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range: save it with 8 or 16 bits")
    if image.has_transparency_data:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _resize_to_fit(image: Image.Image, options: ResizeOptions) -> Image.Image:
    """Resize an image to the size of the options with an antialiased bicubic filter."""
    frame_size = (options.width, options.height)
    if options.fit == "stretch":
        return _resize(image, frame_size, None)
    if options.fit == "pad":
        return _resize_and_pad(image, options)
    width, height = image.size
    scale = min(width / options.width, height / options.height)
    left, top = (width - options.width * scale) / 2, (height - options.height * scale) / 2
    return _resize(image, frame_size, (left, top, left + options.width * scale, top + options.height * scale))


def _resize_and_pad(image: Image.Image, options: ResizeOptions) -> Image.Image:
    """Resize a whole image into a black frame, or into a transparent one if the image is transparent."""
    height, width = size_within(image.height, image.width, options)
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    frame = Image.new(image.mode, (options.width, options.height))
    frame.paste(_resize(image, (width, height), None), ((options.width - width) // 2, (options.height - height) // 2))
    return frame


def size_within(height: int, width: int, options: ResizeOptions) -> tuple[int, int]:
    """Return the largest (height, width) with the same aspect ratio that fits into the size of the options."""
    scale = min(options.width / width, options.height / height)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resize(image: Image.Image, size: tuple[int, int], box: PillowBox | None) -> Image.Image:
    if image.size == size and (box is None or box == (0, 0, *size)):
        return image
    if box is not None:  # rounding must not move the box over the edge
        box = (max(0, box[0]), max(0, box[1]), min(image.width, box[2]), min(image.height, box[3]))
    return image.resize(size, Image.Resampling.BICUBIC, box=box)


def _to_pixels(image: Image.Image, channels: int | None) -> Pixels:
    """Return an image as uint8 (H, W, C); if `channels` is None, with the fewest channels that lose nothing."""
    if channels in (1, 3) and image.mode == "RGBA":
        pixels = np.asarray(image)
        image = to_pillow(composite_on_white(pixels[..., :3], pixels[..., 3:]).round().astype(np.uint8))
    if channels is not None:
        image = image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
    pixels = np.asarray(image)
    if image.mode == "L":
        return pixels[..., None]
    if image.mode == "RGBA" and (channels == 4 or pixels[..., 3].min() < 255):
        return pixels * (pixels[..., 3:] > 0)  # colors that nobody can see are noise, from which nothing is learnt
    pixels = pixels[..., :3]
    if channels is None and (pixels == pixels[..., :1]).all():
        return pixels[..., :1]
    return pixels


def suggest_size(sizes: npt.NDArray[np.integer[Any]]) -> tuple[int, int]:
    """Return the (height, width) to train at, for images of `sizes` (N, 2).

    Images that all have one size from 16 to 64 keep it. For others it is a square: the largest of 16, 32 and 64 that
    half of the images fill without being enlarged.
    """
    height, width = (int(side) for side in sizes[0])
    if (sizes == sizes[0]).all() and min(height, width) >= MIN_SIDE and max(height, width) <= MAX_SUGGESTED_SIDE:
        return height, width
    median_side = max(1, float(np.median(sizes.min(axis=1))))
    side = min(MAX_SUGGESTED_SIDE, max(MIN_SIDE, 2 ** int(math.log2(median_side))))
    return side, side
