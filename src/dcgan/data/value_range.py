"""Which values of images of more than 8 bits are black and white: one range for all images of a set."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dcgan.errors import UserError

ValueRange = tuple[float, float]
"""The values that become 0 and 255."""
ValueKind = Literal["16-bit", "16-bit color", "32-bit", "float"]
"""`16-bit color` images are of 16 bits in the file, but Pillow reads only the upper 8 of them."""
FULL_16_BIT_RANGE: ValueRange = (0.0, 65_535.0)
COMMON_BIT_DEPTHS = (8, 10, 12, 14)
"""Depths of cameras and scanners whose values are often stored in 16 bits."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Extrema:
    """The kind of an image of more than 8 bits, and its smallest and largest value."""

    kind: ValueKind
    low: float
    high: float


@dataclass
class SetExtrema:
    """The smallest and the largest value of all images of each kind in a set."""

    of_kind: dict[ValueKind, ValueRange] = field(default_factory=dict)

    def add(self, extrema: Extrema) -> None:
        """Include one image."""
        low, high = self.of_kind.get(extrema.kind, (math.inf, -math.inf))
        self.of_kind[extrema.kind] = min(low, extrema.low), max(high, extrema.high)


def find_value_range(extrema: SetExtrema, set_name: str) -> tuple[ValueRange | None, str]:
    """Return the range of a set's values, and a line that says how it was guessed; an empty line if it was not.

    Without images of more than 8 bits there is no range.

    Raises:
        UserError: no range suits all images.
    """
    kinds = extrema.of_kind
    if not kinds:
        return None, ""
    has_16_bits = any(kind.startswith("16-bit") for kind in kinds)
    if has_16_bits and len(kinds) > sum(kind.startswith("16-bit") for kind in kinds):
        raise UserError(
            f"{set_name} holds {_list_kinds(kinds)} pictures, which have no range in common: keep one kind, or give "
            "--value-range LOW HIGH"
        )
    return _range_of_16_bits(kinds, set_name) if has_16_bits else _range_of_32_bits(kinds, set_name)


def _range_of_16_bits(kinds: dict[ValueKind, ValueRange], set_name: str) -> tuple[ValueRange, str]:
    largest = max(high for _, high in kinds.values())
    depth = next((depth for depth in COMMON_BIT_DEPTHS if largest < 2**depth), None)
    if depth is None:
        return FULL_16_BIT_RANGE, ""
    high = 2.0**depth - 1
    if "16-bit color" in kinds:
        raise UserError(
            f"{set_name} holds 16-bit color pictures without a value above {high:.0f}, of which only the upper 8 bits "
            "can be read: save them with 8 bits"
        )
    return (0.0, high), (
        f"no value of the 16-bit pictures is above {largest:.0f}, so 0 to {high:.0f} ({depth} bits) are black to "
        "white; --value-range LOW HIGH decides instead"
    )


def _range_of_32_bits(kinds: dict[ValueKind, ValueRange], set_name: str) -> tuple[ValueRange, str]:
    low, high = min(low for low, _ in kinds.values()), max(high for _, high in kinds.values())
    if low == high:
        raise UserError(
            f"{set_name}: every value of its {_list_kinds(kinds)} pictures is {low:g}, from which no range follows: "
            "give --value-range LOW HIGH"
        )
    return (low, high), (
        f"the smallest and the largest value of all {_list_kinds(kinds)} pictures, {low:g} and {high:g}, are black "
        "and white; --value-range LOW HIGH decides instead"
    )


def _list_kinds(kinds: dict[ValueKind, ValueRange]) -> str:
    return " and ".join(sorted(kinds))


def scale_to_8_bits(values: Array, value_range: ValueRange) -> npt.NDArray[np.uint8]:
    """Return values of any type as uint8: those of the range become 0 to 255, and those outside it 0 or 255.

    Raises:
        ValueError: a value is not a finite number.
    """
    low, high = value_range
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError("it has values that are not finite numbers")
    scaled: Array = ((values.astype(np.float64) - low) * (255 / (high - low))).clip(0, 255)
    return np.rint(scaled, out=scaled).astype(np.uint8)


def value_range_of(trained: Mapping[str, Any]) -> ValueRange | None:
    """Return the range of values that a saved model was trained with; None if it has none."""
    values = trained.get("value_range")
    if isinstance(values, list) and len(values) == 2 and all(isinstance(value, int | float) for value in values):
        return float(values[0]), float(values[1])
    return None
