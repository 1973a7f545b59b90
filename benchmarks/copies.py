"""How many planted copies `dcgan evaluate` finds, how many unseen pictures it suspects, and what the search costs.

    python -m benchmarks.copies --data pictures.npz [--cost]

Copies of 300 training pictures are altered in ways that a generator, or who stores its samples, may alter them. The
held-out pictures are divided: one half says what is near, the other half are the unseen pictures. New pictures may also
be variants of training pictures: for these, a part of the training pictures is left out by chance, without regard to
near duplicates. With `--cost`, 10,000 noisy pictures are searched for among the training pictures.
"""

import argparse
import io
import resource
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
import torchvision.transforms.v2.functional as transforms
from PIL import Image
from torch import Tensor

from dcgan.data.open import open_images
from dcgan.metrics.copies import copy_limits, judge_copies
from dcgan.metrics.nearest import CopySearch

PLANTED, DIVISIONS, COST_SAMPLES, MAX_RELATIVES = 300, 5, 10_000, 500
LEFT_OUT_SHARE = 0.2
"""Share of the training pictures that are left out by chance."""


def recompress(pixels: Tensor, quality: int) -> Tensor:
    pictures = []
    for picture in pixels.permute(0, 2, 3, 1).squeeze(3).numpy():
        content = io.BytesIO()
        Image.fromarray(picture).save(content, "JPEG", quality=quality)
        pictures.append(np.asarray(Image.open(content)).reshape(pixels.shape[2], pixels.shape[3], -1))
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def add_noise(pixels: Tensor, deviation: float) -> Tensor:
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    return (pixels + deviation * noise).round().clamp(0, 255).to(torch.uint8)


def shift(pixels: Tensor, distance: int = 4) -> Tensor:
    source = np.random.default_rng(0)
    height, width = pixels.shape[2:]
    padded = F.pad(pixels.float(), (distance,) * 4, mode="replicate").to(torch.uint8)
    offsets = source.integers(0, 2 * distance + 1, (len(pixels), 2)).tolist()
    return torch.stack([p[:, y : y + height, x : x + width] for p, (y, x) in zip(padded, offsets, strict=True)])


ALTERATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "exact": lambda p: p,
    "JPEG, quality 75": lambda p: recompress(p, 75),
    "JPEG, quality 40": lambda p: recompress(p, 40),
    "noise of 5 levels": lambda p: add_noise(p, 5),
    "noise of 10 levels": lambda p: add_noise(p, 10),
    "mirrored": lambda p: p.flip(3),
    "shifted by up to 4 pixels": shift,
    "channels exchanged": lambda p: p[:, [2, 0, 1]],
    "hue turned by 40°": lambda p: transforms.adjust_hue(p, 40 / 360),
    "hue turned by 120°": lambda p: transforms.adjust_hue(p, 1 / 3),
    "darker, by 0.7": lambda p: (0.7 * p).to(torch.uint8),
    "brighter, by 1.3, clipped": lambda p: (1.3 * p).clamp(0, 255).to(torch.uint8),
    "gray": lambda p: transforms.rgb_to_grayscale(p, p.shape[1]),
    "enlarged by 1.15": lambda p: transforms.affine(p, 0, [0, 0], 1.15, [0, 0], fill=[255]),
    "turned by 8°": lambda p: transforms.affine(p, 8, [0, 0], 1, [0, 0], fill=[255]),
}
COLOR_ONLY = ("channels exchanged", "hue turned by 40°", "hue turned by 120°", "gray")


def measure_rates(train: Tensor, held_out: Tensor, groups: Tensor | None) -> None:
    search = CopySearch(train)
    relatives = None if groups is None else search.find_relatives(groups, MAX_RELATIVES)
    rows = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:PLANTED]
    names = [name for name in ALTERATIONS if train.shape[1] == 3 or name not in COLOR_ONLY]
    nearest = {name: search.find([ALTERATIONS[name](train[rows])]) for name in names}
    everything = search.find([held_out])
    flagged: dict[str, list[float]] = {name: [] for name in ["unseen", *names]}
    right = dict.fromkeys(names, 0.0)
    for division in range(DIVISIONS):
        order = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(division))
        known, unseen = (type(everything)(*(t[part] for t in everything.tensors())) for part in order.tensor_split(2))
        limits = copy_limits(known, relatives)
        flagged["unseen"].append(float(limits.is_near(unseen).float().mean()))
        for name in names:
            flagged[name].append(float(limits.is_near(nearest[name]).float().mean()))
            right[name] += float((limits.rows(nearest[name]) == rows).float().mean()) / DIVISIONS
    print(f"{len(train):,} training pictures, {len(held_out):,} held-out pictures\n")
    print("| samples | flagged: mean (least to most) | the right picture beside it |\n|---|---|---|")
    for name, values in flagged.items():
        mean = sum(values) / DIVISIONS
        beside = f"{right[name]:.0%}" if name in right else "-"
        print(f"| {name} | {mean:.1%} ({min(values):.0%} to {max(values):.0%}) | {beside} |")
    if relatives is None:
        mixed = torch.cat([held_out, train[: max(1, len(held_out) // 9)]])
        verdict = judge_copies(search.find([mixed]), everything, search, "held-out pictures")
        print(f"\na tenth of copies among held-out pictures: {verdict.verdict}, {verdict.reason}")


def measure_new_variants(train: Tensor, groups: Tensor) -> None:
    """Print the verdict on training pictures that were left out by chance, with and without what is known of variants.

    Cross-splitting says what is near, as while training.
    """
    for seed in range(DIVISIONS):
        is_left_out = torch.rand(len(train), generator=torch.Generator().manual_seed(seed)) < LEFT_OUT_SHARE
        kept, kept_groups = train[~is_left_out], groups[~is_left_out]
        search = CopySearch(kept, kept_groups)
        unseen, relatives = search.find([kept], kept_groups), search.find_relatives(kept_groups, MAX_RELATIVES)
        new = train[is_left_out]
        mixed = torch.cat([new, kept[: max(1, len(new) // 9)]])
        for name, samples, known in (
            ("new pictures, as if none had near duplicates", new, None),
            ("new pictures", new, relatives),
            ("new pictures and a tenth of copies", mixed, relatives),
        ):
            verdict = judge_copies(search.find([samples]), unseen, search, "cross-splitting", known)
            print(f"{name}: {verdict.near_share:.1%}, expected {verdict.unseen_near_share:.1%}: {verdict.verdict}")


def measure_cost(train: Tensor) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    search = CopySearch(train)
    prepared = time.process_time()
    rows = torch.arange(COST_SAMPLES) % len(train)
    search.find(add_noise(train[part], 20) for part in torch.split(rows, 1024))
    seconds, processor = time.perf_counter() - start, time.process_time() - cpu
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"\n{COST_SAMPLES:,} samples of {train.shape[2]}x{train.shape[3]} among {len(train):,} training pictures: "
        f"{processor:.1f} s of processor time with {torch.get_num_threads()} thread(s), {prepared - cpu:.1f} of them "
        f"for the training pictures; {seconds:.1f} s by the clock; {(after - before) / 1024:.0f} MiB more memory"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--cost", action="store_true")
    arguments = parser.parse_args()
    images = open_images(arguments.data, "train")
    train, groups = images.pixels, images.columns.get("groups")
    if arguments.cost:
        measure_cost(train)
        return
    held_out = open_images(arguments.data, "test").pixels
    validation = open_images(arguments.data, "validation").pixels
    if len(train) + len(validation) + len(held_out) <= len(open_images(arguments.data, "all")):
        held_out = torch.cat([held_out, validation])  # otherwise it is trained on
    known_groups = None if groups is None else torch.from_numpy(np.array(groups))
    measure_rates(train, held_out[:2000], known_groups)
    if known_groups is not None:
        measure_new_variants(train, known_groups)


if __name__ == "__main__":
    main()
