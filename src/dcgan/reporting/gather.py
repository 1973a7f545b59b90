"""What a report shows, gathered from a run's files as plain data. A damaged file is named; everything else is shown."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from dcgan.config import Config, ScoreKind
from dcgan.errors import UserError
from dcgan.files import printable, read_json
from dcgan.metrics.results import format_number
from dcgan.presets import PRESETS
from dcgan.reporting.charts import SvgChart, layout_chart
from dcgan.reporting.embedded_images import EmbeddedImage, embed_grids, embed_image, embed_rows
from dcgan.reporting.evaluation_table import EvaluationTable, make_evaluation_table
from dcgan.reporting.formatting import MISSING, format_duration, format_text, format_texts
from dcgan.reporting.series import (
    LOSS_NAMES,
    SCORE_NAMES,
    comparable_measurements,
    distance_chart,
    grid_chart,
    loss_chart,
    score_chart,
)
from dcgan.run.folder import RunFolder
from dcgan.run.log import LogEntry, is_finite_number

MAX_EVENTS = 60
"""Events that are listed and marked in the charts."""
MAX_DAMAGED_LINES = 5
"""Damaged lines of the log whose numbers are listed."""
MAX_PACKAGES = 8
"""Packages whose versions are listed."""
MAX_CLASSES = 10
"""A conditional run's grid has a row for each class if there are no more classes than this."""
COPIES_ALT = "the 16 most suspicious pairs: a generated picture, the training picture nearest to it, the difference"
NEIGHBORS_ALT = "generated pictures, one in each row, each followed by the five training pictures nearest to it"
T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """A diagnosis or a recovery, as text, with its number in the charts."""

    number: int
    position: str
    name: str
    evidence: str
    advice: str


@dataclass(frozen=True)
class ReportPage:
    """Everything on the page.

    Attributes:
        name: of the run folder.
        facts: name and value of each fact about the run.
        command: the command that trains the run again, or nothing if there is none.
        settings: name and value of each setting, and whether it differs from the preset's.
        charts: the curves.
        events: the first diagnoses and recoveries.
        unlisted_event_count: how many more there are.
        grids: the fixed-noise grids over time.
        reals: pictures from the training data.
        class_rows: generated pictures of each class.
        is_conditional: the classes of the rows were asked for; otherwise the judge classified the pictures.
        group_rows: generated pictures of the groups that are drawn most often.
        neighbors: samples with the training pictures nearest to them.
        copies: the samples that are most likely copies, beside the training pictures.
        evaluation: what `dcgan evaluate` measured, or None if it did not run.
        faults: what of the run cannot be shown, and why.
    """

    name: str
    facts: tuple[tuple[str, str], ...]
    command: str
    settings: tuple[tuple[str, str, bool], ...]
    charts: tuple[SvgChart, ...]
    events: tuple[Event, ...]
    unlisted_event_count: int
    grids: tuple[EmbeddedImage, ...]
    reals: EmbeddedImage | None
    class_rows: tuple[EmbeddedImage, ...]
    is_conditional: bool
    group_rows: tuple[EmbeddedImage, ...]
    neighbors: EmbeddedImage | None
    copies: EmbeddedImage | None
    evaluation: EvaluationTable | None
    faults: tuple[str, ...]


def gather_report(folder: RunFolder) -> ReportPage:
    """Read everything that the report of a run shows."""
    faults: list[str] = []
    content: LogEntry = _read_or(lambda: read_json(folder.config_path), {}, faults)
    config = _read_or(folder.config, None, faults)
    score_kind: ScoreKind = _read_or(folder.score_kind, "raw", faults)
    measurements, events = _read_log(folder, faults)
    listed_events = [event for event in events if event["event"] in ("health", "recovery")]
    grids = folder.grids()
    if not grids:
        faults.append("samples/ holds no grids of samples")
    embedded_grids = embed_grids(grids, faults)
    evaluation = _read_evaluation(folder, faults)
    last_grid = grids[-1][1] if grids else None
    return ReportPage(
        name=printable(folder.path.resolve().name),
        facts=tuple(_facts(config, content, measurements, events)),
        command=_command(content),
        settings=tuple(_settings(config)),
        charts=tuple(_charts(measurements, events, listed_events[:MAX_EVENTS], score_kind)),
        events=tuple(_event(number, entry) for number, entry in enumerate(listed_events[:MAX_EVENTS], 1)),
        unlisted_event_count=max(len(listed_events) - MAX_EVENTS, 0),
        grids=tuple(embedded_grids),
        reals=embed_image(folder.path / "reals.png", "real pictures from the training data", faults),
        class_rows=tuple(_class_rows(folder, config, evaluation, last_grid, faults)),
        is_conditional=bool(config and config.conditional),
        group_rows=tuple(_group_rows(folder, evaluation, faults)),
        neighbors=embed_image(folder.evaluation / "neighbours.png", NEIGHBORS_ALT, faults) if evaluation else None,
        copies=embed_image(folder.evaluation / "copies.png", COPIES_ALT, faults) if evaluation.get("copies") else None,
        evaluation=make_evaluation_table(evaluation, measurements) if evaluation else None,
        faults=tuple(dict.fromkeys(fault.replace(f"{folder.path}{os.sep}", "") for fault in faults)),
    )


def has_run_files(path: Path) -> bool:
    """Return whether a folder holds files that only a run has, whether or not its settings can be read."""
    return any((path / name).exists() for name in ("metrics.jsonl", "samples"))


def _read_or(read: Callable[[], T], default: T, faults: list[str]) -> T:
    """Return what `read` returns; if it fails, note why and return the default."""
    try:
        return read()
    except (UserError, OSError) as error:
        faults.append(format_text(str(error)))
        return default


def _read_log(folder: RunFolder, faults: list[str]) -> tuple[list[LogEntry], list[LogEntry]]:
    """Return the measurements and the events of the log, without the damaged lines."""
    damaged: list[int] = _read_or(folder.log.damaged_line_numbers, [], faults)
    if damaged:
        numbers = ", ".join(map(str, damaged[:MAX_DAMAGED_LINES])) + (", …" if len(damaged) > MAX_DAMAGED_LINES else "")
        count = f"{len(damaged)} lines are damaged and" if len(damaged) > 1 else "one line is damaged and"
        faults.append(f"metrics.jsonl: {count} left out (line {numbers})")
    entries: list[LogEntry] = _read_or(lambda: list(folder.log.entries()), [], faults)
    measurements = [entry for entry in entries if "event" not in entry]
    if not measurements:
        faults.append("metrics.jsonl holds no measurements")
    return measurements, [entry for entry in entries if "event" in entry]


def _read_evaluation(folder: RunFolder, faults: list[str]) -> dict[str, Any]:
    """Return what `dcgan evaluate` wrote, or nothing."""
    path = folder.evaluation / "figures.json"
    return _read_or(lambda: read_json(path), {}, faults) if path.exists() else {}


def _facts(
    config: Config | None, content: LogEntry, measurements: Sequence[LogEntry], events: Sequence[LogEntry]
) -> list[tuple[str, str]]:
    facts = []
    if config:
        facts += [("preset", format_text(config.preset)), ("data", format_text(config.data))]
        network = f"{config.network}, {config.loss}" + (", conditional" if config.conditional else "")
        facts += [("network and loss", network)]
    if measurements:
        last = max(measurements, key=lambda m: int(m["step"]))
        facts += [("steps", f"{last['step']:,}"), ("images seen", f"{last['images_seen']:,}")]
        facts += [("training time", format_duration(last["seconds"]))]
        for names in (LOSS_NAMES, SCORE_NAMES):
            values = {title: last[name] for name, title in names.items() if is_finite_number(last.get(name))}
            if values:
                facts += [(f"{', '.join(values)} at the end", ", ".join(f"{value:.3f}" for value in values.values()))]
    if measured := comparable_measurements(events):
        best = measured.best()
        method = (
            f"{measured.title}, {format_text(best.get('features'))} features, {format_text(best.get('split'))} part"
        )
        text = f"{format_number(best[measured.metric])} at step {best['step']:,} ({method})"
        facts += [("least distance while training", text)]
    versions = content.get("versions")
    if isinstance(versions, dict):
        packages = list(versions.items())[:MAX_PACKAGES]
        facts += [("versions", ", ".join(f"{format_text(k)} {format_text(v)}" for k, v in packages))]
    return facts


def _command(content: LogEntry) -> str:
    """Return the command that trains the run again, or nothing if the run had parts of the user's own."""
    command = content.get("command")
    return printable(command) if isinstance(command, str) else ""


def _settings(config: Config | None) -> list[tuple[str, str, bool]]:
    """Return name and value of each setting, and whether it differs from the preset's."""
    if config is None:
        return []
    preset_values, values = asdict(PRESETS.get(config.preset, Config())), asdict(config)
    return [
        (name.replace("_", "-"), _format_setting(values[name]), values[name] != preset_values[name])
        for name in (field.name for field in fields(config))
    ]


def _format_setting(value: object) -> str:
    if value is None:
        return MISSING
    return " ".join(map(str, value)) if isinstance(value, tuple) else format_text(value)


def _charts(
    measurements: Sequence[LogEntry],
    events: Sequence[LogEntry],
    listed_events: Sequence[LogEntry],
    score_kind: ScoreKind,
) -> list[SvgChart]:
    charts = [
        loss_chart(measurements, score_kind),
        score_chart(measurements, score_kind),
        distance_chart(events),
        grid_chart(events),
    ]
    marks = [(float(event["images_seen"]), number) for number, event in enumerate(listed_events, 1)]
    x_end = max([1.0, *(float(m["images_seen"]) for m in measurements)])
    return [layout_chart(chart, marks=marks, min_x_end=x_end) for chart in charts if chart.has_points]


def _event(number: int, entry: LogEntry) -> Event:
    name, evidence, advice = (format_text(entry.get(key, "")) for key in ("diagnosis", "evidence", "advice"))
    return Event(number, f"step {entry['step']:,}, {entry['images_seen']:,} images", name, evidence, advice)


def _class_rows(
    folder: RunFolder, config: Config | None, evaluation: dict[str, Any], last_grid: Path | None, faults: list[str]
) -> list[EmbeddedImage]:
    """Return a row of pictures for each class: from the evaluation if it has any, else from the last grid."""
    if evaluation.get("rows"):
        path: Path | None = folder.evaluation / "classes.png"
    else:
        path = last_grid
    names = format_texts(evaluation.get("rows")) or _grid_classes(folder, config)
    return embed_rows(path, names, "class ", faults) if path and names else []


def _group_rows(folder: RunFolder, evaluation: dict[str, Any], faults: list[str]) -> list[EmbeddedImage]:
    """Return a row of pictures for each group that the evaluation shows."""
    names = format_texts(evaluation.get("group_rows"))
    return embed_rows(folder.evaluation / "groups.png", names, "", faults) if names else []


def _grid_classes(folder: RunFolder, config: Config | None) -> list[str]:
    """Return the classes that the rows of a conditional run's grids show, as `sampling.output` lays them out."""
    if not (config and config.conditional):
        return []
    try:
        trained = read_json(folder.model / "config.json").get("trained")
    except UserError:
        return []
    names = format_texts(trained.get("classes")) if isinstance(trained, dict) else []
    return names if 1 < len(names) <= MAX_CLASSES else []
