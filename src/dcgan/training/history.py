"""The metrics log of a run while it trains: on the disk, and in memory for the diagnoses and for going back."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dcgan.run.log import LogEntry, MetricsLog

RECOVERY_EVENT = "recovery"
"""The event after which a log goes on from an earlier step."""


def entries_of_state(places: Sequence[LogEntry | None], count: int, step: int) -> list[LogEntry]:
    """Return the entries of a log that belong to a state that was saved.

    The count alone is not enough where lines are gone: those that a killed run added later would move up.

    Args:
        places: what `MetricsLog.places` returns.
        count: of the entries that the state had.
        step: of the state. Only the evaluation of the best model may be of a later one: a recovery follows it.
    """
    first = places[:count]
    recoveries = [i for i, entry in enumerate(first, 1) if entry and entry.get("event") == RECOVERY_EVENT]
    settled = max(recoveries, default=0)
    return [entry for i, entry in enumerate(first) if entry and (i < settled or entry["step"] <= step)]


@dataclass
class History:
    """The entries of a run's metrics log.

    Attributes:
        log: the file; None on a process that does not write.
        entries: what the log holds, except for `last_entries`.
        last_entries: entries of the last step between two multiples of `log_every` or `evaluate_every`, until they are
            written: before the last checkpoint, which does not count them. A run that is extended continues as if they
            had not been written.
    """

    log: MetricsLog | None
    entries: list[LogEntry] = field(default_factory=list)
    last_entries: list[LogEntry] = field(default_factory=list)

    def add(self, entry: LogEntry) -> None:
        """Add a measurement or an event."""
        if self.log is not None:
            self.log.append(entry)
        self.entries.append(entry)

    def write_last_entries(self) -> None:
        """Write the entries that a run which is extended does not continue from."""
        if self.log is not None:
            for entry in self.last_entries:
                self.log.append(entry)
            self.last_entries.clear()

    def go_back(self, count: int, events: Sequence[LogEntry]) -> None:
        """Keep the first `count` entries, and add events, the last of which says why the others are gone."""
        self.entries[count:] = events
        self.rewrite()

    def rewrite(self) -> None:
        """Write the log anew from the entries in memory."""
        if self.log is not None:
            self.log.replace(self.entries)

    def fsync(self) -> None:
        """Ask the operating system to write the log to the disk now."""
        if self.log is not None:
            self.log.fsync()

    def measurements(self) -> Sequence[LogEntry]:
        """Return the measurements in memory."""
        return [entry for entry in self.entries if "event" not in entry]
