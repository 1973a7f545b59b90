"""Whether the samples of an evaluation are copies: the search, its verdict, and a sheet of suspicious pairs."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dcgan.cache import cache_key
from dcgan.data.find import list_file_names
from dcgan.data.near_duplicates import group_near_duplicates
from dcgan.data.open import ImageSet
from dcgan.data.resize import convert_channels
from dcgan.evaluation.task import EvaluationTask
from dcgan.files import atomic_file
from dcgan.images import Pixels, make_grid
from dcgan.metrics.copies import (
    COPIES,
    MAX_UNSEEN,
    MIN_UNSEEN,
    CopyLimits,
    CopyVerdict,
    copy_limits,
    judge_copies,
    judged_alike,
)
from dcgan.metrics.fidelity import MIN_IMAGES
from dcgan.metrics.nearest import Alteration, CopySearch, NearestTraining, Relatives, load_or_find
from dcgan.metrics.reference import choose_rows
from dcgan.metrics.spectrum import Equalizer, MeanSpectrum

SHEET_PAIRS, SHEET_COLUMNS, SHEET_GAP = 16, 4, 8
"""Pairs on the sheet, pairs beside each other, and the pixels between them."""
COPIES_VERSION = 2
"""Version of the search in the cache. It is raised when distances are computed in another way."""
MAX_RELATIVES = 500
"""Training pictures with near duplicates that are compared with the others."""
MAX_CROSS_SPLIT = 20_000
"""Pictures up to which near duplicates are grouped for cross-splitting; a set that needs it is much smaller."""


@dataclass(frozen=True)
class CopyCheck:
    """The search for copies among the samples of one seed, or of files.

    Attributes:
        verdict: what it says.
        closeness: how near each sample is, (N,): below 1 it is nearer than 95% of unseen real pictures.
        training_rows: the training picture that each sample is nearest to, int64 (N,).
        sheet: the most suspicious pairs, uint8 (H, W, C): sample, training picture, difference.
        training_names: the name of each training picture, or its number.
    """

    verdict: CopyVerdict
    closeness: Tensor
    training_rows: Tensor
    sheet: Pixels
    training_names: list[str]


def can_check_copies(task: EvaluationTask) -> bool:
    """Return whether the training pictures are known, and enough to search."""
    return task.knows_training_pictures and len(task.open_split("train")) >= MIN_IMAGES


def check_copies(
    task: EvaluationTask,
    on_searched: Callable[[int], object] = lambda count: None,
    on_planned: Callable[[int], object] = lambda count: None,
) -> CopyCheck:
    """Search the training pictures for those that the samples of the first seed may be copies of.

    Args:
        task: the evaluation.
        on_searched: called with the number of pictures after each batch.
        on_planned: called with the number of pictures when a search begins; not for one that the cache has.
    """
    train = task.open_split("train")
    search, spectrum = CopySearch(train.pixels), MeanSpectrum()
    on_planned(task.n)
    samples = search.find(spectrum.watch(_draw(task)), on_searched=on_searched)

    def judge(alter: Alteration | None) -> tuple[CopyVerdict, CopyLimits]:
        unseen, source = _search_unseen(task, train, search, on_searched, on_planned, alter)
        relatives = _search_relatives(train, search, lambda count: (on_planned(count), on_searched(count)), alter)
        return judge_copies(samples, unseen, search, source, relatives), copy_limits(unseen, relatives)

    verdict, limits = judge(None)
    if verdict.verdict == COPIES:
        some = search.pixels[choose_rows(len(search.pixels), MAX_UNSEEN)]
        alike, limits = judge(Equalizer.between(some, spectrum))
        verdict = judged_alike(verdict, alike)
    closeness, rows = limits.closeness(samples), limits.rows(samples)
    return CopyCheck(
        verdict,
        closeness,
        rows,
        _make_sheet(task, closeness, train.pixels[rows[closeness.argsort()[:SHEET_PAIRS]]]),
        _training_names(task, train),
    )


def _draw(task: EvaluationTask) -> Iterator[Tensor]:
    return (pixels for pixels, _ in task.samples.draw(0, task.n))


def _search_unseen(
    task: EvaluationTask,
    train: ImageSet,
    search: CopySearch,
    on_searched: Callable[[int], object],
    on_planned: Callable[[int], object],
    alter: Alteration | None,
) -> tuple[NearestTraining, str]:
    """Return what is nearest to unseen real pictures, and how these were chosen, in words.

    If fewer than `MIN_UNSEEN` pictures are held out, every picture of the set is compared with the others, except its
    own near duplicates. What is found for pictures that are altered by `alter` is not kept in the cache.
    """
    held_out = _held_out_pixels(task, len(train))
    key = [train.content_key, train.rules, tuple(train.pixels.shape), COPIES_VERSION, MAX_UNSEEN, len(search.rows)]
    if len(held_out) >= MIN_UNSEEN:
        rows = choose_rows(len(held_out), MAX_UNSEEN)
        name = cache_key("copies", *key, len(held_out))

        def search_held_out() -> NearestTraining:
            on_planned(len(rows))
            pixels = held_out[rows]
            return search.find([alter(pixels) if alter else pixels], on_searched=on_searched)

        return search_held_out() if alter else load_or_find(name, search_held_out), "held-out pictures"
    everything = task.open_split("all")

    def compare_with_others() -> NearestTraining:
        pixels = everything.pixels[:MAX_CROSS_SPLIT]
        others = CopySearch(pixels)
        groups = group_near_duplicates(others.candidates.thumbnails)
        others.candidates.groups = groups
        rows = choose_rows(len(pixels), MAX_UNSEEN)
        on_planned(len(rows))
        return others.find([alter(pixels[rows]) if alter else pixels[rows]], groups[rows], on_searched)

    name = cache_key("copies", *key, "cross", len(everything))
    return compare_with_others() if alter else load_or_find(name, compare_with_others), "cross-splitting"


def _search_relatives(
    train: ImageSet, search: CopySearch, on_searched: Callable[[int], object], alter: Alteration | None
) -> Relatives | None:
    """Return the training pictures that have near duplicates; None for a set whose near duplicates are not known."""
    groups = train.columns.get("groups")
    if groups is None:
        return None
    return search.find_relatives(torch.from_numpy(np.array(groups)), MAX_RELATIVES, on_searched, alter)


def _held_out_pixels(task: EvaluationTask, train_count: int) -> Tensor:
    """Return the pictures that are not trained on: the test split, and the validation split if it is not in `train`."""
    test = task.open_split("test").pixels
    if len(test) >= MAX_UNSEEN:
        return test
    validation = task.open_split("validation").pixels
    if train_count + len(validation) + len(test) > len(task.open_split("all")):
        return test
    return torch.cat([test, validation])


def _training_names(task: EvaluationTask, train: ImageSet) -> list[str]:
    indices = train.columns.get("indices")
    if indices is None:
        return [f"#{row}" for row in range(len(train))]
    names = list_file_names(task.data_source, train.part, train.rules)
    return [names[i] if names else f"#{i}" for i in indices.tolist()]


def _make_sheet(task: EvaluationTask, closeness: Tensor, training: Tensor) -> Pixels:
    """Return the most suspicious samples, each beside its training picture and the difference, black where equal."""
    rows = closeness.argsort()[:SHEET_PAIRS]
    samples = torch.cat(list(_select(task, rows)))[torch.argsort(torch.argsort(rows))]
    channels = min(3, samples.shape[1])
    left, right = (convert_channels(pixels, channels) for pixels in (samples, training))
    # A mirror image is shown as it is trained on; the difference is that of the view which is nearer.
    mirrored = right.flip(3)
    differences = torch.stack([(left.int() - other.int()).abs() for other in (right, mirrored)])
    nearer = differences.float().mean((2, 3, 4)).argmin(0)
    difference = differences[nearer, torch.arange(len(left))].to(torch.uint8)
    triples = torch.cat([left, right, difference], 3)  # beside each other: (n, C, H, 3 W)
    return make_grid(triples.permute(0, 2, 3, 1).contiguous().numpy(), columns=SHEET_COLUMNS, gap=SHEET_GAP)


def _select(task: EvaluationTask, rows: Tensor) -> Iterator[Tensor]:
    """Give the samples of some rows, in ascending order of the rows."""
    start, ordered = 0, rows.sort().values
    for pixels in _draw(task):
        inside = ordered[(ordered >= start) & (ordered < start + len(pixels))]
        yield pixels[inside - start]
        start += len(pixels)


def write_nearest_table(check: CopyCheck, path: Path) -> None:
    """Write the nearest training picture of each sample as CSV.

    The columns are the number of the sample, its closeness (below 1 it is nearer than 95% of unseen real pictures),
    and the training picture.
    """
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("sample", "closeness", "training_picture"))
        for i, (closeness, row) in enumerate(zip(check.closeness.tolist(), check.training_rows.tolist(), strict=True)):
            writer.writerow((i, f"{closeness:.6g}", check.training_names[row]))
