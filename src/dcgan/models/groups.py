"""Groups of look-alikes as if they were classes: what conditional training gives, without labels.

Pictures are sorted into groups by k-means on their pixels, once, before training. While training both networks are told
the group, as a class. Afterwards the generator needs nobody to tell it: the first numbers of z vote for the group. So
every kind of picture is drawn from the start, and as often as it is there. Sage et al., "Logo Synthesis and
Manipulation with Clustered Generative Adversarial Networks" (2018); Liu et al., "Diverse Image Generation via
Self-Conditioned GANs" (2020). They cluster features of networks; on small pictures pixels do.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dcgan.config import UserError
from dcgan.images import to_float
from dcgan.latents import derive
from dcgan.models.families import FAMILIES
from dcgan.models.saved import SavedGenerator

PICTURES_A_GROUP = 100
"""How many there should be on the average."""
LOOKED_AT = 10_000
"""Pictures that the groups are found from."""
TRIED = 2000
"""Of these, pictures that a group may start from."""
PIECE = 2**22
"""Values of pictures that are looked at together: as floats they take four bytes each."""
ROUNDS = 10
SIDE = 14
"""Pictures are compared with sides of at most this many pixels."""
SHARPNESS = 100.0
"""How decided a vote is: where two groups are this near to a tie, within 1/100, what is drawn is between them."""


def how_many(n: int, most: int, z_dim: int) -> int:
    """Into how many groups `n` pictures are sorted: each costs a number of z, of which a third is left."""
    return min(most, max(min(n, LOOKED_AT * 10) // PICTURES_A_GROUP, 1), z_dim * 2 // 3)


def find(pixels: Tensor, count: int, seed: int) -> Tensor:
    """The mean pictures of groups of look-alikes, as `looks` gives them, (count, F).

    K-means on up to 10,000 pictures uint8 (N, C, H, W). Of pictures that equal each other some groups stay empty.

    Raises:
        UserError: there are fewer pictures than groups.
    """
    if len(pixels) < count:
        raise UserError(f"{len(pixels)} pictures cannot be sorted into {count} groups: use --groups {len(pixels)}")
    source = torch.Generator().manual_seed(derive(seed, 15))
    some = torch.randperm(len(pixels), generator=source)[:LOOKED_AT].to(pixels.device)
    points = torch.cat([looks(to_float(pixels[rows])) for rows in torch.split(some, _piece(pixels))])
    centres = _spread(points[: max(TRIED, count)], count, source)
    for _ in range(ROUNDS):
        members = F.one_hot(nearest(points, centres), len(centres)).to(points.dtype)  # (N, K)
        counts = members.sum(0)[:, None]
        centres = torch.where(counts > 0, members.T @ points / counts.clamp(min=1), centres)
    return centres


def sort(pixels: Tensor, centres: Tensor) -> Tensor:
    """The group of each picture uint8 (N, C, H, W): the nearest of the centres (K, F), int64 (N,)."""
    centres = centres.to(pixels.device)
    return torch.cat([nearest(looks(to_float(piece)), centres) for piece in torch.split(pixels, _piece(pixels))])


def _piece(pixels: Tensor) -> int:
    """How many pictures are looked at together."""
    return max(1, PIECE // pixels[0].numel())


def _spread(points: Tensor, count: int, source: torch.Generator) -> Tensor:
    """Some of the points (N, F) to start from, each likely to be far from those before: k-means++ (Arthur 2007)."""
    chosen, far = [0], torch.full((len(points),), torch.inf)
    while len(chosen) < count:
        far = torch.minimum(far, torch.cdist(points[chosen[-1:]], points)[0].cpu())
        chosen.append(int(torch.multinomial(far**2 + 1e-12, 1, generator=source)))
    return points[chosen]


def looks(images: Tensor) -> Tensor:
    """What is compared: pictures (N, C, H, W) in [-1, 1], made small -> (N, F)."""
    height, width = (min(side, SIDE) for side in images.shape[-2:])
    return F.adaptive_avg_pool2d(images, (height, width)).flatten(1)


def nearest(points: Tensor, centres: Tensor) -> Tensor:
    """The index of the nearest centre (K, F) to each point (N, F), int64 (N,)."""
    return torch.cdist(points, centres).argmin(1)


def votes(shares: Tensor) -> Tensor:
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

    Args:
        network: the generator inside, whose classes are the groups: its `family`, and its arguments by name.
    """

    family = "grouped"
    votes: Tensor
    """What is added to the first numbers of z, (K,), so that each group wins as often as it is there."""
    centres: Tensor
    """Which groups they are: see `find`."""

    def __init__(self, network: dict[str, Any]) -> None:
        super().__init__()
        if not isinstance(network, dict) or network.get("family") not in FAMILIES:
            raise ValueError(network)
        arguments = {name: value for name, value in network.items() if name != "family"}
        self.network = FAMILIES[network["family"]].generator(**arguments)
        self.groups = self.network.classes
        if not self.groups:
            raise ValueError("a generator without groups")
        self.z_dim = self.groups + self.network.z_dim
        self.picture_shape = self.network.picture_shape
        channels, height, width = self.picture_shape
        self.register_buffer("votes", torch.zeros(self.groups))
        self.register_buffer("centres", torch.zeros(self.groups, channels * min(height, SIDE) * min(width, SIDE)))

    def forward(self, z: Tensor, told: Tensor | None = None) -> Tensor:
        """Latents (N, z_dim) -> pictures (N, C, H, W) in [-1, 1]; told the groups (N,), nobody votes."""
        images: Tensor = self.network(z[:, self.groups :], self.group_weights(z) if told is None else told)
        return images

    def group_weights(self, z: Tensor) -> Tensor:
        """The weight of each group, (N, K): 1 for one of them, or between two where z has no clear winner."""
        return ((z[:, : self.groups] + self.votes) * SHARPNESS).softmax(1)

    def first_weight(self) -> Tensor:
        """As every generator's: along its directions the group stays."""
        inner = self.network.first_weight()
        return torch.cat([inner.new_zeros(len(inner), self.groups), inner], 1)

    @torch.no_grad()
    def meet(self, pixels: Tensor) -> Tensor:
        """Sort the pictures that it will be trained on, uint8 (N, C, H, W): the group of each, (N,).

        From now on each group wins as often as it is there.
        """
        told = sort(pixels, self.centres)
        self.votes.copy_(votes(told.bincount(minlength=self.groups) / len(told)))
        return told
