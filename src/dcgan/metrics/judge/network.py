"""The judge's network, and how it is saved and loaded.

The judge of MNIST's digits is in the package, as half-precision safetensors. It was trained on the training digits
only, and by a recipe that was fixed before the test digits were looked at:

    python -m dcgan.metrics.judge --data mnist --out DIR --seed 0
"""

import os
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from dcgan.errors import UserError
from dcgan.files import atomic_folder, error_reason, printable, read_json, sha256, write_json, write_reason
from dcgan.images import to_float
from dcgan.system.tensor_files import refuse_unwritable

FEATURE_COUNT = 64
"""Length of the penultimate features."""
MAX_INPUT_SIDE = 64
"""Images with a longer side are shrunk to this many pixels first, so that a judge of large images is fast on a CPU."""
MAX_CLASSES = 65_536
"""Classes that a saved judge may have."""
MAX_WIDTH = 512
"""Channels that the first stage of a saved judge may have."""
MAX_IMAGE_SIZE = 256
"""Channels, height and width that the images of a saved judge may have."""
JUDGE_BATCH_SIZE = 500
"""Images that are classified at a time."""
CONFIG_FILE, WEIGHTS_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"
"""The files of a saved judge. It has always the first two."""


class Judge(nn.Module):
    """A small convolutional classifier of images.

    Args:
        image_shape: (C, H, W) of the images.
        class_count: the number of classes.
        width: channels of the first stage; the other stages have twice and four times as many.
    """

    class_names: tuple[str, ...] = ()
    """Names of the classes, if they are known."""

    def __init__(self, image_shape: tuple[int, int, int], class_count: int, width: int = 24) -> None:
        super().__init__()
        self.image_shape, self.class_count, self.width = image_shape, class_count, width
        a, b, c = width, 2 * width, 4 * width
        self.stages = nn.Sequential(
            *_convolution_layers(image_shape[0], a),
            nn.MaxPool2d(2),  # (N, a, H/2, W/2)
            *_convolution_layers(a, b),
            *_convolution_layers(b, b),
            nn.MaxPool2d(2),  # (N, b, H/4, W/4)
            *_convolution_layers(b, c),
            *_convolution_layers(c, c),
            nn.AdaptiveAvgPool2d(3),  # (N, c, 3, 3) for every image size
            nn.Flatten(),
            nn.Linear(9 * c, FEATURE_COUNT, bias=False),
            nn.BatchNorm1d(FEATURE_COUNT),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURE_COUNT, class_count)

    def features(self, images: Tensor) -> Tensor:
        """Return the penultimate features (N, 64), none below 0, of images (N, C, H, W) in [-1, 1]."""
        longest_side = max(images.shape[2:])
        if longest_side > MAX_INPUT_SIDE:
            height, width = (max(1, round(side * MAX_INPUT_SIDE / longest_side)) for side in images.shape[2:])
            images = F.adaptive_avg_pool2d(images, (height, width))
        features: Tensor = self.stages(images)
        return features

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores before the softmax (N, classes) of images (N, C, H, W) in [-1, 1]."""
        scores: Tensor = self.head(self.features(images))
        return scores


def _convolution_layers(in_channels: int, out_channels: int) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU()]


@torch.no_grad()
def judge_images(judge: Judge, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the features (N, 64) and class scores (N, classes), float32 on the CPU, of uint8 (N, C, H, W)."""
    device = judge.head.weight.device
    features, scores = [], []
    for batch in torch.split(pixels, JUDGE_BATCH_SIZE):
        batch_features = judge.features(to_float(batch.to(device)))
        features.append(batch_features.cpu())
        scores.append(judge.head(batch_features).cpu())
    return torch.cat(features), torch.cat(scores)


def measure_accuracy(judge: Judge, pixels: Tensor, labels: Tensor) -> float:
    """Return the share of images uint8 (N, C, H, W) whose class, int64 (N,), the judge recognizes."""
    _, scores = judge_images(judge, pixels)
    return float((scores.argmax(1) == labels).double().mean())


def check_judge_output(folder: Path) -> None:
    """Check that a judge can be written as `folder`, before one is trained. Missing folders above it are made.

    Raises:
        UserError: it is a file, a folder that holds something else than a judge, or cannot be written.
    """
    name = printable(str(folder))
    if folder.name in ("", ".."):  # a judge is renamed into its place, and these cannot be renamed
        raise UserError(f"{name} has no name of its own: give a new folder as --out")
    try:
        if os.path.lexists(folder):
            _check_replaceable(folder, name)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".judge.", dir=folder.parent):
            pass
    except OSError as error:
        raise UserError(f"cannot write {name}: {write_reason(error)}") from None


def _check_replaceable(path: Path, name: str) -> None:
    """Refuse everything but an empty folder and a folder that holds nothing but a saved judge."""
    if not path.is_dir():
        raise UserError(f"{name} is not a folder: give another --out")
    names = {file.name for file in path.iterdir()}
    is_judge = {CONFIG_FILE, WEIGHTS_FILE} <= names <= {CONFIG_FILE, WEIGHTS_FILE, CARD_FILE}
    # A saved generator has files of the same names, so the content decides.
    if names and not (is_judge and _describes_judge(path / CONFIG_FILE)):
        raise UserError(f"{name} holds other files than a judge: give another --out")


def _describes_judge(path: Path) -> bool:
    try:
        _build_without_memory(read_json(path), path)
    except UserError:
        return False
    return True


def save_judge(judge: Judge, folder: Path, origin: dict[str, Any]) -> None:
    """Write a judge into a folder: its weights in half precision, `config.json` and a card.

    Args:
        judge: the judge.
        folder: where to write; an earlier judge is replaced.
        origin: the data, the command and the accuracy, for `config.json` and the card.

    Raises:
        UserError: see `check_judge_output`; or the disk is full, for example.
    """
    check_judge_output(folder)  # again: files may have come into the folder while the judge was trained
    weights = {name: t.half().contiguous() for name, t in judge.state_dict().items() if t.is_floating_point()}
    with refuse_unwritable(folder), atomic_folder(folder) as temporary:
        save_file(weights, temporary / WEIGHTS_FILE)
        config = {
            "shape": list(judge.image_shape),
            "classes": judge.class_count,
            "width": judge.width,
            "sha256": sha256(temporary / WEIGHTS_FILE),
            **origin,
        }
        write_json(temporary / CONFIG_FILE, config)
        (temporary / CARD_FILE).write_text(_model_card(judge, origin), encoding="utf-8")


def load_judge(folder: Path) -> Judge:
    """Load a judge in evaluation mode. Its tensors and their checksum are compared with `config.json`.

    Raises:
        UserError: there is none in `folder`, or it is damaged or foreign.
    """
    config, path = read_json(folder / CONFIG_FILE), folder / WEIGHTS_FILE
    judge = _build_without_memory(config, folder / CONFIG_FILE)
    expected = {name: ("F16", list(t.shape)) for name, t in judge.state_dict().items() if t.is_floating_point()}
    if _tensor_types(path) != expected or config.get("sha256") != sha256(path):
        raise UserError(f"{path} is damaged: it is not the judge that its config.json describes")
    weights = {name: tensor.float() for name, tensor in load_file(path).items()}
    # BatchNorm counts its batches, which nothing reads; the counts are therefore not saved.
    counts = {name: torch.zeros((), dtype=t.dtype) for name, t in judge.state_dict().items() if name not in expected}
    judge.load_state_dict(weights | counts, assign=True)
    names = config.get("names")
    judge.class_names = tuple(map(str, names)) if isinstance(names, list) and len(names) == judge.class_count else ()
    return judge.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def _tensor_types(path: Path) -> dict[str, tuple[str, list[int]]]:
    """Return the data type and the shape of each tensor of a safetensors file."""
    try:
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {name: (tensor.get_dtype(), tensor.get_shape()) for name, tensor in slices.items()}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged: {error_reason(error)}") from None


def _build_without_memory(config: dict[str, Any], path: Path) -> Judge:
    """Return the network that a judge's `config.json` describes, on torch's meta device."""
    shape, classes, width = config.get("shape"), config.get("classes"), config.get("width")
    has_valid_sizes = _are_integers([classes], 1, MAX_CLASSES) and _are_integers([width], 1, MAX_WIDTH)
    if not (has_valid_sizes and _are_integers(shape, 3, MAX_IMAGE_SIZE)):
        raise UserError(f"{path} describes no judge")
    with torch.device("meta"):
        return Judge(tuple(shape), classes, width)  # type: ignore[arg-type]


def _are_integers(values: object, count: int, maximum: int) -> bool:
    """Return whether a value from a JSON file is a list of `count` integers from 1 to `maximum`."""
    if not (isinstance(values, list) and len(values) == count):
        return False
    return all(isinstance(v, int) and not isinstance(v, bool) and 1 <= v <= maximum for v in values)


def load_shipped_judge() -> Judge:
    """Load the judge of MNIST's digits that is in the package."""
    with as_file(files("dcgan.metrics") / "judge_mnist") as folder:
        return load_judge(folder)


def _model_card(judge: Judge, origin: dict[str, Any]) -> str:
    channels, height, width = judge.image_shape
    return (
        f"# A judge of `{origin['data']}`\n\n"
        f"A small classifier ({height}x{width}, {channels} channel{'s' * (channels > 1)}, {judge.class_count} classes) "
        "whose features and class scores\n`dcgan evaluate` uses. It never trains a generator.\n\n"
        f"It recognizes {origin['accuracy']:.2%} of the {origin['test_pictures']:,} pictures that were held out from "
        f"its training ({origin['train_pictures']:,} pictures),\nmeasured with the half-precision weights that are "
        f"stored here.\n\nMade with seed {origin['seed']} by\n\n```\n{origin['command']}\n```\n"
    )
