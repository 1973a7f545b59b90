"""The bytes of an image file -> pixels of one size, by Pillow.

Nothing here imports torch, so that the processes that decode start fast.
"""

import errno
import io
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from dcgan.config import MIN_SIDE
from dcgan.data.digests import digest
from dcgan.data.members import FileLocation, read_file_bytes
from dcgan.data.value_range import FULL_16_BIT_RANGE, Extrema, ValueKind, ValueRange, scale_to_8_bits
from dcgan.files import printable
from dcgan.images import Pixels, composite_on_white, draw_on_white, to_pillow

THUMBNAIL_SIDE = 16
"""Pixels of a side of the thumbnails by which near duplicates are found."""
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF", "HEIF")
"""The formats that are read. Pillow knows more, but some of those start other programs (EPS) or are not images."""
HEIF_SUFFIXES = (".heic", ".heif", ".hif")
"""Suffixes of the pictures of telephones, which are read if pillow-heif is installed."""
TRANSIENT_ERRORS = {
    getattr(errno, name)
    for name in ("EIO", "EMFILE", "ENFILE", "ENOMEM", "ESTALE", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN")
    if hasattr(errno, name)
}
"""System errors that say nothing about the file: another attempt may read it."""
MAX_SUGGESTED_SIDE = 64
"""Pixels of a side up to which a size is suggested: two CPU cores train on such images in hours."""

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
        value_range: the values that become black and white in images of more than 8 bits; None if they are not known
            yet, or if there are no such images.
        turns_tiff_twice: whether the EXIF rotation of a TIFF is applied once more after Pillow did it, as the rules up
            to version 5 have it.
    """

    height: int
    width: int
    channels: int | None
    fit: str
    value_range: ValueRange | None = None
    turns_tiff_twice: bool = False

    def key_text(self) -> str:
        """Return the options as text for the content key of an image set.

        Checkpoints hold such keys, and a run is resumed only if its key is still the same. So this is the text that
        version 0.1.0 wrote, whatever the class and its attributes are called. It knew one range only.
        """
        is_range_of_0_1 = self.value_range in (None, FULL_16_BIT_RANGE)
        values = "" if is_range_of_0_1 else f", value_range={self.value_range}"
        return f"Options(height={self.height}, width={self.width}, channels={self.channels}, fit={self.fit!r}{values})"


@dataclass(frozen=True)
class DecodedImage:
    """One decoded file.

    Attributes:
        pixels: uint8 (H, W, C); C is 1, 3 or 4.
        original_size: (height, width) of the upright image before it was resized.
        mode: Pillow's name for the kind of pixels in the file, such as `RGB` or `I;16`.
        digest: digest of the file's bytes; it does not depend on the options.
        thumbnail: uint8 (16, 16, 3), of the whole image on white; it does not depend on the options, except on the
            range of values.
        extrema: the smallest and the largest value if the file has more than 8 bits, else None. Without a range in
            the options the pixels are then those of the whole range of 16 bits.
    """

    pixels: Pixels
    original_size: tuple[int, int]
    mode: str
    digest: bytes
    thumbnail: Pixels
    extrema: Extrema | None = None


class ReadFailure(str):
    """Why a file could not be read this time, for example because a network disk is away: see `TRANSIENT_ERRORS`."""


def decode_files(locations: Sequence[FileLocation], options: ResizeOptions) -> list[DecodedImage | str]:
    """Decode files; the result for a file that cannot be read is the reason, or a `ReadFailure`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which does not matter here
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return [_decode_or_reason(location, options) for location in locations]


def _decode_or_reason(location: FileLocation, options: ResizeOptions) -> DecodedImage | str:
    try:
        return decode_image(read_file_bytes(*location), options)
    except Exception as error:  # Pillow's plugins raise any error on damaged files, as reports of fuzzing show
        is_transient = isinstance(error, OSError) and error.errno in TRANSIENT_ERRORS
        return ReadFailure(skip_reason(error)) if is_transient else skip_reason(error)


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
    if content[4:8] == b"ftyp":
        register_heif()
    with Image.open(io.BytesIO(content), formats=readable_formats()) as image:
        has_16_bit_color = _has_16_bit_color(image)  # Pillow forgets it when it loads the pixels, or EXIF
        mode, (height, width), transpose = image.mode, _upright_size(image), _exif_transpose(image)
        if image.format == "TIFF":
            if options.turns_tiff_twice and transpose in _SIDEWAYS_TRANSPOSES:
                height, width = width, height
            transpose = transpose if options.turns_tiff_twice else None  # Pillow turns it when it loads the pixels
        is_16_bit = mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM"))
        is_unsigned = _is_unsigned_tiff(image)
        # A JPEG can be decoded at 1/2, 1/4 or 1/8. The result is at least twice as large as wanted, so the filter in
        # `_resize_to_fit` decides how the image looks.
        image.draft(None, (2 * max(options.height, options.width),) * 2)
        upright = image.transpose(transpose) if transpose is not None else image
        extrema = None
        if mode.startswith("I") or mode == "F":
            values = _read_values(upright, is_unsigned=is_unsigned)
            kind: ValueKind = "16-bit" if is_16_bit else "float" if mode == "F" else "32-bit"
            extrema = Extrema(kind, float(values.min()), float(values.max()))
            upright = Image.fromarray(_values_to_8_bits(values, options.value_range))
        elif has_16_bit_color:
            upright, extrema = _scale_16_bit_color(upright, options.value_range)
        upright = _to_8_bits(upright)
        thumbnail = _make_thumbnail(_read_small_jpeg(content, transpose) if image.format in _JPEGS else upright)
        pixels = _to_pixels(_resize_to_fit(upright, options), options.channels)
    return DecodedImage(pixels, (height, width), mode, digest(content), thumbnail, extrema)


def _read_small_jpeg(content: bytes, transpose: Image.Transpose | None) -> Image.Image:
    """Return a JPEG as its smallest decoding of at least 32 pixels shows it, whatever size the caller needs."""
    with Image.open(io.BytesIO(content), formats=readable_formats()) as image:
        image.draft(None, (2 * THUMBNAIL_SIDE,) * 2)
        return _to_8_bits(image.transpose(transpose) if transpose is not None else image.copy())


def _make_thumbnail(image: Image.Image) -> Pixels:
    """Return the mean colors of an image's parts, uint8 (16, 16, 3); transparency becomes white."""
    if image.mode == "RGBA":
        image = draw_on_white(image)
    small = image.convert("RGB").resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return np.asarray(small)


def read_image_size(file: str | IO[bytes], *, is_upright: bool = True) -> tuple[int, int]:
    """Return the height and width in an image file's header, after its EXIF rotation if `is_upright`."""
    if not isinstance(file, str) or file.lower().endswith(HEIF_SUFFIXES):
        register_heif()
    with Image.open(file, formats=readable_formats()) as image:
        # Pillow decodes a whole PNG to find EXIF behind the pixels, which is not done only for a size.
        has_late_exif = image.format == "PNG" and "exif" not in image.info
        return _upright_size(image) if is_upright and not has_late_exif else (image.height, image.width)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Return the (height, width) of an image whose pixels are not loaded yet, after its EXIF rotation."""
    height, width = image.height, image.width
    if image.format == "TIFF":  # some versions of Pillow have exchanged these already
        tags = getattr(image, "tag_v2", {})
        height, width = tags.get(TIFF_HEIGHT_TAG, height), tags.get(TIFF_WIDTH_TAG, width)
    return (width, height) if _exif_transpose(image) in _SIDEWAYS_TRANSPOSES else (height, width)


def readable_formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this Pillow was built with, or that were registered."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@lru_cache(maxsize=1)
def can_read_heif() -> bool:
    """Return whether pillow-heif is installed."""
    return find_spec("pillow_heif") is not None


@lru_cache(maxsize=1)
def register_heif() -> None:
    """Let Pillow read HEIF, if pillow-heif is installed. It is imported for such a file only, for start-up time."""
    if can_read_heif():
        import pillow_heif

        pillow_heif.register_heif_opener()


_JPEGS = ("JPEG", "MPO")
"""Formats that Pillow can decode at a smaller size."""
TIFF_WIDTH_TAG, TIFF_HEIGHT_TAG, TIFF_SAMPLE_FORMAT_TAG = 256, 257, 339
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


def _read_values(image: Image.Image, *, is_unsigned: bool) -> npt.NDArray[Any]:
    """Return the values of an image of more than 8 bits in one channel.

    Raises:
        ValueError: a value is not a finite number.
    """
    values = np.asarray(image)
    if values.dtype == np.int32 and is_unsigned:  # Pillow reads unsigned numbers as if they had a sign
        values = values.view(np.uint32)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("it has values that are not finite numbers")
    return values


def _values_to_8_bits(values: npt.NDArray[Any], value_range: ValueRange | None) -> Pixels:
    """Return values as uint8; without a range, with that of 16 bits, rounded as version 0.1.0 rounded it."""
    if value_range not in (None, FULL_16_BIT_RANGE):
        return scale_to_8_bits(values, value_range)
    if values.dtype == np.uint32:
        values = values.view(np.int32)
    return ((values.astype(np.int64).clip(0, 65_535) + 128) // 257).astype(np.uint8)


def _is_unsigned_tiff(image: Image.Image) -> bool:
    """Return whether a file is a TIFF whose numbers have no sign."""
    sample_format = getattr(image, "tag_v2", {}).get(TIFF_SAMPLE_FORMAT_TAG, (1,))
    return image.format == "TIFF" and sample_format in (1, (1,))


def _has_16_bit_color(image: Image.Image) -> bool:
    """Return whether a file has 16 bits a channel of which Pillow reads the upper 8."""
    tiles = getattr(image, "tile", ())
    modes = (tile[3] if isinstance(tile[3], str) else tile[3][0] for tile in tiles if tile[3])
    return image.mode in ("RGB", "RGBA", "LA") and any(";16" in str(mode) for mode in modes)


def _scale_16_bit_color(image: Image.Image, value_range: ValueRange | None) -> tuple[Image.Image, Extrema]:
    """Return an image in the range, and the values that its upper 8 bits can stand for."""
    pixels = np.array(image)
    color = pixels[..., : 1 if image.mode == "LA" else 3]
    extrema = Extrema("16-bit color", 256.0 * color.min(), 256.0 * color.max() + 255)
    if value_range in (None, FULL_16_BIT_RANGE):
        return image, extrema
    color[...] = scale_to_8_bits(257.0 * color, value_range)
    return Image.fromarray(pixels, image.mode), extrema


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Convert an image of 8 bits a channel, in any mode, to L, RGB or RGBA."""
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
