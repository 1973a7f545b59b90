"""Values from a run's files as text for people. The template escapes the text; here it is only made short and plain."""

import json

from dcgan.files import printable

MAX_TEXT_CHARS = 300
"""A longer text from a file is cut off."""
MAX_TEXTS = 20
"""Entries of a list from a file that are shown."""
MISSING = "-"


def format_text(value: object) -> str:
    """Return any JSON value as printable text of at most `MAX_TEXT_CHARS` characters."""
    text = value if isinstance(value, str) else MISSING if value is None else json.dumps(value)
    return printable(text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 1] + "…")


def format_texts(value: object) -> list[str]:
    """Return the texts in a JSON list, and none if the value is no list."""
    if not isinstance(value, list):
        return []
    return [format_text(item) for item in value[:MAX_TEXTS] if isinstance(item, str)]


def format_count(value: object) -> str:
    """Return a whole number with its thousands separated, or `MISSING` for anything else."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else MISSING


def format_short_count(count: float) -> str:
    """Return a number of images as it stands at an axis: 0, 500, 20k, 1.5M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.4g}{letter}"
    return f"{count:.4g}"


def format_duration(seconds: float) -> str:
    """Return a time in the two units that matter: `2 h 05 min`, `3 min 20 s` or `12 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
