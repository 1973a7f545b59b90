"""The error that a user's mistake raises, and the suggestion of the nearest known word."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that the user can mend. Its text is one line: what is wrong, and what to do."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'x'?` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""
