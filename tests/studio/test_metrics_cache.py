import itertools
import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcgan.errors import UserError
from dcgan.studio import metrics_cache
from dcgan.studio.metrics_cache import EvenSample, MetricsCache


def measurement(step: int) -> dict[str, float]:
    numbers = {"seconds": 1.0, "loss_d": 0.7, "loss_g": 0.7, "d_real": 0.5, "d_fake": 0.5}
    return {"step": step, "images_seen": 16 * step, **numbers}


def append(path: Path, *steps: int) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(measurement(step)) + "\n" for step in steps)


def steps(cache: MetricsCache, path: Path) -> list[int]:
    return [entry["step"] for entry in cache.read(path).measurements]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines that are parsed from now on."""
    lines: list[str] = []
    parse = metrics_cache.parse_entry
    monkeypatch.setattr(metrics_cache, "parse_entry", lambda text: lines.append(text) or parse(text))
    return lines


def test_only_what_was_appended_is_read(tmp_path: Path, parsed: list[str]):
    cache, path = MetricsCache(), tmp_path / "metrics.jsonl"
    assert steps(cache, path) == []  # there is no file yet
    append(path, 1, 2, 3)
    assert steps(cache, path) == [1, 2, 3]
    assert steps(cache, path) == [1, 2, 3]
    append(path, 4)
    assert steps(cache, path) == [1, 2, 3, 4]
    assert len(parsed) == 4


def test_a_line_that_is_being_written_is_read_when_it_is_finished(tmp_path: Path):
    cache, path = MetricsCache(), tmp_path / "metrics.jsonl"
    append(path, 1)
    text = json.dumps(measurement(2)) + "\n"
    with path.open("a") as file:
        for part, expected in ((text[:9], [1]), (text[9:-1], [1]), (text[-1], [1, 2])):
            file.write(part)
            file.flush()
            assert steps(cache, path) == expected


def _truncate(path: Path) -> None:
    path.write_text("")
    append(path, 7)


def _replace(path: Path) -> None:
    append(path.with_name("new"), 7, 8, 9, 10, 11)
    os.replace(path.with_name("new"), path)


def _rewrite_longer(path: Path) -> None:
    path.write_text("")
    append(path, 7, 8, 9, 10, 11)


def _rewrite_as_long(path: Path) -> None:
    status = path.stat()
    path.write_text("")
    append(path, 7, 8, 9)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_truncate, [7]),
        (_replace, [7, 8, 9, 10, 11]),
        (_rewrite_longer, [7, 8, 9, 10, 11]),
        (_rewrite_as_long, [7, 8, 9]),
        (Path.unlink, []),
    ],
)
def test_a_log_that_is_another_one_now_is_read_anew(change, expected: list[int], tmp_path: Path):
    cache, path = MetricsCache(), tmp_path / "metrics.jsonl"
    append(path, 1, 2, 3)
    assert steps(cache, path) == [1, 2, 3]
    change(path)
    assert steps(cache, path) == expected


def test_a_pipe_or_a_folder_is_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(UserError, match="is no file"):
            MetricsCache().read(path)


def test_a_log_that_is_too_large_is_refused(tmp_path: Path):
    with (tmp_path / "metrics.jsonl").open("wb") as file:
        file.truncate(metrics_cache.MAX_LOG_BYTES + 1)  # a file with a hole: it takes no space
    with pytest.raises(UserError, match="larger than 256 MiB"):
        MetricsCache().read(tmp_path / "metrics.jsonl")


def test_long_and_damaged_lines_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metrics_cache, "CHUNK_BYTES", 300)
    monkeypatch.setattr(metrics_cache, "MAX_LINE_BYTES", 500)
    cache, path = MetricsCache(), tmp_path / "metrics.jsonl"
    append(path, 1)
    with path.open("ab") as file:
        file.write(b"x" * 2000 + b"\n\xff\xfe\n\n[]\n")
    append(path, 2)
    assert steps(cache, path) == [1, 2]
    append(path, 3)
    assert steps(cache, path) == [1, 2, 3]


def test_measurements_of_the_quality_push_no_diagnosis_out(tmp_path: Path):
    events = [{"event": "measured", "step": step, "images_seen": 16 * step} for step in range(100, 6100, 100)]
    position = {"step": 700, "images_seen": 11_200}
    events[7:7] = [{"event": "health", **position, "diagnosis": "oscillation"}, {"event": "finish", **position}]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert MetricsCache().read(path).events == [event for event in events if event["event"] != "finish"]


def test_of_many_events_the_start_of_the_quality_and_the_latest_diagnoses_are_kept(tmp_path: Path):
    names = [name for _ in range(1000) for name in ("measured", "health")]
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"event": name, "step": step, "images_seen": step}) for step, name in enumerate(names, 1)]
    path.write_text("\n".join(lines) + "\n")
    events = MetricsCache().read(path).events
    assert [event["step"] for event in events if event["event"] == "health"] == list(range(1902, 2001, 2))
    quality = [event["step"] for event in events if event["event"] == "measured"]
    assert (quality[0], quality[-1]) == (1, 1999)
    assert len(quality) <= metrics_cache.MAX_POINTS


def test_several_threads_read_one_log(tmp_path: Path, parsed: list[str]):
    cache, path = MetricsCache(), tmp_path / "metrics.jsonl"
    append(path, *range(200))
    threads = [threading.Thread(target=cache.read, args=[path]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(parsed) == 200
    assert steps(cache, path) == list(range(200))


@given(count=st.integers(0, 3000), max_count=st.integers(2, 50))
def test_an_even_sample_has_the_first_the_last_and_equal_distances(count: int, max_count: int):
    sample: EvenSample[int] = EvenSample(max_count)
    for i in range(count):
        sample.add(i)
    items = sample.items()
    assert len(items) <= max_count
    assert len(items) >= min(count, max_count // 2)
    assert items[:1] + items[-1:] == ([0, count - 1] if count else [])
    assert len({b - a for a, b in itertools.pairwise(items[:-1])}) <= 1
