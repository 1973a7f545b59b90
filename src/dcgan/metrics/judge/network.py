"""The judge: a small classifier whose features and class scores the metrics use.

The one of MNIST's digits is in the package, as half-precision safetensors. It was trained with this script, on the
training digits only and by a recipe that was fixed before the test digits were looked at:

    python -m dcgan.metrics.judge --data mnist --out DIR --seed 0
"""

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from dcgan.data.open import ImageSet, open_images
from dcgan.errors import UserError
from dcgan.files import FORMAT_VERSION, atomic_folder, printable, read_json, sha256
from dcgan.images import to_float
from dcgan.rng import derive_seed

FEATURES = 64
"""Length of the penultimate features."""
LARGEST = 64
"""Pictures with a longer side are shrunk to it first: a judge of large pictures must stay quick on a CPU."""
EPOCHS, BATCH, RATE, DECAY, SMOOTHING = 10, 128, 4e-3, 0.02, 0.02
LEAST_BATCHES = 200
"""However few pictures there are: BatchNorm's averages start from nothing."""
MOST_CLASSES, MOST_WIDTH = 65_536, 512
CHUNK = 500
"""Pictures that are judged at a time."""
PURPOSE_WEIGHTS, PURPOSE_ORDER = 11, 12
"""For `latents.derive`."""


class Judge(nn.Module):
    """A small convolutional classifier of pictures.

    Args:
        shape: (C, H, W) of the pictures.
        classes: how many.
        width: channels of the first stage; the others have twice and four times as many.
    """

    names: tuple[str, ...] = ()
    """Of the classes, where they are known."""

    def __init__(self, shape: tuple[int, int, int], classes: int, width: int = 24) -> None:
        super().__init__()
        self.shape, self.classes, self.width = shape, classes, width
        a, b, c = width, 2 * width, 4 * width
        self.stages = nn.Sequential(
            *_layer(shape[0], a),
            nn.MaxPool2d(2),  # (N, a, H/2, W/2)
            *_layer(a, b),
            *_layer(b, b),
            nn.MaxPool2d(2),  # (N, b, H/4, W/4)
            *_layer(b, c),
            *_layer(c, c),
            nn.AdaptiveAvgPool2d(3),  # (N, c, 3, 3), whatever the size was
            nn.Flatten(),
            nn.Linear(9 * c, FEATURES, bias=False),
            nn.BatchNorm1d(FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def features(self, images: Tensor) -> Tensor:
        """Pictures (N, C, H, W) in [-1, 1] -> penultimate features (N, 64), none below 0."""
        longest = max(images.shape[2:])
        if longest > LARGEST:
            height, width = (max(1, round(side * LARGEST / longest)) for side in images.shape[2:])
            images = F.adaptive_avg_pool2d(images, (height, width))
        found: Tensor = self.stages(images)
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Pictures (N, C, H, W) in [-1, 1] -> class scores before the softmax (N, classes)."""
        scores: Tensor = self.head(self.features(images))
        return scores


def _layer(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]


@torch.no_grad()
def judge_images(judge: Judge, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Features (N, 64) and class scores (N, classes) of pictures uint8 (N, C, H, W): float32, on the CPU."""
    device, parts = judge.head.weight.device, []
    for piece in torch.split(pixels, CHUNK):
        features = judge.features(to_float(piece.to(device)))
        parts.append((features.cpu(), judge.head(features).cpu()))
    return torch.cat([f for f, _ in parts]), torch.cat([s for _, s in parts])


def judge_accuracy(judge: Judge, pixels: Tensor, labels: Tensor) -> float:
    """The share of pictures uint8 (N, C, H, W) whose class is recognised."""
    return float((judge_images(judge, pixels)[1].argmax(1) == labels).double().mean())


def train_judge(pixels: Tensor, labels: Tensor, classes: int, *, seed: int = 0, epochs: int = EPOCHS) -> Judge:
    """Train a judge with a fixed recipe; the last weights are taken, nothing is selected.

    Jittered pictures, AdamW, one cycle of the learning rate (Smith 2018), targets smoothed a little.

    Args:
        pixels: uint8 (N, C, H, W).
        labels: int64 (N,).
        classes: how many there are.
        seed: of the weights, the order and the jitter.
        epochs: passes over the pictures; more where these would be fewer than `LEAST_BATCHES`.

    Returns:
        The judge in evaluation mode, its weights rounded to half precision as they are stored.
    """
    judge = _new((int(pixels.shape[1]), int(pixels.shape[2]), int(pixels.shape[3])), classes, seed)
    source = Generator().manual_seed(derive_seed(seed, PURPOSE_ORDER))
    batches = max(1, len(pixels) // BATCH)
    epochs = max(epochs, math.ceil(LEAST_BATCHES / batches))
    optimizer = AdamW(judge.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = OneCycleLR(optimizer, RATE, total_steps=epochs * batches)
    with tqdm(total=epochs * batches, desc="judge", unit="batch", mininterval=10) as bar:
        for rows in _rows(len(pixels), batches, epochs, source):
            images = jitter(to_float(pixels[rows]), source)
            loss = F.cross_entropy(judge(images), labels[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            bar.update()
    return _rounded(judge.eval())


def _new(shape: tuple[int, int, int], classes: int, seed: int) -> Judge:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, PURPOSE_WEIGHTS))
        # channels_last: 77 -> 60 s an epoch of MNIST (one thread)
        return Judge(shape, classes).to(memory_format=torch.channels_last)


def _rows(n: int, batches: int, epochs: int, source: Generator) -> Iterator[Tensor]:
    """Which pictures are in each batch: a new order each epoch, what is left over at its end is dropped."""
    for _ in range(epochs):
        yield from torch.split(torch.randperm(n, generator=source)[: batches * BATCH], BATCH)


def _rounded(judge: Judge) -> Judge:
    """Weights and statistics as half precision keeps them, so that what is measured is what is stored."""
    for tensor in judge.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())
    return judge


def jitter(images: Tensor, source: Generator) -> Tensor:
    """Turn (up to 10°), scale (0.9 to 1.1), shear (0.1) and move (up to 1/14) each picture (N, C, H, W) a little."""
    n = len(images)
    turn, grow, shear, right, down = (torch.rand(5, n, generator=source) * 2 - 1).unbind()
    angle, scale, shear = turn * 0.1745, 1 + 0.1 * grow, 0.1 * shear
    cos, sin = angle.cos() / scale, angle.sin() / scale
    # sampling is in [-1, 1] over the picture, so a move by 1/14 of it is 1/7
    rows = [cos, shear * cos - sin, right / 7, sin, shear * sin + cos, down / 7]
    where = F.affine_grid(torch.stack(rows, 1).view(n, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, where, padding_mode="border", align_corners=False)


def save_judge(judge: Judge, folder: Path, about: dict[str, Any]) -> None:
    """Write a judge in half precision, what is known of it as `config.json`, and a card."""
    tensors = {name: t.half().contiguous() for name, t in judge.state_dict().items() if t.is_floating_point()}
    with atomic_folder(folder) as aside:
        save_file(tensors, aside / "model.safetensors")
        content = {
            "format_version": FORMAT_VERSION,
            "shape": list(judge.shape),
            "classes": judge.classes,
            "width": judge.width,
            "sha256": sha256(aside / "model.safetensors"),
            **about,
        }
        (aside / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (aside / "README.md").write_text(_card(judge, about), encoding="utf-8")


def load_judge(folder: Path) -> Judge:
    """Read a judge back, in evaluation mode. Sizes, names, shapes and the checksum are held against `config.json`.

    Raises:
        UserError: there is none in `folder`, or it is damaged or foreign.
    """
    config, path = read_json(folder / "config.json"), folder / "model.safetensors"
    judge = _empty(config, folder / "config.json")
    expected = {n: ("F16", list(t.shape)) for n, t in judge.state_dict().items() if t.is_floating_point()}
    try:
        with safe_open(path, "pt") as file:
            parts = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            found = {name: (part.get_dtype(), part.get_shape()) for name, part in parts.items()}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    if found != expected or config.get("sha256") != sha256(path):
        raise UserError(f"{path} is damaged: it is not the judge that its config.json describes")
    counts = {name: torch.zeros((), dtype=t.dtype) for name, t in judge.state_dict().items() if name not in expected}
    tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    judge.load_state_dict(tensors | counts, assign=True)  # the counts are BatchNorm's; nothing reads them
    names = config.get("names")
    judge.names = tuple(map(str, names)) if isinstance(names, list) and len(names) == judge.classes else ()
    return judge.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def _empty(config: dict[str, Any], path: Path) -> Judge:
    """The network that a judge's `config.json` describes, without memory."""
    shape, classes, width = config.get("shape"), config.get("classes"), config.get("width")
    if not (_whole(shape, 3, 256) and _whole([classes], 1, MOST_CLASSES) and _whole([width], 1, MOST_WIDTH)):
        raise UserError(f"{path} describes no judge")
    with torch.device("meta"):
        return Judge(tuple(shape), classes, width)  # type: ignore[arg-type]


def _whole(values: object, count: int, most: int) -> bool:
    """Whether these are `count` whole numbers from 1 to `most`."""
    if not (isinstance(values, list) and len(values) == count):
        return False
    return all(isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= most for v in values)


def load_shipped_judge() -> Judge:
    """The judge of MNIST's digits that is in the package."""
    with as_file(files("dcgan.metrics") / "judge_mnist") as folder:
        return load_judge(folder)


def _card(judge: Judge, about: dict[str, Any]) -> str:
    channels, height, width = judge.shape
    return (
        f"# A judge of `{about['data']}`\n\n"
        f"A small classifier ({height}x{width}, {channels} channel{'s' * (channels > 1)}, {judge.classes} classes) "
        "whose features and class scores\n`dcgan evaluate` uses. It never trains a generator.\n\n"
        f"It recognises {about['accuracy']:.2%} of the {about['test_pictures']:,} pictures held out from its "
        f"training ({about['train_pictures']:,} pictures),\nmeasured with the half-precision weights that are stored "
        f"here.\n\nMade with seed {about['seed']} by\n\n```\n{about['command']}\n```\n"
    )


@dataclass(frozen=True)
class Make:
    """Train a judge of any labelled pictures, print how many of the held-out ones it recognises, and save it."""

    data: str = "mnist"
    """What `dcgan train --data` takes; it must have labels."""
    out: Path = Path("judge")
    """The folder to write."""
    seed: int = 0
    """Of the weights, the order and the jitter."""
    epochs: int = EPOCHS
    """Passes over the training part."""

    def __call__(self) -> dict[str, Any]:
        parts = [_labelled(self.data, split) for split in ("train", "test")]
        (real, labels), (held, answers) = parts
        judge = train_judge(real.pixels, labels, len(real.classes), seed=self.seed, epochs=self.epochs)
        about = {
            "data": printable(self.data),
            "names": list(real.classes),
            "accuracy": judge_accuracy(judge, held.pixels, answers),
            "train_pictures": len(real),
            "test_pictures": len(held),
            "seed": self.seed,
            "epochs": self.epochs,
            "command": self.command(),
            "torch": str(torch.__version__),
            "threads": torch.get_num_threads(),
        }
        save_judge(judge, self.out, about)
        return about

    def command(self) -> str:
        """What makes it again."""
        more = f" --epochs {self.epochs}" if self.epochs != EPOCHS else ""
        return f"python -m dcgan.metrics.judge --data {printable(self.data)} --out DIR --seed {self.seed}{more}"


def _labelled(spec: str, split: str) -> tuple[ImageSet, Tensor]:
    images = open_images(spec, split)
    if images.labels is None or len(images.classes) < 2 or not len(images):
        raise UserError(f"{printable(spec)} has no labels in its {split} part: a judge learns from classes")
    return images, images.labels


def main() -> None:
    """The command `python -m dcgan.metrics.judge`."""
    import tyro

    try:
        about = tyro.cli(Make, prog="python -m dcgan.metrics.judge")()
    except UserError as error:
        print(f"judge: {error}", file=sys.stderr)
        sys.exit(2)
    print(json.dumps({name: value for name, value in about.items() if name != "names"}))


if __name__ == "__main__":
    main()
