"""MNIST's bytes out of the package's .xz files, if need be ahead of time: lzma needs no interpreter while it works."""

import lzma
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from importlib.resources import files

TRAINING_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
_begun: dict[str, "Future[bytes]"] = {}


@lru_cache(maxsize=1)
def _worker() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1)


def unpack_in_background(spec: str) -> None:
    """Unpack what a training needs first, in a thread, while torch is still being imported: half a second less."""
    if spec == "mnist":
        _begun.update({name: _worker().submit(_unpack, name) for name in TRAINING_FILES})


def read_unpacked(name: str) -> bytes:
    """An unpacked IDX file."""
    return _begun.pop(name).result() if name in _begun else _unpack(name)


def _unpack(name: str) -> bytes:
    return lzma.decompress((files("dcgan.data") / "mnist_idx" / f"{name}.xz").read_bytes())
