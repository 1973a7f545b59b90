import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import pytest
import torch

from dcgan.errors import UserError
from dcgan.presets import configure
from dcgan.training import checkpoint, progress, state
from dcgan.training.progress import CheckpointRecord, Progress, record_from_json, record_to_json
from dcgan.training.set_up import set_up
from tests.conftest import SMALL

PATH = Path("run/checkpoint/state.json")
RECORD = CheckpointRecord(
    step=7,
    images_seen=112,
    seconds=1.5,
    planned_images=160,
    first_plan=160,
    first_part=0.25,
    lr_scale=0.25,
    recoveries=2,
    recoveries_in_a_row=1,
    best_distance=3.25,
    best_step=4,
    evaluations_since_best=1,
    copies_step=31,
    log_entries=9,
    totals=[0.5, 1.0, 0.0],
    data_key="abc",
    data_path="/home/me/pictures",
    data_rules=2,
    data_parts=4,
    frozen_network="579344",
    arithmetic="1 x cpu",
    settings={"lr": 1e-3},
    healthy={"step": 6},
    unsuspected={"step": 4, "images_seen": 64, "measured": {"features": "random"}},
)
"""A record in which no field has its default value."""


def test_no_field_of_the_example_has_its_default():
    default = CheckpointRecord()
    assert not [f.name for f in fields(RECORD) if getattr(RECORD, f.name) == getattr(default, f.name)]


def test_a_record_survives_json():
    assert record_from_json(json.loads(json.dumps(record_to_json(RECORD))), PATH) == RECORD
    assert record_from_json(json.loads(json.dumps(record_to_json(CheckpointRecord()))), PATH) == CheckpointRecord()


def test_the_file_has_the_names_of_version_0_1():
    """Newer versions may add names, and never change or remove one."""
    assert set(record_to_json(RECORD)) >= {
        "step", "images_seen", "seconds", "planned", "first_plan", "lr_scale", "recoveries", "in_a_row", "best",
        "best_step", "stale", "entries", "totals", "data", "where", "settings", "healthy",
    }  # fmt: skip


def test_the_progress_of_a_record_is_the_part_that_goes_on():
    assert RECORD.progress() == Progress(**{f.name: getattr(RECORD, f.name) for f in fields(Progress)})
    assert type(RECORD.progress()) is Progress


def test_every_field_of_the_progress_of_a_state_is_recorded():
    current = set_up(configure("dcgan", **SMALL, steps=10))
    for f in fields(Progress):
        setattr(current.progress, f.name, getattr(RECORD, f.name))
    current.sums.set_totals([float(i) for i in range(8)])
    record = current.checkpoint_record(9, {"step": 6})
    assert record.progress() == RECORD.progress()
    assert record.totals == list(range(8))
    assert (record.log_entries, record.healthy) == (9, {"step": 6})
    assert record.data_key == current.data.content_key
    assert record.settings == state.fixed_settings(current.config)


def test_a_field_that_is_added_is_saved_without_another_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    @dataclass(kw_only=True)
    class LongerRecord(CheckpointRecord):
        temperature: float = progress.saved_as("temp", 1.0)
        names: list[str] = field(default_factory=list)

    monkeypatch.setattr(progress, "CheckpointRecord", LongerRecord)
    saved = LongerRecord(step=3, temperature=0.5, names=["a"])
    checkpoint.save_checkpoint(tmp_path / "c", {"network/w": torch.ones(1)}, saved)
    assert checkpoint.read_checkpoint(tmp_path / "c") == saved
    assert json.loads((tmp_path / "c" / "state.json").read_text())["temp"] == 0.5


@pytest.mark.parametrize("name", [f.name for f in fields(CheckpointRecord)])
def test_a_missing_field_is_refused_unless_it_may_be_nothing(name: str):
    saved_name = progress._saved_name(CheckpointRecord.__dataclass_fields__[name])
    content = record_to_json(RECORD)
    del content[saved_name]
    if NoneType in get_args(CheckpointRecord.__dataclass_fields__[name].type):
        assert getattr(record_from_json(content, PATH), name) is None
        return
    with pytest.raises(UserError, match=f"{PATH} is damaged: {saved_name} is None"):
        record_from_json(content, PATH)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("step", "many"),
        ("step", [1]),
        ("step", 1.5),
        ("step", True),
        ("step", None),
        ("seconds", "1"),
        ("seconds", False),
        ("planned", 1.5),
        ("planned", "all"),
        ("best", [1.0]),
        ("totals", 3),
        ("totals", [1.0, "2"]),
        ("totals", {"0": 1.0}),
        ("data", 5),
        ("settings", [1]),
        ("healthy", None),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: Any):
    with pytest.raises(UserError, match=f"is damaged: {name} is "):
        record_from_json(record_to_json(RECORD) | {name: value}, PATH)


def test_a_whole_number_is_a_float_too():
    record = record_from_json(record_to_json(RECORD) | {"seconds": 2, "best": 3, "totals": [1, 2.5]}, PATH)
    assert (record.seconds, record.best_distance, record.totals) == (2, 3, [1, 2.5])
