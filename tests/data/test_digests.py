import hashlib

import numpy as np

from dcgan.data.digests import DIGEST_BYTES, digest, digest_images, digest_numbers, stack_digests


def test_digests_of_images_are_those_of_their_bytes():
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6)).astype(np.uint8)
    transposed = images.transpose(0, 2, 3, 1)  # not contiguous
    for array in (images, transposed):
        expected = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in array]
        assert [row.tobytes() for row in digest_images(array)] == expected
    assert digest_images(images[:0]).shape == (0, DIGEST_BYTES)


def test_the_numbers_have_the_order_of_the_digests():
    digests = stack_digests(digest(bytes([i])) for i in range(50))
    by_number = np.argsort(digest_numbers(digests))
    assert [digests[row].tobytes() for row in by_number] == sorted(row.tobytes() for row in digests)
