import json
from pathlib import Path

import pytest

from dcgan.run.log import REQUIRED_METRICS, MetricsLog

MEASUREMENT = dict.fromkeys(REQUIRED_METRICS, 1)
EVENT = {"event": "pictures", "step": 1, "images_seen": 1}


@pytest.fixture
def log(tmp_path: Path) -> MetricsLog:
    return MetricsLog(tmp_path / "metrics.jsonl")


def test_torn_and_foreign_lines_are_passed_over(log: MetricsLog):
    assert list(log.entries()) == []
    foreign = [
        {},
        [1],
        {"step": 1},
        MEASUREMENT | {"loss_d": "low"},
        MEASUREMENT | {"step": -1},
        MEASUREMENT | {"step": True},
    ]
    texts = ["\udcff", "[" * 100_000, "9" * 9999, '{"step": NaN}', *map(json.dumps, foreign)]
    texts += [json.dumps(MEASUREMENT | {"loss_g": 1e999}), json.dumps(EVENT | {"event": 3}), json.dumps(EVENT)]
    log.path.write_text("\n".join([*texts, json.dumps(MEASUREMENT), '{"step": 6, "lo']), errors="surrogateescape")
    assert list(log.entries()) == [EVENT, MEASUREMENT]
    assert list(log.measurements()) == [MEASUREMENT]
    assert list(log.events()) == [EVENT]
    assert log.damaged_line_numbers() == [*range(1, len(texts)), len(texts) + 2]


def test_the_log_is_replaced_as_a_whole(log: MetricsLog):
    log.append(MEASUREMENT)
    log.replace([MEASUREMENT, MEASUREMENT])
    log.append(MEASUREMENT)
    assert list(log.entries()) == [MEASUREMENT] * 3


def test_a_number_that_is_not_finite_is_not_written(log: MetricsLog):
    log.append(MEASUREMENT)
    with pytest.raises(ValueError, match="not JSON"):
        log.append({"loss_d": float("nan")})
    assert list(log.entries()) == [MEASUREMENT]


def test_a_log_that_does_not_exist_is_empty(log: MetricsLog):
    log.fsync()
    assert list(log.entries()) == []
    assert log.damaged_line_numbers() == []
    assert not log.path.exists()


def test_a_damaged_line_stays_in_the_place_of_its_entry(log: MetricsLog):
    first, last = MEASUREMENT, {"event": "pictures", "step": 9, "images_seen": 9}
    lines = [json.dumps(first), "garbage", "", '{"host": "of another program"}', '{"step": 3}', json.dumps(last)]
    log.path.write_text("\n".join(lines) + "\n")
    assert log.places() == [first, None, None, last]
    log.path.unlink()
    assert log.places() == []


def test_each_copy_of_a_damaged_log_has_a_name_of_its_own(log: MetricsLog):
    assert log.keep_copy() is None
    for number in (1, 2):
        log.path.write_text(f"garbage {number}")
        copy = log.keep_copy()
        assert copy == log.path.with_name(f"metrics.damaged-{number}.jsonl")
        assert copy.read_text() == f"garbage {number}"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has this device")
def test_an_error_of_a_full_disk_names_the_log(log: MetricsLog):
    log.path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as caught:
        log.append(MEASUREMENT)
    assert caught.value.filename == str(log.path)
