"""What a network does to a picture, layer by layer, with the size formula filled in."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One layer's row.

    Attributes:
        name: the path to the layer inside the network.
        kind: its class.
        output: shape without the batch.
        formula: the size formula with this layer's numbers, or empty where the layer keeps the size.
        parameters: learned numbers.
        multiply_adds: multiplications (each with its addition) for one picture.
    """

    name: str
    kind: str
    output: Shape
    formula: str
    parameters: int
    multiply_adds: int


def summarize(network: nn.Module, input_shape: Shape, *, labelled: bool = False) -> list[Layer]:
    """Send one made-up picture or latent of `input_shape` (no batch) through `network`, a row for each leaf layer.

    With `labelled`, the network is told a class as well, or a group.
    """
    rows: list[Layer] = []
    leaves = [(name, layer) for name, layer in network.named_modules() if _is_leaf(name, layer)]
    hooks = [layer.register_forward_hook(_recorder(name, rows)) for name, layer in leaves]
    was_training, device = network.training, next(network.parameters()).device
    network.eval()
    network.training = labelled  # itself, not what is in it: one with groups is told a group, as while it trains
    given = [torch.zeros(1, dtype=torch.long, device=device)] if labelled else []
    with torch.no_grad():
        network(torch.zeros(1, *input_shape, device=device), *given)
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return rows


def _is_leaf(name: str, layer: nn.Module) -> bool:
    """A layer without layers of its own; a spectrally normalised one keeps its weight in something like a layer."""
    inside = [child for child, _ in layer.named_children() if child != "parametrizations"]
    return not inside and "parametrizations" not in name and not isinstance(layer, nn.Identity)


def _recorder(name: str, rows: list[Layer]) -> Any:
    def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        parameters = sum(p.numel() for p in layer.parameters())
        size = (tuple(inputs[0].shape[1:]), tuple(output.shape[1:]))
        kind = type(layer).__name__.removeprefix("Parametrized")
        rows.append(Layer(name, kind, size[1], _formula(layer, *size), parameters, _work(layer, *size)))

    return record


def _formula(layer: nn.Module, source: Shape, output: Shape) -> str:
    sides = list(enumerate(zip(source[1:], output[1:], strict=False)))
    if isinstance(layer, nn.ConvTranspose2d):
        parts = [_transposed(layer, *sizes, axis) for axis, sizes in sides]
    elif isinstance(layer, nn.Conv2d | nn.AvgPool2d):
        parts = [_convolved(layer, *sizes, axis) for axis, sizes in sides]
    elif isinstance(layer, nn.Upsample):
        parts = [f"{h} * {out // h} = {out}" for _, (h, out) in sides]
    else:
        return ""
    return parts[0] if parts[0] == parts[1] else ", ".join(parts)


def _transposed(layer: nn.ConvTranspose2d, h: int, out: int, axis: int) -> str:
    k, s, p, d = (int(v[axis]) for v in (layer.kernel_size, layer.stride, layer.padding, layer.dilation))
    return f"({h} - 1)*{s} - 2*{p} + {d}*({k} - 1) + {layer.output_padding[axis]} + 1 = {out}"


def _convolved(layer: nn.Conv2d | nn.AvgPool2d, h: int, out: int, axis: int) -> str:
    """Pooling moves over a picture as a convolution does."""
    values = (layer.kernel_size, layer.stride, layer.padding, getattr(layer, "dilation", 1))
    k, s, p, d = (int(v[axis] if isinstance(v, tuple) else v) for v in values)
    return f"floor(({h} + 2*{p} - {d}*({k} - 1) - 1)/{s}) + 1 = {out}"


def _work(layer: nn.Module, source: Shape, output: Shape) -> int:
    if isinstance(layer, nn.ConvTranspose2d):  # every input pixel is spread by the whole kernel
        return layer.weight.numel() * source[1] * source[2]
    if isinstance(layer, nn.Conv2d):  # every output pixel is a sum over the whole kernel, but for maps never built
        return source[0] * layer.weight[:, 0].numel() * output[1] * output[2]
    return layer.weight.numel() if isinstance(layer, nn.Linear) else 0


def as_table(title: str, input_shape: Shape, rows: list[Layer]) -> str:
    """The rows as aligned text, with the sums below."""
    head = ["layer", "kind", "output", "parameters", "multiply-adds", "size"]
    body = [[r.name, r.kind, _x(r.output), f"{r.parameters:,}", f"{r.multiply_adds:,}", r.formula] for r in rows]
    total = ["", "", "", f"{sum(r.parameters for r in rows):,}", f"{sum(r.multiply_adds for r in rows):,}", ""]
    cells = [head, ["", "input", _x(input_shape), "", "", ""], *body, total]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    return "\n".join([title, *(_aligned(row, widths) for row in cells)])


def _aligned(row: list[str], widths: list[int]) -> str:
    left, numbers, formula = row[:3], row[3:5], row[5]
    cells = [c.ljust(w) for c, w in zip(left, widths[:3], strict=True)]
    cells += [c.rjust(w) for c, w in zip(numbers, widths[3:5], strict=True)]
    return "  ".join([*cells, formula]).rstrip()


def as_json(input_shape: Shape, rows: list[Layer]) -> dict[str, Any]:
    """The rows as JSON's own types."""
    return {
        "input": list(input_shape),
        "layers": [asdict(row) for row in rows],
        "parameters": sum(row.parameters for row in rows),
        "multiply_adds": sum(row.multiply_adds for row in rows),
    }


def _x(shape: Shape) -> str:
    return " x ".join(map(str, shape))
