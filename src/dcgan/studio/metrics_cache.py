"""The metrics logs of all runs, each read once for all pages: only what was appended is read again.

Of a log that may have millions of lines, the points of its charts and its latest diagnoses are kept.
"""

import os
import stat
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from dcgan.errors import UserError
from dcgan.run.log import EARLY_EVENT, LogEntry, parse_entry

Item = TypeVar("Item")
MAX_POINTS = 400
"""Measurements of a run that are kept for its charts: losses and scores, and as many of its quality."""
QUALITY_EVENT = "measured"
LISTED_EVENTS = ("health", "recovery")
"""Events that the page of a run lists."""
MAX_EVENTS = 50
"""The latest events of each of these that are kept. Each kind has its own, so that none pushes another one out."""
MAX_LOG_BYTES = 2**28
"""A log that is larger is refused: nobody's training writes that many lines."""
MAX_LINE_BYTES = 2**20
"""A line that is longer is passed over."""
CHUNK_BYTES = 2**20
TAIL_BYTES = 64
"""Bytes before the position that was reached. If they have changed, the log was written anew."""
MAX_LOGS = 500


class EvenSample(Generic[Item]):
    """Every k-th of the items that were added, and the last one: at most `max_count` in all, however many there are."""

    def __init__(self, max_count: int) -> None:
        self._max_count, self._step, self._count = max_count, 1, 0
        self._items: list[Item] = []
        self._last: list[Item] = []

    def add(self, item: Item) -> None:
        """Add an item at the end."""
        if self._count % self._step == 0:
            self._items.append(item)
            if len(self._items) >= self._max_count:
                self._items, self._step = self._items[::2], 2 * self._step
        self._last, self._count = [item], self._count + 1

    def items(self) -> list[Item]:
        """Return the items that are kept, in their order."""
        is_last_kept = self._count == 0 or (self._count - 1) % self._step == 0
        return self._items + ([] if is_last_kept else self._last)


@dataclass(frozen=True)
class LogContent:
    """What is kept of a log, in its order.

    Attributes:
        measurements: evenly chosen ones, with the first and the last.
        events: evenly chosen measurements of the quality, with the first and the last, and the latest other events.
    """

    measurements: list[LogEntry] = field(default_factory=list)
    events: list[LogEntry] = field(default_factory=list)


class _KeptEvents:
    """The events of a log that pages show, by their kind: a long quality curve leaves the diagnoses alone."""

    def __init__(self) -> None:
        self._count = 0
        self._quality: EvenSample[tuple[int, LogEntry]] = EvenSample(MAX_POINTS)
        self._listed: dict[str, deque[tuple[int, LogEntry]]] = {
            name: deque(maxlen=MAX_EVENTS) for name in LISTED_EVENTS
        }

    def add(self, event: LogEntry) -> None:
        """Add an event of the log; one that no page shows is not kept."""
        name, numbered = event["event"], (self._count, event)
        self._count += 1
        if name == QUALITY_EVENT:
            self._quality.add(numbered)
        elif isinstance(name, str) and name in self._listed:
            self._listed[name].append(numbered)

    def items(self) -> list[LogEntry]:
        """Return the events that are kept, in the order of the log."""
        kept = [*self._quality.items(), *(numbered for events in self._listed.values() for numbered in events)]
        return [event for _, event in sorted(kept, key=lambda numbered: numbered[0])]


class MetricsCache:
    """The metrics logs that were read, by their paths."""

    def __init__(self) -> None:
        self._readers: OrderedDict[Path, _LogReader] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path) -> LogContent:
        """Return what is kept of a log, as the file is now; nothing of a file that does not exist.

        Raises:
            UserError: it is no file, or larger than `MAX_LOG_BYTES`.
            OSError: it cannot be read.
        """
        with self._lock:
            reader = self._readers.setdefault(path, _LogReader(path))
            self._readers.move_to_end(path)
            while len(self._readers) > MAX_LOGS:
                self._readers.popitem(last=False)
        return reader.read()


class _LogReader:
    """Reads one log as it grows. A log that was truncated, replaced or changed is read anew."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._version: tuple[int, ...] = ()
        self._position, self._tail, self._skips_line = 0, b"", False
        self._measurements: EvenSample[LogEntry] = EvenSample(MAX_POINTS)
        self._events = _KeptEvents()
        self._content = LogContent()

    def read(self) -> LogContent:
        """Read what was appended since the last call."""
        with self._lock:
            try:
                # Without this flag, opening a pipe of this name would wait until somebody writes into it.
                descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            except FileNotFoundError:
                self._forget()
                return self._content
            try:
                self._update(descriptor, os.fstat(descriptor))
            finally:
                os.close(descriptor)
            return self._content

    def _update(self, descriptor: int, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise UserError(f"{self._path.name} is no file")
        if status.st_size > MAX_LOG_BYTES:
            raise UserError(f"{self._path.name} is larger than {MAX_LOG_BYTES >> 20} MiB")
        version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if version == self._version:
            return
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            if not self._is_continued(file, status):
                self._forget()
            self._read_lines(file, status.st_size)
        self._version = version
        self._content = LogContent(self._measurements.items(), self._events.items())

    def _is_continued(self, file: BinaryIO, status: os.stat_result) -> bool:
        """Return whether the file still holds what was read of it, and more after that."""
        if self._version[:2] != (status.st_dev, status.st_ino) or status.st_size <= self._version[2]:
            return False
        file.seek(self._position - len(self._tail))
        return file.read(len(self._tail)) == self._tail

    def _read_lines(self, file: BinaryIO, end: int) -> None:
        """Read the lines from the position that was reached. A last line that is not finished yet is left for later."""
        file.seek(self._position)
        pending = b""
        while (chunk := file.read(min(CHUNK_BYTES, end - self._position - len(pending)))) != b"":
            lines = (pending + chunk).split(b"\n")
            pending = lines.pop()
            for line in lines:
                self._add_line(line)
            self._advance(b"".join(line + b"\n" for line in lines))
            if len(pending) > MAX_LINE_BYTES:
                self._advance(pending)
                pending, self._skips_line = b"", True

    def _advance(self, content: bytes) -> None:
        self._position += len(content)
        self._tail = (self._tail + content[-TAIL_BYTES:])[-TAIL_BYTES:]

    def _add_line(self, line: bytes) -> None:
        entry = None if self._skips_line else parse_entry(line.decode("utf-8", errors="replace"))
        self._skips_line = False
        if entry is None:  # damaged, or written by another program
            return
        if entry.get("event", EARLY_EVENT) == EARLY_EVENT:
            self._measurements.add(entry)
        else:
            self._events.add(entry)
