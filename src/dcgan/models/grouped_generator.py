"""A generator whose latent z chooses one of the groups that it was trained with."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.models.families import FAMILIES
from dcgan.models.groups import MAX_FEATURE_SIDE, assign_groups
from dcgan.models.saved import SavedGenerator

VOTE_SHARPNESS = 100.0
"""How sharply z decides between two groups: if their votes differ by less than about 1/100, a mix of both is drawn."""
MIN_SHARE = 1e-4
"""A group without pictures wins with about this probability."""
SOLVER_ITERATIONS = 30


class GroupedGenerator(SavedGenerator):
    """Draws a picture from a latent z: its first numbers vote for a group, the others say how the picture looks.

    In training mode the group is given, as it is given to the discriminator. In evaluation mode z chooses the group,
    among the groups of a class if there are classes.

    Args:
        network: description of the generator inside, whose classes are the groups: its `family`, and its arguments by
            name.
        classes: number of classes that the groups belong to, each class having as many; 0 for groups without labels.
    """

    family = "grouped"
    votes: Tensor
    """What is added to the first numbers of z, (K,), so that each group wins as often as it occurs in the data."""
    centres: Tensor
    """Centers of the groups, see `groups.find_group_centers`. Saved models have the tensor under this spelling."""

    def __init__(self, network: dict[str, Any], classes: int = 0) -> None:
        super().__init__()
        if not isinstance(network, dict) or network.get("family") not in FAMILIES:
            raise ValueError(network)
        arguments = {name: value for name, value in network.items() if name != "family"}
        self.network = FAMILIES[network["family"]].load().Generator(**arguments)
        self.groups, self.classes = self.network.classes, classes
        if not self.groups or not isinstance(classes, int) or self.groups % max(1, classes):
            raise ValueError(f"{self.groups} groups of {classes} classes")
        self.z_dim = self.groups + self.network.z_dim
        self.picture_shape = self.network.picture_shape
        channels, height, width = self.picture_shape
        features = channels * min(height, MAX_FEATURE_SIDE) * min(width, MAX_FEATURE_SIDE)
        self.register_buffer("votes", torch.zeros(self.groups))
        self.register_buffer("centres", torch.zeros(self.groups, features))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Take latents (N, z_dim) and labels int64 (N,); return images (N, C, H, W) in [-1, 1].

        In training mode the labels are groups, in evaluation mode classes. Without labels, z chooses among all groups.
        """
        group = labels if self.training and labels is not None else self.group_weights(z, labels)
        images: Tensor = self.network(z[:, self.groups :], group)
        return images

    def group_weights(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the weight of each group, (N, K): 1 for the chosen group, or shared by two that are nearly equal.

        Args:
            z: latents, (N, z_dim).
            labels: classes (N,), whose groups alone have a weight.
        """
        votes = (z[:, : self.groups] + self.votes) * VOTE_SHARPNESS
        if labels is None:
            return votes.softmax(1)
        weights_by_class = votes.view(-1, self.classes, self.groups // self.classes).softmax(2)
        weights: Tensor = weights_by_class * F.one_hot(labels, self.classes)[..., None]
        return weights.flatten(1)

    def appearance(self, z: Tensor, groups: Tensor) -> Tensor:
        """Return the appearance (N, A) that latents (N, z_dim) choose in groups int64 (N,), see `models.upsample`."""
        network: Any = self.network  # of the family `upsample`
        appearance: Tensor = network.appearance(z[:, self.groups :], groups)
        return appearance

    def fit_appearance(self, positions: Tensor, groups: Tensor) -> None:
        """Set the distribution of the appearance in each group, see `models.upsample`.

        Args:
            positions: where each picture is in the space of appearances, (N, A).
            groups: the group of each picture, int64 (N,).
        """
        network: Any = self.network  # of the family `upsample`
        network.fit_appearance(positions, groups)

    def first_layer_weight(self) -> Tensor:
        """Return the matrix (features, z_dim) of the generator inside, with zeros for the votes.

        So no direction that is found with it changes the group.
        """
        inner = self.network.first_layer_weight()
        return torch.cat([inner.new_zeros(len(inner), self.groups), inner], 1)

    def middle_layer(self) -> nn.Module | None:
        """Return the layer in the middle of the generator inside."""
        layer: nn.Module | None = self.network.middle_layer()
        return layer

    def assign_groups(self, pixels: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the group of each picture uint8 (N, C, H, W), int64 (N,), given their labels if there are classes."""
        return assign_groups(pixels, self.centres, labels if self.classes else None, self.classes)

    @torch.no_grad()
    def fit_vote_offsets(self, pixels: Tensor, labels: Tensor | None = None) -> Tensor:
        """Let each group win as often among the groups of its class as it occurs in the training pictures.

        Args:
            pixels: the training pictures, uint8 (N, C, H, W).
            labels: their classes, int64 (N,), if there are any.

        Returns:
            The group of each picture, int64 (N,).
        """
        groups = self.assign_groups(pixels, labels)
        self._fit_votes(groups)
        return groups

    @torch.no_grad()
    def set_groups(self, groups: Tensor, centers: Tensor) -> None:
        """Take groups that were found by other means than the pixels, and let each win as often as it occurs.

        Args:
            groups: the group of each training picture, int64 (N,).
            centers: the mean features of the groups, (K, F), see `groups.mean_features`.
        """
        self.centres.copy_(centers)
        self._fit_votes(groups)

    def _fit_votes(self, groups: Tensor) -> None:
        counts = groups.cpu().bincount(minlength=self.groups).view(max(1, self.classes), -1)
        shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
        self.votes.copy_(torch.cat([vote_offsets(class_shares) for class_shares in shares]))


def vote_offsets(shares: Tensor) -> Tensor:
    """Return b (K,) such that the largest coordinate of z + b is k with probability `shares`[k], for z ~ N(0, I).

    P(k) = ∫ φ(x - b_k) Π_{j ≠ k} Φ(x - b_j) dx is computed on a grid, and b is changed until P is right. A share of 0
    becomes `MIN_SHARE`.
    """
    shares = shares.double().cpu().clamp(min=MIN_SHARE)
    shares = shares / shares.sum()
    b = shares.log() / 2
    x = torch.linspace(-12, 12, 401, dtype=torch.float64)[:, None]
    for _ in range(SOLVER_ITERATIONS):
        log_cdf = torch.special.log_ndtr(x - b)  # (X, K)
        probabilities = (-((x - b) ** 2) / 2 + log_cdf.sum(1, keepdim=True) - log_cdf).exp().sum(0)
        b = b + (shares.log() - (probabilities / probabilities.sum()).log()) / 2
        b = b - b.mean()
    return b.float()
