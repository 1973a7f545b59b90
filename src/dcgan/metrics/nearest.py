"""The training pictures that are nearest to pictures: by content, after mirroring, small shifts, and by colors.

A short list of candidates is found from thumbnails (`data.similarity`). These are compared more finely.
"""

import contextlib
import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.cache import cache_folder, new_cache_entry
from dcgan.data.arrays import DAMAGE_ERRORS
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
from dcgan.metrics.reference import choose_rows

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
MIN_RELATIVES = 20
"""Training pictures with near duplicates from which on limits are computed for them."""

Alteration = Callable[[Tensor], Tensor]
"""Takes pictures, uint8 (n, C, H, W), and returns altered ones."""


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
            other training picture, (N,) (Alaa et al. 2022). Both are the smaller distance of colors, before or after
            mirroring.
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
class Relatives:
    """Training pictures that have near duplicates among the others: flags of one form, or variants of one face.

    A new picture that belongs to them is near to a training picture too. So a sample counts as a copy of one of them
    only if it is nearer to it than they are to each other.

    Attributes:
        nearest: what is nearest to each of some of them among all other training pictures.
        is_in_pair: whether that one has no other near duplicate, bool (N,).
        is_relative: which of the training pictures they are, bool (M,).
    """

    nearest: NearestTraining
    is_in_pair: Tensor
    is_relative: Tensor


class CopySearch:
    """Searches training pictures for the ones that pictures may be copies of.

    Attributes:
        pixels: of the training pictures, uint8 (M, C, H, W), on the device that searches; they may be larger than
            memory.
        rows: those that are searched: all, or `MAX_SEARCHED` of them, int64 (n,).
        candidates: their thumbnails and descriptions.
        trained_on: the number of training pictures.
    """

    def __init__(self, pixels: Tensor, groups: Tensor | None = None) -> None:
        self.pixels, self.trained_on = pixels, len(pixels)
        self.rows = torch.arange(len(pixels), device=pixels.device)
        if len(pixels) > MAX_SEARCHED:
            self.rows = choose_rows(len(pixels), MAX_SEARCHED).sort().values.to(pixels.device)
        thumbnails = [make_thumbnails(pixels[rows]) for rows in torch.split(self.rows, THUMBNAIL_BATCH_SIZE)]
        groups = None if groups is None else groups.to(pixels.device)[self.rows]
        self.candidates = Candidates(torch.cat(thumbnails), groups)
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
            groups = None if own_groups is None else own_groups[start : start + len(batch)].to(self.pixels.device)
            parts.append(self._find(batch.to(self.pixels.device), groups))
            start += len(batch)
            on_searched(len(batch))
        return NearestTraining(*(torch.cat(t).cpu() for t in zip(*(part.tensors() for part in parts), strict=True)))

    def find_relatives(
        self,
        groups: Tensor,
        max_count: int,
        on_searched: Callable[[int], object] = lambda count: None,
        alter: Alteration | None = None,
    ) -> Relatives | None:
        """Return the training pictures that have near duplicates; None if there are too few for limits of their own.

        Args:
            groups: of near duplicates among all training pictures, int64 (M,).
            max_count: up to how many of them are compared with the others.
            on_searched: see `find`.
            alter: applied to the pictures that are compared with the others.
        """
        _, numbers, counts = torch.unique(groups.cpu(), return_inverse=True, return_counts=True)
        sizes = counts[numbers]
        searched = self.rows.cpu()
        places = (sizes[searched] > 1).nonzero()[:, 0]
        if len(places) < MIN_RELATIVES:
            return None
        places = places[choose_rows(len(places), max_count)]
        alone = copy.copy(self)  # every picture is a group of its own
        alone.candidates = copy.copy(self.candidates)
        alone.candidates.groups, alone._distance_to_other = torch.arange(len(searched), device=self.rows.device), {}
        pixels = self.pixels[searched[places].to(self.pixels.device)]
        nearest = alone.find([alter(pixels) if alter else pixels], places, on_searched)
        return Relatives(nearest, sizes[searched[places]] == 2, sizes > 1)

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
        distances = images.new_full((n, few), torch.inf)
        views = torch.zeros_like(rows)
        steps = range(-m, m + 1)
        shifts = [(flip, y, x) for flip in (0, 1) for y in steps for x in steps]
        for number, (flip, y, x) in enumerate(shifts):
            image = halves.flip(3) if flip else halves
            difference = image[:, None, :, m + y : side - m + y, m + x : side - m + x] - inner
            distance = difference.square_().mean((2, 3, 4))
            views[distance < distances] = number
            distances = torch.minimum(distances, distance)
        best = distances.argmin(1, keepdim=True)
        flip, y, x = torch.tensor(shifts, device=rows.device)[views.gather(1, best)[:, 0]].T
        images = torch.where(flip.bool()[:, None, None, None], images.flip(3), images)
        other = others[torch.arange(n, device=rows.device), best[:, 0]]
        finest = torch.minimum(distances.amin(1), _half_pixel_distance(images, other, y, x))
        return finest.sqrt(), rows.gather(1, best)[:, 0]

    def _is_authentic(self, thumbnails: Tensor, rows: Tensor, own_groups: Tensor | None) -> Tensor:
        """Return whether pictures are farther from a training picture than that is from its nearest neighbor.

        The distance is the one that `Candidates.find` finds the nearest by: the smaller one of both mirror images.
        """
        colors, views = self.candidates.descriptions[0], (thumbnails, thumbnails.flip(3))
        distances = torch.stack([(describe_color(view) - colors[rows]).norm(dim=1) for view in views]).amin(0)
        missing = [row for row in torch.unique(rows).tolist() if row not in self._distance_to_other]
        squares = colors.square().sum(1)
        for part in torch.split(torch.tensor(missing, dtype=torch.int64, device=rows.device), SEARCH_BATCH_SIZE):
            mirrored = describe_color(self.candidates.thumbnails[part].flip(3))
            products = (torch.addmm(squares, view, colors.T, alpha=-2) for view in (colors[part], mirrored))
            values = squares[part, None] + torch.minimum(*products)
            if own_groups is not None and self.candidates.groups is not None:
                values[self.candidates.groups[part, None] == self.candidates.groups] = torch.inf
            else:
                values[torch.arange(len(part), device=rows.device), part] = torch.inf
            self._distance_to_other |= dict(
                zip(part.tolist(), values.amin(1).clamp_min(0).sqrt().tolist(), strict=True)
            )
        others = distances.new_tensor([self._distance_to_other[row] for row in rows.tolist()])
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
    first = torch.arange(len(images), device=images.device)[:, None, None]
    pixel = torch.arange(side, device=images.device)
    smallest = images.new_full((len(images),), torch.inf)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            rows = (2 * margin + 2 * y + down)[:, None] + pixel
            columns = (2 * margin + 2 * x + right)[:, None] + pixel
            view = images.permute(0, 2, 3, 1)[first, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
            distance = (F.avg_pool2d(view, 2) - inner).square().mean((1, 2, 3))
            smallest = torch.minimum(smallest, distance)
    return smallest


def load_or_find(name: str, find: Callable[[], NearestTraining]) -> NearestTraining:
    """Return the nearest training pictures of a cache entry; if there is none, find them and write it."""
    with (
        contextlib.suppress(*DAMAGE_ERRORS, OSError),  # the entry is missing or damaged
        (cache_folder() / name / "nearest.npz").open("rb") as file,  # NumPy leaves a damaged file open
        np.load(file, allow_pickle=False) as arrays,
    ):
        return NearestTraining(*(torch.from_numpy(arrays[str(i)]) for i in range(len(fields(NearestTraining)))))
    nearest = find()
    with contextlib.suppress(UserError), new_cache_entry(name) as entry:  # the cache is optional
        arrays_by_name: dict[str, Any] = {str(i): t.numpy() for i, t in enumerate(nearest.tensors())}
        np.savez(entry / "nearest.npz", **arrays_by_name)
    return nearest
