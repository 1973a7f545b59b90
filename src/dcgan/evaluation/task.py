"""An evaluation with everything opened and checked, before anything is computed."""

import os
from dataclasses import dataclass, replace

from dcgan.data.find import can_be_divided
from dcgan.data.location import check_not_empty, is_named_set
from dcgan.data.open import ImageSet, open_images
from dcgan.data.parts import WHOLE
from dcgan.data.rules import CURRENT_RULES
from dcgan.data.splits import split_words
from dcgan.errors import UserError
from dcgan.evaluation.samples import (
    SampleSource,
    image_shape,
    match_classes,
    match_shape,
    match_size,
    open_samples,
    reading_notes,
)
from dcgan.evaluation.training_data import TrainingData, depends_on_seed, open_training_data
from dcgan.files import printable
from dcgan.metrics import fidelity
from dcgan.metrics.features import FeatureExtractor, open_default_extractor, open_extractor
from dcgan.metrics.intervals import MAX_SEEDS, MIN_SEEDS
from dcgan.sampling.model import Model

DEFAULT_SAMPLES = 10_000
"""Samples that each metric is computed from, unless another number is given."""
STACKED_SAMPLES = 26_000
"""The same for stacked digits, whose modes are counted (Lin et al. 2018)."""
MIN_DEFAULT_SAMPLES = 1_000
"""Samples that are drawn at least. Otherwise no more are drawn than there are training pictures, so that real against
real can be measured with as many."""
MIN_TO_JUDGE = 50
"""Pictures on either side below which nothing can be said."""
FLOOR_SPLIT = {"test": "train", "validation": "test", "train": "test"}
"""The split that the real pictures of the floor come from, for each split that the samples are compared with."""
COMMON_SEED = 0
"""Of the stacked digits that no model has trained on, and of the floor: all models are compared with the same ones."""


@dataclass(frozen=True)
class EvaluationTask:
    """An evaluation that can be run.

    Attributes:
        samples: of the shape that the extractor and the data have.
        extractor: the feature extractor.
        real_images: the real pictures that the samples are compared with.
        data: the name of the data.
        data_source: what they are opened by: a name, or the path where they are now.
        split: the split of the data that `real_images` is.
        n: the number of samples that each metric is computed from.
        seeds: of the samples, or the numbers of the parts of samples that came from files.
        infinite: whether to extrapolate the Fréchet distance to infinitely many samples.
        train_on_fakes: whether to train judges on the samples.
        k: the neighbor that precision, recall, density and coverage use.
        show_progress: whether to show progress bars on standard error.
        notes: what the user should know of the samples and of the data.
    """

    samples: SampleSource
    extractor: FeatureExtractor
    real_images: ImageSet
    data: str
    data_source: str
    split: str
    n: int
    seeds: tuple[int, ...]
    infinite: bool
    train_on_fakes: bool
    k: int
    show_progress: bool
    notes: tuple[str, ...] = ()

    @property
    def has_files(self) -> bool:
        """Whether the samples came from files, and not from a model."""
        return self.samples.count is not None

    @property
    def features_name(self) -> str:
        """The name that is reported with metrics of these pictures."""
        return self.extractor.name_for(self.samples.image_shape)

    @property
    def knows_training_pictures(self) -> bool:
        """Whether the training split is what the model was trained on; it is not if an unknown seed drew its stacks."""
        training = self.samples.training_data
        return not depends_on_seed(self.data) or (training is not None and training.seed is not None)

    def open_split(self, split: str) -> ImageSet:
        """Open a split of the data as the model was trained on it, in the shape of the samples."""
        return self._open(split, _seed_of_split(split, self.samples.training_data))

    def _open(self, split: str, seed: int) -> ImageSet:
        channels, height, width = self.samples.image_shape
        return open_images(
            self.data_source,
            split,
            size=(height, width),
            channels=channels,
            fit=self.samples.fit,
            seed=seed,
            value_range=self.real_images.value_range,
            rules=self.real_images.rules,
            part=self.real_images.part,
        )

    def open_floor_split(self) -> ImageSet:
        """Open the split that the floor is computed from. Memorized pictures would be from it too.

        Its stacked digits are the same for every model, as those of the test split are, because the cache keeps the
        floor for all of them.
        """
        return self._open(FLOOR_SPLIT[self.split], COMMON_SEED)


def _seed_of_split(split: str, training: TrainingData | None) -> int:
    """Return the seed that draws the stacked digits of a split: the model's own, but for the test split."""
    return COMMON_SEED if split == "test" or training is None or training.seed is None else training.seed


def open_task(
    source: str | os.PathLike[str] | Model,
    *,
    data: str | None,
    split: str | None,
    n: int | None,
    features: str | None,
    seeds: int,
    resize: bool,
    infinite: bool,
    train_on_fakes: bool,
    k: int,
    device: str,
    show_progress: bool,
) -> EvaluationTask:
    """Open and check everything that an evaluation needs; the arguments are those of `evaluate`.

    Raises:
        UserError: the evaluation is not possible.
    """
    samples = open_samples(source)
    training = samples.training_data
    if data is not None:
        check_not_empty(data)
    name = data or (training.name if training else None)
    if name is None:
        raise UserError(f"{printable(samples.name)} does not say which data to compare it with: give --data")
    if not MIN_SEEDS <= seeds <= MAX_SEEDS:
        raise UserError(f"an interval needs from {MIN_SEEDS} to {MAX_SEEDS} seeds, not {seeds}")
    is_stacked = name == "stacked-mnist"
    if features:
        extractor = open_extractor(features, is_stacked=is_stacked, device=device)
    else:
        extractor = open_default_extractor(name, samples.image_shape, is_stacked=is_stacked, device=device)
    if k < 1:
        raise UserError(f"--k is a number of neighbors, at least 1, not {k}")
    data_source, real_images, notes = _open_real_images(data, split or "test", samples, extractor)
    if split is None:
        split = default_split(len(real_images))
        if split != "test":
            notes = [*notes, _describe_all_pictures(real_images, name)]
            data_source, real_images, _ = _open_real_images(data, split, samples, extractor)
    samples, size_notes = match_size(samples, real_images, resize, name)
    samples = match_classes(samples, real_images.classes)
    notes = [*notes, *samples.notices]
    shape_reader = extractor if extractor.image_shape else None
    samples = match_shape(samples, image_shape(real_images.pixels), resize, shape_reader, printable(name))
    task = EvaluationTask(
        samples=samples,
        extractor=extractor,
        real_images=real_images,
        data=name,
        data_source=data_source,
        split=split,
        n=_sample_count((STACKED_SAMPLES if is_stacked else DEFAULT_SAMPLES) if n is None else n, samples),
        k=k,
        seeds=tuple(range(seeds)),
        infinite=infinite,
        train_on_fakes=train_on_fakes,
        show_progress=show_progress,
        notes=(*notes, *size_notes, *extractor.notices),
    )
    if n is None and not task.has_files:
        task = replace(task, n=min(task.n, max(MIN_DEFAULT_SAMPLES, len(task.open_split("train")))))
    _check_task(task)
    if not task.knows_training_pictures:
        note = (
            f"the seed that drew the training pictures of {printable(name)} is not known: there is no search for "
            "copies, and the nearest training pictures are those of the seed 0"
        )
        task = replace(task, notes=(*task.notes, note))
    return task


def default_split(test_count: int) -> str:
    """Return the split that samples are compared with if none is given: `test`, or `all` if it has too few pictures."""
    return "test" if test_count >= MIN_TO_JUDGE else "all"


def _describe_all_pictures(test: ImageSet, name: str) -> str:
    count = f"{len(test)} picture{'s' * (len(test) != 1)}"
    return (
        f"the test split of {printable(name)} has {count}, too few to judge by: the samples are compared with all "
        "pictures, which flatters a model that was trained on them"
    )


def _open_real_images(
    data: str | None, split: str, samples: SampleSource, extractor: FeatureExtractor
) -> tuple[str, ImageSet, list[str]]:
    """Open the real pictures in the extractor's shape; if it has none, in that of a model; else in their own.

    Returns:
        What they are opened by, the pictures, and lines that the user should read.
    """
    shape = extractor.image_shape or (samples.image_shape if samples.count is None else None)
    training = samples.training_data
    value_range = training.value_range if training else None
    seed = _seed_of_split(split, training)
    part = training.part if training and (data is None or can_be_divided(data, training.part)) else WHOLE

    def open_at(source: str, rules: int = training.rules if training else CURRENT_RULES) -> ImageSet:
        if shape is None:
            return open_images(source, split, seed=seed, value_range=value_range, rules=rules, part=part)
        return open_images(
            *(source, split),
            size=shape[1:],
            channels=shape[0],
            fit=samples.fit,
            seed=seed,
            value_range=value_range,
            rules=rules,
            part=part,
        )

    part_notes = []
    if part != WHOLE:
        part_notes = [f"the data were divided among {part[1]} processes: the real pictures are those of the first part"]
    is_gray = shape is not None and shape[0] == 1
    if data is None:
        assert training is not None
        # The data have the channels of the model, whatever their files have.
        gray_notes = [_describe_gray(training.name)] if is_gray and samples.image_shape[0] > 1 else []
        return *open_training_data(training, samples.name, open_at), [*part_notes, *gray_notes]
    images = open_at(data, CURRENT_RULES)
    notes = [*reading_notes(images, data), *part_notes]
    if is_gray and open_images(data, split).pixels.shape[1] > 1:
        notes.append(_describe_gray(data))
    if training is None:
        return data, images, notes
    if is_named_set(training.name) or is_named_set(data):  # these may have no keys
        is_other, is_known = training.name != data, True
    else:
        is_known = bool(training.pictures_key and images.pictures_key)
        is_other = is_known and training.has_other_pictures(images, data)
    if is_other:
        note = f"{printable(data)} holds other pictures than those that the model was trained on"
        return data, images, [*notes, note]
    return data, images if training.rules == images.rules or not is_known else open_at(data), notes


def _describe_gray(data: str) -> str:
    return f"the color pictures of {printable(data)} are compared as gray ones"


def _sample_count(n: int, samples: SampleSource) -> int:
    if n < 1:
        raise UserError(f"the number of samples must be at least 1, not {n}")
    return n if samples.count is None else min(n, samples.count)


def _check_task(task: EvaluationTask) -> None:
    """Refuse sets that are too small, and samples without the classes that they need."""
    name = printable(task.samples.name)
    split = f"{split_words(task.split)} of {printable(task.data)}"
    fidelity.check_image_count(
        len(task.real_images), split, "add pictures" if task.split == "all" else "use --split all"
    )
    fidelity.check_image_count(task.n, name if task.has_files else "--n", "draw more")
    _check_extrapolation(task, name)
    if task.train_on_fakes and not (task.samples.classes and task.real_images.classes):
        raise UserError(f"--train-on-fakes needs classes, and {name} was made without those of {printable(task.data)}")


def _check_extrapolation(task: EvaluationTask, name: str) -> None:
    """Refuse to extrapolate from too few samples: the result has nothing to do with the distance.

    It is the distance from the statistics of all features, which need enough real pictures too.
    """
    if not task.infinite:
        return
    feature_count = task.extractor.feature_count
    _check_extrapolation_reals(task, fidelity.MIN_SAMPLES_PER_FEATURE * feature_count)
    minimum, parts = fidelity.min_extrapolation_samples(feature_count), 1
    count, subject = task.n, "--n is"
    if task.has_files:
        parts = len(task.seeds)
        count, subject = task.n // parts, f"{name} gives {parts} parts of"
    if count < minimum:
        raise UserError(
            f"--infinite with {feature_count} features needs at least {minimum:,} samples"
            f"{' in each part' if parts > 1 else ''}, and {subject} {count:,}: draw more, or leave it out"
        )


def _check_extrapolation_reals(task: EvaluationTask, minimum: int) -> None:
    if (count := len(task.real_images)) < minimum:
        raise UserError(
            f"--infinite with {task.extractor.feature_count} features needs at least {minimum:,} real pictures, and "
            f"there are {count:,} in {split_words(task.split)} of {printable(task.data)}: add pictures, or leave it out"
        )
