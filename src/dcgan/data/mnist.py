"""The real MNIST, from the IDX files in the package. `mnist_idx/README.md` names its origin and license.

No network is used. torchvision's reader needs unpacked files, and importing torchvision costs 1.8 s. torch and NumPy
are imported where the tensors are made, because the command line starts to unpack before they are loaded.
"""

import io
import lzma
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

CLASS_NAMES = tuple("0123456789")
FILE_PREFIXES = {"train": "train", "test": "t10k"}
TRAINING_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")

_unpacking: "dict[str, Future[bytes]]" = {}
"""Files that are being unpacked in the background."""


def read_mnist(split: str) -> tuple["Tensor", "Tensor"]:
    """Return images uint8 (N, 28, 28) and labels uint8 (N,) of the split `train` or `test`."""
    prefix = FILE_PREFIXES[split]
    return _read_tensor(f"{prefix}-images-idx3-ubyte"), _read_tensor(f"{prefix}-labels-idx1-ubyte")


def unpack_in_background(data: str) -> None:
    """Start to unpack what a training on MNIST needs first, if `data` is `mnist` and it has not been started yet.

    lzma works without holding the interpreter, so this runs while torch is being imported and saves half a second.
    """
    if data == "mnist":
        new = [name for name in TRAINING_FILES if name not in _unpacking]
        _unpacking.update({name: _executor().submit(_unpack, name) for name in new})


def _read_tensor(name: str) -> "Tensor":
    import torch

    from dcgan.data.idx import read_idx_array

    content = _unpacking.pop(name).result() if name in _unpacking else _unpack(name)
    return torch.tensor(read_idx_array(io.BytesIO(content), "MNIST"))


def _unpack(name: str) -> bytes:
    return lzma.decompress((files("dcgan.data") / "mnist_idx" / f"{name}.xz").read_bytes())


@lru_cache(maxsize=1)
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1)
