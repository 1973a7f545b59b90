from pathlib import Path

import pytest

from dcgan.run.log import REQUIRED_METRICS, LogEntry, MetricsLog
from dcgan.training.history import History, entries_of_state


def measurement(step: int) -> LogEntry:
    return dict.fromkeys(REQUIRED_METRICS, 0.5) | {"step": step, "images_seen": 16 * step}


def event(step: int, name: str = "pictures") -> LogEntry:
    return {"event": name, "step": step, "images_seen": 16 * step}


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(MetricsLog(tmp_path / "metrics.jsonl"))


def logged(history: History) -> list[LogEntry]:
    assert history.log is not None
    return list(history.log.entries())


def test_an_entry_is_added_to_the_file_and_in_memory(history: History):
    history.add(event(0))
    history.add(measurement(2))
    assert history.entries == logged(history) == [event(0), measurement(2)]
    assert history.measurements() == [measurement(2)]


def test_a_last_measurement_is_only_in_the_file(history: History):
    history.add(measurement(2))
    history.last_entries.append(measurement(3))
    assert logged(history) == [measurement(2)]  # the last snapshot is saved before it is written
    history.write_last_entries()
    assert history.entries == [measurement(2)]
    assert logged(history) == [measurement(2), measurement(3)]
    history.rewrite()
    assert logged(history) == [measurement(2)]


def test_going_back_replaces_the_later_entries_by_an_event(history: History):
    for entry in (event(0), measurement(2), measurement(4), measurement(6)):
        history.add(entry)
    history.go_back(2, [event(2, "recovery")])
    assert history.entries == logged(history) == [event(0), measurement(2), event(2, "recovery")]
    history.add(measurement(4))
    history.go_back(3, [event(2, "recovery")])
    assert logged(history) == [event(0), measurement(2), event(2, "recovery"), event(2, "recovery")]


def test_a_history_begins_with_the_entries_of_a_checkpoint(history: History):
    for step in (2, 4, 6):
        history.add(measurement(step))
    restored = History(history.log, logged(history)[:2])
    restored.rewrite()
    assert logged(restored) == [measurement(2), measurement(4)]


def test_a_process_that_does_not_write_has_the_same_entries_in_memory(history: History):
    other = History(None)
    for each in (history, other):
        each.add(event(0))
        each.add(measurement(2))
        each.last_entries.append(measurement(3))
        each.write_last_entries()
        each.go_back(1, [event(0, "recovery")])
        each.rewrite()
        each.fsync()
    assert other.entries == history.entries == [event(0), event(0, "recovery")]


def test_entries_of_a_state_are_those_up_to_its_count_and_its_step():
    written = [event(0), measurement(2), measurement(4)]
    assert entries_of_state([*written, measurement(6)], 3, 4) == written
    assert entries_of_state([event(0), None, measurement(4), measurement(6)], 3, 4) == [event(0), measurement(4)]
    assert entries_of_state([event(0), measurement(4), measurement(6)], 3, 4) == [event(0), measurement(4)]
    assert entries_of_state([], 3, 4) == []


def test_the_evaluation_of_the_best_model_stays_though_a_recovery_went_back_before_it():
    written = [event(0), measurement(2), event(4, "measured"), event(2, "recovery")]
    assert entries_of_state([*written, measurement(4)], 4, 2) == written
