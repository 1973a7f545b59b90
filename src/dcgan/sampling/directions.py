"""The directions of latent space along which a generator's pictures change most.

Two methods find them. `weights` factors the matrix of the first layer (Shen and Zhou 2021, SeFa) and needs no samples.
`activations` computes the principal components of features in the middle of the network for random latents, and maps
them back to latents by least squares (Härkönen et al. 2020, GANSpace).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcgan.errors import UserError, did_you_mean
from dcgan.files import atomic_folder, write_reason
from dcgan.images import Pixels, make_grid, save_png
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.saved import SavedGenerator
from dcgan.sampling.interpolate import principal_directions, with_fixed_signs
from dcgan.sampling.latents import SAMPLE_BATCH_SIZE, cycle_labels, draw_latents
from dcgan.system.torch_settings import isolate_torch_settings

DirectionMethod = Literal["weights", "activations"]
ACTIVATION_SAMPLES = 64 * SAMPLE_BATCH_SIZE
"""Random latents for the principal components of activations."""
MAX_ACTIVATION_SIDE = 4
"""Feature maps are averaged to at most this many pixels a side: the components need not know every pixel."""
MAX_COMPONENTS, EXTRA_COMPONENTS = 32, 8
"""Principal components of activations that become directions, and how many more the algorithm computes to be exact."""
POWER_ITERATIONS = 4
SEED = 0
"""Of the random latents and of the randomized algorithm, so that direction k is the same each time."""


@dataclass(frozen=True)
class Directions:
    """Directions of latent space, the strongest first.

    Attributes:
        method: how they were found.
        vectors: unit vectors, (K, z_dim). The largest coordinate of each is positive.
        shares: the share of the variance of the features that each explains linearly, (K,).
    """

    method: DirectionMethod
    vectors: Tensor
    shares: Tensor

    def __len__(self) -> int:
        return len(self.vectors)

    def vector(self, number: int) -> Tensor:
        """Return a direction by its number, (z_dim,); 1 is the strongest.

        Raises:
            UserError: there is no such direction.
        """
        if not 1 <= number <= len(self):
            raise UserError(f"the direction must be from 1 to {len(self)}, not {number}")
        return self.vectors[number - 1]

    def strongest(self, count: int) -> "Directions":
        """Return the first `count` directions; all of them if there are fewer."""
        return Directions(self.method, self.vectors[:count], self.shares[:count])


@isolate_torch_settings()
def find_directions(generator: SavedGenerator, method: str = "weights") -> Directions:
    """Find the directions along which the features of a generator change most.

    No direction changes the class of a picture, or the group that a latent chooses.

    Args:
        generator: in evaluation mode.
        method: `weights` or `activations`.

    Raises:
        UserError: there is no such method, or the first layer is not linear.
    """
    if method not in FINDERS:
        known = " or ".join(get_args(DirectionMethod))
        raise UserError(f"the method must be {known}, not {method!r}{did_you_mean(method, FINDERS)}")
    return FINDERS[method](generator)


def _find_by_weights(generator: SavedGenerator) -> Directions:
    weight = generator.first_layer_weight()
    vectors = principal_directions(weight)
    variances = (weight.double() @ vectors.T.double()).square().sum(0)
    return Directions("weights", vectors, (variances / weight.double().square().sum()).float())


def _find_by_activations(generator: SavedGenerator) -> Directions:
    """Find principal components of activations as GANSpace does, with the class or the group of each sample removed."""
    network = generator.network if isinstance(generator, GroupedGenerator) else generator
    assert isinstance(network, SavedGenerator)
    z = draw_latents(SEED, ACTIVATION_SAMPLES, network.z_dim)
    conditions = cycle_labels(len(z), network.classes)
    features = _center(_middle_features(network, z, conditions), conditions)  # (N, features)
    count = min(network.z_dim, MAX_COMPONENTS, features.shape[1])
    rank = min(count + EXTRA_COMPONENTS, *features.shape)
    with torch.random.fork_rng(devices=[]):  # the algorithm draws from torch's own random numbers
        torch.manual_seed(SEED)
        _, _, components = torch.svd_lowrank(features, rank, niter=POWER_ITERATIONS)
    latents = _center(z, conditions)
    # The linear map from latents to each component, (z_dim, K). The shares leave out what is not linear in z, because a
    # component that only depends on z², say, does not change along a direction.
    # The default algorithm of `lstsq` gives other bits at each call with torch 2.6.
    weight = torch.linalg.lstsq(latents, features @ components[:, :count], driver="gels").solution
    shares, order = ((latents @ weight).square().sum(0) / features.square().sum()).sort(descending=True)
    vectors = with_fixed_signs(F.normalize(weight.T[order]))
    return Directions("activations", F.pad(vectors, (generator.groups, 0)), shares)  # zeros for what chooses the group


FINDERS: dict[str, Callable[[SavedGenerator], Directions]] = {
    "weights": _find_by_weights,
    "activations": _find_by_activations,
}


class _FeaturesFound(Exception):  # noqa: N818 it ends a forward pass early and is no error
    """Ends the forward pass at the layer whose input was wanted."""


@torch.no_grad()
def _middle_features(network: SavedGenerator, z: Tensor, conditions: Tensor | None) -> Tensor:
    """Return the inputs of the layer in the middle of a network, (N, features); of a single layer its pictures."""
    middle = network.middle_layer()
    found: list[Tensor] = []

    def keep_input(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.append(_shrink(inputs[0]))
        raise _FeaturesFound

    hook = None if middle is None else middle.register_forward_pre_hook(keep_input)
    tensors = [z] if conditions is None else [z, conditions]
    device = next(network.parameters()).device
    try:
        for parts in zip(*(torch.split(tensor, SAMPLE_BATCH_SIZE) for tensor in tensors), strict=True):
            try:
                found.append(_shrink(network(*(part.to(device) for part in parts))))
            except _FeaturesFound:
                continue
    finally:
        if hook is not None:
            hook.remove()
    return torch.cat(found)


def _shrink(features: Tensor) -> Tensor:
    """Return features (N, ...) as (N, F) on the CPU, with maps (N, C, H, W) averaged to a few pixels."""
    if features.dim() == 4:
        height, width = (min(side, MAX_ACTIVATION_SIDE) for side in features.shape[2:])
        features = F.adaptive_avg_pool2d(features, (height, width))
    return features.flatten(1).float().cpu()


def _center(values: Tensor, conditions: Tensor | None) -> Tensor:
    """Subtract from values (N, F) their mean; if there are conditions (N,), the mean of each condition."""
    if conditions is None:
        return values - values.mean(0)
    sums = values.new_zeros(int(conditions.max()) + 1, values.shape[1]).index_add_(0, conditions, values)
    return values - (sums / conditions.bincount()[:, None])[conditions]


def write_directions(directions: Directions, strips: list[Pixels], out: Path) -> None:
    """Write what was found into the folder `out`.

    A file `01.png` holds the strip of direction 1, `directions.png` all strips below each other, and `directions.npz`
    the arrays `vectors` (K, z_dim) and `shares` (K,).

    Args:
        directions: the directions.
        strips: the frames along each of them, uint8 (F, H, W, C).
        out: the folder.

    Raises:
        UserError: it cannot be written.
    """
    digits = max(2, len(str(len(strips))))
    try:
        with atomic_folder(out) as temporary:
            for number, frames in enumerate(strips, 1):
                save_png(make_grid(frames, columns=len(frames)), temporary / f"{number:0{digits}d}.png")
            save_png(make_grid(np.concatenate(strips), columns=len(strips[0])), temporary / "directions.png")
            arrays: dict[str, Any] = {"vectors": directions.vectors.numpy(), "shares": directions.shares.numpy()}
            np.savez(temporary / "directions.npz", **arrays)
    except OSError as error:
        raise UserError(f"cannot write {out}: {write_reason(error)}") from None
