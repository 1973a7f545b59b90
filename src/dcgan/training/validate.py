"""Evaluation while training: the averaged generator against the validation part, by a rule that is fixed beforehand.

The rule is the least distance of a measure that the objective fixes: see `FRECHET` and `KERNEL`. The judge's features
and the test part stay unused, so that nothing that is reported with them was selected by them. Where samples are copies
of training pictures, the training ends: see `best_model`. Besides, the training itself changes only in when it stops:
the samples have seeds of their own.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dcgan.data.open import ImageSet, open_images
from dcgan.devices.connect import max_over_ranks
from dcgan.metrics import fidelity
from dcgan.metrics.copies import COPIES, MIN_UNSEEN, CopyVerdict, judge_copies, judged_alike
from dcgan.metrics.features import FeatureExtractor, open_extractor
from dcgan.metrics.nearest import Alteration, CopySearch, NearestTraining, Relatives
from dcgan.metrics.reference import MAX_REFERENCE_IMAGES, choose_rows, extract_reference
from dcgan.metrics.spectrum import Equalizer, MeanSpectrum
from dcgan.rng import RandomPurpose, derive_seed
from dcgan.run.folder import RunFolder
from dcgan.sampling import latents
from dcgan.sampling.generate import generate_pixels
from dcgan.system.preparation import preparation_bar
from dcgan.training.best_model import forget_other_features, keep_if_best
from dcgan.training.callbacks import EvaluateEvent
from dcgan.training.snapshot import RunWriter, averaged_generator, training_origin
from dcgan.training.state import State

COPY_SAMPLES, CONFIRMING_SAMPLES, MAX_WATCHED = 500, 1_000, 20_000
"""The first samples of an evaluation are searched for copies of up to so many training pictures, and the next ones too
if these look like copies: a search finds copies by chance in one of forty evaluations, and two searches hardly ever."""
SAMPLE_BATCH_SIZE = 1024
"""Samples that are drawn at a time."""
LATENT_COUNT = 5_000
"""Latents of an evaluation. They are the same in each."""
MIN_KERNEL_REALS = 50
"""Pictures of the validation part that the kernel distance needs; with fewer, the training part is used."""


@dataclass(frozen=True)
class Measure:
    """What a run measures its generator by while it trains.

    Attributes:
        metric: its key in the metrics log and in `dcgan evaluate --json`.
        extractor: the feature extractor.
        sample_count: how many samples are drawn.
        min_reals: more real pictures than this are needed, or None: more than the features' dimension.
        statistics: features (N, D) of the real pictures -> what `distance` needs of them.
        distance: features (N, D) of samples, statistics of the real ones -> the distance.
    """

    metric: str
    extractor: str
    sample_count: int
    min_reals: int | None
    statistics: Callable[[Tensor], Any]
    distance: Callable[[Tensor, Any], float]


FRECHET = Measure(
    *("frechet_inception_distance", "random", LATENT_COUNT, None),
    fidelity.gaussian_statistics,
    lambda samples, reals: fidelity.frechet_distance(fidelity.gaussian_statistics(samples), reals),
)
"""The measure of generators with a discriminator. These features are the same for all data, and need no download."""
KERNEL = Measure(
    *("kernel_inception_distance_mean", "lite2", 500, MIN_KERNEL_REALS),
    lambda reals: reals,
    fidelity.kernel_distance,
)
"""The measure of generators that match features of a frozen network: features that they were not trained with, and a
distance that a few pictures suffice for."""


@dataclass(frozen=True)
class ValidationReference:
    """The real pictures that samples are compared with.

    Attributes:
        measure: how they are compared.
        features: the feature extractor.
        features_name: the name that is reported with its distances of pictures of this size.
        statistics: of the real pictures' features, see `Measure.statistics`.
        split: which part of the data the pictures are.
        copies: what the samples are searched for copies with; None if there are too few training pictures.
    """

    measure: Measure
    features: FeatureExtractor
    features_name: str
    statistics: Any
    split: str
    copies: "CopyWatch | None" = None


@dataclass(frozen=True)
class CopyWatch:
    """The training pictures that samples are searched for.

    Attributes:
        search: what finds the nearest training pictures.
        groups: of near duplicates among the training pictures, int64 (M,).
        unseen: for some training pictures, the nearest other training picture, see `prepare_copy_watch`.
        relatives: those that have near duplicates, if there are some.
    """

    search: CopySearch
    groups: Tensor
    unseen: NearestTraining
    relatives: Relatives | None

    def judge(self, samples: Iterable[Tensor]) -> CopyVerdict:
        """Return whether samples, batches uint8 (n, C, H, W), are copies."""
        spectrum = MeanSpectrum()
        nearest = self.search.find(spectrum.watch(samples))

        def judge_with(unseen: NearestTraining, relatives: Relatives | None) -> CopyVerdict:
            return judge_copies(nearest, unseen, self.search, "cross-splitting", relatives)

        verdict = judge_with(self.unseen, self.relatives)
        if verdict.verdict != COPIES:
            return verdict
        some = self.search.pixels[choose_rows(len(self.search.pixels), COPY_SAMPLES)]
        return judged_alike(
            verdict, judge_with(*_compare_with_others(self.search, self.groups, Equalizer.between(some, spectrum)))
        )


def prepare_copy_watch(data: ImageSet) -> CopyWatch | None:
    """Return what samples are searched for copies with; None if there are too few training pictures.

    Training pictures stand in for unseen ones: each is compared with the others, except its own near duplicates. So
    nothing that is held out is needed.
    """
    if len(data) < MIN_UNSEEN:
        return None
    groups = torch.from_numpy(np.array(data.columns.get("groups", np.arange(len(data)))))
    watched = choose_rows(len(data), MAX_WATCHED).sort().values if len(data) > MAX_WATCHED else slice(None)
    pixels, groups = data.pixels[watched], groups[watched]
    search = CopySearch(pixels, groups)
    return CopyWatch(search, groups, *_compare_with_others(search, groups))


def _compare_with_others(
    search: CopySearch, groups: Tensor, alter: Alteration | None = None
) -> tuple[NearestTraining, Relatives | None]:
    """Return what is nearest to some training pictures among the others, and to those that have near duplicates.

    Args:
        search: of the training pictures.
        groups: of near duplicates among them, int64 (M,).
        alter: applied to the pictures that are compared with the others.
    """
    rows = choose_rows(len(search.pixels), COPY_SAMPLES)
    pixels = search.pixels[rows]
    unseen = search.find([alter(pixels) if alter else pixels], groups[rows])
    return unseen, search.find_relatives(groups, COPY_SAMPLES, alter=alter)


def prepare_validation(state: State) -> ValidationReference | None:
    """Extract the features of the real pictures, or find them in the cache.

    If the validation part is too small for the features, the training part is used. Returns None if nothing is to be
    evaluated, or if another process does it.
    """
    config = state.config
    if not config.evaluate_every or not state.is_first_process:
        return None
    measure = FRECHET if state.objective.has_discriminator else KERNEL
    features = open_extractor(measure.extractor, device=str(state.fabric.device))
    min_reals = features.feature_count if measure.min_reals is None else measure.min_reals
    channels, *size = state.data.pixels.shape[1:]
    for split in ("validation", "train"):
        reals = open_images(
            state.data_source,
            split,
            size=(size[0], size[1]),
            channels=channels,
            fit=config.fit,
            seed=config.seed,
            value_range=config.value_range,
            rules=state.data.rules,
            part=state.data.part,
        )
        if len(reals) > min_reals or split == "train":
            break
    n = min(len(reals), MAX_REFERENCE_IMAGES)
    with preparation_bar(f"features of {n:,} pictures for evaluations", n) as bar:
        reference = extract_reference(reals, split, features, MAX_REFERENCE_IMAGES, bar.update)
    features_name = features.name_for((channels, size[0], size[1]))
    statistics = measure.statistics(reference.features)
    return ValidationReference(measure, features, features_name, statistics, split, prepare_copy_watch(state.data))


def validate(
    state: State, writer: RunWriter, reference: ValidationReference | None, *, is_regular: bool = True
) -> None:
    """Evaluate the generator, log the distance, and keep the generator as the model if it is the best so far.

    The first process does this. The others wait for it, and learn how many evaluations were not better, and whether
    the samples are copies: see `loop.is_finished`.

    Args:
        state: what is evaluated.
        writer: where the distance is logged, and the model is kept.
        reference: see `prepare_validation`.
        is_regular: whether the step is one of those that are evaluated. If it is the last step of a run instead, a run
            that is extended continues without this evaluation.
    """
    progress = state.progress
    best = progress.best_distance, progress.best_step, progress.evaluations_since_best
    unsuspected = writer.unsuspected
    if reference is not None:
        _evaluate(state, writer, reference, writer.history.add if is_regular else writer.history.last_entries.append)
    if not is_regular and progress.copies_step is None:  # a run whose samples are copies cannot be extended
        progress.best_distance, progress.best_step, progress.evaluations_since_best = best
        writer.unsuspected = unsuspected
    own = (progress.evaluations_since_best, progress.copies_step or 0) if reference is not None else (0, 0)
    progress.evaluations_since_best, copies_step = max_over_ranks(state.fabric, *own)
    progress.copies_step = copies_step or None


def _evaluate(
    state: State, writer: RunWriter, reference: ValidationReference, log: Callable[[dict[str, Any]], None]
) -> None:
    progress, network = state.progress, averaged_generator(state)
    distance = sample_distance(state, network, reference)
    result: dict[str, Any] = {
        reference.measure.metric: distance,
        "features": reference.features_name,
        "split": reference.split,
        "n": reference.measure.sample_count,
    }
    verdict = None if reference.copies is None else _find_copies(state, network, reference.copies)
    if verdict is not None:
        result |= {"copies": verdict.verdict, "near_training": verdict.near_share}
        result |= {"near_training_expected": verdict.unseen_near_share, "near_training_searched": verdict.searched}
        if verdict.verdict == COPIES:
            progress.copies_step = progress.step
    origin = training_origin(state, writer.custom_names) | {"measured": result}
    kept = forget_other_features(state, writer.folder, writer.callbacks, reference.features_name, writer.unsuspected)
    writer.unsuspected = keep_if_best(state, writer.folder, network, reference.measure.metric, origin, kept)
    step, images_seen = progress.step, progress.images_seen
    log({"event": "measured", "step": step, "images_seen": images_seen, **result})
    writer.callbacks.on_evaluate(
        EvaluateEvent(
            *(step, images_seen, distance, reference.measure.metric, reference.features_name, reference.split),
            *(progress.best_distance, progress.best_step),
            copies=verdict.verdict if verdict else None,
            near_training=verdict.near_share if verdict else None,
        )
    )
    if progress.copies_step is not None and verdict is not None:
        writer.callbacks.on_message(_copies_message(state, writer.folder, verdict))


def _find_copies(state: State, network: nn.Module, watch: CopyWatch) -> CopyVerdict:
    """Return whether samples are copies; if the first ones look so, the verdict on others."""
    verdict = watch.judge(_draw_samples(state, network, 0, COPY_SAMPLES))
    if verdict.verdict == COPIES:
        verdict = watch.judge(_draw_samples(state, network, COPY_SAMPLES, COPY_SAMPLES + CONFIRMING_SAMPLES))
    return verdict


def _copies_message(state: State, folder: RunFolder, verdict: CopyVerdict) -> str:
    step, best_step = state.progress.step, state.progress.best_step
    kept = f"{folder.model} is that of {'the last snapshot' if best_step is None else f'step {best_step:,}'}"
    if best_step == step:
        kept = f"{folder.model} is of this step, since there is no earlier one"
    return (
        f"step {step:,}: the samples become copies of training pictures: {verdict.reason}. Training ends here; {kept}"
    )


def sample_distance(state: State, network: nn.Module, reference: ValidationReference) -> float:
    """Return the distance of the generator's samples from the real pictures."""
    samples = _draw_samples(state, network, 0, reference.measure.sample_count)
    features = torch.cat([reference.features.extract(pixels)[0] for pixels in samples])
    return float(reference.measure.distance(features, reference.statistics))


def _draw_samples(state: State, network: nn.Module, start: int, stop: int) -> Iterator[Tensor]:
    """Give the samples from `start` to before `stop` of an evaluation in batches, uint8 (n, C, H, W)."""
    seed = derive_seed(state.config.seed, RandomPurpose.VALIDATION_LATENTS)
    z = latents.draw_latents(seed, LATENT_COUNT, state.config.z_dim)
    labels = latents.cycle_labels(LATENT_COUNT, state.class_count)
    for first in range(start, stop, SAMPLE_BATCH_SIZE):
        rows = slice(first, min(first + SAMPLE_BATCH_SIZE, stop))
        pixels = generate_pixels(network, z[rows], None if labels is None else labels[rows])
        yield torch.from_numpy(pixels).permute(0, 3, 1, 2)
