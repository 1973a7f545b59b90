"""Training a generator without an adversary: each sample is drawn towards real pictures in frozen features.

A discriminator learns a few hundred pictures by heart before the generator has learned to draw them. Here nothing is
learned but the generator. A frozen network that was trained on photographs compares samples with real pictures:

- *Drifting* ("Generative Modeling via Drifting", 2026, arXiv:2602.04770): in each of several feature
  spaces, a sample is attracted by real pictures and repelled by the other samples, with weights that fall with the
  distance. Its target is where this field moves it, and the loss is the squared distance from the target.
- Which real pictures attract a sample is decided by its latent. The pictures are sorted into groups, and the latent
  chooses a group and a position among the pictures of the group (`models.upsample`, appearance). The nearest pictures
  of the group attract the sample.
- *Sliced Wasserstein distances* between pixels of samples and of real pictures keep colors, contrast and fine
  structure at their right strength: of patches over the batch, of the patches of each sample and its nearest picture,
  and of small versions of whole pictures (`training.sliced`).

The gradients of the distances at the pixels are scaled to fixed shares of the drifting's.
"""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.devices.batch import Batch
from dcgan.devices.connect import sum_over_ranks
from dcgan.images import composite_on_white, to_float
from dcgan.models.lite import LITE_WEIGHTS, LiteNetwork, load_lite_network
from dcgan.models.upsample import APPEARANCE_DIM
from dcgan.system.preparation import preparation_bar
from dcgan.system.resources import check_memory
from dcgan.training.sliced import (
    EPSILON,
    SlicedRandom,
    means_and_deviations,
    patch_distance,
    reduced,
    small_pictures,
    sorted_distance,
    variances,
)

FEATURES = "lite0"
"""The frozen network."""
FROZEN_NETWORK_SHA256 = LITE_WEIGHTS[FEATURES].sha256
"""Of the file of its weights, which is compared when it is loaded. A run continues with the same weights only."""
BLOCKS = (0, 1, 2, 4)
"""The groups of blocks whose maps are compared: strides 2, 4, 8 and 16, with 16, 24, 40 and 112 channels."""
FINE_BLOCKS = (1, 2)
"""Those whose maps are also compared at `FINE_SIDE`."""
PICTURE_SIDES, FINE_SIDE, COARSE_SIDE = (16, 32), 8, 4
"""Sides at most to which pictures and maps are reduced before they are compared."""
TEMPERATURES = (0.05, 0.1, 0.2)
"""Of the weights exp(-distance / temperature), as shares of the mean distance between samples and real pictures."""
OWN_WEIGHT_SHARE = 0.5
"""Share of the field in which a sample is one of its own repellers, so that the field ends at the real pictures. In the
rest only other samples repel it, which makes contrasts stronger, by more than is right if the share is 0."""
GOAL_COUNT = 2
"""How many real pictures attract a sample."""
PATCH_SHARE, OWN_PATCH_SHARE, SMALL_PICTURE_SHARE = 0.03, 0.06, 0.01
"""Lengths of the gradients of the sliced distances, as shares of the length of the drifting's."""
DIRECTION_COUNT = 64
"""Random directions in each step for small versions of whole pictures."""
RECENT_COUNT = 224
"""How many earlier samples are compared beside the batch: a batch alone has too few pictures for a distribution."""
MAX_BATCH = 64
"""Pictures whose features are computed at a time before the training."""
FLOAT_BYTES = 4
FAR_DISTANCE = 1e6
"""A distance at which every weight is 0."""


@dataclass(frozen=True)
class Goals:
    """What attracts the samples of a batch.

    Attributes:
        rows: real pictures that attract any of them, int64 (M,), in order. On a GPU, where all steps shall have the
            same shapes, one that attracts several samples is there several times.
        allowed: which of these attract each sample, bool (N, M).
        nearest: the real picture that is nearest to each sample's position, int64 (N,).
    """

    rows: Tensor
    allowed: Tensor
    nearest: Tensor

    @property
    def is_first(self) -> Tensor:
        """Whether each of the rows is there for the first time, bool (M,). The others do not count."""
        return is_first_of_equals(self.rows)


@dataclass
class MatchedSamples:
    """Samples, and where they are drawn to.

    Attributes:
        samples: this device's, (N, C, H, W) in [-1, 1], with their graph.
        gradient: at these samples, of their shape.
        length: of the gradient of the drifting at the samples of all devices, a scalar.
        loss: of the drifting, a scalar without a graph.
        reals: as many real pictures as the batch has, those that were drawn as the batch.
        goal_pictures: for each sample of the batch, the real picture that is nearest to its position.
    """

    samples: Tensor
    gradient: Tensor
    length: Tensor
    loss: Tensor
    reals: Tensor
    goal_pictures: Tensor


class Matcher(nn.Module):
    """The frozen network, and what it says of the training pictures.

    A checkpoint has to keep its groups and the statistics of recent samples. Everything else follows from the pictures
    and from the weights of the frozen network, whose hash it keeps.

    Args:
        pixels: the training pictures, uint8 (N, C, H, W), on the device of the training.
    """

    groups: Tensor
    """The group of each picture, int64 (N,). At first all are one group."""
    recent_samples: Tensor
    recent_reals: Tensor
    positions: Tensor

    def __init__(self, pixels: Tensor) -> None:
        super().__init__()
        self._pixels = pixels
        self.register_buffer("groups", torch.zeros(len(pixels), dtype=torch.int64, device=pixels.device))
        self._network = FrozenMaps(load_lite_network(FEATURES).to(pixels.device), to_float(pixels[: 4 * MAX_BATCH]))
        spaces, features, small = list[list[Tensor]](), list[Tensor](), list[Tensor]()
        with torch.no_grad(), preparation_bar(f"features of {len(pixels):,} pictures", len(pixels)) as bar:
            for images in map(to_float, torch.split(pixels, MAX_BATCH)):
                maps = self._network(images)
                spaces.append(space_vectors(images, maps))
                if not features:
                    self._check_memory(len(pixels), spaces[0])
                features.append(maps[-1].mean((2, 3)))
                small.append(reduced(images, FINE_SIDE))
                bar.update(len(images))
        self._spaces = [torch.cat(vectors) for vectors in zip(*spaces, strict=True)]
        self.register_buffer("positions", find_positions(torch.cat(features), torch.cat(small)), persistent=False)
        few = to_float(pixels[torch.arange(RECENT_COUNT, device=pixels.device) % len(pixels)])
        recent = torch.cat(small_pictures(few), 1)
        self.register_buffer("recent_samples", recent)
        self.register_buffer("recent_reals", recent.clone())
        self.register_load_state_dict_pre_hook(_drop_frozen_network)  # type: ignore[no-untyped-call]

    def copy_for_a_step(self) -> "Matcher":
        """Return a matcher for steps that change nothing here: it has its own statistics and shares everything else."""
        shared = (self._pixels, self._spaces, self._network, self.groups, self.positions)
        return copy.deepcopy(self, {id(part): part for part in shared})

    @staticmethod
    def _check_memory(count: int, first_spaces: list[Tensor]) -> None:
        """Refuse more pictures than this machine can hold the vectors of."""
        needed = count * FLOAT_BYTES * sum(vectors.shape[1] for vectors in first_spaces)
        check_memory(needed, f"the features of {count:,} pictures", "use --preset fast, or fewer pictures")

    def find_goals(self, positions: Tensor, groups: Tensor) -> Goals:
        """Find the real pictures that attract samples: those of a sample's group that are nearest to its position.

        Args:
            positions: of the samples in the space of appearances, (N, A).
            groups: of the samples, int64 (N,).
        """
        is_other = self.groups[None] != groups[:, None]
        distances = torch.cdist(positions, self.positions).masked_fill(is_other, FAR_DISTANCE)
        nearest = distances.topk(min(GOAL_COUNT, distances.shape[1]), largest=False)
        rows = nearest.indices.flatten().sort().values
        if not _keeps_repeats(rows.device):
            rows = rows[is_first_of_equals(rows)]
        is_near = (nearest.values < FAR_DISTANCE)[..., None] & (nearest.indices[..., None] == rows)  # (N, goals, M)
        return Goals(rows, is_near.any(1) & is_first_of_equals(rows), nearest.indices[:, 0])

    def compare_features(self, batch: Batch, samples: Tensor, reals: Tensor, goals: Goals) -> MatchedSamples:
        """Return samples with the gradient of the drifting. `compare_pixels` adds the others.

        Each device sends its own samples through the frozen network, and all compare the samples of the whole batch.

        Args:
            batch: the batch, and which of its samples are this device's.
            samples: this device's, (N, C, H, W) in [-1, 1], with their graph.
            reals: as many real pictures as the batch has, those that were drawn as the batch.
            goals: what attracts the samples of the batch.
        """
        points = samples.detach().requires_grad_()
        spaces = [batch.gather(space) for space in space_vectors(points, self._network(points))]
        loss = drifting_loss(spaces, [space[goals.rows] for space in self._spaces], goals)
        (gradient,) = torch.autograd.grad(loss, points)
        length = sum_over_ranks(batch.fabric, gradient.square().sum()).sqrt()
        goal_pictures = to_float(self._pixels[goals.nearest])
        return MatchedSamples(samples, gradient, length, loss.detach(), reals, goal_pictures)

    def compare_pixels(self, batch: Batch, matched: MatchedSamples, random: SlicedRandom) -> None:
        """Add the gradients of the sliced distances to that of the drifting.

        Args:
            batch: the batch, and which of its samples are this device's.
            matched: the samples.
            random: of the filters and directions.
        """
        # The usual layout, which these operations on three channels need less time for than for `channels_last`.
        whole = batch.gather(matched.samples.detach()).contiguous().requires_grad_()
        distances = (
            (PATCH_SHARE, patch_distance(whole, matched.reals, random, by_picture=False)),
            (OWN_PATCH_SHARE, patch_distance(whole, matched.goal_pictures, random, by_picture=True)),
            (SMALL_PICTURE_SHARE, self._small_picture_distance(whole, matched.reals, random)),
        )
        rows = batch.own_rows
        for share, distance in distances:
            (slope,) = torch.autograd.grad(distance, whole)
            factor = share * matched.length / slope.norm().clamp(min=EPSILON**2)
            matched.gradient[: rows.stop - rows.start] += factor * slope[rows]

    def _small_picture_distance(self, samples: Tensor, reals: Tensor, random: SlicedRandom) -> Tensor:
        """Return the sliced distance of small versions of the batch and of recent samples to those of real pictures."""
        parts, real_parts = small_pictures(samples), small_pictures(reals)
        sizes = [part.shape[1] for part in parts]
        recent = zip(torch.split(self.recent_samples, sizes, 1), torch.split(self.recent_reals, sizes, 1), strict=True)
        distances = []
        for part, real_part, (recent_part, recent_real_part) in zip(parts, real_parts, recent, strict=True):
            directions = random.normal(part.shape[1], DIRECTION_COUNT)
            directions = F.normalize(directions, dim=0)
            values = torch.cat([part, recent_part]) @ directions
            real_values = torch.cat([real_part, recent_real_part]) @ directions
            spread = variances(real_values, (0,)).sqrt().clamp(min=EPSILON)
            distances.append(sorted_distance((values / spread).T, (real_values / spread).T))
        with torch.no_grad():
            self.recent_samples.copy_(torch.cat([torch.cat(parts, 1), self.recent_samples])[:RECENT_COUNT])
            self.recent_reals.copy_(torch.cat([torch.cat(real_parts, 1), self.recent_reals])[:RECENT_COUNT])
        return torch.stack(distances).mean()


def _drop_frozen_network(matcher: nn.Module, tensors: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Leave out the weights of the frozen network, which checkpoints of earlier versions hold too."""
    for name in [name for name in tensors if name.startswith(f"{prefix}_network.")]:
        del tensors[name]


def is_first_of_equals(ordered: Tensor) -> Tensor:
    """Return for each number of a sorted list (M,) whether it differs from the one before it, bool (M,)."""
    return F.pad(ordered[1:] != ordered[:-1], (1, 0), value=True)


def _keeps_repeats(device: torch.device) -> bool:
    """Return whether a real picture that attracts several samples stays there several times: see `Goals.rows`."""
    return device.type != "cpu"


class FrozenMaps:
    """The maps of the frozen network that are compared, each divided by its root mean square on real pictures.

    It is no module, so that no checkpoint holds its weights.

    Args:
        network: the network.
        reals: some real pictures (N, C, H, W) in [-1, 1].
    """

    def __init__(self, network: LiteNetwork, reals: Tensor) -> None:
        self._network = network
        self._sizes = [1.0] * len(BLOCKS)
        with torch.no_grad():
            self._sizes = [float(features.square().mean().sqrt()) for features in self(reals)]

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Take images (N, C, H, W) in [-1, 1]; return a map (N, D, H / stride, W / stride) for each of `BLOCKS`."""
        x, maps = self._network.stem(as_rgb(images)), list[Tensor]()
        for i, block in enumerate(self._network.blocks[: BLOCKS[-1] + 1]):
            x = block(x)
            if i in BLOCKS:
                maps.append(x / max(self._sizes[len(maps)], EPSILON))
        return maps


def as_rgb(images: Tensor) -> Tensor:
    """Return pictures (N, C, H, W) in [-1, 1] as RGB: gray ones repeated, transparent ones on white."""
    if images.shape[1] == 1:
        return images.expand(-1, 3, -1, -1)
    if images.shape[1] == 4:
        levels = (images + 1) * 127.5
        return composite_on_white(levels[:, :3], levels[:, 3:]) / 127.5 - 1
    return images


def space_vectors(images: Tensor, maps: list[Tensor]) -> list[Tensor]:
    """Return pictures as vectors (N, D) of each space in which they are compared.

    Args:
        images: (N, C, H, W) in [-1, 1].
        maps: of the frozen network, see `FrozenMaps`.
    """
    vectors = [reduced(images, side) for side in PICTURE_SIDES]
    vectors += [reduced(maps[BLOCKS.index(block)], FINE_SIDE) for block in FINE_BLOCKS]
    for features in maps:
        vectors += [reduced(features, COARSE_SIDE), means_and_deviations(features.permute(0, 2, 3, 1), (1, 2))]
    return vectors


def find_positions(features: Tensor, small_images: Tensor) -> Tensor:
    """Return where pictures are in the space of appearances, (N, A), with a root mean square of 1.

    The space has the principal components of features and of small pictures together, which count equally.

    Args:
        features: of the pictures, (N, D).
        small_images: the pictures made small, (N, D').
    """
    centered = [numbers - numbers.mean(0) for numbers in (features, small_images)]
    scaled = [numbers / numbers.square().sum(1).mean().sqrt().clamp(min=EPSILON) for numbers in centered]
    left, lengths, _ = torch.linalg.svd(torch.cat(scaled, 1), full_matrices=False)
    rank = min(APPEARANCE_DIM, len(lengths))
    positions: Tensor = left.new_zeros(len(features), APPEARANCE_DIM)
    positions[:, :rank] = left[:, :rank] * lengths[:rank]
    positions /= positions.square().mean().sqrt().clamp(min=EPSILON)
    return positions


def drifting_loss(samples: list[Tensor], reals: list[Tensor], goals: Goals) -> Tensor:
    """Return the mean squared length of the field that moves samples towards real pictures, over all spaces.

    Its gradient at the samples is the field: its target, where the field moves a sample, has no graph.

    Args:
        samples: vectors of each space, (N, D), with a graph.
        reals: the same of real pictures, (M, D).
        goals: which of these attract each sample.
    """
    real_count = len(goals.rows)
    points = [torch.cat([real, own.detach()]) for own, real in zip(samples, reals, strict=True)]
    # In as few operations as possible: a GPU needs longer to be told of one than to do it.
    distances = torch.stack([torch.cdist(space[real_count:], space) for space in points])  # (S, N, M + N)
    is_first = goals.is_first
    to_reals = (distances[..., :real_count] * is_first).sum((1, 2), keepdim=True)
    scales = (to_reals / (is_first.sum() * len(goals.allowed))).clamp(min=EPSILON)
    weights = drifting_weights(distances / scales, goals.allowed)
    losses = [
        ((vectors - (space[real_count:] + scale * drifting_field(own_weights, space))) / scale).square().sum(1).mean()
        for vectors, space, scale, own_weights in zip(samples, points, scales, weights, strict=True)
    ]
    return torch.stack(losses).mean()


def drifting_weights(distances: Tensor, allowed: Tensor) -> Tensor:
    """Return the weights that points have in the fields that move samples, (S, 2, T, N, M + N).

    Args:
        distances: in each space from each sample to all points, first M real pictures, then the N samples themselves,
            (S, N, M + N).
        allowed: which real pictures attract each sample, bool (N, M).

    Returns:
        For each of S spaces and T temperatures two kinds of weights. With the first, a sample is one of its own
        repellers, so that the field is 0 where it is on its real pictures. The second are the paper's.
    """
    count = allowed.shape[1]
    attracting, repelling = distances[..., :count].masked_fill(~allowed, FAR_DISTANCE), distances[..., count:]
    others = repelling + FAR_DISTANCE * torch.eye(len(allowed), device=repelling.device)
    parts = [attracting, repelling, others]
    attracting, repelling, others = (torch.stack([part / t for t in TEMPERATURES], 1) for part in parts)
    own = torch.cat([(-attracting).softmax(3), -(-repelling).softmax(3)], 3)
    logits = -torch.cat([attracting, others], 3)
    # A sample itself drops out of the paper's weights, since they add up to 0.
    weights = (logits.softmax(3) * logits.softmax(2)).sqrt()
    to_reals, to_others = weights[..., :count], weights[..., count:]
    paper = torch.cat([to_reals * to_others.sum(3, keepdim=True), -to_others * to_reals.sum(3, keepdim=True)], 3)
    return torch.stack([own, paper], 1)


def drifting_field(weights: Tensor, points: Tensor) -> Tensor:
    """Return where samples are moved in one space, (N, D): directions of mean square length 1, added up.

    Args:
        weights: (2, T, N, M + N), see `drifting_weights`.
        points: (M + N, D).
    """
    directions = weights @ points  # (2, T, N, D)
    lengths = directions.square().sum(3, keepdim=True).mean(2, keepdim=True).sqrt().clamp(min=EPSILON**2)
    own, paper = (directions / lengths).sum(1)
    return torch.lerp(paper, own, OWN_WEIGHT_SHARE)
