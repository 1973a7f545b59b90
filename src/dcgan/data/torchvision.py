"""torchvision's image sets by name. Files that are on the disk are used; other files are downloaded by torchvision."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dcgan.cache import cache_folder
from dcgan.data.rules import CURRENT_RULES, RULES_WITHOUT_UPRIGHT
from dcgan.errors import UserError
from dcgan.files import error_reason, printable
from dcgan.system.console import standard_error
from dcgan.system.install import install_command

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class TorchvisionSet:
    """One of torchvision's image sets.

    Attributes:
        class_name: name of the class in `torchvision.datasets`.
        folder: folder of its files, below the root that the class is given.
        file_names: names of its files.
        train_arguments: arguments of the class for the training split.
        test_arguments: arguments of the class for the test split.
    """

    class_name: str
    folder: str
    file_names: tuple[str, ...]
    train_arguments: Mapping[str, Any] = field(default_factory=lambda: {"train": True})
    test_arguments: Mapping[str, Any] = field(default_factory=lambda: {"train": False})


_IDX_FILES = tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


def _emnist(split: str) -> TorchvisionSet:
    train, test = ({"split": split, "train": is_train} for is_train in (True, False))
    return TorchvisionSet("EMNIST", "EMNIST/raw", ("gzip.zip",), train, test)


TORCHVISION_SETS: dict[str, TorchvisionSet] = {
    "fashion-mnist": TorchvisionSet("FashionMNIST", "FashionMNIST/raw", _IDX_FILES),
    "kmnist": TorchvisionSet("KMNIST", "KMNIST/raw", _IDX_FILES),
    "emnist": _emnist("balanced"),
    "emnist-letters": _emnist("letters"),
    "emnist-digits": _emnist("digits"),
    "emnist-byclass": _emnist("byclass"),
    "emnist-bymerge": _emnist("bymerge"),
    "usps": TorchvisionSet("USPS", "", ("usps.bz2", "usps.t.bz2")),
    "cifar10": TorchvisionSet("CIFAR10", "", ("cifar-10-python.tar.gz",)),
    "cifar100": TorchvisionSet("CIFAR100", "", ("cifar-100-python.tar.gz",)),
    "svhn": TorchvisionSet("SVHN", "", ("train_32x32.mat", "test_32x32.mat"), {"split": "train"}, {"split": "test"}),
}
"""The sets that are known by name."""


def read_torchvision(name: str, split: str, rules: int = CURRENT_RULES) -> tuple[Array, Array, tuple[str, ...]]:
    """Return images uint8 (N, H, W, C), labels int64 (N,) and class names of the split `train` or `test`.

    The files are searched in `./data`, where torchvision's examples put them, and in the cache.

    Args:
        name: one of `TORCHVISION_SETS`.
        split: `train` or `test`.
        rules: see `rules`.

    Raises:
        UserError: the files are on neither path and cannot be downloaded, or scipy is missing (for `svhn`).
    """
    entry = TORCHVISION_SETS[name]
    dataset = _open_dataset(name, entry, entry.test_arguments if split == "test" else entry.train_arguments)
    pixels = np.asarray(dataset.data)
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    elif name == "svhn":
        pixels = pixels.transpose(0, 2, 3, 1)
    if entry.class_name == "EMNIST" and rules > RULES_WITHOUT_UPRIGHT:
        pixels = pixels.swapaxes(1, 2)  # torchvision gives them as they are stored (pytorch/vision#8783)
    labels = np.asarray(dataset.labels if name == "svhn" else dataset.targets, np.int64)
    classes = tuple(printable(str(c)) for c in getattr(dataset, "classes", map(str, range(int(labels.max()) + 1))))
    return pixels, labels, classes


def _open_dataset(name: str, entry: TorchvisionSet, arguments: Mapping[str, Any]) -> Any:
    from torchvision import datasets  # imported here because it takes 1.8 s, and few trainings need it

    roots = [Path("data"), cache_folder() / "torchvision"]
    dataset_class = getattr(datasets, entry.class_name)
    try:
        if name == "svhn":  # without scipy it could not be read after hundreds of megabytes were downloaded
            import scipy.io  # noqa: F401
        for root in roots:
            if root.is_dir():
                with contextlib.suppress(RuntimeError):  # "Dataset not found"
                    return dataset_class(str(root), download=False, **arguments)
        # torchvision unpacks a packed file that is there already and does not download it.
        packed = [root for root in roots if (root / entry.folder / entry.file_names[0]).exists()]
        root = packed[0] if packed else roots[-1]
        with contextlib.redirect_stdout(standard_error()):
            return dataset_class(str(root), download=True, **arguments)
    except ModuleNotFoundError as error:
        raise UserError(f"{name} needs {error.name}: {install_command('svhn')}") from None
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        folder = roots[-1] / entry.folder
        reason = error_reason(error)
        raise UserError(
            f"{name} is not on the disk and cannot be downloaded ({reason}): put {', '.join(entry.file_names)} "
            f"into {folder}"
        ) from None
