"""Which feature extractors see what is wrong with pictures, and whether they mind it as much as a person does.

    python -m benchmarks.features --emoji DIR --textures FILE.pk3 [--stamps DIR] [--n 300] [--cache DIR] [--only SET]

Real pictures that were held out are altered (`benchmarks.alterations`) and compared with other real pictures by the
kernel distance (KID). It prints tables in Markdown: for each form of features the rank correlation of KID with the
order of annoyance, and for some of them from what strength on each alteration is noticed. MNIST's test digits, which
come with the package, are the gray set. The other sets are free, and not in the package:

    emoji       npm pack emoji-datasource-google@16.0.0 && tar xf emoji-datasource-google-16.0.0.tgz   (DIR: package/)
    textures    apt-get download openarena-081-textures && dpkg -x openarena-081-textures_*.deb textures
                (FILE.pk3: textures/usr/share/games/openarena/baseoa/pak4-textures.pk3)
    stamps      apt-get download tuxpaint-stamps-default && dpkg -x tuxpaint-stamps-default_*.deb stamps
                (DIR: stamps/usr/share/tuxpaint/stamps)

Features are kept in the folder of --cache, so that the tables can be made again in a minute. --speed measures the speed
and the memory of the extractors instead. What an evaluation of 10,000 samples of 64x64 costs, features and search for
copies, is measured in about two minutes of one thread by

    OMP_NUM_THREADS=2 python -m benchmarks.features --speed 10000 --extractors lite0 --copies
"""

import argparse
import hashlib
import io
import json
import resource
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFile
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.alterations import ALTERATIONS, ANNOYANCE, squeeze
from benchmarks.copies import measure_cost
from benchmarks.folder_sets import on_white
from dcgan.data.open import open_images
from dcgan.data.resize import convert_channels
from dcgan.images import to_float
from dcgan.metrics import lite
from dcgan.metrics.features import open_extractor
from dcgan.models.lite import LITE_WEIGHTS, LiteNetwork, load_lite_network

SIDE = 64
"""Height and width of the color pictures."""
MAX_IMAGES = {128: 200, 224: 60}
"""Pictures of each side at dear input sizes, if that is less than --n: only the spread of KID depends on it."""
PERMUTATIONS = 200
"""Divisions of real and altered pictures at random that an alteration must be above to count as noticed."""
BATCH_PIXELS = 32 * 128 * 128


# The pictures


def read_emoji(folder: Path) -> Iterator[ImageFile.ImageFile]:
    """Read Noto emoji of 64 pixels, without the variants of skin tones, in an order that says nothing of them."""
    skin_tones = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
    entries = json.loads((folder / "emoji.json").read_text(encoding="utf-8"))
    names = [e["image"] for e in entries if e["has_img_google"] and e["unified"].split("-")[0] not in skin_tones]
    for name in sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
        if (path := folder / "img/google/64" / name).is_file():
            yield Image.open(path)


def read_textures(archive: Path) -> Iterator[Image.Image]:
    """Read OpenArena's textures that have at least 64 pixels a side."""
    with zipfile.ZipFile(archive) as files:
        for name in sorted(files.namelist()):
            if name.lower().endswith((".jpg", ".png", ".tga")):
                image = Image.open(io.BytesIO(files.read(name)))
                if min(image.size) >= SIDE:
                    yield image.convert("RGB")


def read_stamps(folder: Path) -> Iterator[ImageFile.ImageFile]:
    """Read Tux Paint's stamps that have at least 64 pixels a side: photographs and drawings without a background."""
    for path in sorted(folder.rglob("*.png")):
        image = Image.open(path)
        if min(image.size) >= SIDE:
            yield image


def to_square(image: Image.Image, *, crop: bool) -> np.ndarray:
    """Return a picture as uint8 (64, 64, 3), on white: its middle square, or all of it."""
    rgb = on_white(image)
    side = min(rgb.size) if crop else max(rgb.size)
    square = Image.new("RGB", (side, side), "white")
    square.paste(rgb, (int((side - rgb.width) / 2), int((side - rgb.height) / 2)))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def open_sets(options: argparse.Namespace) -> dict[str, Tensor]:
    """Return the pictures of each set that is given, uint8 (N, C, H, W)."""
    sets = {"digits": open_images("mnist", "test").pixels[:2000]}
    for name, read in (("emoji", read_emoji), ("textures", read_textures), ("stamps", read_stamps)):
        if (source := getattr(options, name)) is not None:
            images = [to_square(image, crop=name == "textures") for image in read(source)]
            sets[name] = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return {name: sets[name] for name in ANNOYANCE if name in sets and options.only in (None, name)}


def make_versions(pixels: Tensor, n: int) -> dict[str, Tensor]:
    """Return real pictures, held-out ones, both with less contrast, and every alteration of the held-out ones."""
    pixels = pixels[torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))]
    real, held_out = pixels[:n], pixels[n : 2 * n]
    versions = {"real": real, "held_out": held_out}
    versions |= {f"{name}_squeezed": squeeze(images) for name, images in versions.items()}
    for name, alteration in ALTERATIONS.items():
        if alteration.needs_color and pixels.shape[1] == 1:
            continue
        images = versions["held_out_squeezed"] if alteration.is_squeezed else held_out
        for i, strength in enumerate(alteration.strengths):
            # Few kinds of pictures are chosen among all that are not on the real side.
            altered = alteration.alter(pixels[n:] if name == "modes" else images, strength)
            versions[f"{name}{i}"] = altered[:n]
    return versions


# The features


@dataclass(frozen=True)
class Form:
    """A form of features: the sum of kernels of parts.

    Attributes:
        name: in the tables.
        parts: for each part the key of cached features, the name of the tensor there, and the scale of its kernel.
    """

    name: str
    parts: tuple[tuple[str, str, float], ...]


def make_forms() -> list[Form]:
    """Return the forms that are compared."""
    forms = [Form("`random`", (("random", "features", 1 / 64),))]
    for network in LITE_WEIGHTS:
        sides = (64, 96, 128, 224) if network == "lite0" else (64,)
        for side in sides:
            forms.append(Form(f"{network}, last map, mean, {side} px", ((f"{network}@{side}", "mean7", 1 / 1280),)))
            forms += [
                Form(f"{network}, map {d + 1}, direction, {side} px", ((f"{network}@{side}", f"direction{d}", 1.0),))
                for d in ((1, 3, 4, 5, 6, 7) if side == 64 else (5, 6, 7))
            ]
        half = (f"{network}h@64", f"direction{lite.DEPTH}", lite.HALF_SIZE_SHARE)
        full = (f"{network}@64", f"direction{lite.DEPTH}", lite.FULL_SIZE_SHARE)
        forms += [
            Form(f"{network}, map 7, direction, half size to 64 px", ((*half[:2], 1.0),)),
            Form(f"{network}, map 7, direction, .9 half size + .1 full size", (half, full)),
            Form(f"`{network}`", (half, full, ("random", "features", 1 / lite.RANDOM_SQUARED_LENGTH))),
        ]
    return forms


@torch.no_grad()
def describe_maps(network: LiteNetwork, images: Tensor) -> dict[str, Tensor]:
    """Return the mean and the mean direction of every map for images (N, 3, H, W) in [-1, 1]."""
    maps = network(images.contiguous(memory_format=torch.channels_last))
    means = {f"mean{d}": values.mean((2, 3)) for d, values in enumerate(maps)}
    return means | {f"direction{d}": F.normalize(values, dim=1).mean((2, 3)) for d, values in enumerate(maps)}


def open_describer(key: str) -> Callable[[Tensor], dict[str, Tensor]]:
    """Return the function from pictures uint8 (N, C, H, W) to features of a key such as `random` or `lite0h@64`."""
    if "@" not in key:
        extractor = open_extractor(key)
        return lambda pixels: {"features": extractor.extract(pixels)[0]}
    name, side = key.split("@")
    network, size = load_lite_network(name.removesuffix("h")), (int(side), int(side))

    def describe(pixels: Tensor) -> dict[str, Tensor]:
        parts = []
        for batch in torch.split(pixels, max(1, BATCH_PIXELS // int(side) ** 2)):
            images = to_float(convert_channels(batch, 3))
            images = F.avg_pool2d(images, 2) if name.endswith("h") else images
            parts.append(describe_maps(network, lite.resize_images(images, size)))
        return {tensor: torch.cat([part[tensor] for part in parts]) for tensor in parts[0]}

    return describe


def load_or_extract(key: str, set_name: str, pixels: Tensor, options: argparse.Namespace) -> dict[str, Tensor]:
    """Return the features of all versions of a set by `version/tensor`, from the cache if they are there."""
    n = min(options.n, MAX_IMAGES.get(int(key.partition("@")[2] or 0), options.n))
    path = Path(options.cache) / f"{key}-{set_name}-{n}.safetensors"
    if not path.exists():
        describe, start = open_describer(key), time.process_time()
        features: dict[str, Tensor] = {}
        for version, images in make_versions(pixels, options.n).items():
            features |= {f"{version}/{name}": tensor for name, tensor in describe(images[:n]).items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(features, path)
        print(f"{key}, {set_name}: {time.process_time() - start:.0f} s of processor time", flush=True)
    return dict(load_file(path))


# The measurements


@dataclass(frozen=True)
class Sensitivity:
    """What a form of features notices in one set.

    Attributes:
        correlation: the rank correlation of KID with the order of annoyance.
        distances: KID of each alteration at its strengths, in standard deviations of KID between equal sets.
        noticed: for each alteration, which strengths are noticed.
    """

    correlation: float
    distances: dict[str, list[float]]
    noticed: dict[str, list[bool]]


def measure_form(form: Form, features: dict[str, dict[str, Tensor]], set_name: str) -> Sensitivity:
    """Measure the KID of every alteration of a set."""

    def points(version: str) -> Tensor:
        parts = [features[key][f"{version}/{name}"].double() * scale**0.5 for key, name, scale in form.parts]
        return torch.cat(parts, 1)

    suffixes = {name: "_squeezed" if ALTERATIONS[name].is_squeezed else "" for name in ANNOYANCE[set_name]}
    deviations = {
        suffix: float(permute_kernel(points(f"held_out{suffix}"), points(f"real{suffix}")).std())
        for suffix in set(suffixes.values())
    }
    distances, noticed, values = {}, {}, []
    for name, suffix in suffixes.items():
        real, altered = points(f"real{suffix}"), [points(f"{name}{i}") for i in range(3)]
        values += (kids := [kernel_distance(images, real) for images in altered])
        distances[name] = [value / deviations[suffix] for value in kids]
        limits = [float(permute_kernel(images, real).max()) for images in altered]
        noticed[name] = [value > limit for value, limit in zip(kids, limits, strict=True)]
    annoyance = [value for strengths in ANNOYANCE[set_name].values() for value in strengths]
    return Sensitivity(rank_correlation(values, annoyance), distances, noticed)


def kernel(a: Tensor, b: Tensor) -> Tensor:
    """Return the kernel of KID for points that are scaled by 1 / √D."""
    return (a @ b.T + 1) ** 3


def kernel_distance(fake: Tensor, real: Tensor) -> float:
    """Return the unbiased squared MMD of all pairs, as `dcgan.metrics.fidelity.kernel_distance`."""
    fake_mean, real_mean = (
        (values.sum() - values.diagonal().sum()) / (len(values) * (len(values) - 1))
        for values in (kernel(fake, fake), kernel(real, real))
    )
    return float(fake_mean + real_mean - 2 * kernel(fake, real).mean())


def permute_kernel(fake: Tensor, real: Tensor) -> Tensor:
    """Return the kernel distances of random divisions of the pictures of both sets."""
    points, source = torch.cat([fake, real]), torch.Generator().manual_seed(0)
    n, m = len(fake), len(real)
    values = kernel(points, points).fill_diagonal_(0)
    orders = torch.stack([torch.randperm(n + m, generator=source) for _ in range(PERMUTATIONS)], 1)
    first = (orders < n).double()  # (N + M, divisions): whether a picture is in the first set
    last = 1 - first
    own = (first * (values @ first)).sum(0) / (n * (n - 1)) + (last * (values @ last)).sum(0) / (m * (m - 1))
    return own - 2 * (first * (values @ last)).sum(0) / (n * m)


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Return Spearman's rank correlation; equal values have their mean rank."""
    ranks = []
    for values in (torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)):
        lower, equal = (values < values[:, None]).sum(1), (values == values[:, None]).sum(1)
        ranks.append(lower + (equal + 1) / 2)
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])


# The tables


def print_correlations(results: dict[str, dict[str, Sensitivity]], sets: list[str]) -> None:
    """Print the rank correlation of each form on each set."""
    print(f"\n| features | {' | '.join(sets)} |\n|---|{'---|' * len(sets)}")
    for form, by_set in results.items():
        print(f"| {form} | {' | '.join(f'{by_set[s].correlation:.2f}' if s in by_set else '-' for s in sets)} |")


def print_sensitivity(results: dict[str, dict[str, Sensitivity]], set_name: str) -> None:
    """Print how far away each alteration is; a strength that is not noticed stands in parentheses."""
    forms = [form for form in results if form.startswith("`")]
    print(f"\n{set_name}\n\n| alteration | strengths | annoyance | {' | '.join(forms)} |")
    print(f"|---|---|---|{'---|' * len(forms)}")
    for name, annoyance in ANNOYANCE[set_name].items():
        cells = []
        for form in forms:
            sensitivity = results[form][set_name]
            values = sensitivity.distances[name]
            texts = [
                f"{value:.0f}" if noticed else f"({value:.0f})"
                for value, noticed in zip(values, sensitivity.noticed[name], strict=True)
            ]
            cells.append(", ".join(texts) + ("" if values == sorted(values) else " ✗"))
        strengths = ", ".join(f"{strength:g}" for strength in ALTERATIONS[name].strengths)
        minded = ", ".join(f"{value:g}" for value in annoyance)
        print(f"| {name} ({ALTERATIONS[name].unit}) | {strengths} | {minded} | {' | '.join(cells)} |")


def make_noise(count: int) -> Tensor:
    """Return pictures of noise, uint8 (count, 3, 64, 64): their content does not change what they cost."""
    return torch.randint(256, (count, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def measure_speed(pixels: Tensor, names: Sequence[str]) -> None:
    """Print how long the features of pictures take with the threads that torch has, and the memory for it."""
    count = len(pixels)
    for name in names:
        extractor = open_extractor(name)
        extractor.extract(pixels[:64])
        before, start, processor_start = _peak_mib(), time.perf_counter(), time.process_time()
        for batch in torch.split(pixels, 1024):
            extractor.extract(batch)
        seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor_start
        print(
            f"{name}: {count:,} pictures of {SIDE}x{SIDE} in {seconds:.1f} s, {processor_seconds:.1f} s of processor "
            f"time, {torch.get_num_threads()} threads, {_peak_mib() - before:.0f} MiB more than before"
        )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure all forms of features on all sets that are given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("emoji", "textures", "stamps"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--only", choices=ANNOYANCE)
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--cache", default="features-benchmark")
    parser.add_argument("--speed", type=int, metavar="PICTURES")
    parser.add_argument("--extractors", nargs="+", default=["random", *LITE_WEIGHTS])
    parser.add_argument("--copies", action="store_true")
    options = parser.parse_args()
    if options.speed:
        pixels = make_noise(options.speed)
        measure_speed(pixels, options.extractors)
        if options.copies:
            measure_cost(pixels)
        print(f"{_peak_mib():.0f} MiB at most, of the whole process")
        return
    sets = open_sets(options)
    results: dict[str, dict[str, Sensitivity]] = {}
    for form in make_forms():
        results[form.name] = {}
        for set_name, pixels in sets.items():
            features = {key: load_or_extract(key, set_name, pixels, options) for key, _, _ in form.parts}
            results[form.name][set_name] = measure_form(form, features, set_name)
    print_correlations(results, list(sets))
    for set_name in sets:
        print_sensitivity(results, set_name)


if __name__ == "__main__":
    main()
