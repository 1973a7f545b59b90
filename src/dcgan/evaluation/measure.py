"""Measure how good samples are: extract the features of generated and real pictures, and compare them.

samples (a model, or files) -> features -> metrics of five sets of samples -> estimates with intervals
real pictures -> the same features, kept in the cache         -> the floor: real against real
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from dcgan.cache import cache_key
from dcgan.evaluation.compute import (
    Metrics,
    RealSide,
    SampleMetrics,
    add_train_on_fakes,
    compute_metrics,
    describe_real_side,
    extract_samples,
)
from dcgan.evaluation.save import nearest_grid, save_evaluation
from dcgan.evaluation.task import FLOOR_SPLIT, EvaluationTask, open_task
from dcgan.files import printable
from dcgan.images import save_png
from dcgan.metrics import fidelity, modes
from dcgan.metrics.intervals import MIN_SEEDS, Estimate, estimate_metric
from dcgan.metrics.limits import metric_limits
from dcgan.metrics.reference import (
    MAX_FLOOR_IMAGES,
    MAX_REFERENCE_IMAGES,
    FeatureSet,
    concatenate_sets,
    extract_reference,
    floor_sets,
    floor_train_sets,
    load_or_compute_metrics,
)
from dcgan.metrics.results import Evaluation
from dcgan.run.folder import RunFolder
from dcgan.sampling.model import Model
from dcgan.sampling.output import check_output_path

FLOOR_SET_COUNT = 2
"""Sets of real pictures that the floor is the mean of; it varies little between sets."""
FLOOR_VERSION = 2
"""Version of the floor's metrics in the cache. It is raised when a metric is computed in another way."""


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
    save_in_run: bool = False,
    device: str = "cpu",
    show_progress: bool = True,
) -> Evaluation:
    """Measure how good samples are, as `dcgan evaluate` does.

    Args:
        source: a run folder, a saved model's folder, the name of a model that comes with the package, a Hub id, an
            `.npz` of samples, a folder of pictures, or a loaded model.
        data: the real pictures; by default the data that the model was trained on.
        split: the split of the data that the samples are compared with: `test`, `validation`, `train` or `all`.
        n: the number of samples that each metric is computed from: by default 10,000, or 26,000 of stacked digits. Of
            files at most the number of samples is used.
        features: the name of a feature extractor (`judge`, `inception` or `random`), or a judge's folder; by default
            `judge` for MNIST's digits, else `random`.
        seeds: how many independent sets of samples the intervals are computed from, 5 to 20. Samples of files are
            divided into as many disjoint parts.
        resize: whether to convert samples of another size or with other channels.
        infinite: whether to extrapolate the Fréchet distance to infinitely many samples too.
        train_on_fakes: whether to train a judge on the samples and measure its accuracy on the real pictures; this
            needs classes.
        neighbours: a .png to write, with samples and the training pictures nearest to each of them.
        save_in_run: whether to write the metrics into the run too, if `source` is a run; its report shows them.
        device: where the features are computed.
        show_progress: whether to show a progress bar on standard error, and a line if the run cannot be written to.
            If it is False, nothing is printed.

    Returns:
        The estimate of each metric with its interval and its floor, and everything that they depend on.

    Raises:
        UserError: there is nothing to evaluate, there are too few pictures, the samples have another size or other
            channels, or the weights of the feature extractor are missing.
    """
    start = time.perf_counter()
    task = open_task(
        source,
        data=data,
        split=split,
        n=n,
        features=features,
        seeds=seeds,
        resize=resize,
        infinite=infinite,
        train_on_fakes=train_on_fakes,
        device=device,
        show_progress=show_progress,
    )
    if neighbours is not None:
        check_output_path(neighbours, (".png",))
        save_png(nearest_grid(task), neighbours)
    evaluation = run_evaluation(task, start)
    if save_in_run and isinstance(source, str | os.PathLike) and (Path(source) / "model").is_dir():
        save_evaluation(RunFolder(Path(source)), task, evaluation)
    return evaluation


def run_evaluation(task: EvaluationTask, start: float) -> Evaluation:
    """Compute all metrics; `start` is the value of `time.perf_counter` when the evaluation began."""
    reference_count = min(len(task.real_images), max(MAX_REFERENCE_IMAGES, task.n))
    with tqdm(
        desc="evaluate",
        unit="img",
        unit_scale=True,
        mininterval=0.5 if os.isatty(2) else 10,
        disable=not task.show_progress,
    ) as bar:
        real = describe_real_side(
            extract_reference(task.real_images, task.split, task.extractor, reference_count, bar.update)
        )
        pool = _extract_floor_pool(task, bar.update)
        floor = _load_or_compute_floor(task, real, pool) if len(pool) >= task.n else {}
        metrics = _compute_sample_metrics(task, real, pool, bar.update)
    if task.train_on_fakes:
        add_train_on_fakes(task, metrics, floor, cache_key("trained on reals", _floor_key(task, 0)))
    return Evaluation(
        source=printable(task.samples.name),
        data=printable(task.data),
        split=task.split,
        features=task.features_name,
        n=task.n,
        reference_count=reference_count,
        seeds=() if task.has_files else task.seeds,
        interval_method=_describe_intervals(task),
        neighbor_k=fidelity.NEIGHBOR_K,
        metrics=_estimate_metrics(task, metrics, floor),
        class_shares=_class_shares(task, metrics.samples),
        notes=tuple(_notes(task, pool, floor)),
        seconds=round(time.perf_counter() - start, 1),
    )


def _extract_floor_pool(task: EvaluationTask, on_extracted: Callable[[int], object]) -> FeatureSet:
    """Return the features of the real pictures that the floor is computed from; none if all data are the reference."""
    if task.split not in FLOOR_SPLIT:
        return FeatureSet(torch.empty(0, task.extractor.feature_count))
    images = task.open_floor_split()
    max_count = min(len(images), FLOOR_SET_COUNT * task.n, MAX_FLOOR_IMAGES)
    return extract_reference(images, FLOOR_SPLIT[task.split], task.extractor, max_count, on_extracted)


def _load_or_compute_floor(task: EvaluationTask, real: RealSide, pool: FeatureSet) -> Metrics:
    """Return every metric with real pictures of another split instead of samples, the mean of the sets."""

    def compute_floor() -> Metrics:
        sets = floor_sets(pool, task.n, FLOOR_SET_COUNT)
        train_sets = floor_train_sets(pool, task.n, FLOOR_SET_COUNT)
        metrics = [
            compute_metrics(task, fake, real, train, seed)
            for seed, (fake, train) in enumerate(zip(sets, train_sets, strict=True))
        ]
        return {name: sum(m[name] for m in metrics) / len(metrics) for name in metrics[0]}

    return load_or_compute_metrics(_floor_key(task, len(real)), compute_floor)


def _floor_key(task: EvaluationTask, reference_count: int) -> str:
    return cache_key(
        "floor",
        FLOOR_VERSION,
        task.real_images.content_key,
        task.split,
        task.n,
        reference_count,
        FLOOR_SET_COUNT,
        task.features_name,
        task.extractor.weights_key,
        task.samples.image_shape,
        task.infinite,
    )


def _compute_sample_metrics(
    task: EvaluationTask, real: RealSide, pool: FeatureSet, on_extracted: Callable[[int], object]
) -> SampleMetrics:
    """Extract the features of the samples, and return their metrics.

    The floor's sets serve as training pictures in the metric of memorization.
    """
    sets = floor_sets(pool, task.n, FLOOR_SET_COUNT)
    train_sets = [sets[i % len(sets)] if sets else None for i in range(len(task.seeds))]
    if not task.has_files:
        metrics, sample_sets = [], []
        for seed, train in zip(task.seeds, train_sets, strict=True):
            sample_sets.append(extract_samples(task, seed, on_extracted))
            metrics.append(compute_metrics(task, sample_sets[-1], real, train, seed))
        return SampleMetrics(metrics, None, concatenate_sets(sample_sets))
    samples = extract_samples(task, 0, on_extracted)
    parts = [samples.select(rows) for rows in torch.arange(task.n).chunk(len(task.seeds))]
    metrics = [
        compute_metrics(task, part, real, train, seed)
        for seed, (part, train) in enumerate(zip(parts, train_sets, strict=True))
    ]
    return SampleMetrics(metrics, compute_metrics(task, samples, real, train_sets[0], 0), samples)


def _estimate_metrics(task: EvaluationTask, metrics: SampleMetrics, floor: Metrics) -> dict[str, Estimate]:
    scores = metrics.samples.scores
    class_count = 1 if scores is None else scores.shape[1]
    return {
        name: estimate_metric(
            [set_metrics[name] for set_metrics in metrics.of_sets],
            None if metrics.overall is None else metrics.overall[name],
            floor.get(name),
            metric_limits(name, class_count),
        )
        for name in metrics.of_sets[0]
    }


def _describe_intervals(task: EvaluationTask) -> str:
    if task.has_files:
        return f"{len(task.seeds)} disjoint parts of the samples, without replacement"
    return f"{len(task.seeds)} independent sample seeds"


def _class_shares(task: EvaluationTask, samples: FeatureSet) -> dict[str, float]:
    """Return the share of each class among the samples; none if the extractor does not know the data's classes."""
    names = task.extractor.classes
    if not names or task.extractor.is_stacked or samples.scores is None:
        return {}
    return dict(zip(names, modes.class_shares(samples.scores.argmax(1), len(names)), strict=True))


def _notes(task: EvaluationTask, pool: FeatureSet, floor: Metrics) -> list[str]:
    notes = list(task.notes)
    if task.features_name != task.extractor.name:
        notes.append(
            f"{task.features_name}: pictures above {task.extractor.full_size_above} pixels are no longer made smaller; "
            f"their metrics on {task.extractor.name} features of version 0.1.0 are not comparable"
        )
    notes += _floor_notes(task, pool, floor)
    if task.extractor.is_stacked:
        notes.append(
            f"KL to uniform: {modes.kl_bias(task.n):.4f} of it is the estimator's own bias at n = {task.n:,}; "
            "real against real also contains the unequal frequencies of the digits"
        )
    return notes


def _floor_notes(task: EvaluationTask, pool: FeatureSet, floor: Metrics) -> list[str]:
    """Return what is missing in the floor, and why."""
    if len(pool) < task.n:
        return [f"no real against real: it needs {task.n:,} more real pictures, and there are {len(pool):,}"]
    if len(pool) >= FLOOR_SET_COUNT * task.n:
        return []
    notes = [
        f"real against real is of one set of {task.n:,} pictures, because there are {len(pool):,} for "
        f"{FLOOR_SET_COUNT} sets"
    ]
    if task.split == "test":
        rest = len(pool) - task.n
        notes.append(
            f"real against real of nearest: train / held-out is with the {rest:,} other pictures"
            if "train_held_out_distance_ratio" in floor
            else f"no real against real of nearest: train / held-out, because only {rest:,} other pictures are left"
        )
    return notes
