"""How good are the samples: stream generated and real pictures through one network, compare what comes out.

samples (a model, or files) -> features -> figures, five times over -> intervals
real pictures -> the same features, kept in the cache        -> the floor: real against real
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from dcgan import sheets
from dcgan.candidates import Samples, Shape, fitting, named_as, open_samples, shape_of
from dcgan.config import FORMAT_VERSION, UserError
from dcgan.data import Images, cache, open_images
from dcgan.files import printable, whole_folder
from dcgan.images import Pixels, save_png
from dcgan.measures import OTHER, Task, classifiers, figures, look
from dcgan.metrics import fidelity, modes
from dcgan.metrics.features import Features, open_features
from dcgan.metrics.reference import MOST, POOL, Set, chunks, joined, kept_figures, see
from dcgan.metrics.results import FEWEST, Evaluation, Figure, figure
from dcgan.metrics.results import MOST as MOST_SEEDS
from dcgan.run import RunFolder
from dcgan.sample import Model, check_out, load

SAMPLES = 10_000
"""Samples that a figure is made from, unless another number is given."""
STACKED_SAMPLES = 26_000
"""The same for stacked digits, where modes are counted (Lin et al. 2018)."""
FLOORS = 2
"""Sets of real pictures that the floor is the mean of: it hardly varies."""
VERSION = 1
"""Of the floor's figures in the cache: raised when a metric would come out differently."""


def default_features(data: str, shape: Shape) -> str:
    """`judge` for the digits that it was trained on, `random` for everything else."""
    return "judge" if (data, shape) in (("mnist", (1, 28, 28)), ("stacked-mnist", (3, 28, 28))) else "random"


def measure(
    source: str | os.PathLike[str] | Model,
    *,
    data: str | None = None,
    split: str = "test",
    n: int | None = None,
    features: str | None = None,
    seeds: int = FEWEST,
    resize: bool = False,
    infinite: bool = False,
    train_on_fakes: bool = False,
    neighbours: Path | None = None,
    keep: bool = False,
    device: str = "cpu",
) -> Evaluation:
    """Measure how good samples are, as `dcgan evaluate` does.

    Args:
        source: a run, a saved model, a shipped one's name, a Hub id, an `.npz` of samples, a folder of pictures, or a
            loaded model.
        data: the real pictures; by default what the model was trained on.
        split: which part of them: `test`, `validation`, `train` or `all`.
        n: samples in each figure: 10,000 by default, 26,000 of stacked digits, at most what there is of files.
        features: `judge`, `inception`, `random` or a judge's folder; by default `judge` for MNIST's digits, else
            `random`.
        seeds: independent sets of samples for the intervals, 5 to 20; of files the disjoint parts they are cut into.
        resize: bring samples of another size or other channels to those of the features or the data.
        infinite: extrapolate the Fréchet distance to infinitely many samples too.
        train_on_fakes: train a classifier on the samples and try it on the real pictures; needs labels.
        neighbours: a .png to write: samples, each beside the training pictures that are nearest to it.
        keep: write the figures into the run too, if `source` is one, from where its report takes them.
        device: where the features are computed.

    Raises:
        UserError: nothing to evaluate, too few pictures, another size or other channels, or features whose weights are
            not there.
    """
    begin = time.perf_counter()
    samples = open_samples(source)
    spec = data or samples.data
    if spec is None:
        raise UserError(f"{printable(samples.name)} does not say what it is to be held against: give --data")
    if not FEWEST <= seeds <= MOST_SEEDS:
        raise UserError(f"an interval needs from {FEWEST} to {MOST_SEEDS} seeds, not {seeds}")
    eyes = open_features(
        features or default_features(spec, samples.shape), stacked=spec == "stacked-mnist", device=device
    )
    images = _real(spec, split, samples, eyes)
    samples = named_as(samples, images.classes)
    samples = fitting(samples, shape_of(images.pixels), resize, eyes if eyes.shape else None, printable(spec))
    wanted = (STACKED_SAMPLES if spec == "stacked-mnist" else SAMPLES) if n is None else n
    task = Task(
        samples,
        eyes,
        images,
        spec,
        split,
        _count(wanted, samples, seeds),
        tuple(range(seeds)),
        infinite,
        train_on_fakes,
    )
    _check(task)
    if neighbours is not None:
        check_out(neighbours, (".png",))
        save_png(_nearest(task), neighbours)
    found = carry_out(task, begin)
    if keep and isinstance(source, str | os.PathLike) and (Path(source) / "model").is_dir():
        keep_in(RunFolder(Path(source)), task, found)
    return found


def keep_in(folder: RunFolder, task: Task, found: Evaluation) -> None:
    """Write the figures of a run's model into the run, with the nearest training pictures and a row of each class.

    A run that cannot be written to keeps nothing, and one line says so: the figures are not lost by it.
    """
    trained = load(folder).trained
    classes, rows = sheets.of_classes(task.samples, task.features)
    about = {"step": trained.get("step"), "images_seen": trained.get("images_seen"), "rows": list(rows)}
    content = {"format_version": FORMAT_VERSION, **about, **found.as_json()}
    try:
        with whole_folder(folder.evaluation) as aside:
            (aside / "figures.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            save_png(_nearest(task), aside / "neighbours.png")
            if rows:
                save_png(classes, aside / "classes.png")
    except OSError as error:
        print(f"{folder.path} does not keep the figures: {error.strerror}", file=sys.stderr)


def _nearest(task: Task) -> Pixels:
    channels, *size = task.samples.shape
    train = open_images(task.spec, "train", size=(size[0], size[1]), channels=channels, fit=task.samples.fit)
    return sheets.nearest(task.samples, task.features, train)


def _real(spec: str, split: str, samples: Samples, eyes: Features) -> Images:
    """The real pictures, as the features read them; else as a model draws them; else as they are."""
    shape = eyes.shape or (samples.shape if samples.there is None else None)
    if shape is None:
        return open_images(spec, split)
    return open_images(spec, split, size=shape[1:], channels=shape[0], fit=samples.fit)


def _count(wanted: int, samples: Samples, seeds: int) -> int:
    if wanted < 1:
        raise UserError(f"the number of samples must be at least 1, not {wanted}")
    return wanted if samples.there is None else min(wanted, samples.there)


def _check(task: Task) -> None:
    """Refuse too few pictures before anything is computed."""
    named = f"the {task.split} part of {printable(task.spec)}"
    samples, length = f"{printable(task.samples.name)}", task.features.length
    fidelity.check_enough(len(task.images), length, named, "take --split all, or add pictures")
    fidelity.check_enough(task.n, length, samples if task.samples.there else "--n", "draw more")
    least = fidelity.LEAST * len(task.seeds)
    if task.samples.there is not None and task.n < least:
        raise UserError(
            f"{samples} gives {task.n:,} samples: an interval needs {len(task.seeds)} parts of at least "
            f"{fidelity.LEAST}, {least:,} in all"
        )
    if task.fakes and not (task.samples.classes and task.images.classes):
        raise UserError(
            f"--train-on-fakes needs classes, and {samples} was made without those of {printable(task.spec)}"
        )


def carry_out(task: Task, begin: float) -> Evaluation:
    """See everything, reckon, and put it together."""
    reference = min(len(task.images), max(MOST, task.n))
    with tqdm(desc="evaluate", unit="img", unit_scale=True, mininterval=0.5 if os.isatty(2) else 10) as bar:
        real = see(task.images, task.split, task.features, reference, bar.update)
        pool, notes = Set(torch.empty(0, task.features.length)), []
        if task.split in OTHER:
            other = task.other()
            most = min(len(other), FLOORS * task.n, POOL)
            pool = see(other, OTHER[task.split], task.features, most, bar.update)
        others = chunks(pool, task.n, FLOORS)
        if not others:
            notes.append(f"no real against real: that needs {task.n:,} more real pictures, {len(pool):,} are there")
        floor = kept_figures(_floor_key(task, reference), lambda: _mean(_floor(task, real, others))) if others else {}
        each, whole, drawn = _figures(task, real, others, bar.update)
    if task.fakes:
        classifiers(task, each, whole, floor, cache.key("trained on reals", _floor_key(task, 0)))
    metrics = {
        name: figure([e[name] for e in each], None if whole is None else whole[name], floor.get(name))
        for name in each[0]
    }
    return _evaluation(task, reference, metrics, drawn, notes, time.perf_counter() - begin)


def _floor_key(task: Task, reference: int) -> str:
    eyes = task.features
    return cache.key(
        "floor",
        VERSION,
        task.images.key,
        task.split,
        task.n,
        reference,
        FLOORS,
        eyes.name,
        eyes.key,
        task.samples.shape,
        task.infinite,
    )


def _mean(each: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(e[name] for e in each) / len(each) for name in each[0]}


def _floor(task: Task, real: Set, others: list[Set]) -> list[dict[str, float]]:
    """Every metric with real pictures of the other part in the place of samples."""
    following = [*others[1:], others[0]]
    return [
        figures(task, fake, real, train, seed) for seed, (fake, train) in enumerate(zip(others, following, strict=True))
    ]


def _figures(
    task: Task, real: Set, others: list[Set], said: Callable[[int], object]
) -> tuple[list[dict[str, float]], dict[str, float] | None, Set]:
    """The metrics of each set of samples, those of all together if the samples are files, and what was seen."""
    trains = [others[seed % FLOORS] if others else None for seed in range(len(task.seeds))]
    if task.samples.there is None:
        each, seen = [], []
        for seed, train in zip(task.seeds, trains, strict=True):
            seen.append(look(task, seed, said))
            each.append(figures(task, seen[-1], real, train, seed))
        return each, None, joined(seen)
    everything = look(task, 0, said)
    parts = [everything.take(rows) for rows in torch.arange(task.n).chunk(len(task.seeds))]
    each = [
        figures(task, part, real, train, seed) for seed, (part, train) in enumerate(zip(parts, trains, strict=True))
    ]
    return each, figures(task, everything, real, trains[0], 0), everything


def _evaluation(
    task: Task, reference: int, metrics: dict[str, Figure], drawn: Set, notes: list[str], seconds: float
) -> Evaluation:
    eyes, files, k = task.features, task.samples.there is not None, len(task.seeds)
    classes = {}
    if eyes.classes and not eyes.stacked and drawn.scores is not None:
        shares = modes.histogram(drawn.scores.argmax(1), len(eyes.classes))
        classes = dict(zip(eyes.classes, shares, strict=True))
    if eyes.stacked:
        notes.append(
            f"KL to uniform: {modes.kl_bias(task.n):.4f} of it is the estimator's own bias at n = {task.n:,}; "
            "real against real has the digits' unequal frequencies besides"
        )
    return Evaluation(
        source=printable(task.samples.name),
        data=printable(task.spec),
        split=task.split,
        features=eyes.name,
        n=task.n,
        reference=reference,
        seeds=() if files else task.seeds,
        intervals=f"{k} disjoint parts of the samples, without replacement"
        if files
        else f"{k} independent sample seeds",
        neighbours=fidelity.NEIGHBOURS,
        metrics=metrics,
        classes=classes,
        notes=tuple(notes),
        seconds=round(seconds, 1),
    )
