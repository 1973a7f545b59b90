"""Standard output and standard error as they come: with any encoding, closed, full, or read by nobody."""

import codecs
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

REPLACEMENTS = {
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{PLUS-MINUS SIGN}": "+-",
    "\N{RIGHTWARDS ARROW}": "->",
    "\N{UPWARDS ARROW}": "(higher is better)",
    "\N{DOWNWARDS ARROW}": "(lower is better)",
    "\N{GREATER-THAN OR EQUAL TO}": ">=",
    "\N{LESS-THAN OR EQUAL TO}": "<=",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LATIN SMALL LETTER E WITH ACUTE}": "e",
}
"""What is written for characters of our own texts that an encoding does not have. Others are escaped."""
ERROR_HANDLER = "dcgan.readable"
BROKEN_PIPE_STATUS = 141
"""Exit status after the reader of standard output has ended: that of a program that SIGPIPE ends, 128 + 13."""


class OutputError(Exception):
    """Standard output cannot be written.

    Args:
        error: the reason.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output: {error.strerror or error}")
        self.is_broken_pipe = error.errno == (errno.EINVAL if os.name == "nt" else errno.EPIPE)


class _TolerantStream:
    """Standard error whose text is dropped if it cannot be written: no training ends because nobody reads it."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text if that is possible."""
        with suppress(OSError, ValueError):  # a ValueError says that the file is closed
            if self._stream is not None:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream if that is possible."""
        with suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.flush()

    def isatty(self) -> bool:
        """Return whether a terminal shows the text."""
        with suppress(OSError, ValueError):
            return self._stream is not None and self._stream.isatty()
        return False

    def __eq__(self, other: object) -> bool:
        # tqdm asks whether it writes to standard error, with a wrapper of its own that must be asked too: otherwise it
        # does not know the width of the terminal, and each line of the bar becomes several.
        return True if self is other or self._stream is other else NotImplemented

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def standard_error() -> TextIO:
    """Return standard error; what cannot be written to it is dropped. Python has none where nobody could read it."""
    stream: object = sys.stderr
    return cast(TextIO, stream if isinstance(stream, _TolerantStream) else _TolerantStream(sys.stderr))


def print_message(*words: object) -> None:
    """Print a line on standard error."""
    print(*words, file=standard_error(), flush=True)


def prepare_streams() -> None:
    """Prepare the standard streams of a command: call this first in a program, not in a library.

    Characters that the encoding of standard output does not have are replaced. A stream that is closed leads nowhere;
    otherwise the next file that is opened would get its number, and what any library prints would be written there.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the system gives the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERROR_HANDLER)
    sys.stderr = standard_error()


@contextmanager
def write_output() -> Iterator[None]:
    """Run a block that prints to standard output, and nothing else that could fail.

    Raises:
        OutputError: it cannot be written.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        _drop_output()
        raise OutputError(error) from None


def _drop_output() -> None:
    """Let standard output lead nowhere, because Python writes what is left of it when the program ends."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def _replace_character(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    escaped, _ = codecs.backslashreplace_errors(
        UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    )
    return REPLACEMENTS.get(character, escaped), error.start + 1


codecs.register_error(ERROR_HANDLER, _replace_character)
