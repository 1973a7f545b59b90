"""Groups of similar pictures that are used like classes: the benefit of conditional training, without labels.

Pictures are sorted into groups by k-means once, before training: on their edges, on features of another network, or
on their pixels (`training.grouping`). During training, both networks are given the group as if it were a class. The
trained generator is not given a group: the first numbers of z choose it (see `grouped_generator`). So every kind of
picture is drawn from the start, as often as it occurs in the data. Sage et al., "Logo Synthesis and Manipulation with
Clustered Generative Adversarial Networks" (2018); Liu et al., "Diverse Image Generation via Self-Conditioned GANs"
(2020). They cluster features of networks; for small gray pictures, the directions of their edges are enough (Dalal and
Triggs, "Histograms of Oriented Gradients for Human Detection", 2005).

If there are classes, the pictures of each class are sorted into as many groups, and the groups of the first class come
first. Without labels, all pictures are treated as one class here.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.images import to_float
from dcgan.rng import RandomPurpose, derive_seed
from dcgan.system.preparation import preparation_bar

IMAGES_PER_GROUP = 100
"""How many pictures a group should have on average."""
IMAGES_PER_MATCHED_GROUP = 20
"""The same for a training that draws samples towards the pictures of their group: its groups may be small."""
MAX_CLUSTERED_IMAGES = 10_000
"""At most this many pictures are used to find the groups."""
MAX_START_CANDIDATES = 2000
"""At most this many of them are candidates for the first centers."""
MAX_BATCH_VALUES = 2**22
"""Values of the pictures that are processed at a time; each takes four bytes."""
KMEANS_ITERATIONS = 10
ASSIGNED_BATCH = 8192
"""Pictures whose nearest centers are searched at a time."""
Describe = Callable[[Tensor], Tensor]
"""Takes the rows of some pictures, int64 (n,); returns what describes them, (n, F)."""
MAX_FEATURE_SIDE = 14
"""Pictures are compared at a size of at most this many pixels a side."""
EDGE_CELLS, EDGE_DIRECTIONS = 6, 8
"""Cells along a side in which edges are counted, and directions that are told apart."""
EDGE_SIDE, EDGE_BATCH = 32, 200
"""Pictures are reduced to at most this many pixels a side before that, and so many are described at a time: larger
batches do not fit into a processor's cache."""
EPSILON = 1e-12
"""The least squared strength of an edge that is divided by."""
MIN_EDGE_STRENGTH = 1.5
"""The least length that edges are divided by, so that noise on a flat picture stays weak. Digits have 1.7 to 3.8."""
BRIGHTNESS_CELLS, BRIGHTNESS_WEIGHT = 4, 0.1
"""Cells along a side whose brightness counts too, and its weight: for pictures that differ in nothing else."""


def choose_group_count(
    image_count: int, max_groups: int, z_dim: int, classes: int = 0, images_per_group: int = IMAGES_PER_GROUP
) -> int:
    """Return how many groups the pictures are sorted into.

    Every group takes one number of z, and a third of z is left for the look of the picture. With classes, all classes
    have the same number of groups; if that were one group, the result is 0.
    """
    group_count = max(min(image_count, MAX_CLUSTERED_IMAGES * 10) // images_per_group, 1)
    group_count = min(max_groups, group_count, z_dim * 2 // 3)
    if not classes:
        return group_count
    return group_count // classes * classes if group_count >= 2 * classes else 0


def find_group_centers(
    pixels: Tensor, group_count: int, seed: int, labels: Tensor | None = None, classes: int = 0
) -> Tensor:
    """Find groups by k-means and return their mean features (K, F), the groups of the first class first.

    If pictures are equal, or fewer than the groups, some groups stay empty.

    Args:
        pixels: uint8 (N, C, H, W). At most `MAX_CLUSTERED_IMAGES` of them are used.
        group_count: K.
        seed: of the run.
        labels: of the pictures, int64 (N,).
        classes: number of classes; K is a multiple of it.
    """

    def describe(rows: Tensor) -> Tensor:
        batches = torch.split(rows.to(pixels.device), _batch_size(pixels))
        return torch.cat([group_features(to_float(pixels[batch])) for batch in batches])

    labels, classes = _labels_or_one_class(pixels, labels, classes)
    centers_by_class = _centers_by_class(describe, labels, classes, group_count, seed)
    return torch.cat([F.pad(centers, (0, 0, 0, group_count // classes - len(centers))) for centers in centers_by_class])


def find_groups(
    describe: Describe, count: int, group_count: int, seed: int, labels: Tensor | None = None, classes: int = 0
) -> Tensor:
    """Sort pictures into groups by k-means of any description of them; return the group of each, int64 (N,).

    Args:
        describe: takes the rows of some pictures, int64 (n,); returns what describes them, (n, F).
        count: N.
        group_count: K.
        seed: of the run.
        labels: of the pictures, int64 (N,).
        classes: number of classes; K is a multiple of it. The groups of the first class come first.
    """
    labels, classes = (torch.zeros(count, dtype=torch.int64), 1) if labels is None else (labels.cpu(), classes)
    groups = torch.zeros(count, dtype=torch.int64)
    with preparation_bar(f"sorting {count:,} pictures into {group_count} groups", count) as bar:
        for label, centers in enumerate(_centers_by_class(describe, labels, classes, group_count, seed)):
            for rows in torch.split((labels == label).nonzero()[:, 0], ASSIGNED_BATCH):
                if len(rows):
                    nearest = torch.cdist(describe(rows), centers).argmin(1)
                    groups[rows] = label * (group_count // classes) + nearest.cpu()
                    bar.update(len(rows))
    return groups


def _centers_by_class(
    describe: Describe,
    labels: Tensor,
    classes: int,
    group_count: int,
    seed: int,
) -> list[Tensor]:
    """Return for each class the centers of its groups, (k, F), k being fewer than its share if it has few pictures.

    Args:
        describe: takes the rows of some pictures, int64 (n,); returns what describes them, (n, F).
        labels: of the pictures, int64 (N,), on the CPU.
        classes: number of classes.
        group_count: number of groups of all classes.
        seed: of the run.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, RandomPurpose.GROUPS))
    centers_by_class = []
    for label in range(classes):
        rows = (labels == label).nonzero()[:, 0]
        few = rows[torch.randperm(len(rows), generator=generator)[: MAX_CLUSTERED_IMAGES // classes]]
        points = describe(few)
        count = min(group_count // classes, len(points))
        centers_by_class.append(_run_kmeans(points, count, generator) if len(points) else points)
    return centers_by_class


def assign_groups(pixels: Tensor, centers: Tensor, labels: Tensor | None = None, classes: int = 0) -> Tensor:
    """Return the group of each picture, int64 (N,): the nearest center among those of its class.

    Args:
        pixels: uint8 (N, C, H, W).
        centers: (K, F), from `find_group_centers`.
        labels: of the pictures, int64 (N,).
        classes: number of classes.
    """
    labels, classes = _labels_or_one_class(pixels, labels, classes)
    centers, groups_per_class = centers.to(pixels.device), len(centers) // classes
    batches = zip(torch.split(pixels, _batch_size(pixels)), torch.split(labels, _batch_size(pixels)), strict=True)
    groups = []
    for batch, batch_labels in batches:
        distances = torch.cdist(group_features(to_float(batch)), centers).view(-1, classes, groups_per_class)
        batch_labels = batch_labels.to(pixels.device)
        nearest = distances[torch.arange(len(batch)), batch_labels].argmin(1)
        groups.append(batch_labels * groups_per_class + nearest)
    return torch.cat(groups)


def mean_features(pixels: Tensor, groups: Tensor, group_count: int) -> Tensor:
    """Return the mean features (K, F) of the pictures of each group; zeros for a group without pictures.

    Args:
        pixels: uint8 (N, C, H, W).
        groups: the group of each picture, int64 (N,).
        group_count: K.
    """
    batches = torch.split(pixels, _batch_size(pixels))
    points = torch.cat([group_features(to_float(batch)) for batch in batches])
    members = F.one_hot(groups.to(points.device), group_count).to(points.dtype)  # (N, K)
    return members.T @ points / members.sum(0)[:, None].clamp(min=1)


def group_features(images: Tensor) -> Tensor:
    """Return what pictures are compared by: images (N, C, H, W) in [-1, 1], made small and flat, (N, F)."""
    height, width = (min(side, MAX_FEATURE_SIDE) for side in images.shape[-2:])
    return F.adaptive_avg_pool2d(images, (height, width)).flatten(1)


def describe_edges(pixels: Tensor) -> Tensor:
    """Return how much of a picture's edges has which direction in which part of it, and how bright the parts are.

    The edges of a picture have the length 1 together, so that strong and weak contrast count alike, and they change
    little if a stroke is moved by a pixel.

    Args:
        pixels: uint8 (N, C, H, W); the mean over the channels is used.

    Returns:
        (N, F).
    """
    half_turn = torch.arange(EDGE_DIRECTIONS // 2, device=pixels.device)[:, None, None]
    angles = half_turn * (2 * math.pi / EDGE_DIRECTIONS)
    return torch.cat([_edges_of_batch(batch, angles) for batch in torch.split(pixels, EDGE_BATCH)])


def _edges_of_batch(pixels: Tensor, angles: Tensor) -> Tensor:
    """Return features (N, F) of pictures uint8 (N, C, H, W), with edges at angles (D, 1, 1) in radians."""
    images = to_float(pixels).mean(1, keepdim=True)
    if max(images.shape[2:]) > EDGE_SIDE:
        height, width = (min(side, EDGE_SIDE) for side in images.shape[2:])
        images = F.adaptive_avg_pool2d(images, (height, width))
    brightness = BRIGHTNESS_WEIGHT * _cell_means(images, BRIGHTNESS_CELLS)
    images = F.pad(images, (1, 1, 1, 1), mode="replicate")
    right = images[:, :, 1:-1, 2:] - images[:, :, 1:-1, :-2]
    down = images[:, :, 2:, 1:-1] - images[:, :, :-2, 1:-1]
    # An edge of strength s at an angle t from a direction counts s cos(t)^3 there, and `along` is s cos(t). Where that
    # is negative, the edge counts for the opposite direction.
    squared_strength = (right.square() + down.square()).clamp(min=EPSILON)
    along = torch.addcmul(right * angles.cos(), down, angles.sin())
    edges = along.square().mul_(along).div_(squared_strength)
    difference, ahead = _cell_means(edges, EDGE_CELLS), _cell_means(edges.clamp_(min=0), EDGE_CELLS)
    cells = torch.cat([ahead, ahead - difference], 1)
    return torch.cat([F.normalize(cells, dim=1, eps=MIN_EDGE_STRENGTH), brightness], 1)


def _cell_means(images: Tensor, cells: int) -> Tensor:
    """Return the means over `cells` times `cells` parts of images (N, C, H, W), flat, as products of matrices."""
    rows, columns = (F.adaptive_avg_pool1d(torch.eye(side, device=images.device), cells) for side in images.shape[2:])
    return (rows.T @ (images @ columns)).flatten(1)


def _labels_or_one_class(pixels: Tensor, labels: Tensor | None, classes: int) -> tuple[Tensor, int]:
    """Return the label of each picture, on the CPU, and the number of classes. Without labels, all have one class."""
    if labels is None:
        return torch.zeros(len(pixels), dtype=torch.int64), 1
    return labels.cpu(), classes


def _batch_size(pixels: Tensor) -> int:
    return max(1, MAX_BATCH_VALUES // pixels[0].numel())


def _run_kmeans(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return the centers (count, F) of groups of the points (N, F)."""
    centers = _choose_first_centers(points[: max(MAX_START_CANDIDATES, count)], count, generator)
    for _ in range(KMEANS_ITERATIONS):
        members = F.one_hot(torch.cdist(points, centers).argmin(1), count).to(points.dtype)  # (N, K)
        member_counts = members.sum(0)[:, None]
        centers = torch.where(member_counts > 0, members.T @ points / member_counts.clamp(min=1), centers)
    return centers


def _choose_first_centers(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return some of the points (N, F), each probably far from the ones before: k-means++ (Arthur 2007)."""
    chosen, distances = [0], torch.full((len(points),), torch.inf)
    while len(chosen) < count:
        distances = torch.minimum(distances, torch.cdist(points[chosen[-1:]], points)[0].cpu())
        chosen.append(int(torch.multinomial(distances**2 + 1e-12, 1, generator=generator)))
    return points[chosen]
