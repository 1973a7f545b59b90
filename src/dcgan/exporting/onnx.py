"""A trained generator -> ONNX, checked against PyTorch before it is called done; or the Hub's layout, pushed there."""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dcgan.errors import UserError
from dcgan.files import atomic_file, printable
from dcgan.sampling import latents
from dcgan.sampling.model import Model

TOLERANCE = 1e-5
"""How far a value in [-1, 1] may lie from PyTorch's."""
OPSET = 18
"""Of ONNX: known to every runtime since 2023."""
BATCHES = 1, 3, 64
"""How many pictures are compared: the batch that is traced has two, so each shows that the size is free."""
EXTRA = ("onnx", "onnxruntime")


class Uint8Generator(nn.Module):
    """A generator whose pictures are uint8 with three channels, (N, 3, H, W): what torch-fidelity takes.

    Gray is repeated, RGBA is seen on white.
    """

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, *inputs: Tensor) -> Tensor:
        """Latents (N, z_dim), and labels (N,) -> (N, 3, H, W)."""
        return levels(self.generator(*inputs)).round().clamp(0, 255).to(torch.uint8)


def levels(images: Tensor) -> Tensor:
    """Pictures (N, C, H, W) in [-1, 1] -> (N, 3, H, W) in 0..255, not rounded."""
    pixels = (images + 1) * 127.5
    if pixels.shape[1] == 4:
        opacity = pixels[:, 3:] / 255
        pixels = pixels[:, :3] * opacity + 255 * (1 - opacity)
    return pixels.expand(-1, 3, -1, -1)


def export_onnx(model: Model, out: Path, *, for_torch_fidelity: bool = False) -> float:
    """Write a generator as ONNX and run it beside PyTorch; the file is there only if both agree.

    The inputs are `z` (N, z_dim) and, with classes, `label` int64 (N,); the output is `images`, float32 (N, C, H, W)
    in [-1, 1], or uint8 (N, 3, H, W).

    Returns:
        The largest difference that was seen, of values in [-1, 1].

    Raises:
        UserError: the extra `export` is not installed, `out` cannot be written, or the two differ.
    """
    check_export_extra()
    network = Uint8Generator(model.generator).eval() if for_torch_fidelity else model.generator
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(out) as aside:
            _trace(network, _inputs(model, 2), aside)
            difference = max(_difference(model, aside, n) for n in BATCHES)
            if not difference <= TOLERANCE:
                raise UserError(
                    f"the ONNX of {printable(model.source)} differs from PyTorch by {difference:.1e}, more than "
                    f"{TOLERANCE:.0e}: nothing was written"
                )
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from None
    return difference


def check_export_extra() -> None:
    """Refuse where the packages are missing that only an export needs."""
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise UserError(f"an export needs {' and '.join(missing)}: pip install 'dcgan[export]'")


def _inputs(model: Model, n: int) -> tuple[Tensor, ...]:
    z, labels = latents.draw_latents(0, n, model.generator.z_dim), model.labels(n)
    return (z,) if labels is None else (z, labels)


def _trace(network: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    """By torch's first exporter: the second one needs another package and fixes the batch of some networks."""
    names = ["z", "label"][: len(inputs)]
    torch.onnx.register_custom_op_symbolic("aten::vdot", _vdot, OPSET)  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is the first one; that sizes are traced, which `_difference` checks
        torch.onnx.export(
            network,
            inputs,
            str(path),
            input_names=names,
            output_names=["images"],
            dynamic_axes={name: {0: "n"} for name in [*names, "images"]},
            opset_version=OPSET,
            dynamo=False,
        )


def _vdot(graph: Any, a: Any, b: Any) -> Any:
    """What the exporter has no words for in spectral normalisation: σ = u · W v."""
    return graph.op("ReduceSum", graph.op("Mul", a, b), keepdims_i=0)


@torch.no_grad()
def _difference(model: Model, path: Path, n: int) -> float:
    """How far ONNX Runtime's values lie from PyTorch's; of uint8, how far beyond what rounding explains."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = _inputs(model, n)
    feed = {node.name: t.numpy() for node, t in zip(session.get_inputs(), inputs, strict=True)}
    found: npt.NDArray[np.generic] = session.run(None, feed)[0]
    expected = model.generator(*inputs)
    if found.dtype == np.uint8:
        apart = (torch.from_numpy(found).double() - levels(expected).double()).abs()
        return float((apart.max() - 0.5).clamp_min(0)) / 127.5
    return float((torch.from_numpy(found) - expected).abs().max())
