"""How alike pictures are, from thumbnails of 16x16: candidates by color and by shape, and distances of pairs.

Near duplicates are found with it when a set is divided into its splits, and copies of training pictures when a model
is evaluated. A learned network is not needed for that, and every machine gets the same numbers.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.data.decode import THUMBNAIL_SIDE
from dcgan.data.resize import convert_channels

THUMBNAIL_BATCH_SIZE = 1024
"""Pictures of which thumbnails are made at a time."""
CANDIDATE_COUNT = 20
"""Pictures that are nearest by color, and as many that are nearest by shape: the short list of a picture."""
SEARCH_ROWS = 100
"""Rows of the matrix of distances from all pictures that are in memory at a time."""
PAIR_ROWS = 100
"""Pictures that are compared with their short lists at a time."""
SHIFT = 1
"""Pixels of a thumbnail by which pictures are shifted against each other: a sixteenth of their side."""
RIDGE = 1e-4
"""Share of the variance that is added where colors are fitted to each other: flat pictures have no colors to fit."""
MIN_DEVIATION = 0.02
"""Standard deviation of the values of a picture, of 1, below which it is flat and shows nothing to be recolored."""
MIN_CONTRAST = 0.1
"""Share of the variance of a picture that another one must have to be a recolored copy of it: the colors of a flat
picture follow from those of any other."""


def make_thumbnails(pixels: Tensor) -> Tensor:
    """Return thumbnails uint8 (N, 1 or 3, 16, 16) of images uint8 (N, C, H, W); transparency becomes white."""
    channels = min(3, pixels.shape[1])
    parts = [
        F.interpolate(convert_channels(batch, channels).float(), (THUMBNAIL_SIDE, THUMBNAIL_SIDE), mode="area")
        for batch in torch.split(pixels, THUMBNAIL_BATCH_SIZE)
    ]
    return torch.cat(parts).round().to(torch.uint8) if parts else torch.empty(0, channels, 16, 16, dtype=torch.uint8)


def describe_color(thumbnails: Tensor) -> Tensor:
    """Return the colors of thumbnails at 8x8, float32 (N, C * 64) in [0, 1]."""
    return F.avg_pool2d(thumbnails.float(), 2).flatten(1) / 255


def describe_shape(thumbnails: Tensor) -> Tensor:
    """Return the edges of thumbnails at 8x8, unit vectors float32 (N, 64).

    The square root of the gradient's length, summed over the channels, hardly depends on which colors there are.
    """
    values = thumbnails.float()
    horizontal = values[..., 1:, 1:] - values[..., 1:, :-1]
    vertical = values[..., 1:, 1:] - values[..., :-1, 1:]
    edges = (horizontal.square() + vertical.square()).sum(1, keepdim=True).pow(0.25)  # (N, 1, 15, 15)
    flat: Tensor = F.avg_pool2d(edges, 3, stride=2, padding=1, count_include_pad=False).flatten(1)
    lengths: Tensor = flat.norm(dim=1, keepdim=True)
    return flat / lengths.clamp_min(1e-3)


class Candidates:
    """Finds the pictures of a set that a picture may be a copy of.

    Attributes:
        thumbnails: of the set, uint8 (M, C, 16, 16).
        groups: int64 (M,), or None; see `find`.
    """

    def __init__(self, thumbnails: Tensor, groups: Tensor | None = None) -> None:
        self.thumbnails, self.groups = thumbnails, groups
        self.descriptions = [describe_color(thumbnails), describe_shape(thumbnails)]

    def find(self, thumbnails: Tensor, own_groups: Tensor | None = None) -> Tensor:
        """Return rows of the set that are nearest to each thumbnail (N, C, 16, 16) or to its mirror image.

        Args:
            thumbnails: of the pictures.
            own_groups: int64 (N,), or None: pictures of the set in the same group as a picture are not compared with
                it. Every picture must have at least one picture to be compared with.

        Returns:
            int64 (N, 2 k), the k nearest by color, then the k nearest by shape; k is `CANDIDATE_COUNT`, or one less
            than there are pictures in the set.
        """
        count = min(CANDIDATE_COUNT, max(1, len(self.thumbnails) - 1))
        mirrored = thumbnails.flip(3)
        rows = []
        for describe, descriptions in zip((describe_color, describe_shape), self.descriptions, strict=True):
            queries = zip(*(torch.split(describe(view), SEARCH_ROWS) for view in (thumbnails, mirrored)), strict=True)
            squares = descriptions.square().sum(1)
            parts = []
            for i, (upright, flipped) in enumerate(queries):
                distances = torch.minimum(
                    torch.addmm(squares, upright, descriptions.T, alpha=-2),
                    torch.addmm(squares, flipped, descriptions.T, alpha=-2),
                )
                if own_groups is not None and self.groups is not None:
                    own = own_groups[i * SEARCH_ROWS : (i + 1) * SEARCH_ROWS]
                    distances[own[:, None] == self.groups] = torch.inf
                parts.append(distances.topk(count, dim=1, largest=False).indices)
            rows.append(torch.cat(parts))
        return torch.cat(rows, 1)


def pair_batches(thumbnails: Tensor, others: Tensor, rows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Give thumbnails float32 (k, C, 16, 16) in [0, 1] with those of their candidates (k, K, C, 16, 16)."""
    for batch, batch_rows in zip(torch.split(thumbnails, PAIR_ROWS), torch.split(rows, PAIR_ROWS), strict=True):
        yield batch.float() / 255, others[batch_rows].float() / 255


def shifted_distances(images: Tensor, candidates: Tensor) -> Tensor:
    """Return the root mean square difference (k, K) of thumbnails from their candidates, after the best view.

    A view is the picture or its mirror image, shifted by at most one pixel of the thumbnail each way.

    Args:
        images: float (k, C, 16, 16).
        candidates: float (k, K, C, 16, 16).
    """
    side, m = THUMBNAIL_SIDE, SHIFT
    inner = candidates[..., m : side - m, m : side - m].flatten(2)  # (k, K, D)
    steps = range(-m, m + 1)
    views = torch.stack(
        [
            view[..., m + y : side - m + y, m + x : side - m + x].flatten(1)
            for view in (images, images.flip(3))
            for y in steps
            for x in steps
        ],
        1,
    )  # (k, views, D)
    squares = views.square().sum(2)[:, :, None] + inner.square().sum(2)[:, None]
    distances = squares - 2 * views @ inner.transpose(1, 2)
    return (distances.amin(1).clamp_min(0) / inner.shape[2]).sqrt()


def recolored_distances(images: Tensor, candidates: Tensor) -> Tensor:
    """Return how badly the colors of candidates follow from those of the thumbnails, (k, K) from 0 to 1.

    An affine map of the colors of the thumbnail, or of its mirror image, is fitted to those of each candidate; the
    distance is the root of the share of the candidate's variance that is left. Other brightness, contrast, hue,
    exchanged channels and other skin tones leave little.

    Args:
        images: float (k, C, 16, 16).
        candidates: float (k, K, C, 16, 16). The distance of one that is flat, or flat in comparison, is 1.
    """
    k, candidate_count, channels = candidates.shape[:3]
    target = candidates.flatten(3)
    target = (target - target.mean(3, keepdim=True)).flatten(1, 2)  # (k, K * C, pixels)
    pixel_count = target.shape[2]
    total = target.square().sum(2).view(k, candidate_count, channels).sum(2)
    own_total = (images.flatten(2) - images.flatten(2).mean(2, keepdim=True)).square().sum((1, 2))[:, None]
    smallest = images.new_full((k, candidate_count), torch.inf)
    for view in (images, images.flip(3)):
        source = view.flatten(2)
        source = source - source.mean(2, keepdim=True)  # (k, C, pixels)
        gram = source @ source.transpose(1, 2)
        trace = gram.diagonal(dim1=1, dim2=2).sum(1)[:, None, None]
        gram = gram + (RIDGE * trace + 1e-6 * pixel_count) * torch.eye(channels).to(images)
        weights = torch.linalg.solve(gram, source @ target.transpose(1, 2)).transpose(1, 2)  # (k, K * C, C)
        left = (target - weights @ source).square().sum(2).view(k, candidate_count, channels).sum(2)
        smallest = torch.minimum(smallest, left)
    distances = (smallest / (total + (MIN_DEVIATION / 2) ** 2 * pixel_count)).sqrt()
    is_flat = total < (MIN_CONTRAST * own_total).clamp_min(MIN_DEVIATION**2 * pixel_count)
    return torch.where(is_flat, 1.0, distances)
