"""What a report shows, gathered from a run's files as plain data. A damaged file is named; the rest is still there."""

import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dcgan.config import Config
from dcgan.errors import UserError
from dcgan.files import printable, read_json
from dcgan.metrics.results import METRIC_TITLES, format_number
from dcgan.presets import PRESETS, train_command
from dcgan.reporting.charts import Chart, layout_chart
from dcgan.reporting.embedded_images import EmbeddedImage, embed_class_rows, embed_grids, embed_image, list_grids
from dcgan.run.folder import RunFolder
from dcgan.run.log import LogEntry

PROBABILITIES = ("minimax", "non-saturating")
"""The losses whose scores are probabilities, with the optimum 1/2. Named here, since `losses` takes torch along."""
LONGEST = 300
"""Characters of a text from a file."""
EVENTS = 60
"""Events that are listed."""
NONE = "-"
DISTANCE = "frechet_inception_distance"
T = TypeVar("T")


@dataclass(frozen=True)
class Event:
    """Something that happened, beside its number in the charts."""

    number: int
    when: str
    name: str
    evidence: str
    advice: str


@dataclass(frozen=True)
class Metric:
    """A row of the table of figures."""

    title: str
    figure: str
    interval: str
    floor: str


@dataclass(frozen=True)
class Figures:
    """What `dcgan evaluate` found, how, and whether the run has gone on since."""

    metrics: tuple[Metric, ...]
    how: str
    notes: tuple[str, ...]
    shares: dict[str, str]


@dataclass(frozen=True)
class ReportPage:
    """Everything on the page."""

    name: str
    facts: tuple[tuple[str, str], ...]
    command: str
    settings: tuple[tuple[str, str, bool], ...]
    charts: tuple[Chart, ...]
    events: tuple[Event, ...]
    more_events: int
    frames: tuple[EmbeddedImage, ...]
    reals: EmbeddedImage | None
    class_rows: tuple[EmbeddedImage, ...]
    rows_are_asked: bool
    neighbours: EmbeddedImage | None
    figures: Figures | None
    faults: tuple[str, ...]


def gather(folder: RunFolder) -> ReportPage:
    """Read everything that a run's report shows."""
    faults: list[str] = []
    content: LogEntry = _read(lambda: read_json(folder.path / "config.json"), {}, faults)
    config = _read(folder.config, None, faults)
    lines, all_events = _log(folder, faults)
    happened = [entry for entry in all_events if entry["event"] in ("health", "recovery")]
    found = list_grids(folder.samples, faults)
    shown = embed_grids(found, faults)
    evaluated = _evaluated(folder, faults)
    names = _texts(evaluated.get("rows")) or _asked_classes(folder, config)
    sheet = folder.evaluation / "classes.png" if evaluated.get("rows") else (found[-1][1] if found else None)
    return ReportPage(
        name=printable(folder.path.resolve().name),
        facts=tuple(_facts(config, content, lines, all_events)),
        command=_command(config, content),
        settings=tuple(_settings(config)),
        charts=tuple(_charts(lines, all_events, happened, config, content)),
        events=tuple(_event(i, entry) for i, entry in enumerate(happened[:EVENTS], 1)),
        more_events=max(len(happened) - EVENTS, 0),
        frames=tuple(shown),
        reals=embed_image(folder.path / "reals.png", "real pictures from the training data", faults),
        class_rows=tuple(embed_class_rows(sheet, names, faults)) if sheet and names else (),
        rows_are_asked=bool(config and config.conditional),
        neighbours=_neighbours(folder, faults) if evaluated else None,
        figures=_figures(evaluated, lines) if evaluated else None,
        faults=tuple(dict.fromkeys(fault.replace(f"{folder.path}{os.sep}", "") for fault in faults)),
    )


def _read(make: Callable[[], T], otherwise: T, faults: list[str]) -> T:
    try:
        return make()
    except (UserError, OSError) as error:
        faults.append(_text(str(error)))
        return otherwise


def _log(folder: RunFolder, faults: list[str]) -> tuple[list[LogEntry], list[LogEntry]]:
    """The log's measurements and its events, without the damaged lines."""
    damaged: list[int] = _read(folder.log.damaged_line_numbers, [], faults)
    if damaged:
        where = ", ".join(map(str, damaged[:5])) + (", …" if len(damaged) > 5 else "")
        are = f"{len(damaged)} lines are damaged and" if len(damaged) > 1 else "one line is damaged and"
        faults.append(f"metrics.jsonl: {are} left out (line {where})")
    entries: list[LogEntry] = _read(lambda: list(folder.log.entries()), [], faults)
    lines = [entry for entry in entries if "event" not in entry]
    if not lines:
        faults.append("metrics.jsonl holds no measurements")
    return lines, [entry for entry in entries if "event" in entry]


def _facts(
    config: Config | None, content: LogEntry, lines: Sequence[LogEntry], events: Sequence[LogEntry]
) -> list[tuple[str, str]]:
    found = []
    if config:
        found += [("preset", _text(config.preset)), ("data", _text(config.data))]
        kind = f"{config.network}, {config.loss}" + (", conditional" if config.conditional else "")
        found += [("network and loss", kind)]
    if lines:
        last = max(lines, key=lambda line: int(line["step"]))
        found += [("generator updates", f"{last['step']:,}"), ("real images shown", f"{last['images_seen']:,}")]
        found += [("training time", _duration(last["seconds"]))]
        found += [("Loss_D, Loss_G at the end", f"{last['loss_d']:.3f}, {last['loss_g']:.3f}")]
        found += [("D(x), D(G(z)) at the end", f"{last['d_real']:.3f}, {last['d_fake']:.3f}")]
    best = [entry for entry in events if entry["event"] == "measured" and _is_number(entry.get(DISTANCE))]
    if best:
        least = min(best, key=lambda entry: float(entry[DISTANCE]))
        how = f"{_text(least.get('features'))} features, {_text(least.get('split'))} part"
        found += [
            ("least distance while training", f"{format_number(least[DISTANCE])} at step {least['step']:,} ({how})")
        ]
    versions = content.get("versions")
    if isinstance(versions, dict):
        found += [("versions", ", ".join(f"{_text(k)} {_text(v)}" for k, v in list(versions.items())[:8]))]
    return found


def _command(config: Config | None, content: LogEntry) -> str:
    """What reproduces the run, if anything does."""
    if config is None or content.get("own"):
        return ""
    return printable(train_command(config))


def _settings(config: Config | None) -> list[tuple[str, str, bool]]:
    """Name, value, and whether it differs from the preset's."""
    if config is None:
        return []
    base = asdict(PRESETS.get(config.preset, Config()))
    mine = asdict(config)
    return [
        (field.name.replace("_", "-"), _said(mine[field.name]), mine[field.name] != base[field.name])
        for field in fields(config)
    ]


def _said(value: object) -> str:
    if value is None:
        return NONE
    return " ".join(map(str, value)) if isinstance(value, tuple) else _text(value)


def _charts(
    lines: Sequence[LogEntry],
    events: Sequence[LogEntry],
    happened: Sequence[LogEntry],
    config: Config | None,
    content: LogEntry,
) -> list[Chart]:
    own = content.get("own")
    is_bce = bool(config and config.loss in PROBABILITIES and not (isinstance(own, list) and "loss" in own))
    marks = [(float(entry["images_seen"]), i) for i, entry in enumerate(happened[:EVENTS], 1)]
    draw = partial(layout_chart, marks=marks, until=max([1.0, *(float(line["images_seen"]) for line in lines)]))
    found = []
    if lines:
        losses = {"Loss_D": _points(lines, "loss_d"), "Loss_G": _points(lines, "loss_g")}
        scores = {"D(x)": _points(lines, "d_real"), "D(G(z))": _points(lines, "d_fake")}
        ln2 = (math.log(2), "ln 2: D cannot tell") if is_bce else None
        half = (0.5, "1/2: the optimum") if is_bce else None
        found.append(draw("Losses", losses, reference=ln2))
        found.append(draw("Scores", scores, reference=half, between=(0, 1) if is_bce else None))
    measured = _points([entry for entry in events if entry["event"] == "measured"], DISTANCE)
    if measured:
        found.append(draw("Fréchet distance while training", {"distance (less is better)": measured}))
    drawn = [entry for entry in events if entry["event"] == "pictures"]
    pictures = {name: _points(drawn, name) for name in ("diversity", "nearness")}
    if any(pictures.values()):
        found.append(
            draw("The grids: diversity, and nearness to real ones", pictures, reference=(1, "1: as real pictures"))
        )
    return found


def _points(entries: Sequence[LogEntry], name: str) -> list[tuple[float, float]]:
    return [(float(e["images_seen"]), float(e[name])) for e in entries if _is_number(e.get(name))]


def _event(index: int, entry: LogEntry) -> Event:
    texts = [_text(entry.get(name, "")) for name in ("diagnosis", "evidence", "advice")]
    return Event(index, f"step {entry['step']:,}, {entry['images_seen']:,} images", *texts)


def _asked_classes(folder: RunFolder, config: Config | None) -> list[str]:
    """The classes that the rows of a conditional run's grids show, as `sample.sheet` lays them out."""
    if not (config and config.conditional):
        return []
    try:
        trained = read_json(folder.model / "config.json").get("trained")
    except UserError:
        return []
    names = _texts(trained.get("classes")) if isinstance(trained, dict) else []
    return names if 1 < len(names) <= 10 else []


def _evaluated(folder: RunFolder, faults: list[str]) -> dict[str, Any]:
    """What `evaluate` wrote, or nothing."""
    path = folder.evaluation / "figures.json"
    return _read(lambda: read_json(path), {}, faults) if path.exists() else {}


def _figures(evaluated: dict[str, Any], lines: Sequence[LogEntry]) -> Figures:
    metrics, shares = evaluated.get("metrics"), evaluated.get("classes")
    table = [_metric(name, value) for name, value in metrics.items()] if isinstance(metrics, dict) else []
    at, end = evaluated.get("step"), max((int(line["step"]) for line in lines), default=None)
    split, data, features, intervals = (_text(evaluated.get(k)) for k in ("split", "data", "features", "intervals"))
    how = (
        f"{_count(evaluated.get('n'))} samples against {_count(evaluated.get('reference'))} pictures of the {split} "
        f"part of {data}; features {features}; 95% intervals over {intervals}; model of step {_count(at)}"
    )
    notes = _texts(evaluated.get("notes"))
    if isinstance(at, int) and end is not None and at != end:
        notes.insert(0, f"The log ends at step {end:,}: these figures are of another moment.")
    drawn = shares.items() if isinstance(shares, dict) else ()
    return Figures(
        tuple(metric for metric in table if metric),
        how,
        tuple(notes),
        {_text(name): f"{share:.1%}" for name, share in drawn if _is_number(share)},
    )


def _metric(name: str, value: object) -> Metric | None:
    if not (isinstance(value, dict) and all(_is_number(value.get(key)) for key in ("mean", "low", "high"))):
        return None
    floor: Any = value.get("real_against_real")
    return Metric(
        METRIC_TITLES.get(name, _text(name)),
        format_number(value["mean"]),
        f"{format_number(value['low'])} to {format_number(value['high'])}".replace(" to ", "\u00a0to "),
        format_number(floor) if _is_number(floor) else NONE,
    )


def _neighbours(folder: RunFolder, faults: list[str]) -> EmbeddedImage | None:
    alt = "generated pictures, one in each row, each followed by the five training pictures nearest to it"
    return embed_image(folder.evaluation / "neighbours.png", alt, faults)


def _text(value: object) -> str:
    """Text from a file as it may be shown: the page escapes it, here it only gets an end."""
    text = value if isinstance(value, str) else NONE if value is None else json.dumps(value)
    return printable(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")


def _texts(value: object) -> list[str]:
    return [_text(item) for item in value[:20] if isinstance(item, str)] if isinstance(value, list) else []


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else NONE


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def is_run(path: Path) -> bool:
    """Whether a folder holds what only a run writes, be its settings readable or not."""
    return any((path / name).exists() for name in ("metrics.jsonl", "samples"))
