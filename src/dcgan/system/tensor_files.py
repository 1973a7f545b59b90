"""Writing files of tensors: a disk that is full is one line, as with any other file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from dcgan.errors import UserError
from dcgan.files import error_reason, printable


@contextmanager
def refuse_unwritable(path: Path) -> Iterator[None]:
    """Run a block that writes tensors to `path`, or into that folder.

    Raises:
        UserError: they cannot be written: the disk is full, for example.
    """
    try:
        yield
    except (SafetensorError, OSError) as error:
        reason = getattr(error, "strerror", None) or error_reason(error)
        raise UserError(f"cannot write {printable(str(path))}: {reason}") from None
