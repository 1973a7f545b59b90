"""Groups of look-alikes as if they were classes: what conditional training gives, without labels.

Pictures are sorted into groups by k-means on their pixels, once, before training. While training both networks are told
the group, as a class. Afterwards the generator needs nobody to tell it: the first numbers of z vote for the group. So
every kind of picture is drawn from the start, and as often as it is there. Sage et al., "Logo Synthesis and
Manipulation with Clustered Generative Adversarial Networks" (2018); Liu et al., "Diverse Image Generation via
Self-Conditioned GANs" (2020). They cluster features of networks; on small pictures pixels do.

Where there are classes each is sorted into groups of its own: the finished generator is told the class, and z votes for
one of its groups. Without classes all pictures are of one class here.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.images import to_float
from dcgan.models.families import FAMILIES
from dcgan.models.saved import SavedGenerator
from dcgan.rng import derive_seed

IMAGES_PER_GROUP = 100
"""How many there should be on the average."""
MAX_CLUSTERED_IMAGES = 10_000
"""Pictures that the groups are found from."""
MAX_START_CANDIDATES = 2000
"""Of these, pictures that a group may start from."""
MAX_BATCH_VALUES = 2**22
"""Values of pictures that are looked at together: as floats they take four bytes each."""
KMEANS_ITERATIONS = 10
FEATURE_SIDE = 14
"""Pictures are compared with sides of at most this many pixels."""
VOTE_SHARPNESS = 100.0
"""How decided a vote is: where two groups are this near to a tie, within 1/100, what is drawn is between them."""


def group_count(n: int, most: int, z_dim: int, classes: int = 0) -> int:
    """Into how many groups `n` pictures are sorted: each costs a number of z, of which a third is left.

    Each class gets as many as another; none at all where that would be one.
    """
    count = min(most, max(min(n, MAX_CLUSTERED_IMAGES * 10) // IMAGES_PER_GROUP, 1), z_dim * 2 // 3)
    if not classes:
        return count
    return count // classes * classes if count >= 2 * classes else 0


def find_centres(pixels: Tensor, count: int, seed: int, labels: Tensor | None = None, classes: int = 0) -> Tensor:
    """The mean pictures of groups of look-alikes, as `looks` gives them, (count, F): those of one class after another.

    K-means on up to 10,000 pictures uint8 (N, C, H, W). Of pictures that equal each other, or are fewer than their
    groups, some groups stay empty.
    """
    source = torch.Generator().manual_seed(derive_seed(seed, 15))
    labels, classes = _classes(pixels, labels, classes)
    each = count // classes
    found = []
    for label in range(classes):
        rows = (labels == label).nonzero()[:, 0]
        some = rows[torch.randperm(len(rows), generator=source)[: MAX_CLUSTERED_IMAGES // classes]].to(pixels.device)
        points = torch.cat([group_features(to_float(pixels[piece])) for piece in torch.split(some, _piece(pixels))])
        centres = _means(points, min(each, len(points)), source) if len(points) else points
        found.append(torch.cat([centres, points.new_zeros(each - len(centres), points.shape[1])]))
    return torch.cat(found)


def _means(points: Tensor, count: int, source: torch.Generator) -> Tensor:
    """K-means: the centres (count, F) of groups of the points (N, F)."""
    centres = _spread(points[: max(MAX_START_CANDIDATES, count)], count, source)
    for _ in range(KMEANS_ITERATIONS):
        members = F.one_hot(torch.cdist(points, centres).argmin(1), count).to(points.dtype)  # (N, K)
        counts = members.sum(0)[:, None]
        centres = torch.where(counts > 0, members.T @ points / counts.clamp(min=1), centres)
    return centres


def _classes(pixels: Tensor, labels: Tensor | None, classes: int) -> tuple[Tensor, int]:
    """The class of each picture on the CPU, and how many there are: where there are none, all are of one."""
    if labels is None:
        return torch.zeros(len(pixels), dtype=torch.int64), 1
    return labels.cpu(), classes


def assign_groups(pixels: Tensor, centres: Tensor, labels: Tensor | None = None, classes: int = 0) -> Tensor:
    """The group of each picture uint8 (N, C, H, W): of its class's the nearest centre, of all (K, F); int64 (N,)."""
    labels, classes = _classes(pixels, labels, classes)
    centres, each = centres.to(pixels.device), len(centres) // classes
    found = []
    for piece, own in zip(torch.split(pixels, _piece(pixels)), torch.split(labels, _piece(pixels)), strict=True):
        far = torch.cdist(group_features(to_float(piece)), centres).view(-1, classes, each)
        own = own.to(pixels.device)
        found.append(own * each + far[torch.arange(len(own)), own].argmin(1))
    return torch.cat(found)


def _piece(pixels: Tensor) -> int:
    """How many pictures are looked at together."""
    return max(1, MAX_BATCH_VALUES // pixels[0].numel())


def _spread(points: Tensor, count: int, source: torch.Generator) -> Tensor:
    """Some of the points (N, F) to start from, each likely to be far from those before: k-means++ (Arthur 2007)."""
    chosen, far = [0], torch.full((len(points),), torch.inf)
    while len(chosen) < count:
        far = torch.minimum(far, torch.cdist(points[chosen[-1:]], points)[0].cpu())
        chosen.append(int(torch.multinomial(far**2 + 1e-12, 1, generator=source)))
    return points[chosen]


def group_features(images: Tensor) -> Tensor:
    """What is compared: pictures (N, C, H, W) in [-1, 1], made small -> (N, F)."""
    height, width = (min(side, FEATURE_SIDE) for side in images.shape[-2:])
    return F.adaptive_avg_pool2d(images, (height, width)).flatten(1)


def vote_offsets(shares: Tensor) -> Tensor:
    """Numbers b (K,) such that z + b has its largest coordinate at k with probability `shares`[k], for z ~ N(0, I).

    A share of 0 becomes 1/10,000.

    P(k) = ∫ φ(x - b_k) Π_{j ≠ k} Φ(x - b_j) dx, on a grid; b is moved until P is right.
    """
    shares = shares.double().cpu().clamp(min=1e-4)
    shares = shares / shares.sum()
    b = shares.log() / 2
    x = torch.linspace(-12, 12, 401, dtype=torch.float64)[:, None]
    for _ in range(30):
        below = torch.special.log_ndtr(x - b)  # (X, K)
        wins = (-((x - b) ** 2) / 2 + below.sum(1, keepdim=True) - below).exp().sum(0)
        b = b + (shares.log() - (wins / wins.sum()).log()) / 2
        b = b - b.mean()
    return b.float()


class GroupedGenerator(SavedGenerator):
    """z -> picture: the first numbers of z vote for the group, the others say how its picture looks.

    While it trains it is told the group, as the discriminator is. In evaluation mode it is told the class, if there
    are any, and z votes.

    Args:
        network: the generator inside, whose classes are the groups: its `family`, and its arguments by name.
        classes: how many classes the groups belong to, each class having as many; 0 for groups without labels.
    """

    family = "grouped"
    votes: Tensor
    """What is added to the first numbers of z, (K,), so that each group wins as often as it is there."""
    centres: Tensor
    """Which groups they are: see `find`."""

    def __init__(self, network: dict[str, Any], classes: int = 0) -> None:
        super().__init__()
        if not isinstance(network, dict) or network.get("family") not in FAMILIES:
            raise ValueError(network)
        arguments = {name: value for name, value in network.items() if name != "family"}
        self.network = FAMILIES[network["family"]].generator(**arguments)
        self.groups, self.classes = self.network.classes, classes
        if not self.groups or not isinstance(classes, int) or self.groups % max(1, classes):
            raise ValueError(f"{self.groups} groups of {classes} classes")
        self.z_dim = self.groups + self.network.z_dim
        self.picture_shape = self.network.picture_shape
        channels, height, width = self.picture_shape
        self.register_buffer("votes", torch.zeros(self.groups))
        self.register_buffer(
            "centres", torch.zeros(self.groups, channels * min(height, FEATURE_SIDE) * min(width, FEATURE_SIDE))
        )

    def forward(self, z: Tensor, told: Tensor | None = None) -> Tensor:
        """Latents (N, z_dim) -> pictures (N, C, H, W) in [-1, 1].

        Told int64 (N,): the groups in training mode, the classes in evaluation mode; nothing where z votes among all.
        """
        group = told if self.training and told is not None else self.group_weights(z, told)
        images: Tensor = self.network(z[:, self.groups :], group)
        return images

    def group_weights(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """The weight of each group, (N, K): 1 for one of them, or between two where z has no clear winner.

        Of the classes `labels` (N,), if they are given.
        """
        ballots = (z[:, : self.groups] + self.votes) * VOTE_SHARPNESS
        if labels is None:
            return ballots.softmax(1)
        each = ballots.view(-1, self.classes, self.groups // self.classes).softmax(2)
        weights: Tensor = each * F.one_hot(labels, self.classes)[..., None]
        return weights.flatten(1)

    def first_weight(self) -> Tensor:
        """As every generator's: along its directions the group stays."""
        inner = self.network.first_weight()
        return torch.cat([inner.new_zeros(len(inner), self.groups), inner], 1)

    def sorted(self, pixels: Tensor, labels: Tensor | None = None) -> Tensor:
        """The group of each picture uint8 (N, C, H, W), int64 (N,), given their classes if there are any."""
        return assign_groups(pixels, self.centres, labels if self.classes else None, self.classes)

    @torch.no_grad()
    def meet(self, pixels: Tensor, labels: Tensor | None = None) -> Tensor:
        """Sort the pictures that it will be trained on, uint8 (N, C, H, W): the group of each, (N,).

        From now on each group wins as often, among those of its class, as it is there.
        """
        told = self.sorted(pixels, labels)
        counts = told.cpu().bincount(minlength=self.groups).view(max(1, self.classes), -1)
        shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
        self.votes.copy_(torch.cat([vote_offsets(own) for own in shares]))
        return told
