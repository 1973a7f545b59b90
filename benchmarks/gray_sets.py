"""Other gray pictures than MNIST: does the default recipe draw them without any setting? Glyphs of fonts, and digits.

    python -m benchmarks.gray_sets sets SETS              # once: downloads the sets
    python -m benchmarks.gray_sets train SETS WORK [--sets hangul --seconds 60 240 --seeds 0]
    python -m benchmarks.gray_sets table                  # the stored results, as Markdown

A run is `dcgan train --data SETS/NAME --images N`, where N is what `fast` sees in those seconds on a quiet machine. The
figures are of 2,000 samples against the test part; no picture of its characters is trained on. Results are stored in
docs/gray_sets.json, and a stored run is not done again. The six runs took 50 minutes beside two other trainings on two
cores.

KMNIST and EMNIST, for those who have a network, are not run here: `dcgan train --data kmnist`, `--data emnist`
(see docs/data.md for where their files come from).
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import dcgan
from benchmarks.folder_sets import unpack_debian, write_licence
from benchmarks.folders import compare_power, estimate_text, summarize
from benchmarks.resumable import plan
from benchmarks.stored_runs import Runs, read_runs, store_run
from dcgan.data.open import open_images
from dcgan.images import make_grid, save_png

RESULTS_FILE, GRID_FOLDER = Path("docs/gray_sets.json"), Path("docs/images/gray-sets")
SIDE, FONT_SIDE = 28, 24
"""Pixels of a picture's side, and of the line height of a font."""
TEST_SHARE = 0.15
SAMPLE_COUNT, SAMPLE_SEED, GRID_COUNT, NEIGHBOR_K = 2_000, 1, 64, 3
MISSING = "\U0010fffd"
"""A character that no font has: it is drawn as what stands for a missing glyph."""
HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)
HANGUL_CHARSET = "euc_kr"
"""Has the 2,350 syllables that are used; Unicode has 11,172."""
KANA = [*range(0x3041, 0x3097), *range(0x30A1, 0x30FB)]
Pictures = Iterator[tuple[str, Image.Image]]
"""A character, or another key that decides the part, and a picture of it."""


@dataclass(frozen=True)
class GraySet:
    """A set of gray pictures.

    Attributes:
        source: the packages.
        licence: as the packages say.
        open_pictures: downloads into a folder, and gives the pictures.
    """

    source: str
    licence: str
    open_pictures: Callable[[Path], Pictures]


def open_hangul(folder: Path) -> Pictures:
    """Give the Hangul syllables of KS X 1001 in the fonts of two packages."""
    syllables = (chr(code) for code in HANGUL_SYLLABLES)
    used = [char for char in syllables if len(char.encode(HANGUL_CHARSET, "ignore")) == 2]
    for package in ("fonts-nanum", "fonts-baekmuk"):
        yield from draw_glyphs(unpack_debian(package, folder), used)


def open_kana(folder: Path) -> Pictures:
    """Give hiragana and katakana in the fonts of several packages."""
    packages = ("fonts-ipaexfont-gothic", "fonts-ipaexfont-mincho", "fonts-vlgothic", "fonts-motoya-l-cedar")
    for package in (*packages, "fonts-motoya-l-maruberi", "fonts-nanum", "fonts-baekmuk"):
        yield from draw_glyphs(unpack_debian(package, folder), [chr(code) for code in KANA])


def draw_glyphs(folder: Path, characters: list[str]) -> Pictures:
    """Draw characters in each font below a folder, white on black, in the middle of their picture."""
    for path in sorted([*folder.rglob("*.ttf"), *folder.rglob("*.otf")]):
        if path.is_symlink():
            continue
        font = ImageFont.truetype(str(path), FONT_SIDE)
        missing = draw_glyph(font, MISSING)
        for character in characters:
            glyph = draw_glyph(font, character)
            if glyph is not None and glyph != missing:
                yield character, glyph


def draw_glyph(font: ImageFont.FreeTypeFont, character: str) -> Image.Image | None:
    """Return a picture of a character; None if it is empty or too large."""
    left, top, right, bottom = font.getbbox(character)
    width, height = right - left, bottom - top
    if not 0 < max(width, height) <= SIDE:
        return None
    image = Image.new("L", (SIDE, SIDE))
    place = ((SIDE - width) // 2 - left, (SIDE - height) // 2 - top)
    ImageDraw.Draw(image).text(place, character, fill=255, font=font)
    return image if image.getbbox() else None


def open_digits(folder: Path) -> Pictures:
    """Give scikit-learn's digits of 8x8, enlarged. Only the file is taken from the package."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "scikit-learn", "--dest", str(folder)]
    subprocess.run(command, check=True)
    [wheel] = folder.glob("scikit_learn-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        text = gzip.decompress(archive.read("sklearn/datasets/data/digits.csv.gz")).decode()
    for i, row in enumerate(csv.reader(io.StringIO(text))):
        levels = np.array(row[:64], float).reshape(8, 8) * 255 / 16
        yield str(i), Image.fromarray(levels.round().astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


GRAY_SETS = {
    "hangul": GraySet("Debian's fonts-nanum and fonts-baekmuk", "OFL-1.1; Baekmuk's own free licence", open_hangul),
    "kana": GraySet(
        "Debian's fonts-ipaexfont, fonts-vlgothic, fonts-motoya-l-cedar, -maruberi, fonts-nanum, fonts-baekmuk",
        "IPA Font License, M+ and BSD-3-clause, Apache-2.0, OFL-1.1, Baekmuk's own free licence",
        open_kana,
    ),
    "sklearn-digits": GraySet("digits.csv of scikit-learn, enlarged to 28x28", "CC-BY-4.0", open_digits),
}


def write_set(name: str, folder: Path) -> None:
    """Write a set as `train/` and `test/`. All pictures of one character are in one part."""
    shutil.rmtree(folder / name, ignore_errors=True)
    for part in ("train", "test"):
        (folder / name / part).mkdir(parents=True)
    seen = set[bytes]()
    with tempfile.TemporaryDirectory() as downloads:
        for key, picture in GRAY_SETS[name].open_pictures(Path(downloads)):
            if picture.tobytes() in seen:
                continue
            seen.add(picture.tobytes())
            share = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
            part = "test" if share < TEST_SHARE else "train"
            picture.save(folder / name / part / f"{len(seen):06d}.png")
        write_licence(GRAY_SETS[name], Path(downloads), folder / f"{name}.licence.txt")
    print(f"{name}: {len(seen):,} pictures")


def train_and_evaluate(name: str, seconds: int, seed: int, sets: Path, out: Path) -> dict[str, Any]:
    """Train as a user does who names only the data and the length; evaluate, and draw the first samples."""
    data = str(sets / name)
    images = plan(seconds, seed).images
    run = dcgan.train(data=data, images=images, seed=seed, device="cpu", out=out)
    model, settings = dcgan.load(run), json.loads((run.path / "config.json").read_text())["settings"]
    evaluation = dcgan.evaluate(model, data=data, split="test", n=SAMPLE_COUNT, features="random", k=NEIGHBOR_K)
    samples = np.asarray(model.sample(SAMPLE_COUNT, seed=SAMPLE_SEED))
    GRID_FOLDER.mkdir(parents=True, exist_ok=True)
    save_png(make_grid(samples[:GRID_COUNT]), GRID_FOLDER / f"{name}-{seconds}s-{seed}.png")
    parts = [open_images(data, part, size=(SIDE, SIDE), channels=1) for part in ("train", "test")]
    power = compare_power(torch.from_numpy(samples).permute(0, 3, 1, 2), torch.cat([part.pixels for part in parts]))
    where = {"threads": torch.get_num_threads(), "torch": torch.__version__, "python": platform.python_version()}
    chosen = {key: settings[key] for key in ("preset", "groups", "batch_size")}
    counts = {"images": images, "train": len(parts[0]), "test": len(parts[1])}
    return {**counts, **chosen, "random": summarize(evaluation.as_json()), "power": power, **where}


def table_rows(results: Runs) -> Iterator[str]:
    """Give the lines of the table."""
    yield "| set | trained on, test | images | seed | KID `random` (floor) | precision, recall (floors) | power (π,π) |"
    yield "|---|---|---|---|---|---|---|"
    for name, run in results.items():
        distance, precision, recall = (
            estimate_text(run["random"][key], digits=4)
            for key in ("kernel_inception_distance_mean", "precision", "recall")
        )
        set_name, _, seed = name.rsplit("-", 2)
        cells = (set_name, f"{run['train']:,}, {run['test']:,}", f"{run['images']:,}", seed, distance)
        yield f"| {' | '.join(cells)} | {precision}, {recall} | {run['power']['(π,π)']:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["sets", "train", "table"])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--sets", nargs="+", choices=list(GRAY_SETS), default=list(GRAY_SETS))
    parser.add_argument("--seconds", nargs="+", type=int, default=[60, 240])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    args = parser.parse_args()
    if args.part == "sets":
        for name in args.sets:
            write_set(name, *args.folders)
    elif args.part == "table":
        print("\n".join(table_rows(read_runs(RESULTS_FILE))))
    else:
        sets, work = args.folders
        runs = [(name, seconds, seed) for name in args.sets for seconds in args.seconds for seed in args.seeds]
        for name, seconds, seed in runs:
            key = f"{name}-{seconds}s-{seed}"
            if key not in read_runs(RESULTS_FILE):
                store_run(RESULTS_FILE, key, train_and_evaluate(name, seconds, seed, sets, work / key))


if __name__ == "__main__":
    main()
