"""The picture sets of `benchmarks.folders`: their sources, their licences, and the part that is never trained on.

    python -m benchmarks.folder_sets SETS [--only noto64 shapes]

writes each set as the folder SETS/NAME with `train/` and `test/`, and SETS/NAME.licence.txt. The test part is fixed: it
depends on nothing but the pictures. Variants of one picture are never in both parts.
"""

import argparse
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps

from dcgan.data.near_duplicates import group_near_duplicates
from dcgan.data.similarity import make_thumbnails
from dcgan.images import composite_on_white

TEST_COUNT, TEST_SHARE = 400, 0.15
"""Pictures of the test part, or their share if a set would have less than `MIN_TRAINING` left to train on."""
MIN_TRAINING = 300
SHAPE_COUNT, SHAPE_SIDE, SHAPE_SEED = 700, 256, 5
CROP_SIDE = 128
"""Pixels of a side of the crops of textures, which are made smaller afterwards."""
TILE_SIDE = 32
STAMP_FOLDERS = ("animals", "food", "hobbies", "household", "people", "plants", "space", "sports", "town", "vehicles")
"""The folders of stamps that consist of photographs for the most part."""
SKIN_TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")


@dataclass(frozen=True)
class PictureSet:
    """A set of pictures.

    Attributes:
        source: the package, and which of its pictures.
        licence: as the copyright file of the package says.
        side: pixels of a side.
        open_pictures: downloads into a folder, and gives the pictures.
    """

    source: str
    licence: str
    side: int
    open_pictures: Callable[[Path], Iterator[Image.Image]]


def open_noto(folder: Path) -> Iterator[Image.Image]:
    """Give Noto emoji of the npm package on white, without the variants of other skin tones."""
    packed = subprocess.run(
        ["npm", "pack", "--silent", "emoji-datasource-google@16.0.0"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
        archive.extractall(folder, filter="data")
    for entry in json.loads((folder / "package/emoji.json").read_text()):
        path = folder / "package/img/google/64" / entry["image"]
        if entry["has_img_google"] and entry["unified"].split("-")[0] not in SKIN_TONES and path.is_file():
            yield on_white(Image.open(path))


def on_white(image: Image.Image) -> Image.Image:
    """Return a picture as RGB, on white where it is transparent."""
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def unpack_debian(package: str, folder: Path) -> Path:
    """Download a Debian package, unpack it into a folder, and return the folder."""
    subprocess.run(["apt-get", "download", "-qq", package], cwd=folder, check=True, capture_output=True)
    [file] = folder.glob(f"{package}_*.deb")
    subprocess.run(["dpkg-deb", "-x", file, folder / package], check=True)
    return folder / package


def open_tiles(folder: Path) -> Iterator[Image.Image]:
    """Give floors and walls of a game, tiles of 32x32 that fill their cell of a sheet."""
    tiles = unpack_debian("crawl-tiles-data", folder) / "usr/share/crawl/dat/tiles"
    for name in ("floor.png", "wall.png"):
        sheet = Image.open(tiles / name).convert("RGBA")
        for top in range(0, sheet.height - TILE_SIDE + 1, TILE_SIDE):
            for left in range(0, sheet.width - TILE_SIDE + 1, TILE_SIDE):
                tile = sheet.crop((left, top, left + TILE_SIDE, top + TILE_SIDE))
                if tile.getchannel("A").getextrema() == (255, 255):
                    yield tile.convert("RGB")


def open_icons(folder: Path) -> Iterator[Image.Image]:
    """Give the icons of a desktop that were drawn at 256 pixels, with their transparency."""
    for path in sorted((unpack_debian("gnome-icon-theme", folder) / "usr/share/icons").rglob("256x256/**/*.png")):
        if not path.is_symlink():
            yield Image.open(path).convert("RGBA")


def open_textures(folder: Path) -> Iterator[Image.Image]:
    """Give the middle of each photograph-like texture of a game."""
    [pack] = unpack_debian("openarena-081-textures", folder).rglob("*.pk3")
    with zipfile.ZipFile(pack) as archive:
        for name in sorted(archive.namelist()):
            if name.startswith("textures/") and name.endswith((".jpg", ".tga")):
                image = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
                if min(image.size) >= CROP_SIDE:
                    left, top = ((extent - CROP_SIDE) // 2 for extent in image.size)
                    yield image.crop((left, top, left + CROP_SIDE, top + CROP_SIDE))


def open_stamps(folder: Path) -> Iterator[Image.Image]:
    """Give photographs of single animals, plants and things on white, and some drawings; no mirrored variants."""
    stamps = unpack_debian("tuxpaint-stamps-default", folder) / "usr/share/tuxpaint/stamps"
    for path in sorted(path for name in STAMP_FOLDERS for path in (stamps / name).rglob("*.png")):
        if "cartoon" not in path.parts and not path.stem.endswith(("_mirror", "_flip")):
            picture = on_white(Image.open(path))
            yield ImageOps.pad(picture, (max(picture.size),) * 2, color="white")


def open_shapes(folder: Path) -> Iterator[Image.Image]:
    """Give squares, discs and triangles in flat colors on white, turned and moved at random; `folder` is not used."""
    random = np.random.default_rng(SHAPE_SEED)
    for _ in range(SHAPE_COUNT):
        image = Image.new("RGB", (SHAPE_SIDE, SHAPE_SIDE), "white")
        radius, center, turn = random.uniform(36, 84), random.uniform(96, 160, 2), random.uniform(0, 2 * np.pi)
        color, kind = tuple(int(value) for value in random.integers(0, 220, 3)), int(random.integers(3))
        draw = ImageDraw.Draw(image)
        if kind == 0:
            draw.ellipse([*(center - radius), *(center + radius)], fill=color)
        else:
            corners, size = (4, 1.2 * radius) if kind == 1 else (3, 1.3 * radius)
            angles = turn + 2 * np.pi * np.arange(corners) / corners
            points = center + size * np.stack([np.cos(angles), np.sin(angles)], 1)
            draw.polygon([(float(x), float(y)) for x, y in points], fill=color)
        yield image


NOTO = "npm's emoji-datasource-google 16.0.0 on white, without variants of skin tones"
SETS = {
    "noto64": PictureSet(NOTO, "Apache-2.0", 64, open_noto),
    "noto32": PictureSet(NOTO, "Apache-2.0", 32, open_noto),
    "tiles": PictureSet(
        "Debian's crawl-tiles-data: floors and walls of Dungeon Crawl Stone Soup",
        "most of the tiles public domain or CC0, the rest GPL-2+",
        TILE_SIDE,
        open_tiles,
    ),
    "icons": PictureSet("Debian's gnome-icon-theme, the icons of 256x256", "GPL-2+", 64, open_icons),
    "textures": PictureSet("Debian's openarena-081-textures, the middle 128x128 of each", "GPL-2+", 64, open_textures),
    "stamps": PictureSet(
        "Debian's tuxpaint-stamps-default: animals, food, plants, vehicles and other things", "GPL-2", 64, open_stamps
    ),
    "shapes": PictureSet("drawn by benchmarks.folder_sets", "CC0-1.0", 64, open_shapes),
}
"""The sets, by name. Those of the Twitter emoji, of Fashion-MNIST and of `minecraft-assets` are not used."""


def split_pictures(pictures: Sequence[Image.Image]) -> tuple[list[int], list[int]]:
    """Return the rows of the training part and those of the test part.

    Groups of variants are ordered by a hash of their first picture, and the test part takes the first ones.
    """
    pixels = [np.asarray(picture.convert("RGBA").resize((64, 64)), np.float32) for picture in pictures]
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    white = composite_on_white(images[:, :3], images[:, 3:]).round().to(torch.uint8)
    groups = group_near_duplicates(make_thumbnails(white)).tolist()
    digests = [hashlib.sha256(picture.tobytes()).hexdigest() for picture in pictures]
    order = sorted(range(len(pictures)), key=lambda row: (digests[groups[row]], row))
    has_enough = len(pictures) - TEST_COUNT >= MIN_TRAINING
    count = TEST_COUNT if has_enough else round(TEST_SHARE * len(pictures))
    test = {groups[row] for row in order[:count]}
    return [row for row in order if groups[row] not in test], [row for row in order if groups[row] in test]


class Described(Protocol):
    """A set of pictures that says where it comes from, and under which licence."""

    @property
    def source(self) -> str: ...

    @property
    def licence(self) -> str: ...


def write_licence(described: Described, downloads: Path, out: Path) -> None:
    """Write what a set says of itself, and the copyright files of the packages that were downloaded for it."""
    paths = sorted(downloads.rglob("copyright")) + sorted(downloads.glob("package/LICENSE*"))
    texts = [path.read_text(errors="replace") for path in paths if path.is_file()]
    out.write_text("\n\n".join([f"{described.source}\n{described.licence}", *texts]))


def write_set(name: str, folder: Path) -> None:
    """Write a set; pictures that are the same to the pixel are written once."""
    picture_set = SETS[name]
    with tempfile.TemporaryDirectory() as downloads:
        size = picture_set.side, picture_set.side
        resized = (image.resize(size, Image.Resampling.LANCZOS) for image in picture_set.open_pictures(Path(downloads)))
        pictures = list({picture.tobytes(): picture for picture in resized}.values())
        write_licence(picture_set, Path(downloads), folder / f"{name}.licence.txt")
    shutil.rmtree(folder / name, ignore_errors=True)
    for part, rows in zip(("train", "test"), split_pictures(pictures), strict=True):
        (folder / name / part).mkdir(parents=True)
        for i, row in enumerate(rows):
            pictures[row].save(folder / name / part / f"{i:05d}.png")
        print(f"{name}/{part}: {len(rows):,} pictures")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="SETS")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS))
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for name in args.only:
        write_set(name, args.folder)


if __name__ == "__main__":
    main()
