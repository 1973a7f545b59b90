"""What each layer of a network does to a picture: its shape, its size formula, its parameters and its work."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dcgan.models.upsample import UpsampleConv

TensorShape = tuple[int, ...]
"""A shape without the batch."""


@dataclass(frozen=True)
class LayerSummary:
    """One layer's row.

    Attributes:
        name: path of the layer inside the network.
        kind: its class.
        output: shape of its output without the batch.
        formula: the size formula with this layer's numbers; empty if the layer does not change the size.
        parameters: number of learned numbers.
        multiply_adds: number of multiplications for one picture, each with its addition.
    """

    name: str
    kind: str
    output: TensorShape
    formula: str
    parameters: int
    multiply_adds: int


def summarize(network: nn.Module, input_shape: TensorShape, *, has_labels: bool = False) -> list[LayerSummary]:
    """Send zeros of `input_shape` (without the batch) through a network, and return a row for each layer they pass.

    Args:
        network: a generator or a discriminator.
        input_shape: of a latent or of a picture.
        has_labels: whether the network is also given a class or a group.
    """
    rows: list[LayerSummary] = []
    leaves = [(name, layer) for name, layer in network.named_modules() if _is_leaf(name, layer)]
    hooks = [layer.register_forward_hook(_recording_hook(name, rows)) for name, layer in leaves]
    was_training, device = network.training, next(network.parameters()).device
    network.eval()
    # A generator with groups takes a group in training mode. Only the network itself has to be in that mode.
    network.training = has_labels
    labels = [torch.zeros(1, dtype=torch.long, device=device)] if has_labels else []
    with torch.no_grad():
        network(torch.zeros(1, *input_shape, device=device), *labels)
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return rows


def format_summary(title: str, input_shape: TensorShape, rows: list[LayerSummary]) -> str:
    """Return the rows as a table of aligned text, with the totals at the end."""
    head = ["layer", "kind", "output", "parameters", "multiply-adds", "size"]
    body = [
        [row.name, row.kind, _format_shape(row.output), f"{row.parameters:,}", f"{row.multiply_adds:,}", row.formula]
        for row in rows
    ]
    parameters, multiply_adds = _totals(rows)
    totals = ["", "", "", f"{parameters:,}", f"{multiply_adds:,}", ""]
    cells = [head, ["", "input", _format_shape(input_shape), "", "", ""], *body, totals]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join([title, *(_align(row, widths) for row in cells)])


def summary_to_json(input_shape: TensorShape, rows: list[LayerSummary]) -> dict[str, Any]:
    """Return the rows and the totals as JSON types."""
    parameters, multiply_adds = _totals(rows)
    return {
        "input": list(input_shape),
        "layers": [asdict(row) for row in rows],
        "parameters": parameters,
        "multiply_adds": multiply_adds,
    }


def _totals(rows: list[LayerSummary]) -> tuple[int, int]:
    return sum(row.parameters for row in rows), sum(row.multiply_adds for row in rows)


def _is_leaf(name: str, layer: nn.Module) -> bool:
    """Return whether a layer has no layers inside. A module in which spectral normalization stores a weight is none."""
    children = [child for child, _ in layer.named_children() if child != "parametrizations"]
    return not children and "parametrizations" not in name and not isinstance(layer, nn.Identity)


def _recording_hook(name: str, rows: list[LayerSummary]) -> Any:
    def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        parameters = sum(p.numel() for p in layer.parameters())
        shapes = (tuple(inputs[0].shape[1:]), tuple(output.shape[1:]))
        kind = type(layer).__name__.removeprefix("Parametrized")
        multiply_adds = _count_multiply_adds(layer, *shapes)
        rows.append(LayerSummary(name, kind, shapes[1], _size_formula(layer, *shapes), parameters, multiply_adds))

    return record


def _size_formula(layer: nn.Module, input_shape: TensorShape, output_shape: TensorShape) -> str:
    sides = list(enumerate(zip(input_shape[1:], output_shape[1:], strict=False)))
    if isinstance(layer, nn.ConvTranspose2d):
        formulas = [_conv_transpose_formula(layer, *sizes, axis) for axis, sizes in sides]
    elif isinstance(layer, nn.Conv2d | nn.AvgPool2d):  # pooling moves over a picture as a convolution does
        formulas = [_conv_formula(layer, *sizes, axis) for axis, sizes in sides]
    elif isinstance(layer, nn.Upsample | UpsampleConv):
        formulas = [f"{h} * {out // h} = {out}" for _, (h, out) in sides]
    else:
        return ""
    return formulas[0] if formulas[0] == formulas[1] else ", ".join(formulas)


def _conv_transpose_formula(layer: nn.ConvTranspose2d, h: int, out: int, axis: int) -> str:
    k, s, p, d = (int(v[axis]) for v in (layer.kernel_size, layer.stride, layer.padding, layer.dilation))
    return f"({h} - 1)*{s} - 2*{p} + {d}*({k} - 1) + {layer.output_padding[axis]} + 1 = {out}"


def _conv_formula(layer: nn.Conv2d | nn.AvgPool2d, h: int, out: int, axis: int) -> str:
    values = (layer.kernel_size, layer.stride, layer.padding, getattr(layer, "dilation", 1))
    k, s, p, d = (int(v[axis] if isinstance(v, tuple) else v) for v in values)
    return f"floor(({h} + 2*{p} - {d}*({k} - 1) - 1)/{s}) + 1 = {out}"


def _count_multiply_adds(layer: nn.Module, input_shape: TensorShape, output_shape: TensorShape) -> int:
    if isinstance(layer, nn.ConvTranspose2d):  # every input pixel is multiplied by the whole kernel
        return layer.weight.numel() * input_shape[1] * input_shape[2]
    if isinstance(layer, UpsampleConv):  # computed as a transposed convolution of kernel 4
        return layer.kernel().numel() * input_shape[1] * input_shape[2]
    if isinstance(layer, nn.Conv2d):  # every output pixel is a sum over the kernel, without the maps of `LabelConv2d`
        return input_shape[0] * layer.weight[:, 0].numel() * output_shape[1] * output_shape[2]
    return layer.weight.numel() if isinstance(layer, nn.Linear) else 0


def _align(row: list[str], widths: list[int]) -> str:
    texts, numbers, formula = row[:3], row[3:5], row[5]
    cells = [text.ljust(width) for text, width in zip(texts, widths[:3], strict=True)]
    cells += [number.rjust(width) for number, width in zip(numbers, widths[3:5], strict=True)]
    return "  ".join([*cells, formula]).rstrip()


def _format_shape(shape: TensorShape) -> str:
    return " x ".join(map(str, shape))
