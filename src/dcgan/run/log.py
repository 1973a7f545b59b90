"""The metrics log of a run, `metrics.jsonl`: one JSON object a line, read back line by line."""

import json
import sys
from typing import Any

LogEntry = dict[str, Any]


REQUIRED_METRICS = ("step", "images_seen", "seconds", "loss_d", "loss_g", "d_real", "d_fake")
"""What every log step has a number for. A line with an `event` instead says what happened between them."""


def parse_entry(text: str) -> LogEntry | None:
    """One line of the log, or None if it is no line of ours."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or not all(_is_count(line.get(name)) for name in ("step", "images_seen")):
        return None
    is_whole = isinstance(line.get("event"), str) or all(_is_finite(line.get(name)) for name in REQUIRED_METRICS)
    return line if is_whole else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
