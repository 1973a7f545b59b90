"""The charts of a run as plain data: which curves, under which names, against which reference, in which limits.

`curves` draws them as a PNG and `charts` lays them out as SVG. What a chart of losses or scores shows depends on the
kind of the scores only (`RunFolder.score_kind`), never on an objective's name.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dcgan.config import ScoreKind
from dcgan.run.log import LogEntry, is_finite_number

DISTANCE, KERNEL_DISTANCE = "frechet_inception_distance", "kernel_inception_distance_mean"
"""Keys of the Fréchet distance, and of the kernel distance, which does not depend on the numbers of pictures, in the
metrics log and in what an evaluation writes."""
MEASURE_TITLES = {
    DISTANCE: "Fréchet distance",
    KERNEL_DISTANCE: "kernel distance (KID)",
}
"""The distances that a run may measure while it trains, by their key in the metrics log, and how people call them."""
LOSS_NAMES = {"loss_d": "Loss_D", "loss_g": "Loss_G"}
SCORE_NAMES = {"d_real": "D(x)", "d_fake": "D(G(z))"}
Points = Sequence[tuple[float, float]]
"""(x, y) of a curve, with x ascending."""


@dataclass(frozen=True)
class Reference:
    """A horizontal line to compare the curves with, such as an optimum."""

    y: float
    name: str


@dataclass(frozen=True)
class ChartData:
    """What a chart shows.

    Attributes:
        title: what is drawn.
        curves: the points of each curve by its name; x is the number of images seen, and all values are finite.
        y_label: the label of the y axis, for drawings that have no title.
        reference: a line to compare with, or None.
        y_limits: the range of the y axis, or None for that of the points.
    """

    title: str
    curves: Mapping[str, Points]
    y_label: str = ""
    reference: Reference | None = None
    y_limits: tuple[float, float] | None = None

    @property
    def has_points(self) -> bool:
        """Whether any curve has a point."""
        return any(self.curves.values())


def loss_chart(measurements: Sequence[LogEntry], score_kind: ScoreKind) -> ChartData:
    """Return the losses of both networks over images seen."""
    curves = {name: metric_points(measurements, key) for key, name in LOSS_NAMES.items()}
    if score_kind == "none":
        return ChartData("Loss", {LOSS_NAMES["loss_g"]: curves[LOSS_NAMES["loss_g"]]}, "loss (mean over a log step)")
    reference = Reference(math.log(2), "ln 2: D cannot tell") if score_kind == "probability" else None
    return ChartData("Losses", curves, "loss (mean over a log step)", reference)


def score_chart(measurements: Sequence[LogEntry], score_kind: ScoreKind) -> ChartData:
    """Return the discriminator's scores over images seen.

    Probabilities are drawn against their optimum 1/2. Relative scores mean nothing alone, because a constant that is
    added to all of them changes no loss; the chart shows the probability σ(D(x) − D(G(z))) instead, that a real
    picture scores higher than a generated one. Raw scores have neither limits nor an optimum. Without a discriminator
    there are no curves.
    """
    if score_kind == "none":
        return ChartData("Scores", {})
    half = Reference(0.5, "1/2: the optimum")
    if score_kind == "relative":
        scored = [m for m in measurements if all(is_finite_number(m.get(name)) for name in SCORE_NAMES)]
        wins = [(float(m["images_seen"]), _sigmoid(m["d_real"] - m["d_fake"])) for m in scored]
        return ChartData("Scores", {"σ(D(x) − D(G(z)))": wins}, "σ of mean scores", half, (0, 1))
    curves = {name: metric_points(measurements, key) for key, name in SCORE_NAMES.items()}
    if score_kind == "probability":
        return ChartData("Scores", curves, "mean score", half, (0, 1))
    return ChartData("Scores", curves, "mean score")


def quality_chart(events: Iterable[LogEntry]) -> ChartData:
    """Return the distances that the run measured while it trained, over images seen; no curve if it measured none."""
    measured = comparable_measurements(events)
    if measured is None:
        return ChartData("", {})
    features, split = (measured.entries[-1].get(name) for name in ("features", "split"))
    title = f"{measured.title} ({features}, {split})" if features and split else measured.title
    return ChartData(title, {measured.title: metric_points(measured.entries, measured.metric)}, measured.title)


@dataclass(frozen=True)
class Measurements:
    """The distances that a run measured while it trained, in one measure: others cannot be compared with them.

    Attributes:
        metric: a key of `MEASURE_TITLES`.
        entries: the entries of the log, each with a finite number under this key.
    """

    metric: str
    entries: Sequence[LogEntry]

    @property
    def title(self) -> str:
        """How people call the distance."""
        return MEASURE_TITLES[self.metric]

    def best(self) -> LogEntry:
        """Return the entry with the least distance."""
        return min(self.entries, key=lambda entry: float(entry[self.metric]))


def comparable_measurements(events: Iterable[LogEntry]) -> Measurements | None:
    """Return the distances with the measure and the features of the last one, or None if there are none."""
    measured = [event for event in events if event["event"] == "measured"]
    named = [(metric, e) for e in measured for metric in MEASURE_TITLES if is_finite_number(e.get(metric))]
    if not named:
        return None
    last_metric, last = named[-1]
    is_alike = [metric == last_metric and e.get("features") == last.get("features") for metric, e in named]
    return Measurements(last_metric, [e for (_, e), alike in zip(named, is_alike, strict=True) if alike])


def distance_chart(events: Iterable[LogEntry]) -> ChartData:
    """Return the distances that were measured while the run trained."""
    measured = comparable_measurements(events)
    if measured is None:
        return ChartData("Distance while training", {})
    title = f"{measured.title[0].upper()}{measured.title[1:]} while training"
    return ChartData(title, {"distance (less is better)": metric_points(measured.entries, measured.metric)})


def grid_chart(events: Iterable[LogEntry]) -> ChartData:
    """Return how the pictures of the grids differ from each other, and how near they are to real ones."""
    drawn = [event for event in events if event["event"] == "pictures"]
    curves = {name: metric_points(drawn, name) for name in ("diversity", "nearness")}
    title = "The grids: diversity, and nearness to real pictures"
    return ChartData(title, curves, reference=Reference(1, "1: as real pictures"))


def metric_points(entries: Iterable[LogEntry], key: str) -> Points:
    """Return (images seen, value) of each entry that has a finite number under `key`."""
    return [(float(e["images_seen"]), float(e[key])) for e in entries if is_finite_number(e.get(key))]


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))  # 1 / (1 + exp(-x)) would overflow
