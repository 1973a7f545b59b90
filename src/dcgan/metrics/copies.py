"""Copies of training pictures among samples: are samples nearer to a training picture than unseen real pictures are?

Each sample is compared with a short list of training pictures, after mirroring, small shifts and a change of colors.
The same distances of real pictures that were not trained on say which of them are small: a sample counts as near if it
is nearer than 95% of the unseen real pictures. 5% of samples that copy nothing are.
"""

import contextlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.cache import cache_folder, new_cache_entry
from dcgan.data.resize import convert_channels
from dcgan.data.similarity import (
    CANDIDATE_COUNT,
    SHIFT,
    THUMBNAIL_BATCH_SIZE,
    Candidates,
    describe_color,
    make_thumbnails,
    pair_batches,
    recolored_distances,
    shifted_distances,
)
from dcgan.errors import UserError
from dcgan.metrics.intervals import wilson_interval
from dcgan.metrics.reference import choose_rows

NEAR_SHARE = 0.05
"""The share of unseen real pictures that count as near."""
COPIES = "copies"
"""The verdict on samples that are nearer to training pictures than unseen pictures are."""
MIN_UNSEEN = 100
"""Unseen real pictures that a verdict needs: from fewer, the limit of what is near is too uncertain."""
MAX_UNSEEN = 2_000
"""Unseen real pictures that the limit is computed from."""
MAX_SEARCHED = 100_000
"""Training pictures that are searched; about two kilobytes of memory each."""
SEARCH_BATCH_SIZE = 256
"""Pictures whose nearest training pictures are searched at a time."""
FINE_SIDE = 64
"""Pixels of a side to which pictures are resized for the last comparison."""
FINE_COUNT = 3
"""Training pictures of the short list that are compared at `FINE_SIDE`."""
MIN_SCALE = 0.01
"""Added to the distances that a distance is divided by, so that flat pictures have no distance of 0 / 0."""


@dataclass(frozen=True)
class NearestTraining:
    """What is nearest to each of N pictures among training pictures.

    Attributes:
        shifted: the difference from the nearest one after mirroring and small shifts, over the mean difference from
            the pictures of the short list behind it, (N,).
        recolored: see `similarity.recolored_distances`, of the nearest one, (N,).
        shifted_rows: the row of the training picture that `shifted` is the distance from, int64 (N,).
        recolored_rows: the same for `recolored`.
        is_authentic: whether the picture is farther from its nearest training picture than that is from the nearest
            other training picture, (N,) (Alaa et al. 2022).
    """

    shifted: Tensor
    recolored: Tensor
    shifted_rows: Tensor
    recolored_rows: Tensor
    is_authentic: Tensor

    def __len__(self) -> int:
        return len(self.shifted)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return the attributes in order."""
        return self.shifted, self.recolored, self.shifted_rows, self.recolored_rows, self.is_authentic


@dataclass(frozen=True)
class CopyLimits:
    """Which distances are small.

    Attributes:
        shifted: the 5% quantile of `NearestTraining.shifted` of unseen pictures.
        recolored: the same of `recolored`.
        combined: the 5% quantile of the smaller of both distances over their limits.
        unseen_count: the unseen pictures that the quantiles are from.
        near_count: how many of them are near; about 5%, more if distances are equal.
    """

    shifted: float
    recolored: float
    combined: float
    unseen_count: int
    near_count: int

    def closeness(self, nearest: NearestTraining) -> Tensor:
        """Return the smaller of both distances over their limits, (N,): below `combined` a picture is near."""
        return torch.minimum(nearest.shifted / self.shifted, nearest.recolored / self.recolored)

    def is_near(self, nearest: NearestTraining) -> Tensor:
        """Return whether pictures are nearer than 95% of the unseen pictures, bool (N,)."""
        return self.closeness(nearest) < self.combined

    def rows(self, nearest: NearestTraining) -> Tensor:
        """Return the training picture that each picture is nearest to, int64 (N,)."""
        is_shifted = nearest.shifted / self.shifted <= nearest.recolored / self.recolored
        return torch.where(is_shifted, nearest.shifted_rows, nearest.recolored_rows)


@dataclass(frozen=True)
class CopyVerdict:
    """Whether samples are copies of training pictures.

    Attributes:
        verdict: `copies`, `no sign of copying` or `cannot say`.
        reason: the verdict as a sentence.
        near_share: the share of the samples that are nearer to a training picture than 95% of unseen real pictures.
        low: lower end of the 95% interval of `near_share` minus what is expected without copies.
        high: its upper end.
        authentic_share: AuthPct of the samples.
        authentic_share_of_unseen: AuthPct of the unseen real pictures.
        n: the number of samples.
        searched: the number of training pictures that were searched.
        trained_on: the number of training pictures.
        unseen: the number of unseen real pictures.
        unseen_near_share: the share of the unseen pictures that are as near: what is expected without copies.
        unseen_source: `held-out pictures`, or `cross-splitting`: each picture against the others.
    """

    verdict: str
    reason: str
    near_share: float
    low: float
    high: float
    authentic_share: float
    authentic_share_of_unseen: float
    n: int
    searched: int
    trained_on: int
    unseen: int
    unseen_near_share: float
    unseen_source: str

    @property
    def excess(self) -> float:
        """How much larger the share of near samples is than without copies."""
        return self.near_share - self.unseen_near_share


class CopySearch:
    """Searches training pictures for the ones that pictures may be copies of.

    Attributes:
        pixels: of the training pictures, uint8 (M, C, H, W); they may be larger than memory.
        rows: those that are searched: all, or `MAX_SEARCHED` of them, int64 (n,).
        candidates: their thumbnails and descriptions.
        trained_on: the number of training pictures.
    """

    def __init__(self, pixels: Tensor, groups: Tensor | None = None) -> None:
        self.pixels, self.trained_on = pixels, len(pixels)
        self.rows = torch.arange(len(pixels))
        if len(pixels) > MAX_SEARCHED:
            self.rows = choose_rows(len(pixels), MAX_SEARCHED).sort().values
        thumbnails = [make_thumbnails(pixels[rows]) for rows in torch.split(self.rows, THUMBNAIL_BATCH_SIZE)]
        self.candidates = Candidates(torch.cat(thumbnails), None if groups is None else groups[self.rows])
        self._distance_to_other: dict[int, float] = {}

    def find(
        self,
        batches: Iterable[Tensor],
        own_groups: Tensor | None = None,
        on_searched: Callable[[int], object] = lambda count: None,
    ) -> NearestTraining:
        """Return the nearest training pictures of pictures.

        Args:
            batches: the pictures, uint8 (k, C, H, W) in the size and channels of the training pictures.
            own_groups: the group of each picture, int64 (N,), for pictures that are training pictures themselves: they
                are compared with the other groups only.
            on_searched: called with the number of pictures after each batch.
        """
        parts, start = [], 0
        for batch in (part for pixels in batches for part in torch.split(pixels, SEARCH_BATCH_SIZE)):
            groups = None if own_groups is None else own_groups[start : start + len(batch)]
            parts.append(self._find(batch, groups))
            start += len(batch)
            on_searched(len(batch))
        return NearestTraining(*map(torch.cat, zip(*(part.tensors() for part in parts), strict=True)))

    def _find(self, pixels: Tensor, own_groups: Tensor | None) -> NearestTraining:
        thumbnails = make_thumbnails(pixels)
        rows = self.candidates.find(thumbnails, own_groups)  # (N, K)
        pairs = list(pair_batches(thumbnails, self.candidates.thumbnails, rows))
        shifted = torch.cat([shifted_distances(*pair) for pair in pairs])
        recolored = torch.cat([recolored_distances(*pair) for pair in pairs])
        order = shifted.argsort(1)
        fine, best = self._compare_finely(pixels, rows.gather(1, order[:, :FINE_COUNT]))
        # Many pictures are on both halves of the short list, so the first four places may hold two pictures only.
        scale = (
            shifted.gather(1, order)[:, 4 : CANDIDATE_COUNT + 4].mean(1) if shifted.shape[1] > 4 else shifted.mean(1)
        )
        return NearestTraining(
            fine / (scale + MIN_SCALE),
            recolored.amin(1),
            self.rows[best],
            self.rows[rows.gather(1, recolored.argmin(1, keepdim=True))[:, 0]],
            self._is_authentic(thumbnails, rows[:, 0], own_groups),
        )

    def _compare_finely(self, pixels: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distance (N,) from the nearest of some training pictures (N, few), and its row (N,).

        The best of all shifts by two pixels of 32 is found for each of them, then that by one pixel of 64 for one.
        """
        n, few = rows.shape
        images, side, m = _resize(pixels, FINE_SIDE), FINE_SIDE // 2, 2 * SHIFT
        halves = F.avg_pool2d(images, 2)
        others = F.avg_pool2d(_resize(self.pixels[self.rows[rows.flatten()]], FINE_SIDE), 2)
        others = others.view(n, few, *others.shape[1:])
        inner = others[..., m : side - m, m : side - m]
        distances, views = torch.full((n, few), torch.inf), torch.zeros((n, few), dtype=torch.int64)
        steps = range(-m, m + 1)
        shifts = [(flip, y, x) for flip in (0, 1) for y in steps for x in steps]
        for number, (flip, y, x) in enumerate(shifts):
            image = halves.flip(3) if flip else halves
            difference = image[:, None, :, m + y : side - m + y, m + x : side - m + x] - inner
            distance = difference.square_().mean((2, 3, 4))
            views[distance < distances] = number
            distances = torch.minimum(distances, distance)
        best = distances.argmin(1, keepdim=True)
        flip, y, x = torch.tensor(shifts)[views.gather(1, best)[:, 0]].T
        images = torch.where(flip.bool()[:, None, None, None], images.flip(3), images)
        other = others[torch.arange(n), best[:, 0]]
        finest = torch.minimum(distances.amin(1), _half_pixel_distance(images, other, y, x))
        return finest.sqrt(), rows.gather(1, best)[:, 0]

    def _is_authentic(self, thumbnails: Tensor, rows: Tensor, own_groups: Tensor | None) -> Tensor:
        """Return whether pictures are farther from a training picture than that is from its nearest neighbor."""
        colors = self.candidates.descriptions[0]
        distances = (describe_color(thumbnails) - colors[rows]).norm(dim=1)
        missing = [row for row in torch.unique(rows).tolist() if row not in self._distance_to_other]
        squares = colors.square().sum(1)
        for part in torch.split(torch.tensor(missing, dtype=torch.int64), SEARCH_BATCH_SIZE):
            values = squares[part, None] + torch.addmm(squares, colors[part], colors.T, alpha=-2)
            if own_groups is not None and self.candidates.groups is not None:
                values[self.candidates.groups[part, None] == self.candidates.groups] = torch.inf
            else:
                values[torch.arange(len(part)), part] = torch.inf
            self._distance_to_other |= dict(
                zip(part.tolist(), values.amin(1).clamp_min(0).sqrt().tolist(), strict=True)
            )
        others = torch.tensor([self._distance_to_other[row] for row in rows.tolist()])
        is_farther: Tensor = distances > others
        return is_farther


def _resize(pixels: Tensor, side: int) -> Tensor:
    """Return images uint8 (N, C, H, W) as floats in [0, 1] of 1 or 3 channels and a square shape."""
    images = convert_channels(pixels, min(3, pixels.shape[1])).float() / 255
    if images.shape[2:] == (side, side):
        return images
    resized: Tensor = F.interpolate(images, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return resized


def _half_pixel_distance(images: Tensor, others: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return the mean square difference (N,) after the best shift near shifts by `y` and `x` pixels of 32, (N,).

    Args:
        images: (N, C, 64, 64).
        others: (N, C, 32, 32).
        y: int64 (N,), -2 to 2.
        x: int64 (N,), -2 to 2.
    """
    margin = 2 * SHIFT + 1  # pixels of 32
    side = FINE_SIDE - 4 * margin
    inner = others[..., margin : FINE_SIDE // 2 - margin, margin : FINE_SIDE // 2 - margin]
    first, pixel = torch.arange(len(images))[:, None, None], torch.arange(side)
    smallest = torch.full((len(images),), torch.inf)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            rows = (2 * margin + 2 * y + down)[:, None] + pixel
            columns = (2 * margin + 2 * x + right)[:, None] + pixel
            view = images.permute(0, 2, 3, 1)[first, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
            distance = (F.avg_pool2d(view, 2) - inner).square().mean((1, 2, 3))
            smallest = torch.minimum(smallest, distance)
    return smallest


def copy_limits(unseen: NearestTraining) -> CopyLimits:
    """Return which distances are small, from those of unseen real pictures."""
    shifted, recolored = (max(float(d.double().quantile(NEAR_SHARE)), 1e-9) for d in (unseen.shifted, unseen.recolored))
    limits = CopyLimits(shifted, recolored, 0.0, len(unseen), 0)
    combined = float(limits.closeness(unseen).double().quantile(NEAR_SHARE))
    limits = CopyLimits(shifted, recolored, max(combined, 1e-9), len(unseen), 0)
    return CopyLimits(shifted, recolored, limits.combined, len(unseen), int(limits.is_near(unseen).sum()))


def judge_copies(
    samples: NearestTraining, unseen: NearestTraining, search: CopySearch, unseen_source: str
) -> CopyVerdict:
    """Return whether samples are copies of training pictures.

    Args:
        samples: of the samples.
        unseen: of real pictures that were not trained on.
        search: what both were found with.
        unseen_source: how the unseen pictures were chosen, in words.
    """
    limits = copy_limits(unseen)
    near, n, expected = int(limits.is_near(samples).sum()), len(samples), limits.near_count / limits.unseen_count
    low, high = difference_interval(near, n, limits.near_count, limits.unseen_count)
    verdict, reason = _verdict(near / n, expected, low, high, limits.unseen_count)
    return CopyVerdict(
        verdict,
        reason,
        near / n,
        low,
        high,
        float(samples.is_authentic.float().mean()),
        float(unseen.is_authentic.float().mean()),
        n,
        len(search.rows),
        search.trained_on,
        len(unseen),
        expected,
        unseen_source,
    )


def _verdict(share: float, expected: float, low: float, high: float, unseen_count: int) -> tuple[str, str]:
    near = f"{share:.1%} of the samples are nearer to a training picture than {1 - expected:.0%} of unseen pictures are"
    if unseen_count < MIN_UNSEEN:
        return "cannot say", f"{near}; that says little, because only {unseen_count} unseen pictures are there"
    if low > 0:
        return COPIES, f"{near}: {low:.1%} to {high:.1%} more than without copies"
    if high < 0:
        return "cannot say", (
            f"{near}: fewer than without copies, so the samples are unlike the data, and copies that are much altered "
            "would not be found"
        )
    return "no sign of copying", f"{near}: as many as without copies"


def difference_interval(count: int, n: int, other_count: int, other_n: int) -> tuple[float, float]:
    """Return the 95% interval of the difference of two binomial shares (Newcombe 1998, from Wilson's intervals)."""
    share, other_share = count / n, other_count / other_n
    low, high = wilson_interval(count, n)
    other_low, other_high = wilson_interval(other_count, other_n)
    difference = share - other_share
    return (
        difference - math.hypot(share - low, other_high - other_share),
        difference + math.hypot(high - share, other_share - other_low),
    )


def load_or_find(name: str, find: Callable[[], NearestTraining]) -> NearestTraining:
    """Return the nearest training pictures of a cache entry; if there is none, find them and write it."""
    with (
        contextlib.suppress(OSError, ValueError, KeyError),
        np.load(cache_folder() / name / "nearest.npz", allow_pickle=False) as arrays,
    ):
        return NearestTraining(*(torch.from_numpy(arrays[str(i)]) for i in range(len(arrays.files))))
    nearest = find()
    with contextlib.suppress(UserError), new_cache_entry(name) as entry:  # the cache is optional
        arrays_by_name: dict[str, Any] = {str(i): t.numpy() for i, t in enumerate(nearest.tensors())}
        np.savez(entry / "nearest.npz", **arrays_by_name)
    return nearest
