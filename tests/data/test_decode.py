import errno
import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dcgan.data import decode, members
from dcgan.data.decode import DecodedImage, ReadFailure, ResizeOptions, decode_files, suggest_size
from dcgan.data.open import open_images
from dcgan.data.rules import CURRENT_RULES, RULES_WITHOUT_UPRIGHT
from tests.data.test_folder import pack_zip

OPTIONS = ResizeOptions(16, 16, None, "crop")


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def half_and_half(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Return an image that is red on the left and blue on the right."""
    image = Image.new("RGB", size, "blue")
    image.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
    return image


@pytest.mark.parametrize(
    ("mode", "color", "kind", "expected"),
    [
        ("1", 1, "PNG", (255,)),
        ("L", 90, "PNG", (90,)),
        ("L", 90, "JPEG", (90,)),
        ("LA", (90, 128), "PNG", (90, 90, 90, 128)),
        ("LA", (90, 255), "PNG", (90,)),
        ("P", 3, "GIF", (0, 0, 255)),
        ("RGB", (10, 20, 30), "PNG", (10, 20, 30)),
        ("RGB", (77, 77, 77), "PNG", (77,)),
        ("RGB", (10, 20, 30), "WEBP", (10, 20, 30)),
        ("RGB", (10, 20, 30), "BMP", (10, 20, 30)),
        ("RGBA", (10, 20, 30, 255), "PNG", (10, 20, 30)),
        ("RGBA", (10, 20, 30, 100), "PNG", (10, 20, 30, 100)),
        ("RGBA", (10, 20, 30, 0), "PNG", (0, 0, 0, 0)),
        ("CMYK", (0, 255, 255, 0), "TIFF", (255, 0, 0)),
        ("I;16", 257 * 90, "PNG", (90,)),
        ("I;16", 65_535, "TIFF", (255,)),
    ],
)
@pytest.mark.parametrize("size", [(16, 16), (50, 31), (7, 9)])
def test_every_mode_keeps_its_color_and_only_the_channels_it_needs(mode, color, kind, expected, size):
    image = Image.new(mode, size, color)
    if mode == "P":
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    decoded = decode.decode_image(encode(image, kind, lossless=True), OPTIONS)
    assert decoded.pixels.shape == (16, 16, len(expected))
    assert decoded.original_size == (size[1], size[0])
    assert np.abs(decoded.pixels.astype(int) - expected).max() <= 1


def test_every_color_of_every_opacity_on_white_is_pillows():
    color, alpha = np.mgrid[0:256, 0:256].astype(np.uint8)
    image = Image.fromarray(np.stack([color, color[::-1], color.T, alpha], -1))
    on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    for channels, mode in ((1, "L"), (3, "RGB")):
        expected = np.asarray(on_white.convert(mode)).reshape(256, 256, channels)
        assert (decode._to_pixels(image, channels) == expected).all()


@pytest.mark.parametrize(("channels", "expected"), [(1, (68,)), (3, (55, 71, 79)), (4, (0, 20, 30, 200))])
def test_transparent_pixels_are_shown_on_white_in_gray_and_rgb(channels: int, expected: tuple):
    image = Image.new("RGBA", (20, 20), (0, 20, 30, 200))
    pixels = decode.decode_image(encode(image), ResizeOptions(16, 16, channels, "crop")).pixels
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_a_transparent_color_of_a_palette():
    image = Image.new("P", (16, 16), 0)
    image.putpalette([9, 9, 9, 255, 0, 0])
    image.paste(1, (0, 0, 8, 16))
    pixels = decode.decode_image(encode(image, transparency=0), OPTIONS).pixels
    assert pixels[0, 0].tolist() == [255, 0, 0, 255]
    assert pixels[0, 15].tolist() == [0, 0, 0, 0]


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    pixels = decode.decode_image(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), OPTIONS).pixels
    assert pixels[3, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_a_jpeg_upright(orientation: int):
    upright = Image.fromarray(np.arange(32 * 48 * 3).reshape(32, 48, 3).astype(np.uint8) // 3).resize((480, 320))
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # from upright to what a camera stores
    stored = upright.transpose(Image.Transpose(inverse[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = ResizeOptions(32, 48, 3, "stretch")
    decoded = decode.decode_image(encode(stored, "JPEG", quality=98, exif=exif), options)
    expected = np.asarray(upright.resize((48, 32), Image.Resampling.BICUBIC)).astype(int)
    assert decoded.original_size == (320, 480)
    assert np.abs(decoded.pixels - expected).mean() < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_format_is_turned_upright_once_and_its_header_says_the_turned_size(kind: str, orientation: int):
    """The picture is dark, and bright in its upper left corner."""
    pixels = np.zeros((32, 48), np.uint8)
    pixels[:8, :8] = 255
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    upright = Image.fromarray(pixels)
    stored = upright.transpose(Image.Transpose(inverse[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encode(stored, kind, exif=exif, **options)
    decoded = decode.decode_image(content, ResizeOptions(32, 48, 1, "stretch"))
    assert decoded.original_size == (32, 48)
    assert decoded.pixels[2, 2, 0] > 200 > 50 > decoded.pixels[[2, -3, -3], [-3, 2, -3], 0].max()
    assert decode.read_image_size(io.BytesIO(content)) == (32, 48)
    if kind == "TIFF" and orientation == 6:  # as the rules up to version 5 had it: Pillow's turn, and ours
        old = decode.decode_image(content, ResizeOptions(32, 48, 1, "stretch", turns_tiff_twice=True))
        assert old.pixels[2, -3, 0] > 200


def test_the_suggested_size_is_that_of_the_turned_pictures(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "s").mkdir()
    for i in range(12):  # 64 pixels high and 48 wide, when they are turned
        Image.new("RGB", (64, 48), (i, 9, 9)).save(tmp_path / "s" / f"{i}.jpg", exif=exif)
    for data in (tmp_path / "s", pack_zip(tmp_path / "s", tmp_path / "s.zip")):
        images, old = (open_images(str(data), rules=rules) for rules in (CURRENT_RULES, RULES_WITHOUT_UPRIGHT))
        assert images.pixels.shape[2:] == (64, 48)
        assert images.original_size == "64x48"
        assert old.pixels.shape[2:] == (48, 64)


def test_a_picture_with_damaged_exif_is_not_skipped(tmp_path: Path):
    content = encode(half_and_half(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    (tmp_path / "a.jpg").write_bytes(content)
    assert isinstance(decode_files([(str(tmp_path / "a.jpg"), None)], OPTIONS)[0], DecodedImage)


def test_every_fit():
    content = encode(half_and_half((80, 20)))
    crop, pad, stretch = (
        decode.decode_image(content, ResizeOptions(20, 20, 3, fit)).pixels for fit in ("crop", "pad", "stretch")
    )
    for pixels in (crop, stretch):
        assert pixels[10, 2].tolist() == [255, 0, 0]
        assert pixels[10, 17].tolist() == [0, 0, 255]
    assert pad[2, 2].tolist() == [0, 0, 0]
    assert pad[10, 2].tolist() == [255, 0, 0]
    opaque = encode(half_and_half((80, 20)).convert("RGBA"))
    assert decode.decode_image(opaque, ResizeOptions(20, 20, None, "pad")).pixels.shape == (20, 20, 3)


@given(st.integers(1, 80), st.integers(1, 80), st.integers(16, 64), st.integers(16, 64),
       st.sampled_from(["crop", "pad", "stretch"]), st.sampled_from(["L", "RGB", "RGBA", "P", "I;16"]),
       st.sampled_from([None, 1, 3, 4]))  # fmt: skip
def test_any_size_becomes_the_requested_size(w: int, h: int, width: int, height: int, fit: str, mode: str, channels):
    options = ResizeOptions(height, width, channels, fit)
    pixels = decode.decode_image(encode(Image.new(mode, (w, h), 1)), options).pixels
    assert pixels.shape[:2] == (height, width)
    assert pixels.dtype == np.uint8
    assert channels in (None, pixels.shape[2])


def test_shrinking_is_antialiased():
    stripes = np.zeros((160, 160), np.uint8)
    stripes[:, ::2] = 255
    pixels = decode.decode_image(encode(Image.fromarray(stripes)), OPTIONS).pixels
    assert np.abs(pixels.astype(int) - 128).max() <= 4


def test_the_digest_does_not_depend_on_the_options():
    content = encode(half_and_half())
    assert (
        decode.decode_image(content, OPTIONS).digest
        == decode.decode_image(content, ResizeOptions(20, 30, 1, "pad")).digest
    )


def huge_png() -> bytes:
    """Return a PNG whose header says that it is 50,000 x 50,000."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"GIF89a", "not a picture"),
        (b"<html>not found</html>", "not a picture"),
        (encode(half_and_half())[:60], ""),
        (encode(half_and_half((200, 200)), "JPEG")[:400], "runcated"),
        (huge_png(), "too large: over"),
        (encode(Image.new("F", (20, 20), float("nan")), "TIFF"), "not finite numbers"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    ],
)
def test_an_unreadable_file_becomes_a_printable_reason(tmp_path: Path, content: bytes, reason: str):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    [result] = decode_files([(str(path), None)], OPTIONS)
    assert isinstance(result, str)
    assert result
    assert reason in result
    assert result.isprintable()


@given(st.data())
def test_damage_anywhere_gives_a_picture_or_a_reason(data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]))
    content = bytearray(encode(half_and_half(), kind))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[position] ^= data.draw(st.integers(1, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    result = decode._decode_or_reason(("", None), OPTIONS) if not content else decode_bytes(bytes(content))
    assert isinstance(result, DecodedImage) or result.isprintable()


def decode_bytes(content: bytes) -> DecodedImage | str:
    original = decode.read_file_bytes
    decode.read_file_bytes = lambda path, member: content
    try:
        return decode_files([("x", None)], OPTIONS)[0]
    finally:
        decode.read_file_bytes = original


def test_a_file_that_is_too_large_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(members, "MAX_FILE_BYTES", 100)
    (tmp_path / "a.bmp").write_bytes(encode(half_and_half(), "BMP"))
    assert "larger than" in decode_files([(str(tmp_path / "a.bmp"), None)], OPTIONS)[0]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(48, 64)], (48, 64)),
        ([(218, 178)] * 5, (64, 64)),
        ([(10, 10)] * 5, (16, 16)),
        ([(40, 80), (50, 60), (33, 90)], (32, 32)),
        ([(4000, 3000), (3000, 4000)], (64, 64)),
    ],
)
def test_the_suggested_size(sizes: list, expected: tuple):
    assert suggest_size(np.array(sizes)) == expected


def test_the_options_are_the_text_that_version_0_1_0_wrote_into_content_keys():
    assert OPTIONS.key_text() == "Options(height=16, width=16, channels=None, fit='crop')"
    assert ResizeOptions(32, 48, 3, "pad").key_text() == "Options(height=32, width=48, channels=3, fit='pad')"


def test_a_zip_that_was_replaced_is_opened_again(tmp_path: Path):
    path = tmp_path / "a.zip"
    for content in (b"first", b"second"):
        with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
            archive.writestr("a.png", content)
        os.replace(tmp_path / "new.zip", path)
        assert decode.read_file_bytes(str(path), "a.png") == content


@pytest.mark.parametrize("code", ["EIO", "EMFILE", "ESTALE", "ETIMEDOUT"])
def test_an_error_that_says_nothing_about_the_file_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
):
    def fail(path: str, member: str | None) -> bytes:
        raise OSError(getattr(errno, code), "out of order", path)

    monkeypatch.setattr(decode, "read_file_bytes", fail)
    [result] = decode_files([("a.png", None)], OPTIONS)
    assert isinstance(result, ReadFailure)
    assert result == "out of order"


def test_a_missing_file_is_no_error_of_the_disk(tmp_path: Path):
    [result] = decode_files([(str(tmp_path / "a.png"), None)], OPTIONS)
    assert not isinstance(result, ReadFailure)
