import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dcgan.data import decode
from dcgan.data.decode import DecodedImage, ResizeOptions, decode_all, suggested_size

PLAIN = ResizeOptions(16, 16, None, "crop")


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def half_and_half(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, "blue")
    image.paste((255, 0, 0), (0, 0, size[0] // 2, size[1]))
    return image


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
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
def test_every_mode_keeps_its_colour_and_only_the_channels_it_needs(mode, colour, kind, expected, size):
    image = Image.new(mode, size, colour)
    if mode == "P":
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture = decode.decode_image(encoded(image, kind, lossless=True), PLAIN)
    assert picture.pixels.shape == (16, 16, len(expected))
    assert picture.size == (size[1], size[0])
    assert np.abs(picture.pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("channels", "expected"), [(1, (68,)), (3, (55, 71, 79)), (4, (0, 20, 30, 200))])
def test_asked_for_channels_show_what_is_transparent_on_white(channels: int, expected: tuple):
    image = Image.new("RGBA", (20, 20), (0, 20, 30, 200))
    pixels = decode.decode_image(encoded(image), ResizeOptions(16, 16, channels, "crop")).pixels
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_a_transparent_colour_of_a_palette_and_of_rgb():
    image = Image.new("P", (16, 16), 0)
    image.putpalette([9, 9, 9, 255, 0, 0])
    image.paste(1, (0, 0, 8, 16))
    pixels = decode.decode_image(encoded(image, transparency=0), PLAIN).pixels
    assert pixels[0, 0].tolist() == [255, 0, 0, 255]
    assert pixels[0, 15].tolist() == [0, 0, 0, 0]


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    pixels = decode.decode_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), PLAIN).pixels
    assert pixels[3, 3].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_a_jpeg_upright(orientation: int):
    upright = Image.fromarray(np.arange(32 * 48 * 3).reshape(32, 48, 3).astype(np.uint8) // 3).resize((480, 320))
    undone = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what a camera would have stored
    stored = upright.transpose(Image.Transpose(undone[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = ResizeOptions(32, 48, 3, "stretch")
    picture = decode.decode_image(encoded(stored, "JPEG", quality=98, exif=exif), options)
    expected = np.asarray(upright.resize((48, 32), Image.Resampling.BICUBIC)).astype(int)
    assert picture.size == (320, 480)
    assert np.abs(picture.pixels - expected).mean() < 4


def test_damaged_exif_is_no_reason_to_leave_a_picture_out(tmp_path: Path):
    content = encoded(half_and_half(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    (tmp_path / "a.jpg").write_bytes(content)
    assert isinstance(decode_all([(str(tmp_path / "a.jpg"), None)], PLAIN)[0], DecodedImage)


def test_every_fit():
    content = encoded(half_and_half((80, 20)))
    crop, pad, stretch = (
        decode.decode_image(content, ResizeOptions(20, 20, 3, fit)).pixels for fit in ("crop", "pad", "stretch")
    )
    for pixels in (crop, stretch):
        assert pixels[10, 2].tolist() == [255, 0, 0]
        assert pixels[10, 17].tolist() == [0, 0, 255]
    assert pad[2, 2].tolist() == [0, 0, 0]
    assert pad[10, 2].tolist() == [255, 0, 0]
    clear = encoded(half_and_half((80, 20)).convert("RGBA"))
    assert decode.decode_image(clear, ResizeOptions(20, 20, None, "pad")).pixels.shape == (20, 20, 3)


@given(st.integers(1, 80), st.integers(1, 80), st.integers(16, 64), st.integers(16, 64),
       st.sampled_from(["crop", "pad", "stretch"]), st.sampled_from(["L", "RGB", "RGBA", "P", "I;16"]),
       st.sampled_from([None, 1, 3, 4]))  # fmt: skip
def test_any_size_becomes_the_asked_for_size(w: int, h: int, wide: int, high: int, fit: str, mode: str, channels):
    pixels = decode.decode_image(encoded(Image.new(mode, (w, h), 1)), ResizeOptions(high, wide, channels, fit)).pixels
    assert pixels.shape[:2] == (high, wide)
    assert pixels.dtype == np.uint8
    assert channels in (None, pixels.shape[2])


def test_shrinking_is_antialiased():
    stripes = np.zeros((160, 160), np.uint8)
    stripes[:, ::2] = 255
    pixels = decode.decode_image(encoded(Image.fromarray(stripes)), PLAIN).pixels
    assert np.abs(pixels.astype(int) - 128).max() <= 4


def test_the_digest_is_of_the_file_and_not_of_the_options():
    content = encoded(half_and_half())
    assert (
        decode.decode_image(content, PLAIN).digest
        == decode.decode_image(content, ResizeOptions(20, 30, 1, "pad")).digest
    )


def bomb() -> bytes:
    """A PNG that says it is 50,000 x 50,000."""

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
        (encoded(half_and_half())[:60], ""),
        (encoded(half_and_half((200, 200)), "JPEG")[:400], "runcated"),
        (bomb(), "too large: over"),
        (encoded(Image.new("F", (20, 20), 0.5), "TIFF"), "floating-point"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
    ],
)
def test_what_cannot_be_read_becomes_a_printable_reason(tmp_path: Path, content: bytes, reason: str):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    [found] = decode_all([(str(path), None)], PLAIN)
    assert isinstance(found, str)
    assert found
    assert reason in found
    assert found.isprintable()


@given(st.data())
def test_damage_anywhere_gives_a_picture_or_a_reason(data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]))
    content = bytearray(encoded(half_and_half(), kind))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[at] ^= data.draw(st.integers(1, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    found = decode._decode_or_reason(("", None), PLAIN) if not content else _decoded(bytes(content))
    assert isinstance(found, DecodedImage) or found.isprintable()


def _decoded(content: bytes) -> DecodedImage | str:
    original = decode.read_file_bytes
    decode.read_file_bytes = lambda path, member: content
    try:
        return decode_all([("x", None)], PLAIN)[0]
    finally:
        decode.read_file_bytes = original


def test_a_file_that_is_too_long_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decode, "MAX_BYTES", 100)
    (tmp_path / "a.bmp").write_bytes(encoded(half_and_half(), "BMP"))
    assert "larger than" in decode_all([(str(tmp_path / "a.bmp"), None)], PLAIN)[0]


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
    assert suggested_size(np.array(sizes)) == expected
