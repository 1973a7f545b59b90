"""A saved generator -> pictures."""

import copy
import os
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dcgan.errors import UserError, did_you_mean
from dcgan.files import recover_interrupted_folder
from dcgan.images import Pixels, to_uint8
from dcgan.models import shipped
from dcgan.models.blocks import ConvTranspose2d
from dcgan.models.saved import SavedGenerator
from dcgan.models.store import load_generator
from dcgan.sampling import latents as latents_module
from dcgan.sampling.interpolate import principal_directions, walk_latents

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Model:
    """A trained generator.

    Attributes:
        generator: the network, in evaluation mode: (N, z_dim), and labels (N,) if it has classes -> (N, C, H, W) in
            [-1, 1].
        source: where it was loaded from.
    """

    generator: SavedGenerator
    source: str

    @property
    def trained(self) -> dict[str, Any]:
        """Where it comes from: data, preset, step, images_seen, command; empty if it was saved without."""
        return self.generator.trained or {}

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that can be asked for; none if it was trained without labels."""
        names = self.trained.get("classes")
        if isinstance(names, list) and len(names) == self.generator.classes:
            return tuple(map(str, names))
        return tuple(map(str, range(self.generator.classes)))

    def sample(
        self, n: int = 64, seed: int = 0, *, label: int | str | None = None, truncation: float | None = None
    ) -> Pixels:
        """Draw pictures.

        Args:
            n: how many.
            seed: picture `i` of a seed is the same whatever `n` is.
            label: the class to draw, by index or by name; without it every class in turn: see `labels`.
            truncation: keep each coordinate of z within ±this: lower is more typical and less varied.

        Returns:
            uint8 (n, H, W, C).

        Raises:
            UserError: `n` or `truncation` is not above 0, the seed is below 0, or there is no such class.
        """
        return generate_pixels(self.generator, self.latents(n, seed, truncation), self.labels(n, label))

    def latents(self, n: int, seed: int = 0, truncation: float | None = None) -> Tensor:
        """What `sample` draws from, (n, z_dim)."""
        if n < 1:
            raise UserError(f"the number of samples must be at least 1, not {n}")
        if not 0 <= seed < 2**63:
            raise UserError(f"the seed must be from 0 to 2^63 - 1, not {seed}")
        if truncation is not None and not truncation > 0:
            raise UserError(f"the truncation must be above 0, not {truncation}")
        z, groups = latents_module.draw_latents(seed, n, self.generator.z_dim), self.generator.groups
        if truncation is None:
            return z
        return torch.cat(
            [z[:, :groups], latents_module.truncate_latents(z[:, groups:], truncation)], 1
        )  # the vote stays as it is

    def labels(self, n: int, label: int | str | None = None) -> Tensor | None:
        """The labels of `n` samples, int64 (n,): `label` for all, or every class in turn. None without classes.

        Raises:
            UserError: there is no such class.
        """
        if label is None:
            return latents_module.cycle_labels(n, self.generator.classes)
        return torch.full((n,), self._index(label))

    def _index(self, label: int | str) -> int:
        count = self.generator.classes
        if not count:
            raise UserError(f"{self.source} was trained without classes and takes no --label: see dcgan train --help")
        if str(label) in self.classes and not isinstance(label, int):
            return self.classes.index(label)
        if re.fullmatch(r"\d{1,9}", str(label)) and int(label) < count:
            return int(label)
        raise UserError(
            f"there is no class {label!r}{did_you_mean(str(label), self.classes)}: --label takes 0 to {count - 1}"
            + (f" or a name, {self.classes[0]} to {self.classes[-1]}" if self.trained.get("classes") else "")
        )

    def walk(
        self, stops: int = 5, frames: int = 12, seed: int = 0, *, label: int | str | None = None, closed: bool = False
    ) -> Pixels:
        """Draw a way from sample to sample, along arcs: uint8 (F, H, W, C).

        Args:
            stops: how many samples of the seed it passes through.
            frames: from each sample to the next.
            seed: whose samples.
            label: the class of all frames; without it the first class, if there are any.
            closed: come back to the first sample, and end a frame before it: for a loop.

        Raises:
            UserError: fewer than two stops, no frames, or no such class.
        """
        if stops < 2 or frames < 1:
            raise UserError(f"a walk needs at least 2 stops and 1 frame between them, not {stops} and {frames}")
        return self._frames(walk_latents(self.latents(stops, seed), frames, closed=closed), label)

    def along(
        self, direction: int, frames: int = 12, seed: int = 0, *, label: int | str | None = None, reach: float = 3.0
    ) -> Pixels:
        """Move the first sample of a seed along a principal direction of the first features: uint8 (F, H, W, C).

        Args:
            direction: 1 is the strongest.
            frames: how many, from -reach to +reach along the direction.
            seed: whose first sample.
            label: as in `walk`.
            reach: the ends, in standard deviations of z.

        Raises:
            UserError: there is no such direction, fewer than two frames, or no such class.
        """
        directions = principal_directions(self.generator.first_weight())
        if not 1 <= direction <= len(directions):
            raise UserError(f"the direction must be from 1 to {len(directions)}, not {direction}")
        if frames < 2:
            raise UserError(f"a way along a direction needs at least 2 frames, not {frames}")
        way, z = directions[direction - 1], self.latents(1, seed)
        steps = torch.linspace(-reach, reach, frames).view(-1, 1)
        return self._frames(z - (z @ way).view(-1, 1) * way + steps * way, label)

    def _frames(self, z: Tensor, label: int | str | None) -> Pixels:
        first = 0 if label is None and self.generator.classes else label
        return generate_pixels(self.generator, z, self.labels(len(z), first))


@torch.no_grad()
def generate_pixels(generator: nn.Module, z: Tensor, labels: Tensor | None = None) -> Pixels:
    """Latents (N, z_dim), and labels (N,) for a generator with classes -> pictures uint8 (N, H, W, C).

    The generator always gets whole blocks: kernels may round differently for another batch size, so a sample would
    otherwise depend on how many were asked for.
    """
    network, device = fuse_for_inference(generator), next(generator.parameters()).device
    inputs, pixels = [z] if labels is None else [z, labels], []
    for start in range(0, len(z), latents_module.SAMPLE_BLOCK):
        blocks = [t[start : start + latents_module.SAMPLE_BLOCK] for t in inputs]
        n = len(blocks[0])
        whole = [torch.cat([b, b.new_zeros(latents_module.SAMPLE_BLOCK - n, *b.shape[1:])]).to(device) for b in blocks]
        pixels.append(to_uint8(network(*whole))[:n])
    return np.concatenate(pixels)


def fuse_for_inference(generator: nn.Module) -> nn.Module:
    """A copy that only draws: the same pictures, but for rounding, in less time (docs/experiments.md).

    `channels_last` took 15% of the time from `dcgan64` and changes no bit. In evaluation mode BatchNorm is a fixed
    scale and shift a channel, which goes into the weights of the layer before it: 7% of the time of `dcgan`.
    """
    network = copy.deepcopy(generator).to(memory_format=torch.channels_last)
    for layers in network.modules():
        if isinstance(layers, nn.Sequential):
            for i, (layer, norm) in enumerate(pairwise(list(layers))):
                if isinstance(layer, ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d) and not norm.training:
                    layers[i], layers[i + 1] = fuse_conv_bn_eval(layer, norm, transpose=True), nn.Identity()
    return network


def load(source: str | os.PathLike[str]) -> Model:
    """Load a trained generator.

    Args:
        source: a run folder, a saved model's folder, the name of a model that comes with the package (`mnist`,
            `mnist-dcgan`, `mnist-cgan`), or a Hub id such as `user/name`.

    Raises:
        UserError: there is no such model, or its files are damaged or foreign.
    """
    if (ours := shipped.shipped_model_folder(source)) is not None:
        return Model(load_generator(ours), str(source))
    path = Path(source)
    if path.is_dir():
        recover_interrupted_folder(path / "model")
    for folder in (path / "model", path):
        if (folder / "model.safetensors").is_file():
            return Model(load_generator(folder), str(source))
    if path.exists():
        raise UserError(f"there is no model in {path}: it has no model/ with a model.safetensors")
    if HUB_ID.fullmatch(str(source)):
        return Model(load_generator(_from_hub(str(source))), str(source))
    raise UserError(
        f"there is no {source}{did_you_mean(str(source), shipped.SHIPPED_NAMES)}: give a run folder, a saved model's "
        f"folder, one of {', '.join(shipped.SHIPPED_NAMES)}, or a Hub id such as user/name"
    )


def _from_hub(name: str) -> Path:
    """Fetch a model's two files from the Hub, or find them in its cache, and return their folder."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["config.json", "model.safetensors"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"there is no folder {name}, and the Hub gives no model of that name: {reason}") from None
