"""What the words of a command line become: paths, with the home folder in the place of `~`, and numbers."""

from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from dcgan.cache import expand_user

NUMBERS, COUNTS = {int: "whole numbers", float: "numbers"}, {2: "two"}
ARGUMENT_TYPES = ConstructorRegistry()
"""How tyro makes values of words, where its own way is not ours."""


@ARGUMENT_TYPES.primitive_rule
def read_path(argument: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Read a path. A shell leaves the `~` of `--out=~/run` as it is, and a folder of that name is never meant."""
    if argument.type is not Path:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH",
        instance_from_str=lambda words: expand_user(words[0]),
        is_instance=lambda value: isinstance(value, Path),
        str_from_instance=lambda path: [str(path)],
    )


def number_kind(annotation: Any) -> str:
    """Return what kind of numbers an argument takes, as an error line names it; nothing if it takes other words too."""
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    if get_origin(annotation) is tuple:
        kind, *others = kinds
        count = "" if others == [...] else f"{COUNTS.get(len(kinds), len(kinds))} "
        return f"{count}{NUMBERS[kind]}" if kind in NUMBERS and set(others) <= {kind, ...} else ""
    if len(kinds) == 1:  # it may also be left out
        return number_kind(kinds[0])
    return {int: "a whole number", float: "a number"}.get(annotation, "")
