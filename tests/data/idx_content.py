import struct

import numpy as np


def to_idx_bytes(array: np.ndarray) -> bytes:
    """Return the content of an IDX file of uint8."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
