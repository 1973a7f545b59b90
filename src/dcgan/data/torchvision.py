"""torchvision's sets by name. What lies on the disk is used as it is; else torchvision downloads it."""

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dcgan.cache import cache_folder
from dcgan.errors import UserError
from dcgan.files import printable

Array = npt.NDArray[Any]

_IDX = tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


@dataclass(frozen=True)
class TorchvisionSet:
    """One of torchvision's sets.

    Attributes:
        dataset: the class in `torchvision.datasets`.
        folder: where its files go, below the root that it is given.
        files: which files.
        train: what the class is called with for the training part.
        test: likewise for the test part.
    """

    dataset: str
    folder: str
    files: tuple[str, ...]
    train: Mapping[str, Any] = field(default_factory=lambda: {"train": True})
    test: Mapping[str, Any] = field(default_factory=lambda: {"train": False})


def _emnist(split: str) -> TorchvisionSet:
    return TorchvisionSet(
        "EMNIST", "EMNIST/raw", ("gzip.zip",), *({"split": split, "train": part} for part in (True, False))
    )


TORCHVISION_SETS: dict[str, TorchvisionSet] = {
    "fashion-mnist": TorchvisionSet("FashionMNIST", "FashionMNIST/raw", _IDX),
    "kmnist": TorchvisionSet("KMNIST", "KMNIST/raw", _IDX),
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


def read_torchvision(name: str, part: str) -> tuple[Array, Array, tuple[str, ...]]:
    """Pictures uint8 (N, H, W, C), labels int64 (N,) and class names of the `train` or `test` part.

    The files are looked for in `./data`, where torchvision's own examples put them, and in the cache.

    Raises:
        UserError: they are not there and cannot be downloaded, or scipy is missing (for `svhn`).
    """
    known = TORCHVISION_SETS[name]
    dataset = _open(name, known, getattr(known, part))
    pixels = np.asarray(dataset.data)
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    elif name == "svhn":
        pixels = pixels.transpose(0, 2, 3, 1)
    labels = np.asarray(dataset.labels if name == "svhn" else dataset.targets, np.int64)
    classes = tuple(printable(str(c)) for c in getattr(dataset, "classes", map(str, range(int(labels.max()) + 1))))
    return pixels, labels, classes


def _open(name: str, known: TorchvisionSet, arguments: Mapping[str, Any]) -> Any:
    from torchvision import datasets

    roots = [Path("data"), cache_folder() / "torchvision"]
    kind = getattr(datasets, known.dataset)
    try:
        if name == "svhn":  # before hundreds of megabytes are fetched that cannot be read
            import scipy.io  # noqa: F401
        for root in roots:
            if root.is_dir():
                with contextlib.suppress(RuntimeError):  # "Dataset not found"
                    return kind(str(root), download=False, **arguments)
        # A packed file that lies there already is unpacked, not fetched.
        packed = [root for root in roots if (root / known.folder / known.files[0]).exists()]
        root = packed[0] if packed else roots[-1]
        with contextlib.redirect_stdout(sys.stderr):
            return kind(str(root), download=True, **arguments)
    except ModuleNotFoundError as error:
        raise UserError(f"{name} needs {error.name}: pip install 'dcgan[svhn]'") from None
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        place = roots[-1] / known.folder
        why = printable((str(error).strip() or type(error).__name__).splitlines()[0])[:200]
        raise UserError(
            f"{name} is not here and cannot be downloaded ({why}): put {', '.join(known.files)} into {place}"
        ) from None
