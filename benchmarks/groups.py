"""Whether `--groups` sorts color pictures better by their pixels or by features of a trained network.

    python -m benchmarks.groups --emoji DIR --textures FILE.pk3 --stamps DIR [--groups 0 32 64] [--seeds 5]

The sets are those of `benchmarks.features`. A person has sorted each of them into kinds: Unicode's subcategories of
emoji, the folders of textures and of stamps. K-means sorts the pictures into groups without them, as a training does. A
sorting is good if a group has pictures of one kind: the purity is the share of pictures whose kind is the most frequent
one of their group. Groups of 0 are as many as the preset `fast` has for so many pictures.
"""

import argparse
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.features import SIDE, read_emoji, read_stamps, read_textures, to_square
from dcgan.images import to_float
from dcgan.metrics.features import open_extractor
from dcgan.models.groups import choose_group_count, find_groups, group_features
from dcgan.presets import PRESETS

FEATURES = "lite0"
MIN_KIND_PICTURES = 10
"""Pictures of a kind with fewer are left out."""


def emoji_kinds(folder: Path) -> dict[str, str]:
    """Return the subcategory of each file of emoji by its name."""
    entries = json.loads((folder / "emoji.json").read_text(encoding="utf-8"))
    return {entry["image"]: f"{entry['category']}/{entry['subcategory']}" for entry in entries}


def name_kinds(set_name: str, source: Path) -> Iterator[str]:
    """Give the kind of each picture, in the order in which `benchmarks.features` reads them."""
    if set_name == "emoji":
        kinds = emoji_kinds(source)
        yield from (kinds[Path(os.fsdecode(image.filename)).name] for image in read_emoji(source))
    elif set_name == "stamps":
        yield from (Path(os.fsdecode(image.filename)).relative_to(source).parts[0] for image in read_stamps(source))
    else:
        with zipfile.ZipFile(source) as files:
            for name in sorted(files.namelist()):
                if name.lower().endswith((".jpg", ".png", ".tga")) and min(Image.open(files.open(name)).size) >= SIDE:
                    yield str(Path(name).parent)


def open_labeled_set(set_name: str, source: Path) -> tuple[Tensor, Tensor]:
    """Return the pictures of a set, uint8 (N, 3, 64, 64), and the number of the kind of each, int64 (N,)."""
    read = {"emoji": read_emoji, "textures": read_textures, "stamps": read_stamps}[set_name]
    images = [to_square(image, crop=set_name == "textures") for image in read(source)]
    _, labels, counts = np.unique(list(name_kinds(set_name, source)), return_inverse=True, return_counts=True)
    is_kept = counts[labels] >= MIN_KIND_PICTURES
    pixels = torch.from_numpy(np.stack(images)[is_kept]).permute(0, 3, 1, 2)
    return pixels, torch.from_numpy(np.unique(labels[is_kept], return_inverse=True)[1])


def purity(groups: Tensor, labels: Tensor) -> float:
    """Return the share of pictures whose kind is the most frequent one of their group."""
    counts = torch.zeros(int(groups.max()) + 1, int(labels.max()) + 1)
    counts.index_put_((groups, labels), torch.ones(len(labels)), accumulate=True)
    return float(counts.amax(1).sum() / len(labels))


def main() -> None:
    """Print a table of purities."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("emoji", "textures", "stamps"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--groups", type=int, nargs="+", default=[0, 32, 64])
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print(f"| set | pictures | kinds | groups | pixels | `{FEATURES}` | by chance |\n|---|---|---|---|---|---|---|")
    for name in ("emoji", "textures", "stamps"):
        if getattr(options, name) is not None:
            print_purities(name, *open_labeled_set(name, getattr(options, name)), options)


def print_purities(name: str, pixels: Tensor, labels: Tensor, options: argparse.Namespace) -> None:
    """Print a row for each number of groups: means over the seeds, and the least and the largest value."""
    preset, extractor = PRESETS["fast"], open_extractor(FEATURES)
    points = {
        "pixels": group_features(to_float(pixels)),
        FEATURES: torch.cat([extractor.extract(batch)[0] for batch in torch.split(pixels, 256)]),
    }
    shuffled = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    for wanted in options.groups:
        count = wanted or choose_group_count(len(pixels), preset.groups, preset.z_dim)
        cells, by_chance = [], []
        for values in points.values():
            groups = [find_groups(values.__getitem__, len(values), count, seed) for seed in range(options.seeds)]
            purities = [purity(g, labels) for g in groups]
            cells.append(f"{np.mean(purities):.3f} ({min(purities):.3f} to {max(purities):.3f})")
            by_chance += [purity(g, shuffled) for g in groups]
        kinds = int(labels.max()) + 1
        row = (name, f"{len(pixels):,}", kinds, count, *cells, f"{np.mean(by_chance):.3f}")
        print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
