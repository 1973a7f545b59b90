"""Pictures of more than 8 bits: one range for the whole set, which is said and kept."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan.data.decode import ResizeOptions, decode_files
from dcgan.data.open import open_images
from dcgan.data.rules import RULES_OF_0_1
from dcgan.data.value_range import FULL_16_BIT_RANGE, scale_to_8_bits
from dcgan.errors import UserError
from tests.conftest import cached_set_names, make_picture_folder


def save_values(folder: Path, highest: float, dtype: type, suffix: str, low: float = 0, count: int = 20) -> Path:
    """Save pictures whose values rise from `low` to `highest` in the last picture, and to less in the others."""
    folder.mkdir(exist_ok=True)
    for i in range(count):
        values = np.linspace(low, low + (highest - low) * (i + 1) / count, 400)
        values = np.random.default_rng(i).permutation(values).reshape(20, 20)  # so that none is a variant of another
        Image.fromarray(values.astype(dtype)).save(folder / f"{i:02d}.{suffix}")
    return folder


def brightest(folder: Path | str, **options: object) -> list[int]:
    """Return the largest value of each picture, as it is trained on."""
    return sorted(open_images(str(folder), "all", **options).pixels.flatten(1).amax(1).tolist())


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_fewer_bits_in_16_are_found_from_the_whole_set(tmp_path: Path, bits: int, suffix: str):
    folder = save_values(tmp_path / "s", 2**bits - 1, np.uint16, suffix)
    assert brightest(folder) == [round(255 * int((2**bits - 1) * (i + 1) / 20) / (2**bits - 1)) for i in range(20)]
    images = open_images(str(folder))
    assert images.value_range == (0.0, 2.0**bits - 1)
    (notice,) = images.notices
    assert notice.startswith(f"no value of the 16-bit pictures is above {2**bits - 1}, so 0 to {2**bits - 1} ({bits} b")


def test_one_brighter_picture_decides_for_all(tmp_path: Path):
    folder = save_values(tmp_path / "s", 4095, np.uint16, "png")
    Image.fromarray(np.full((20, 20), 20_000, np.uint16)).save(folder / "x.png")
    images = open_images(str(folder), "all")
    assert (images.value_range, images.notices) == (FULL_16_BIT_RANGE, ())
    assert images.pixels.max() == round(20_000 / 257)


def test_16_bits_in_full_are_those_of_version_0_1_0(tmp_path: Path):
    folder = save_values(tmp_path / "s", 65_535, np.uint16, "png")
    old, new = open_images(str(folder), rules=RULES_OF_0_1), open_images(str(folder))
    given = open_images(str(folder), value_range=FULL_16_BIT_RANGE)
    assert old.content_key == new.content_key == given.content_key
    assert (old.pixels == new.pixels).all()
    assert len(cached_set_names()) == 2  # a given range finds the entry in which it was guessed


def test_version_0_1_0_took_12_bits_for_16(tmp_path: Path):
    folder = save_values(tmp_path / "s", 4095, np.uint16, "png")
    assert max(brightest(folder, rules=RULES_OF_0_1)) == 16
    assert open_images(str(folder), rules=RULES_OF_0_1).content_key != open_images(str(folder)).content_key


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(0, 2**31 - 1, np.int32), (-50, 300, np.int32), (3, 90, np.int32), (0, 1, np.float32), (-1, 1, np.float32)],
)
def test_32_bits_and_floats_are_scaled_by_the_whole_set(tmp_path: Path, low: float, high: float, dtype: type):
    folder = save_values(tmp_path / "s", high, dtype, "tif", low)
    images = open_images(str(folder), "all")
    assert (images.pixels.min(), images.pixels.max()) == (0, 255)
    assert images.value_range == (low, pytest.approx(high))
    kind = "float" if dtype is np.float32 else "32-bit"
    assert images.notices[0].startswith(f"the smallest and the largest value of all {kind} pictures, {low:g} and ")
    assert 100 < images.pixels.float().mean() < 200 or low < 0 or images.pixels.float().mean() > 50


def test_unsigned_32_bits_are_not_read_as_negative(tmp_path: Path):
    signed_tag = struct.pack("<HHIH", 339, 3, 1, 2)  # the sample format: signed
    for i in range(4):
        buffer = io.BytesIO()
        Image.fromarray(np.full((20, 20), i * 10**9, np.uint32).view(np.int32)).save(buffer, "TIFF")
        assert buffer.getvalue().count(signed_tag) == 1
        unsigned_tag = struct.pack("<HHIH", 339, 3, 1, 1)
        (tmp_path / f"{i}.tif").write_bytes(buffer.getvalue().replace(signed_tag, unsigned_tag))
    assert brightest(tmp_path) == [0, 85, 170, 255]


@pytest.mark.parametrize("value_range", [(0.0, 8190.0), (2000.0, 4095.0)])
def test_a_given_range_decides(tmp_path: Path, value_range: tuple[float, float]):
    folder = save_values(tmp_path / "s", 4095, np.uint16, "png")
    images = open_images(str(folder), "all", value_range=value_range)
    expected = scale_to_8_bits(np.linspace(0, 4095, 400).astype(np.uint16), value_range)
    assert images.pixels.max() == expected.max()
    assert (images.value_range, images.notices) == (value_range, ())
    assert images.content_key != open_images(str(folder), "all").content_key


def test_a_range_that_was_guessed_and_then_given_is_prepared_once(tmp_path: Path):
    folder = save_values(tmp_path / "s", 4095, np.uint16, "png")
    guessed = open_images(str(folder))
    given = open_images(str(folder), value_range=guessed.value_range)
    assert given.content_key == guessed.content_key
    assert len(cached_set_names()) == 1


def test_a_range_changes_nothing_in_pictures_of_8_bits(tmp_path: Path):
    folder = make_picture_folder(tmp_path / "s", 12)
    without, given = open_images(str(folder)), open_images(str(folder), value_range=(0.0, 100.0))
    assert given.value_range is None
    assert given.content_key == without.content_key


def test_kinds_without_a_common_range_are_refused(tmp_path: Path):
    save_values(tmp_path / "s", 4095, np.uint16, "png", count=4)
    save_values(tmp_path / "s", 1, np.float32, "tif", count=4)
    with pytest.raises(UserError, match="holds 16-bit and float pictures, which have no range in common"):
        open_images(str(tmp_path / "s"))
    assert len(open_images(str(tmp_path / "s"), "all", value_range=(0.0, 1.0))) == 8


def test_one_value_has_no_range(tmp_path: Path):
    for i in range(4):
        Image.fromarray(np.full((20, 20), 7, np.int32)).save(tmp_path / f"{i}.tif")
    with pytest.raises(UserError, match="every value of its 32-bit pictures is 7"):
        open_images(str(tmp_path))


def test_16_bit_color_of_which_only_the_upper_bits_are_read(tmp_path: Path):
    for i in range(4):
        (tmp_path / f"{i}.png").write_bytes(png_of_16_bit_color(np.full((20, 20, 3), 1000 * (i + 1), np.uint16)))
    with pytest.raises(UserError, match="16-bit color pictures without a value above 4095, of which only the upper 8"):
        open_images(str(tmp_path))
    (tmp_path / "4.png").write_bytes(png_of_16_bit_color(np.full((20, 20, 3), 65_535, np.uint16)))
    assert brightest(tmp_path)[-1] == 255


def png_of_16_bit_color(values: np.ndarray) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def test_a_float_picture_that_is_not_finite_is_skipped(tmp_path: Path):
    save_values(tmp_path / "s", 1, np.float32, "tif")
    Image.fromarray(np.full((20, 20), np.nan, np.float32)).save(tmp_path / "s" / "x.tif")
    images = open_images(str(tmp_path / "s"), "all")
    assert images.skipped_files == (("x.tif", "it has values that are not finite numbers"),)
    assert images.value_range == (0.0, 1.0)


def test_floats_were_skipped_by_version_0_1_0(tmp_path: Path):
    with pytest.raises(UserError, match="floating-point pixels have no known range"):
        open_images(str(save_values(tmp_path / "s", 1, np.float32, "tif")), rules=RULES_OF_0_1)


@pytest.mark.parametrize(("dtype", "high"), [(np.uint16, 4095), (np.float32, 1), (np.float64, 1), (np.int64, 99)])
def test_arrays_of_other_types_need_a_range(tmp_path: Path, dtype: type, high: float):
    array = np.linspace(0, high, 20 * 16 * 16).reshape(20, 16, 16).astype(dtype)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", array)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(UserError, match=r"not uint8 .* give --value-range LOW HIGH"):
            open_images(str(tmp_path / name))
        images = open_images(str(tmp_path / name), "all", value_range=(0.0, high))
        assert (images.value_range, images.pixels.min(), images.pixels.max()) == ((0.0, high), 0, 255)


def test_an_array_that_is_not_finite_is_refused(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.full((20, 16, 16), np.inf))
    with pytest.raises(UserError, match=r"a.npy cannot be used: it has values that are not finite numbers"):
        open_images(str(tmp_path / "a.npy"), value_range=(0.0, 1.0))


def test_decoding_in_processes_gives_the_same_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = save_values(tmp_path / "s", 4095, np.uint16, "png", count=260)
    alone = open_images(str(folder), "all")
    monkeypatch.setattr("dcgan.data.decode_workers.usable_core_count", lambda: 2)
    monkeypatch.setenv("DCGAN_CACHE", str(tmp_path / "cache"))
    together = open_images(str(folder), "all")
    assert (alone.pixels == together.pixels).all()
    assert together.value_range == (0.0, 4095.0)


def test_one_file_tells_its_extrema(tmp_path: Path):
    Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)).save(tmp_path / "a.png")
    [image] = decode_files([(str(tmp_path / "a.png"), None)], ResizeOptions(20, 20, None, "crop"))
    assert (image.extrema.kind, image.extrema.low, image.extrema.high) == ("16-bit", 0, 399)
