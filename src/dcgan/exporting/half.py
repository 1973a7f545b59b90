"""ONNX in half precision: the weights and most operations of an exported generator become float16.

The file has half the size. Inputs and output stay float32.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dcgan.errors import UserError

LEVELS = 127.5
"""Levels of 8 bits in a distance of 1 between values in [-1, 1]."""
MAX_LEVELS, MAX_RMS_LEVELS = 8.0, 0.5
"""How far pictures may be from those of the float32 file, in levels of 255: the largest error, and the RMS.

The largest errors of the shipped models are 0.6 to 1.9.
"""
FLOAT32_OPERATIONS = ("Softmax",)
"""Operations that stay float32, with all that leads to them: small differences decide which group a latent chooses."""

Feed = dict[str, npt.NDArray[Any]]


def convert_to_half(path: Path, feeds: Sequence[Feed]) -> float:
    """Replace an ONNX file by one of half precision, and compare both with ONNX Runtime.

    Args:
        path: of a file in float32.
        feeds: inputs to draw with, of several batch sizes.

    Returns:
        The largest difference between the pictures of both files, whose values are in [-1, 1].

    Raises:
        UserError: they differ by more than `MAX_LEVELS` and `MAX_RMS_LEVELS` allow. The file cannot be used then.
    """
    import onnx  # an extra, which may be missing
    from onnxruntime.transformers.float16 import convert_float_to_float16

    expected = [_draw(path, feed) for feed in feeds]
    model = onnx.load(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of weights below float16's smallest number, which become that
        half = convert_float_to_float16(model, keep_io_types=True, node_block_list=_float32_nodes(model.graph))
    _remove_needless_casts(half.graph)
    onnx.save(half, path)
    differences = np.concatenate([(_draw(path, feed) - e).ravel() for feed, e in zip(feeds, expected, strict=True)])
    largest, rms = float(np.abs(differences).max()), float(np.sqrt(np.square(differences, dtype=np.float64).mean()))
    if not (largest * LEVELS <= MAX_LEVELS and rms * LEVELS <= MAX_RMS_LEVELS):  # also where a value is not finite
        raise UserError(
            f"in half precision the pictures differ by up to {largest * LEVELS:.1f} of 255 levels ({rms * LEVELS:.2f} "
            f"RMS), more than {MAX_LEVELS:.0f} ({MAX_RMS_LEVELS}): nothing was written, export without --half"
        )
    return largest


def _draw(path: Path, feed: Feed) -> npt.NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images: npt.NDArray[np.float32] = session.run(None, feed)[0]
    return images


def _float32_nodes(graph: Any) -> list[str]:
    """Return the names of the nodes that stay float32."""
    makers = {output: node for node in graph.node for output in node.output}
    open_nodes = [node for node in graph.node if node.op_type in FLOAT32_OPERATIONS]
    names: set[str] = set()
    while open_nodes:
        node = open_nodes.pop()
        if node.name not in names:
            names.add(node.name)
            open_nodes += [makers[name] for name in node.input if name in makers]
    return sorted(names)


def _remove_needless_casts(graph: Any) -> None:
    """Let nodes that stay float32 read what was float32 before it was rounded to float16 and converted back."""
    import onnx

    makers = {output: node for node in graph.node for output in node.output}

    def unrounded(name: str) -> str:
        back = makers.get(name)
        if back is None or not _is_cast(back, onnx.TensorProto.FLOAT):
            return name
        rounding = makers.get(back.input[0])
        is_rounded = rounding is not None and _is_cast(rounding, onnx.TensorProto.FLOAT16)
        return str(rounding.input[0]) if rounding is not None and is_rounded else name

    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = unrounded(name)


def _is_cast(node: Any, wanted: int) -> bool:
    return node.op_type == "Cast" and any(a.name == "to" and a.i == wanted for a in node.attribute)
