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

from dcgan.cache import cache_key
from dcgan.data.open import ImageSet, open_images
from dcgan.errors import UserError
from dcgan.evaluation import sheets
from dcgan.evaluation.compute import FLOOR_SPLIT, EvaluationTask, add_train_on_fakes, compute_metrics, extract_samples
from dcgan.evaluation.samples import SampleSource, Shape, image_shape, match_classes, match_shape, open_samples
from dcgan.files import FORMAT_VERSION, atomic_folder, printable
from dcgan.images import Pixels, save_png
from dcgan.metrics import fidelity, modes
from dcgan.metrics.features import FeatureExtractor, open_extractor
from dcgan.metrics.reference import (
    MAX_FLOOR_POOL,
    MAX_REFERENCE,
    FeatureSet,
    cached_metrics,
    concatenate_sets,
    extract_reference,
    floor_sets,
)
from dcgan.metrics.results import MAX_SEEDS as MOST_SEEDS
from dcgan.metrics.results import MIN_SEEDS, Estimate, Evaluation, estimate
from dcgan.run.folder import RunFolder
from dcgan.sampling.model import Model, load
from dcgan.sampling.output import check_output_path

DEFAULT_SAMPLES = 10_000
"""Samples that a figure is made from, unless another number is given."""
STACKED_SAMPLES = 26_000
"""The same for stacked digits, where modes are counted (Lin et al. 2018)."""
FLOOR_SETS = 2
"""Sets of real pictures that the floor is the mean of: it hardly varies."""
FLOOR_VERSION = 1
"""Of the floor's figures in the cache: raised when a metric would come out differently."""


def default_features(data: str, shape: Shape) -> str:
    """`judge` for the digits that it was trained on, `random` for everything else."""
    return "judge" if (data, shape) in (("mnist", (1, 28, 28)), ("stacked-mnist", (3, 28, 28))) else "random"


def evaluate(
    source: str | os.PathLike[str] | Model,
    *,
    data: str | None = None,
    split: str = "test",
    n: int | None = None,
    features: str | None = None,
    seeds: int = MIN_SEEDS,
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
    if not MIN_SEEDS <= seeds <= MOST_SEEDS:
        raise UserError(f"an interval needs from {MIN_SEEDS} to {MOST_SEEDS} seeds, not {seeds}")
    eyes = open_extractor(
        features or default_features(spec, samples.shape), stacked=spec == "stacked-mnist", device=device
    )
    images = _real(spec, split, samples, eyes)
    samples = match_classes(samples, images.classes)
    samples = match_shape(samples, image_shape(images.pixels), resize, eyes if eyes.shape else None, printable(spec))
    wanted = (STACKED_SAMPLES if spec == "stacked-mnist" else DEFAULT_SAMPLES) if n is None else n
    task = EvaluationTask(
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
        check_output_path(neighbours, (".png",))
        save_png(_nearest(task), neighbours)
    found = run_evaluation(task, begin)
    if keep and isinstance(source, str | os.PathLike) and (Path(source) / "model").is_dir():
        save_in_run(RunFolder(Path(source)), task, found)
    return found


def save_in_run(folder: RunFolder, task: EvaluationTask, found: Evaluation) -> None:
    """Write the figures of a run's model into the run, with the nearest training pictures and a row of each class.

    A run that cannot be written to keeps nothing, and one line says so: the figures are not lost by it.
    """
    trained = load(folder).trained
    classes, rows = sheets.class_sheet(task.samples, task.features)
    about = {"step": trained.get("step"), "images_seen": trained.get("images_seen"), "rows": list(rows)}
    content = {"format_version": FORMAT_VERSION, **about, **found.as_json()}
    try:
        with atomic_folder(folder.evaluation) as aside:
            (aside / "figures.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            save_png(_nearest(task), aside / "neighbours.png")
            if rows:
                save_png(classes, aside / "classes.png")
    except OSError as error:
        print(f"{folder.path} does not keep the figures: {error.strerror}", file=sys.stderr)


def _nearest(task: EvaluationTask) -> Pixels:
    channels, *size = task.samples.shape
    train = open_images(task.spec, "train", size=(size[0], size[1]), channels=channels, fit=task.samples.fit)
    return sheets.nearest_sheet(task.samples, task.features, train)


def _real(spec: str, split: str, samples: SampleSource, eyes: FeatureExtractor) -> ImageSet:
    """The real pictures, as the features read them; else as a model draws them; else as they are."""
    shape = eyes.shape or (samples.shape if samples.there is None else None)
    if shape is None:
        return open_images(spec, split)
    return open_images(spec, split, size=shape[1:], channels=shape[0], fit=samples.fit)


def _count(wanted: int, samples: SampleSource, seeds: int) -> int:
    if wanted < 1:
        raise UserError(f"the number of samples must be at least 1, not {wanted}")
    return wanted if samples.there is None else min(wanted, samples.there)


def _check(task: EvaluationTask) -> None:
    """Refuse too few pictures before anything is computed."""
    named = f"the {task.split} part of {printable(task.spec)}"
    samples, length = f"{printable(task.samples.name)}", task.features.length
    fidelity.check_enough(len(task.images), length, named, "take --split all, or add pictures")
    fidelity.check_enough(task.n, length, samples if task.samples.there else "--n", "draw more")
    least = fidelity.MIN_PICTURES * len(task.seeds)
    if task.samples.there is not None and task.n < least:
        raise UserError(
            f"{samples} gives {task.n:,} samples: an interval needs {len(task.seeds)} parts of at least "
            f"{fidelity.MIN_PICTURES}, {least:,} in all"
        )
    if task.fakes and not (task.samples.classes and task.images.classes):
        raise UserError(
            f"--train-on-fakes needs classes, and {samples} was made without those of {printable(task.spec)}"
        )


def run_evaluation(task: EvaluationTask, begin: float) -> Evaluation:
    """See everything, reckon, and put it together."""
    reference = min(len(task.images), max(MAX_REFERENCE, task.n))
    with tqdm(desc="evaluate", unit="img", unit_scale=True, mininterval=0.5 if os.isatty(2) else 10) as bar:
        real = extract_reference(task.images, task.split, task.features, reference, bar.update)
        pool, notes = FeatureSet(torch.empty(0, task.features.length)), []
        if task.split in FLOOR_SPLIT:
            other = task.other()
            most = min(len(other), FLOOR_SETS * task.n, MAX_FLOOR_POOL)
            pool = extract_reference(other, FLOOR_SPLIT[task.split], task.features, most, bar.update)
        others = floor_sets(pool, task.n, FLOOR_SETS)
        if not others:
            notes.append(f"no real against real: that needs {task.n:,} more real pictures, {len(pool):,} are there")
        floor = cached_metrics(_floor_key(task, reference), lambda: _mean(_floor(task, real, others))) if others else {}
        each, whole, drawn = _figures(task, real, others, bar.update)
    if task.fakes:
        add_train_on_fakes(task, each, whole, floor, cache_key("trained on reals", _floor_key(task, 0)))
    metrics = {
        name: estimate([e[name] for e in each], None if whole is None else whole[name], floor.get(name))
        for name in each[0]
    }
    return _evaluation(task, reference, metrics, drawn, notes, time.perf_counter() - begin)


def _floor_key(task: EvaluationTask, reference: int) -> str:
    eyes = task.features
    return cache_key(
        "floor",
        FLOOR_VERSION,
        task.images.key,
        task.split,
        task.n,
        reference,
        FLOOR_SETS,
        eyes.name,
        eyes.key,
        task.samples.shape,
        task.infinite,
    )


def _mean(each: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(e[name] for e in each) / len(each) for name in each[0]}


def _floor(task: EvaluationTask, real: FeatureSet, others: list[FeatureSet]) -> list[dict[str, float]]:
    """Every metric with real pictures of the other part in the place of samples."""
    following = [*others[1:], others[0]]
    return [
        compute_metrics(task, fake, real, train, seed)
        for seed, (fake, train) in enumerate(zip(others, following, strict=True))
    ]


def _figures(
    task: EvaluationTask, real: FeatureSet, others: list[FeatureSet], said: Callable[[int], object]
) -> tuple[list[dict[str, float]], dict[str, float] | None, FeatureSet]:
    """The metrics of each set of samples, those of all together if the samples are files, and what was seen."""
    trains = [others[seed % FLOOR_SETS] if others else None for seed in range(len(task.seeds))]
    if task.samples.there is None:
        each, seen = [], []
        for seed, train in zip(task.seeds, trains, strict=True):
            seen.append(extract_samples(task, seed, said))
            each.append(compute_metrics(task, seen[-1], real, train, seed))
        return each, None, concatenate_sets(seen)
    everything = extract_samples(task, 0, said)
    parts = [everything.take(rows) for rows in torch.arange(task.n).chunk(len(task.seeds))]
    each = [
        compute_metrics(task, part, real, train, seed)
        for seed, (part, train) in enumerate(zip(parts, trains, strict=True))
    ]
    return each, compute_metrics(task, everything, real, trains[0], 0), everything


def _evaluation(
    task: EvaluationTask,
    reference: int,
    metrics: dict[str, Estimate],
    drawn: FeatureSet,
    notes: list[str],
    seconds: float,
) -> Evaluation:
    eyes, files, k = task.features, task.samples.there is not None, len(task.seeds)
    classes = {}
    if eyes.classes and not eyes.stacked and drawn.scores is not None:
        shares = modes.class_shares(drawn.scores.argmax(1), len(eyes.classes))
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
        neighbours=fidelity.NEIGHBOUR_K,
        metrics=metrics,
        classes=classes,
        notes=tuple(notes),
        seconds=round(seconds, 1),
    )
