"""The real MNIST, from the IDX files inside the package. Nothing here touches the network.

torchvision's reader takes only unpacked files, and importing it costs 1.8 s; the format is a header of big-endian
numbers before the bytes (`mnist_idx/README.md` names origin and licence).
"""

import numpy as np
import torch
from torch import Tensor

from dcgan.data.mnist_bytes import read_unpacked
from dcgan.errors import UserError

UINT8 = 8
PREFIX = {"train": "train", "test": "t10k"}


def read_mnist(split: str) -> tuple[Tensor, Tensor]:
    """Pictures uint8 (N, 28, 28) and labels uint8 (N,) of the `train` or `test` part."""
    images, labels = (read_unpacked(f"{PREFIX[split]}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1"))
    return parse_idx(images, "MNIST"), parse_idx(labels, "MNIST")


def parse_idx(content: bytes, name: str) -> Tensor:
    """An unpacked IDX file of uint8 -> a tensor of the shape in its header: 0, 0, type, rank, then each size.

    Raises:
        UserError: `content` is no IDX file of bytes, or is shorter or longer than its header says.
    """
    if len(content) < 4 or content[:3] != bytes([0, 0, UINT8]):
        raise UserError(f"{name} is not an IDX file of uint8")
    start = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:start].ljust(start - 4, b"\0"), ">u4").tolist()
    if len(content) - start != int(np.prod(shape, dtype=object)):
        raise UserError(f"{name} is damaged: its header says {shape}, its length does not")
    return torch.frombuffer(bytearray(content[start:]), dtype=torch.uint8).view(shape)
