"""How far a run is: the one declaration of what a checkpoint holds besides tensors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from dcgan.errors import UserError


def saved_as(name: str, default: Any) -> Any:
    """Declare a field of `Progress` that has another name in the checkpoint's JSON."""
    return field(default=default, metadata={"saved_as": name})


@dataclass(kw_only=True)
class Progress:
    """How far a run is, and what its schedule, its recoveries and its evaluations need to know.

    Every field is saved in the checkpoint: a new field is saved without a change anywhere else.
    """

    step: int = 0
    """Steps (generator updates) done."""
    images_seen: int = 0
    """Real images that the discriminator has seen."""
    seconds: float = 0.0
    """Time spent on steps. Logging, drawing, saving and evaluating do not count."""
    planned_images: int | None = saved_as("planned", None)
    """Images after which training ends; None until a duration in minutes has been measured."""
    first_plan: int | None = None
    """The first value of `planned_images`: the learning rates fall over it, and stay there if the run is extended. Of a
    run that is trained in parts it is the plan of the whole run."""
    first_part: float | None = None
    """Share of the whole run that a duration in minutes is, if the run is trained in parts; None otherwise."""
    lr_scale: float = 1.0
    """Factor on every learning rate: less than 1 after a recovery."""
    recoveries: int = 0
    """Recoveries in the whole run."""
    recoveries_in_a_row: int = saved_as("in_a_row", 0)
    """Recoveries since the last snapshot."""
    best_distance: float | None = saved_as("best", None)
    """The least distance that an evaluation found; None before the first. If a run ends because of copies: that of the
    model that it keeps, see `best_model`."""
    best_step: int | None = None
    """The step of that evaluation."""
    evaluations_since_best: int = saved_as("stale", 0)
    """Evaluations since the last one that was better than all before."""
    copies_step: int | None = None
    """The step of the evaluation that found copies of training pictures among the samples; None if none did."""

    def plan_rates(self) -> None:
        """Let the learning rates fall over what is planned, as soon as that is known."""
        if self.first_plan is None and self.planned_images is not None:
            self.first_plan = round(self.planned_images / (self.first_part or 1.0))

    def extended_plan(self, lr_end: float) -> int | None:
        """Return the first plan if the run was extended and its rates, whose last factor is `lr_end`, fell over it."""
        is_extended = self.first_plan is not None and (self.planned_images or math.inf) > self.first_plan
        return self.first_plan if is_extended and lr_end < 1 else None


@dataclass(kw_only=True)
class CheckpointRecord(Progress):
    """What a checkpoint holds besides tensors."""

    log_entries: int = saved_as("entries", 0)
    """Entries of the metrics log that belong to this state."""
    totals: list[float] = field(default_factory=list)
    """Sums since the last measurement: see `state.StepSums`."""
    data_key: str | None = saved_as("data", None)
    """Key of the pictures' content."""
    data_path: str | None = None
    """The absolute path of the pictures; None for a set that is opened by its name, or after version 0.1.0. It names
    the user, so it is here only, where nobody else sees it."""
    data_rules: int | None = None
    """By which the pictures are read, see `dcgan.data.rules`; None after version 0.1.0."""
    data_parts: int | None = None
    """The number of processes that the data are divided among by `split_data`; None if each holds all of them."""
    frozen_network: str | None = None
    """The SHA-256 of the weights of the frozen network that samples are compared in; None without one, and in runs that
    began before it was saved."""
    arithmetic: str | None = saved_as("where", None)
    """The kind of devices and the version of torch: see `state.describe_arithmetic`."""
    settings: dict[str, Any] = field(default_factory=dict)
    """The settings that a run cannot change and still continue as if it had never stopped."""
    healthy: dict[str, Any] = field(default_factory=dict)
    """Position of the last healthy state if that is another one than this; its tensors are named `healthy/...`."""
    unsuspected: dict[str, Any] | None = None
    """See `best_model.UnsuspectedModel`; None if there is none. Its tensors are named `unsuspected/...`."""

    def progress(self) -> Progress:
        """Return the part that continues to change while training."""
        return Progress(**{f.name: getattr(self, f.name) for f in fields(Progress)})


def record_to_json(record: CheckpointRecord) -> dict[str, Any]:
    """Return a record as JSON types, by the names that the file uses."""
    return {_saved_name(f): getattr(record, f.name) for f in fields(record)}


def record_from_json(content: Mapping[str, Any], path: Path) -> CheckpointRecord:
    """Return the record that `content` of the file at `path` describes.

    Raises:
        UserError: a field is missing or has another type.
    """
    values: dict[str, Any] = {f.name: content.get(_saved_name(f)) for f in fields(CheckpointRecord)}
    for f in fields(CheckpointRecord):
        if not _has_type(values[f.name], f.type):
            raise UserError(f"{path} is damaged: {_saved_name(f)} is {values[f.name]!r}")
    return CheckpointRecord(**values)


def _saved_name(field: Any) -> str:
    return str(field.metadata.get("saved_as", field.name))


def _has_type(value: object, annotation: Any) -> bool:
    """Return whether a JSON value has the annotated type of its field. A whole number is a float too."""
    if get_origin(annotation) is list:
        return isinstance(value, list) and all(_has_type(item, get_args(annotation)[0]) for item in value)
    if get_origin(annotation) is dict:
        return isinstance(value, dict)
    if options := get_args(annotation):
        return any(_has_type(value, option) for option in options)
    if annotation in (NoneType, None):
        return value is None
    kinds = (int, float) if annotation is float else annotation
    return isinstance(value, kinds) and not isinstance(value, bool)
