"""Measure how good samples are: extract the features of generated and real pictures, and compare them.

samples (a model, or files) -> features -> metrics of five sets of samples -> estimates with intervals
real pictures -> the same features, kept in the cache         -> the floor: real against real
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from dcgan.cache import cache_key, expand_user
from dcgan.data.python_objects import data_path
from dcgan.devices.connect import check_device
from dcgan.evaluation.compute import (
    DISTANCES_OF_SETS,
    MAX_MANIFOLD_IMAGES,
    MIN_SET_SAMPLES,
    NEIGHBOR_METRICS,
    Metrics,
    RealSide,
    SampleMetrics,
    add_train_on_fakes,
    compute_metrics,
    compute_set_metrics,
    describe_real_side,
    extract_samples,
)
from dcgan.evaluation.copies import CopyCheck, can_check_copies, check_copies
from dcgan.evaluation.flattery import flattery_notes
from dcgan.evaluation.floor import (
    CROSS_SPLITS,
    FLOOR_SET_COUNT,
    count_floor_pool,
    extract_floor_pool,
    floor_key,
    load_or_compute_floor,
)
from dcgan.evaluation.save import make_sheets_folder, nearest_grid, save_evaluation, save_sheets
from dcgan.evaluation.task import FLOOR_SPLIT, MIN_TO_JUDGE, EvaluationTask, open_task
from dcgan.files import printable
from dcgan.images import save_png
from dcgan.metrics import fidelity, modes
from dcgan.metrics.equality import permutation_test
from dcgan.metrics.intervals import (
    MIN_SEEDS,
    Estimate,
    Floor,
    estimate_metric,
    jackknife_estimate,
    with_floor,
)
from dcgan.metrics.limits import metric_limits
from dcgan.metrics.reference import (
    MAX_REFERENCE_IMAGES,
    FeatureSet,
    concatenate_sets,
    extract_reference,
    has_equal_features,
)
from dcgan.metrics.results import Evaluation
from dcgan.run.folder import RunFolder
from dcgan.sampling.model import Model
from dcgan.sampling.output import check_output_path, writable_parent
from dcgan.system.allocator import keep_freed_memory
from dcgan.system.console import standard_error
from dcgan.system.preparation import show_preparations
from dcgan.system.torch_settings import isolate_torch_settings

RECORDED_PACKAGES = ("dcgan", "torch", "torchvision", "torch-fidelity", "numpy", "pillow")
"""Packages whose versions are written beside the metrics."""
MIN_FOR_NEIGHBORS = 500
"""Pictures on either side below which metrics of neighbors say little: their intervals are wide."""


@isolate_torch_settings()
@keep_freed_memory()
def evaluate(
    source: str | os.PathLike[str] | Model,
    *,
    data: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    split: str | None = None,
    n: int | None = None,
    features: str | None = None,
    seeds: int = MIN_SEEDS,
    k: int = fidelity.NEIGHBOR_K,
    resize: bool = False,
    infinite: bool = False,
    train_on_fakes: bool = False,
    neighbours: str | os.PathLike[str] | None = None,
    sheets: str | os.PathLike[str] | None = None,
    copies: bool = True,
    save_in_run: bool = False,
    device: str = "cpu",
    show_progress: bool = True,
) -> Evaluation:
    """Measure how good samples are, as `dcgan evaluate` does.

    Args:
        source: a run folder, a saved model's folder, the name of a model that comes with the package, a Hub id, an
            `.npz` of samples, a folder of pictures, or a loaded model.
        data: the real pictures, or a list of several sets that are joined; by default the data that the model was
            trained on.
        split: the split of the data that the samples are compared with: `test`, `validation`, `train` or `all`. By
            default `test`, or `all` if the test split has fewer than 50 pictures.
        n: the number of samples that each metric is computed from: by default 10,000, or 26,000 of stacked digits, but
            at most as many as there are training pictures, or 1,000. Of files at most the number of samples is used.
        features: the name of a feature extractor (`judge`, `lite0`, `random`, ...), or a judge's folder; by default
            `judge` for MNIST's digits, else `lite0`.
        seeds: how many independent sets of samples are drawn, 5 to 20. Samples of files are one set; for metrics of
            classes they are divided into as many disjoint parts.
        k: the neighbor that precision, recall, density and coverage use: 5 as Naeem et al. 2020, 3 as Kynkäänniemi et
            al. 2019. Their values for different k cannot be compared.
        resize: whether to convert samples of another size or with other channels.
        infinite: whether to extrapolate the Fréchet distance to infinitely many samples too.
        train_on_fakes: whether to train a judge on the samples and measure its accuracy on the real pictures; this
            needs classes.
        neighbours: a .png to write, with samples and the training pictures nearest to each of them.
        sheets: a folder to write what is to be looked at: suspicious pairs, samples beside their nearest training
            pictures, real pictures, a row for each class, and a table of the nearest training picture of each sample.
        copies: whether to search the training pictures for those that samples are copies of.
        save_in_run: whether to write the metrics into the run too, if `source` is a run; its report shows them.
        device: where the features are computed.
        show_progress: whether to show a progress bar on standard error, and a line if the run cannot be written to.
            If it is False, nothing is printed.

    Returns:
        The estimate of each metric with its interval and its floor, and everything that they depend on.

    Raises:
        UserError: there is nothing to evaluate, there are too few pictures, the samples have another size or other
            channels, the weights of the feature extractor are missing, or `neighbours` or `sheets` cannot be written.
    """
    start = time.perf_counter()
    check_device(device)
    if not isinstance(source, Model):
        source = os.path.expanduser(source)  # a text, in which `./mnist` stays another model than `mnist`
    with show_preparations(show_progress):
        task = open_task(
            source,
            data=None if data is None else data_path(data),
            split=split,
            n=n,
            features=features,
            seeds=seeds,
            resize=resize,
            infinite=infinite,
            train_on_fakes=train_on_fakes,
            k=k,
            device=device,
            show_progress=show_progress,
        )
    if sheets is not None:
        sheets = expand_user(sheets)
        make_sheets_folder(sheets)
    if neighbours is not None:
        neighbours = expand_user(neighbours)
        check_output_path(neighbours, (".png",))
        with writable_parent(neighbours):
            save_png(nearest_grid(task), neighbours)
    evaluation, check = run_evaluation(task, start, copies=copies)
    if sheets is not None:
        save_sheets(sheets, task, check)
    if save_in_run and not isinstance(source, Model) and _is_run(Path(source), task):
        save_evaluation(RunFolder(Path(source)), task, evaluation, check)
    return evaluation


def _is_run(source: Path, task: EvaluationTask) -> bool:
    """Return whether the samples are those of a run. A folder of pictures may have a class named `model`."""
    return not task.has_files and RunFolder(source).model.is_dir()


def run_evaluation(task: EvaluationTask, start: float, *, copies: bool = True) -> tuple[Evaluation, CopyCheck | None]:
    """Compute all metrics, and search for copies.

    Args:
        task: the evaluation.
        start: the value of `time.perf_counter` when the evaluation began.
        copies: whether to search for copies of training pictures.
    """
    reference_count = min(len(task.real_images), max(MAX_REFERENCE_IMAGES, task.n))
    pool_count = count_floor_pool(task)
    with tqdm(
        desc="evaluate",
        total=reference_count + pool_count + task.n * (1 if task.has_files else len(task.seeds)),
        unit="img",
        unit_scale=True,
        mininterval=0.5 if os.isatty(2) else 10,
        disable=not task.show_progress,
        file=standard_error(),
    ) as bar:
        real = describe_real_side(
            extract_reference(task.real_images, task.split, task.extractor, reference_count, bar.update), task.n, task.k
        )
        pool = extract_floor_pool(task, bar.update)
        floor = load_or_compute_floor(task, real, pool)
        metrics = _compute_sample_metrics(task, real, bar.update)
        check = _search_copies(task, bar) if copies and can_check_copies(task) else None
    if task.train_on_fakes:
        add_train_on_fakes(task, metrics, floor, cache_key("trained on reals", floor_key(task, 0)))
    equality = permutation_test(metrics.first.features, real.features.features)
    evaluation = Evaluation(
        source=printable(task.samples.name),
        data=printable(task.data),
        split=task.split,
        features=task.features_name,
        n=task.n,
        reference_count=reference_count,
        seeds=() if task.has_files else task.seeds,
        interval_method=_describe_intervals(task, metrics),
        neighbor_k=task.k,
        metrics=_estimate_metrics(task, metrics, real, floor),
        class_shares=_class_shares(task, metrics.samples),
        notes=(*_notes(task, real, pool, floor, metrics.first), *flattery_notes(task)),
        seconds=round(time.perf_counter() - start, 1),
        too_few=_too_few(task, reference_count),
        equality=equality,
        copies=None if check is None else check.verdict,
        origin=_origin(task),
    )
    return evaluation, check


def _search_copies(task: EvaluationTask, bar: "tqdm[Any]") -> CopyCheck:
    """Search for copies, and show each search on the bar, whose total grows when it begins."""

    def plan(count: int) -> None:
        bar.set_description("search for copies", refresh=False)
        bar.total += count

    return check_copies(task, bar.update, plan)


def _origin(task: EvaluationTask) -> dict[str, object]:
    """Return what the metrics depend on besides: versions, and keys of the weights and of the data."""
    model = task.samples.training_data
    return {
        "versions": {name: version(name) for name in RECORDED_PACKAGES},
        "weights_key": task.extractor.weights_key,
        "data_key": task.real_images.content_key,
        "pictures_key": task.real_images.pictures_key,
        "data_rules": task.real_images.rules,
        "trained_on_key": None if model is None else model.pictures_key,
        "trained_with": None if model is None else model.features,
        "kid": {"kernel": "(x.y / D + 1)^3", "degree": 3, "gamma": 1 / task.extractor.feature_count, "coef0": 1}
        | {"estimator": "unbiased, all pairs", "features": task.extractor.feature_count},
    }


def _too_few(task: EvaluationTask, reference_count: int) -> str:
    """Return a line if so few pictures say nothing."""
    count, what = min((reference_count, "real pictures"), (task.n, "samples"))
    if count >= MIN_TO_JUDGE:
        return ""
    return f"too few to judge: {count} {what}, and at least {MIN_TO_JUDGE} are needed"


def _compute_sample_metrics(
    task: EvaluationTask, real: RealSide, on_extracted: Callable[[int], object]
) -> SampleMetrics:
    """Extract the features of the samples, and return their metrics."""
    if not task.has_files:
        metrics, sample_sets = [], []
        for seed in task.seeds:
            sample_sets.append(extract_samples(task, seed, on_extracted))
            metrics.append(compute_metrics(task, sample_sets[-1], real, seed))
        return SampleMetrics(metrics, [], concatenate_sets(sample_sets), sample_sets[0])
    samples = extract_samples(task, 0, on_extracted)
    parts: list[Metrics] = []
    if task.n >= len(task.seeds) * MIN_SET_SAMPLES:
        rows_of_parts = torch.arange(task.n).tensor_split(len(task.seeds))
        parts = [compute_set_metrics(task, samples.select(r), real, seed) for seed, r in enumerate(rows_of_parts)]
    return SampleMetrics([compute_metrics(task, samples, real, 0)], parts, samples, samples)


def _estimate_metrics(
    task: EvaluationTask, metrics: SampleMetrics, real: RealSide, floor: dict[str, Floor]
) -> dict[str, Estimate]:
    scores = metrics.samples.scores
    class_count = 1 if scores is None else scores.shape[1]
    first, estimates = metrics.of_sets[0], {}
    for name in first.of_pictures:
        is_neighbor_metric = name in NEIGHBOR_METRICS
        counts = (min(task.n, MAX_MANIFOLD_IMAGES), len(real.manifold)) if is_neighbor_metric else (task.n, len(real))
        estimate = jackknife_estimate([m.of_pictures[name] for m in metrics.of_sets], *counts, metric_limits(name))
        estimates[name] = replace(estimate, k=real.k if is_neighbor_metric else None)
    for name in first.of_set:
        values = [m[name] for m in metrics.parts or [m.of_set for m in metrics.of_sets]]
        overall = first.of_set[name] if metrics.parts else None
        if len(values) >= MIN_SEEDS:
            estimate = estimate_metric(values, overall, limits=metric_limits(name, class_count))
            n_real = len(real) if name in DISTANCES_OF_SETS else 0
            estimates[name] = replace(estimate, n_fake=task.n, n_real=n_real)
    return {name: with_floor(estimate, floor.get(name)) for name, estimate in estimates.items()}


def _describe_intervals(task: EvaluationTask, metrics: SampleMetrics) -> str:
    method = "the pictures of both sides (jackknife)"
    if not metrics.of_sets[0].of_set:
        return method
    sets = f"{len(task.seeds)} disjoint parts of the samples" if task.has_files else f"{len(task.seeds)} sample seeds"
    return f"{method}, of metrics of classes over {sets}"


def _class_shares(task: EvaluationTask, samples: FeatureSet) -> dict[str, float]:
    """Return the share of each class among the samples; none if the extractor does not know the data's classes."""
    names = task.extractor.classes
    if not names or task.extractor.is_stacked or samples.scores is None:
        return {}
    return dict(zip(names, modes.class_shares(samples.scores.argmax(1), len(names)), strict=True))


def _notes(
    task: EvaluationTask, real: RealSide, pool: FeatureSet, floor: dict[str, Floor], first: FeatureSet
) -> list[str]:
    notes = list(task.notes)
    if task.features_name != task.extractor.name:
        notes.append(
            f"{task.features_name}: pictures above {task.extractor.full_size_above} pixels are no longer made smaller; "
            f"their metrics on {task.extractor.name} features of version 0.1.0 are not comparable"
        )
    for name, features in (("real pictures", real.features), ("samples", first)):
        if has_equal_features(features):
            notes.append(f"all {len(features):,} {name} have equal features: no metric says anything about variety")
    notes += _frechet_notes(task, real) + _floor_notes(task, pool, floor)
    if real.k and min(task.n, len(real)) < MIN_FOR_NEIGHBORS:
        few = min((len(real), "real pictures"), (task.n, "samples"))
        notes.append(
            f"precision, recall, density and coverage say little with {few[0]:,} {few[1]}: compare the kernel distance "
            "with real against real"
        )
    if not real.k:
        notes.append(f"no precision, recall, density and coverage: they need more than {task.k} pictures of each side")
    if task.extractor.is_stacked:
        notes.append(
            f"KL to uniform: {modes.kl_bias(task.n):.4f} of it is the estimator's own bias at n = {task.n:,}; "
            "real against real also contains the unequal frequencies of the digits"
        )
    return notes


def _frechet_notes(task: EvaluationTask, real: RealSide) -> list[str]:
    """Return why the Fréchet distance is not that of all features."""
    count, feature_count = min(len(real), task.n), task.extractor.feature_count
    if count >= fidelity.MIN_SAMPLES_PER_FEATURE * feature_count:
        return []
    needed = fidelity.MIN_SAMPLES_PER_FEATURE * feature_count
    instead = ""
    if real.components is not None:
        instead = f"; it is measured in the first {real.gaussian.shape[1]} principal components of the real features"
    return [
        f"no Fréchet distance of all {feature_count:,} features: it needs {needed:,} pictures of each side, and there "
        f"are {count:,}{instead}"
    ]


def _floor_notes(task: EvaluationTask, pool: FeatureSet, floor: dict[str, Floor]) -> list[str]:
    """Return what is missing in the floor, and why."""
    if not floor:
        return ["no real against real: there are too few real pictures to compare with each other"]
    if task.split not in FLOOR_SPLIT:
        return [
            f"real against real is of {CROSS_SPLITS} random halves of the real pictures against each other, because "
            "all of them are what the samples are compared with"
        ]
    if len(pool) < task.n:
        return [
            f"real against real is the kernel distance only, of {len(pool):,} other real pictures: that of the other "
            f"metrics needs {task.n:,} of them"
        ]
    if len(pool) >= FLOOR_SET_COUNT * task.n:
        return []
    return [
        f"real against real is of one set of {task.n:,} pictures, because there are {len(pool):,} for "
        f"{FLOOR_SET_COUNT} sets"
    ]
