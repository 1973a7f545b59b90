"""The metrics log of a run, `metrics.jsonl`: one JSON object a line, which is a measurement or an event.

A measurement has a number for each of `REQUIRED_METRICS`. An event has the key `event` and says what happened between
two measurements. Only the event `EARLY_EVENT` has the numbers of a measurement too.
"""

import itertools
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dcgan.files import atomic_file, fsync_file, name_in_errors

LogEntry = dict[str, Any]
"""A line of the log."""
REQUIRED_METRICS = ("step", "images_seen", "seconds", "loss_g")
"""What every measurement has a finite number for."""
DISCRIMINATOR_METRICS = ("loss_d", "d_real", "d_fake")
"""What it also has, unless there is no discriminator."""
EARLY_EVENT = "early"
"""The event that has the values of a measurement before the first one is due."""


@dataclass(frozen=True)
class MetricsLog:
    """The log of one run. Lines that are damaged, or that another program wrote, are passed over when it is read."""

    path: Path

    def append(self, entry: LogEntry) -> None:
        """Add one line at the end.

        Raises:
            ValueError: a number in it is not finite.
            OSError: it cannot be written, for example because the disk is full; the error names the log.
        """
        with name_in_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, allow_nan=False) + "\n")

    def replace(self, entries: Sequence[LogEntry]) -> None:
        """Write a new log with just these entries in the place of the old one."""
        with atomic_file(self.path) as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")

    def fsync(self) -> None:
        """Ask the operating system to write the log to the disk now."""
        if self.path.exists():
            with name_in_errors(self.path):
                fsync_file(self.path)

    def entries(self) -> Iterator[LogEntry]:
        """Yield the measurements and events in the order in which they were written."""
        return (entry for entry in self._parsed_lines() if entry is not None)

    def measurements(self) -> Iterator[LogEntry]:
        """Yield the measurements in the order in which they were written."""
        return (entry for entry in self.entries() if "event" not in entry)

    def events(self) -> Iterator[LogEntry]:
        """Yield the events in the order in which they happened."""
        return (entry for entry in self.entries() if "event" in entry)

    def damaged_line_numbers(self) -> list[int]:
        """Return the numbers, from 1, of the lines that `entries` passes over."""
        return [number for number, entry in enumerate(self._parsed_lines(), 1) if entry is None]

    def places(self) -> list[LogEntry | None]:
        """Return the entries in their order, with None in the place of one whose line is damaged.

        An empty line, or an object without a step, which another program wrote, is in the place of no entry.
        """
        if not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", errors="replace") as file:
            return [parse_entry(line) for line in file if not _is_no_entry(line)]

    def keep_copy(self) -> Path | None:
        """Copy the file, as damaged as it is, to the next free name beside it; return the copy, None without a file."""
        if not self.path.exists():
            return None
        names = (self.path.with_name(f"metrics.damaged-{number}.jsonl") for number in itertools.count(1))
        copy = next(path for path in names if not path.exists())
        shutil.copyfile(self.path, copy)
        return copy

    def _parsed_lines(self) -> Iterator[LogEntry | None]:
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8", errors="replace") as file:
            yield from map(parse_entry, file)


def parse_entry(text: str) -> LogEntry | None:
    """Return the entry that a line of the log holds, or None if the line is damaged or another program's."""
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not all(_is_count(entry.get(name)) for name in ("step", "images_seen")):
        return None
    is_event = isinstance(entry.get("event"), str) and entry["event"] != EARLY_EVENT
    names = [*REQUIRED_METRICS, *(name for name in DISCRIMINATOR_METRICS if name in entry)]
    return entry if is_event or all(is_finite_number(entry.get(name)) for name in names) else None


def _is_no_entry(text: str) -> bool:
    """Return whether a line is empty, or is an object of another program."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return not text.strip()
    return isinstance(content, dict) and "step" not in content


def is_finite_number(value: object) -> bool:
    """Return whether a value from a JSON file is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
