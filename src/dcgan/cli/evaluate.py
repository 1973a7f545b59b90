"""Commands that measure, and show what was measured: `evaluate`, `compare`, `report`."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from dcgan.cache import expand_user
from dcgan.cli.result import Result
from dcgan.errors import UserError
from dcgan.presets import COMPARED_PRESETS
from dcgan.system.console import print_message

if TYPE_CHECKING:
    from dcgan.metrics.results import Evaluation

Split = Literal["test", "validation", "train", "all"]


@dataclass(frozen=True)
class Evaluate:
    """Measure how good samples are: metrics against real pictures, each with an interval and a floor."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, the folder of a saved model, a shipped name (mnist, mnist-dcgan, mnist-cgan), a Hub id, an .npz of
    samples, or a folder of pictures."""
    data: str | None = None
    """The real pictures, as for `dcgan train`; by default what the model was trained on."""
    split: Split | None = None
    """Which part of the real pictures: by default `test`, or `all` if that has fewer than 50 pictures."""
    n: int | None = None
    """Samples for each metric: by default 10,000, or 26,000 of stacked digits, but no more than there are training
    pictures, or 1,000; at most as many as there are files."""
    features: str | None = None
    """The feature extractor: one of the list above, or the folder of a judge of your own. By default `judge` for mnist
    and stacked-mnist at their own size, else `lite0`."""
    seeds: int = 5
    """Number of independent sets of samples, 5 to 20; files are one set, in as many parts for metrics of classes."""
    k: int = 5
    """The neighbor that precision, recall, density and coverage use: 5 (Naeem et al.) or 3 (Kynkäänniemi et al.)."""
    resize: FlagCreatePairsOff[bool] = False
    """Convert samples of another size or other channels to those of the features or the data."""
    infinite: FlagCreatePairsOff[bool] = False
    """Also extrapolate the Fréchet distance to infinitely many samples."""
    train_on_fakes: FlagCreatePairsOff[bool] = False
    """Also train a classifier on the samples and test it on the real pictures. It takes minutes and needs classes."""
    neighbours: Path | None = None
    """FILE.png to write: samples, each followed by the training pictures that are nearest to it."""
    sheets: Path | None = None
    """DIR to write what is to be looked at: suspicious pairs, neighbors, real pictures, classes, and nearest.csv."""
    skip_copies: FlagCreatePairsOff[bool] = False
    """Do not search the training pictures for those that samples are copies of; it takes up to a minute."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.evaluation.measure import evaluate
        from dcgan.reporting.page import write_run_report

        options = {name: value for name, value in vars(self).items() if name not in ("model", "json", "skip_copies")}
        evaluation = evaluate(self.model, save_in_run=True, copies=not self.skip_copies, **options)
        run = expand_user(self.model)
        if (run / "evaluation").is_dir():
            # `evaluate` has already said that the run cannot be written. Or the folder is of pictures, and no run.
            with suppress(OSError, UserError):
                write_run_report(run)
            _log_to_tools(run, evaluation)
        return evaluation.as_json(), evaluation.as_table()


def _log_to_tools(run: Path, evaluation: "Evaluation") -> None:
    """Give the metrics to the loggers of a run, with what they were measured by in their names."""
    from dcgan.run.folder import RunFolder
    from dcgan.training.loggers import log_evaluation

    measured_by = re.sub(r"[^\w.-]+", "_", f"{Path(evaluation.features).name} {evaluation.split}", flags=re.ASCII)
    metrics = {f"evaluate_{measured_by}/{name}": estimate.mean for name, estimate in evaluation.metrics.items()}
    with suppress(UserError):  # it is a saved model beside a folder `evaluation`, not a run
        log_evaluation(RunFolder(run), metrics, print_message)


@dataclass(frozen=True)
class Compare:
    """Train several presets with several seeds at equal work, and say which ones can be told apart.

    The same command again continues where it was interrupted; with more presets or seeds it adds them.
    """

    out: Path
    """The folder: each run in PRESET-SEED/, and table.json, table.csv, table.md, curves.png and grids.png."""
    presets: tuple[str, ...] = COMPARED_PRESETS
    """The presets."""
    seeds: tuple[int, ...] = (0, 1, 2, 3)
    """Each preset is trained with each of these seeds, at most ten. With fewer than four, nothing can be told apart at
    5%."""
    minutes: float | None = None
    """Train each run for this much training time; 3 by default."""
    images: int | None = None
    """Train each run for this many real images instead."""
    steps: int | None = None
    """Train each run for this many steps (generator updates) instead."""
    data: str = "mnist"
    """The pictures to train on, as for `dcgan train`."""
    image_size: int | str = 28
    """Size of the pictures, the same for all presets."""
    n: int = 10_000
    """Samples for each metric."""
    jobs: int = 1
    """Runs that are trained at once, which share the cores."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.comparison.comparison import compare
        from dcgan.system.preparation import show_preparations

        options = {name: value for name, value in vars(self).items() if name not in ("out", "json")}
        with show_preparations(True):
            comparison = compare(self.out, **options)
        return comparison.outcome.as_json(), f"{comparison.outcome.as_markdown()}\nin {comparison.path}"


@dataclass(frozen=True)
class Report:
    """Write the report of a run: RUN/report.html, one file that loads nothing from the network."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run folder."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.reporting.page import write_run_report

        written = write_run_report(self.run)
        content = {"report": str(written.path), "bytes": written.size, "faults": list(written.faults)}
        return content, "\n".join([f"{written.path}: {written.size / 1e6:.1f} MB", *(f"  {f}" for f in written.faults)])
