"""A run whose metrics log is damaged is resumed without its lost entries, and without entries of another state."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import dcgan
from dcgan.run.folder import RunFolder
from dcgan.run.log import LogEntry
from dcgan.training import loop
from dcgan.training.callbacks import MessageEvent
from tests.conftest import SMALL


@dataclass
class Messages:
    texts: list[str] = field(default_factory=list)

    def on_message(self, event: MessageEvent) -> None:
        self.texts.append(event.text)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Return a run that was saved at step 4, after a snapshot at step 3."""
    return dcgan.train("dcgan", out=tmp_path_factory.mktemp("runs") / "r", steps=4, **SMALL)


@pytest.fixture
def run(stopped: RunFolder, tmp_path: Path, without_report: None) -> RunFolder:
    return RunFolder(Path(shutil.copytree(stopped.path, tmp_path / "r")))


def later_line(run: RunFolder) -> str:
    """Return a line as a run that is killed leaves it beyond its checkpoint."""
    return json.dumps(list(run.log.measurements())[-1] | {"step": 6, "images_seen": 96}) + "\n"


def resumed_entries(run: RunFolder) -> tuple[list[tuple[object, ...]], list[str]]:
    """Resume until step 6; return (event, step) of each entry of the log, and the messages."""
    messages = Messages()
    dcgan.resume(run, steps=6, callbacks=[messages], show_progress=False)
    return list(map(key, run.log.entries())), messages.texts


def key(entry: LogEntry) -> tuple[object, ...]:
    return entry.get("event"), entry["step"]


def replace_line(lines: list[str]) -> list[str]:
    return [lines[0], "garbage\n", *lines[2:]]


def remove_line(lines: list[str]) -> list[str]:
    return [lines[0], *lines[2:]]


def test_a_whole_log_is_continued_in_silence(run: RunFolder):
    whole = list(map(key, run.log.entries()))
    run.log.path.write_text(run.log.path.read_text() + later_line(run) + '{"step": 6, "ima')
    entries, messages = resumed_entries(run)
    assert messages == []
    assert entries[: len(whole)] == whole
    assert len(set(entries)) == len(entries)
    assert not list(run.path.glob("metrics.damaged*"))


@pytest.mark.parametrize("damage", [replace_line, remove_line])
def test_no_entry_of_a_later_state_takes_the_place_of_a_lost_one(
    run: RunFolder, damage: Callable[[list[str]], list[str]]
):
    lines = run.log.path.read_text().splitlines(keepends=True)
    lost = key(json.loads(lines[1]))
    text = "".join([*damage(lines), later_line(run)])
    run.log.path.write_text(text)
    entries, messages = resumed_entries(run)
    assert len(set(entries)) == len(entries)
    assert lost not in entries
    assert (None, 6) in entries
    assert [message for message in messages if "metrics.jsonl" in message] == [
        f"{run.log.path} is damaged: {len(lines) - 1} of the {len(lines)} entries until the checkpoint are left, with "
        "which the run continues; metrics.damaged-1.jsonl is the file as it was"
    ]
    assert (run.path / "metrics.damaged-1.jsonl").read_text() == text


@pytest.mark.parametrize(("is_empty", "message"), [(True, "is damaged: 0 of the "), (False, "is gone: the log")])
def test_a_log_that_is_empty_or_gone_is_said(run: RunFolder, is_empty: bool, message: str):
    run.log.path.unlink()
    if is_empty:
        run.log.path.touch()
    entries, messages = resumed_entries(run)
    assert [key[1] for key in entries] == [6, 6]
    assert any(message in text for text in messages)


def test_a_recovery_goes_back_to_the_entries_of_the_healthy_state_that_are_left(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    """The healthy state is that of step 3: the measurement of step 4 is not of it."""
    lines = run.log.path.read_text().splitlines(keepends=True)
    before = [key(json.loads(line)) for line in lines if json.loads(line)["step"] <= 3]
    run.log.path.write_text("".join(replace_line(lines)))
    faults = iter(["the generator's loss"])
    monkeypatch.setattr(loop, "find_fault", lambda state, may_wait: next(faults, ""))
    entries, _ = resumed_entries(run)
    assert entries[: len(before)] == [before[0], *before[2:], ("recovery", 3)]
    assert len(set(entries)) == len(entries)
