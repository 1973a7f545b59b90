"""What a comparison found: a table with intervals over seeds, verdicts, and the same as JSON, CSV and Markdown."""

import csv
import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dcgan.comparison.plan import Plan
from dcgan.comparison.runs import comparison_run, read_parts
from dcgan.comparison.statistics import LEVEL, SeedSpread, Verdict, compare_presets, spread_over_seeds
from dcgan.files import FORMAT_VERSION, atomic_file, read_json
from dcgan.metrics.results import METRIC_TITLES, format_number

DISTANCE = "frechet_inception_distance"
SHOWN = (DISTANCE, "precision", "recall", "certainty", "class_entropy", "label_agreement")
"""Columns of the table for people; the files have all."""
WORK = ("step", "images_seen", "seconds", "loss_d", "loss_g")
HEADINGS = {**METRIC_TITLES, "certainty": "judge's certainty ↑", "step": "steps", "images_seen": "images"}


@dataclass(frozen=True)
class Outcome:
    """Everything that came out.

    Attributes:
        how: what was equal, and how it was measured.
        each: metric by metric, by preset and seed, of the runs that ended well.
        table: the same over seeds.
        failed: why a run failed, by preset and seed.
        verdicts: every pair of presets by the Fréchet distance.
    """

    how: dict[str, Any]
    each: dict[str, dict[str, dict[str, float]]]
    table: dict[str, dict[str, SeedSpread]]
    failed: dict[str, dict[str, str]]
    verdicts: tuple[Verdict, ...]

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's own types."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    def as_markdown(self) -> str:
        """The same for people."""
        how = self.how
        shown = [name for name in SHOWN if any(name in row for row in self.table.values())]
        heads = ["preset", "seeds", "steps", "seconds", *(HEADINGS.get(name, name) for name in shown)]
        lines = [
            f"Every run trained for {how['amount']:g} {how['unit']} on {how['data']}, {how['image_size']}x"
            f"{how['image_size']}; {how['n']:,} samples, features {how['features']}, against the test part; mean over "
            "seeds and its 95% interval (Student's t).",
            "",
            f"| {' | '.join(heads)} |",
            f"|{'---|' * len(heads)}",
            *(f"| {' | '.join(self._row(preset, shown))} |" for preset in self.table),
            "",
            *(f"- {found.text}" for found in self.verdicts),
        ]
        if len(self.verdicts) > 1:
            count = len(self.verdicts)
            lines += [
                "",
                f"{count} pairs were held at {LEVEL:.0%} each: chance alone makes {count * LEVEL:.2g} of them.",
            ]
        for preset, why in self.failed.items():
            lines += [f"- {preset}, seed {seed}, failed: {text}" for seed, text in why.items()]
        return "\n".join(lines) + "\n"

    def _row(self, preset: str, shown: list[str]) -> list[str]:
        row, failed = self.table[preset], len(self.failed.get(preset, {}))
        seeds = f"{len(self.each[preset])}" + (f" (+{failed} failed)" if failed else "")
        work = [f"{row[name].mean:,.0f}" if name in row else "-" for name in ("step", "seconds")]
        return [preset, seeds, *work, *(format_spread(row.get(name)) for name in shown)]


def format_spread(found: SeedSpread | None) -> str:
    """A figure in the table."""
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return format_number(found.mean)
    return f"{format_number(found.mean)} ({format_number(found.low)} to {format_number(found.high)})"


def gather_outcome(plan: Plan, out: Path) -> Outcome:
    """Gather what the runs of a plan hold."""
    each: dict[str, dict[str, dict[str, float]]] = {preset: {} for preset in plan.presets}
    failed: dict[str, dict[str, str]] = {}
    features = ""
    for preset, seed in plan.runs:
        folder = comparison_run(out, preset, seed)
        parts, why = read_parts(folder)
        if why:
            failed.setdefault(preset, {})[str(seed)] = why
            continue
        evaluated = read_json(folder.evaluation / "figures.json")
        features = evaluated["features"]
        figures = {name: value["mean"] for name, value in evaluated["metrics"].items()}
        more = (*WORK, *(["certainty"] if "certainty" in parts[-1] else []))
        each[preset][str(seed)] = figures | {name: float(parts[-1][name]) for name in more}
    table = {preset: _over_seeds(list(runs.values())) for preset, runs in each.items()}
    how = plan.fixed() | {"features": features}
    return Outcome(how, each, table, failed, tuple(_verdicts(table)))


def _over_seeds(runs: list[dict[str, float]]) -> dict[str, SeedSpread]:
    return {name: spread_over_seeds([run[name] for run in runs]) for name in (runs[0] if runs else {})}


def _verdicts(table: dict[str, dict[str, SeedSpread]]) -> list[Verdict]:
    measured = {preset: row[DISTANCE].each for preset, row in table.items() if DISTANCE in row}
    return [
        compare_presets("Fréchet distance", a, measured[a], b, measured[b])
        for a, b in itertools.combinations(measured, 2)
    ]


def write_tables(found: Outcome, out: Path) -> None:
    """Write `table.json`, `table.csv` and `table.md`."""
    content = {"format_version": FORMAT_VERSION, **found.as_json()}
    with atomic_file(out / "table.json") as aside:
        aside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    with atomic_file(out / "table.md") as aside:
        aside.write_text(found.as_markdown(), encoding="utf-8")
    with atomic_file(out / "table.csv") as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["preset", "seed", "metric", "value"])
        for preset, runs in found.each.items():
            for seed, figures in runs.items():
                writer.writerows([preset, seed, name, value] for name, value in figures.items())
