"""Names that an archiver wrote into a zip in the encoding of its system, without saying so."""

import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan.data.open import open_images
from dcgan.data.rules import RULES_OF_CP437_NAMES


class RawName(zipfile.ZipInfo):
    """An entry with a name of any bytes, and no flag for UTF-8."""

    def __init__(self, raw: bytes):
        super().__init__(raw.decode("latin-1"))
        self.raw = raw

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802, as zipfile calls it
        return self.raw, self.flag_bits


def png(value: int) -> bytes:
    out = BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(out, "PNG")
    return out.getvalue()


def make_zip(
    path: Path, classes: tuple[str, ...], encoding: str, *, has_extra: bool = False, metadata: str = ""
) -> Path:
    """Write ten pictures for each class, in folders whose names are in this encoding, and a metadata.csv if given."""
    with zipfile.ZipFile(path, "w") as archive:
        if metadata:
            archive.writestr("metadata.csv", metadata)
        for i, name in enumerate(classes):
            for k in range(10):
                file = f"{name}/{k}.png"
                info = RawName(file.encode(encoding))
                if has_extra:
                    field = struct.pack("<BI", 1, zlib.crc32(info.raw)) + file.encode()
                    info.extra = struct.pack("<HH", 0x7075, len(field)) + field
                archive.writestr(info, png(20 * k + i))
    return path


CP437_NOTICE = "names in the zip are in an unknown encoding and read as CP437: 20; if letters are wrong, "


@pytest.mark.parametrize(
    ("encoding", "has_extra", "classes", "read", "notice"),
    [
        ("utf-8", False, ("개", "고양이"), ("개", "고양이"), ""),
        ("cp949", False, ("개", "고양이"), ("개", "고양이"), "names in the zip are taken for Korean (CP949): 20"),
        ("cp437", False, ("café", "thé"), ("café", "thé"), f"{CP437_NOTICE}make the zip again with UTF-8 names"),
        ("cp932", False, ("いぬ", "ねこ"), ("éóé╩", "é╦é▒"), f"{CP437_NOTICE}make the zip again with UTF-8 names"),
        ("cp932", True, ("いぬ", "ねこ"), ("いぬ", "ねこ"), ""),
    ],
)
def test_names_in_other_encodings(
    tmp_path: Path, encoding: str, has_extra: bool, classes: tuple[str, ...], read: tuple[str, ...], notice: str
):
    images = open_images(str(make_zip(tmp_path / "d.zip", classes, encoding, has_extra=has_extra)), size=(8, 8))
    assert set(images.classes) == set(read)
    assert [line for line in images.notices if "names in the zip" in line] == ([notice] if notice else [])
    labels = {
        images.classes[label]: int(pixels.max()) % 20
        for pixels, label in zip(images.pixels, images.labels, strict=True)
    }
    assert labels == {read[0]: 0, read[1]: 1}


def test_older_runs_keep_the_names_that_they_began_with(tmp_path: Path):
    path = make_zip(tmp_path / "d.zip", ("개", "고양이"), "cp949")
    images = open_images(str(path), size=(8, 8), rules=RULES_OF_CP437_NAMES)
    assert set(images.classes) == {"░│", "░φ╛τ└╠"}


def test_metadata_names_files_as_people_read_them(tmp_path: Path):
    rows = "".join(f"{name}/{k}.png,{k % 2}\n" for name in ("개", "고양이") for k in range(10))
    path = make_zip(tmp_path / "d.zip", ("개", "고양이"), "cp949", metadata="file_name,label\n" + rows)
    images = open_images(str(path), size=(8, 8))
    assert images.classes == ("0", "1")
