"""What the words of a command line become: paths, with the home folder in the place of `~`."""

from pathlib import Path
from typing import Any

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from dcgan.cache import expand_user

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
