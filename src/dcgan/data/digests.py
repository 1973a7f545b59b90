"""Digests of images: equal images have equal digests. They decide which images are held out and find duplicates."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

DIGEST_BYTES = 16

Digests = npt.NDArray[np.uint8]
"""uint8 (N, DIGEST_BYTES)."""


def digest(content: bytes | memoryview) -> bytes:
    """Return the digest of one file's bytes or of one image's pixels."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def digest_images(pixels: npt.NDArray[Any]) -> Digests:
    """Return the digests of the pixels of N images, uint8 (N, DIGEST_BYTES)."""
    return stack_digests(digest(np.ascontiguousarray(image).data) for image in pixels)


def stack_digests(digests: Iterable[bytes]) -> Digests:
    """Return N digests as one array, uint8 (N, DIGEST_BYTES)."""
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, DIGEST_BYTES)


def digest_numbers(digests: Digests) -> npt.NDArray[np.uint64]:
    """Return the first eight bytes of each digest as a number, uint64 (N,)."""
    first_bytes = np.ascontiguousarray(digests[:, :8])
    return first_bytes.view(">u8").ravel().astype(np.uint64)
