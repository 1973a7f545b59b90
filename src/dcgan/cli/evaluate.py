"""Commands that measure and show what was measured: `evaluate`, `compare`, `report`."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from dcgan.cli.result import Result
from dcgan.presets import COMPARED_PRESETS

Split = Literal["test", "validation", "train", "all"]


@dataclass(frozen=True)
class Evaluate:
    """Measure how good samples are: distances to real pictures, each with an interval and a floor."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a saved model's folder, a name (mnist, mnist-dcgan, mnist-cgan), a Hub id, an .npz of samples, or a
    folder of pictures."""
    data: str | None = None
    """The real pictures, as for `dcgan train`; by default what the model was trained on."""
    split: Split = "test"
    """Which part of them."""
    n: int | None = None
    """Samples in each figure: 10,000 by default, 26,000 of stacked digits; of files at most what there is."""
    features: str | None = None
    """`judge` (a classifier of digits), `inception`, `random`, or the folder of a judge of your own. By default `judge`
    for mnist and stacked-mnist at their own size, else `random`."""
    seeds: int = 5
    """How many independent sets of samples the intervals are made from, 5 to 20; files are cut into as many parts."""
    resize: FlagCreatePairsOff[bool] = False
    """Bring samples of another size or other channels to those of the features or the data."""
    infinite: FlagCreatePairsOff[bool] = False
    """Extrapolate the Fréchet distance to infinitely many samples too."""
    train_on_fakes: FlagCreatePairsOff[bool] = False
    """Train a classifier on the samples and try it on the real pictures too: minutes; needs classes."""
    neighbours: Path | None = None
    """FILE.png to write: samples, each followed by the training pictures nearest to it."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.evaluation.measure import evaluate
        from dcgan.reporting.page import write_run_report

        options = {name: value for name, value in vars(self).items() if name not in ("model", "json")}
        found = evaluate(self.model, save_in_run=True, **options)
        if (Path(self.model) / "evaluation").is_dir():
            with suppress(OSError):  # a run that cannot be written to has said so by now
                write_run_report(Path(self.model))
        return found.as_json(), found.as_table()


@dataclass(frozen=True)
class Compare:
    """Train several recipes with several seeds at equal work, and say what can be told apart.

    The same command again goes on where it was cut off; with more presets or seeds it adds them.
    """

    out: Path
    """The folder: a run in PRESET-SEED/ each, table.json, table.csv, table.md, curves.png and grids.png."""
    presets: tuple[str, ...] = COMPARED_PRESETS
    """Which recipes."""
    seeds: tuple[int, ...] = (0, 1, 2, 3)
    """With which seeds each is trained, at most ten. With fewer than four nothing can be told apart at 5%."""
    minutes: float | None = None
    """What is equal: this much training time a run, by default 3."""
    images: int | None = None
    """What is equal: this many real images."""
    steps: int | None = None
    """What is equal: this many generator updates."""
    data: str = "mnist"
    """The pictures, as for `dcgan train`."""
    image_size: int | str = 28
    """Their size, for all presets alike."""
    n: int = 10_000
    """Samples in each figure."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.comparison.comparison import compare

        options = {name: value for name, value in vars(self).items() if name not in ("out", "json")}
        found = compare(self.out, **options)
        return found.outcome.as_json(), f"{found.outcome.as_markdown()}\nin {found.path}"


@dataclass(frozen=True)
class Report:
    """Put a run on one page: RUN/report.html, with nothing fetched from anywhere."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run folder."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.reporting.page import write_run_report

        written = write_run_report(self.run)
        found = {"report": str(written.path), "bytes": written.size, "faults": list(written.faults)}
        return found, "\n".join([f"{written.path}: {written.size / 1e6:.1f} MB", *(f"  {f}" for f in written.faults)])
