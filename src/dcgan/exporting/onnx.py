"""A trained generator as ONNX, which is compared with PyTorch before the file gets its name."""

import copy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dcgan.errors import UserError
from dcgan.exporting.half import Feed, convert_to_half
from dcgan.exporting.rounding import ROUNDING_FACTOR, ROUNDING_FLOOR, RoundingError, measure_error
from dcgan.files import atomic_file, printable, write_reason
from dcgan.images import composite_on_white
from dcgan.sampling import latents
from dcgan.sampling.model import Model
from dcgan.system.install import check_installed
from dcgan.system.torch_settings import isolate_torch_settings

OPSET_VERSION = 18
"""Version of ONNX's operators: every runtime since 2023 knows it."""
INPUT_NAMES = ("z", "label")
TRACED_BATCH_SIZE = 2
COMPARED_BATCH_SIZES = 1, 3, 64
"""They all differ from the batch size that is traced, so that the comparison shows that any size works."""
EXTRA_PACKAGES = ("onnx", "onnxruntime")
"""What the extra `export` installs."""


class Uint8Generator(nn.Module):
    """A generator whose images are uint8 with three channels, (N, 3, H, W): the format that torch-fidelity reads.

    Gray is repeated for the three channels, and RGBA is composited on white.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the images (N, 3, H, W) of latents (N, z_dim) and, if there are classes, labels (N,)."""
        return to_rgb_levels(self.generator(*inputs)).round().clamp(0, 255).to(torch.uint8)


def to_rgb_levels(images: Tensor) -> Tensor:
    """Return images (N, C, H, W) in [-1, 1] as floats (N, 3, H, W) in 0 to 255, which are not rounded."""
    pixels = (images + 1) * 127.5
    if pixels.shape[1] == 4:
        pixels = composite_on_white(pixels[:, :3], pixels[:, 3:])
    return pixels.expand(-1, 3, -1, -1)


@isolate_torch_settings()
def export_onnx(model: Model, out: Path, *, for_torch_fidelity: bool = False, half: bool = False) -> float:
    """Write a generator as ONNX and compare it with PyTorch; the file is written only if both agree.

    Both are compared with the same network in float64. ONNX Runtime's error may be as large as rounding makes PyTorch's
    own float32 result, see `dcgan.exporting.rounding`.

    The inputs are `z` (N, z_dim) and, with classes, `label` int64 (N,). The output is `images`, float32 (N, C, H, W)
    in [-1, 1], or uint8 (N, 3, H, W) for torch-fidelity.

    Args:
        model: the generator.
        out: the file.
        for_torch_fidelity: write uint8 images.
        half: convert the file that was compared to half precision, see `dcgan.exporting.half`.

    Returns:
        The largest difference between ONNX Runtime's values, which are in [-1, 1], and those of PyTorch in float64; in
        half precision, those of ONNX Runtime in float32.

    Raises:
        UserError: the extra `export` is not installed, `out` cannot be written, or the two differ.
    """
    check_export_extra()
    network = Uint8Generator(model.generator).eval() if for_torch_fidelity else model.generator
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(out) as temporary:
            _write_onnx(network, _example_inputs(model, TRACED_BATCH_SIZE), temporary)
            onnx_error, float32_error = _measure_errors(model, temporary)
            if not onnx_error.is_allowed(float32_error):
                raise UserError(
                    f"the ONNX of {printable(model.source)} differs from PyTorch in float64 by {onnx_error}, PyTorch "
                    f"in float32 by {float32_error}: rounding explains at most {ROUNDING_FACTOR:.0f} times that and "
                    f"{ROUNDING_FLOOR:.0e}: nothing was written"
                )
            if half:
                return convert_to_half(temporary, [_feed(model, n) for n in COMPARED_BATCH_SIZES])
    except OSError as error:
        raise UserError(f"cannot write {out}: {write_reason(error)}") from None
    return onnx_error.largest


def check_export_extra() -> None:
    """Check that the packages are installed that only an export needs.

    Raises:
        UserError: some are missing.
    """
    check_installed("an export", EXTRA_PACKAGES, "export")


def _example_inputs(model: Model, n: int) -> tuple[Tensor, ...]:
    z, labels = latents.draw_latents(0, n, model.generator.z_dim), model.labels(n)
    return (z,) if labels is None else (z, labels)


def _feed(model: Model, n: int) -> Feed:
    """Return the example inputs by their names in the file."""
    return {name: tensor.numpy() for name, tensor in zip(INPUT_NAMES, _example_inputs(model, n), strict=False)}


def _write_onnx(network: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    """Write the network with torch's older exporter.

    The newer one needs one more package, and fixes the batch size of some networks.
    """
    names = list(INPUT_NAMES[: len(inputs)])
    torch.onnx.register_custom_op_symbolic("aten::vdot", _vdot_symbolic, OPSET_VERSION)  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        # It warns that it is the older one, and that traced sizes may be fixed; `_measure_errors` checks the latter.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            inputs,
            str(path),
            input_names=names,
            output_names=["images"],
            dynamic_axes={name: {0: "n"} for name in [*names, "images"]},
            opset_version=OPSET_VERSION,
            dynamo=False,
        )


def _vdot_symbolic(graph: Any, a: Any, b: Any) -> Any:
    """Return the dot product as ONNX: the exporter lacks it, and spectral normalization needs it for σ = u · W v."""
    return graph.op("ReduceSum", graph.op("Mul", a, b), keepdims_i=0)


@torch.no_grad()
def _measure_errors(model: Model, path: Path) -> tuple[RoundingError, RoundingError]:
    """Return the errors of ONNX Runtime and of PyTorch in float32, both against PyTorch in float64.

    They are measured over the images of all batch sizes together, in units of values in [-1, 1]. For uint8 images it is
    the part of ONNX Runtime's error that rounding to 8 bits does not explain.
    """
    import onnxruntime  # an extra, which may be missing

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    precise_generator = copy.deepcopy(model.generator).double()
    differences, float32_differences = [], []
    for n in COMPARED_BATCH_SIZES:
        inputs = _example_inputs(model, n)
        images: npt.NDArray[np.generic] = session.run(None, _feed(model, n))[0]
        expected = precise_generator(*(t.double() if t.is_floating_point() else t for t in inputs))
        differences.append(_differences(torch.from_numpy(images), expected).flatten())
        float32_differences.append((model.generator(*inputs).double() - expected).flatten())
    return measure_error(torch.cat(differences)), measure_error(torch.cat(float32_differences))


def _differences(images: Tensor, expected: Tensor) -> Tensor:
    """Return how far images are from those expected, float64 (N, C, H, W) in [-1, 1]."""
    if images.dtype != torch.uint8:
        return images.double() - expected
    beyond_rounding = (images.double() - to_rgb_levels(expected)).abs() - 0.5
    return beyond_rounding.clamp_min(0) / 127.5
