"""A saved generator -> pictures."""

import copy
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dcgan import latents, shipped
from dcgan.config import UserError, did_you_mean
from dcgan.files import recover_folder, whole_file
from dcgan.images import Pixels, grid, save_gif, save_png, to_uint8
from dcgan.models import load_generator
from dcgan.models.blocks import ConvTranspose2d
from dcgan.models.saved import SavedGenerator

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


COLUMNS = 8
CLASS_ROWS = 10
"""A grid has a row for each class if there are at most this many."""


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
        return draw(self.generator, self.latents(n, seed, truncation), self.labels(n, label))

    def latents(self, n: int, seed: int = 0, truncation: float | None = None) -> Tensor:
        """What `sample` draws from, (n, z_dim)."""
        if n < 1:
            raise UserError(f"the number of samples must be at least 1, not {n}")
        if not 0 <= seed < 2**63:
            raise UserError(f"the seed must be from 0 to 2^63 - 1, not {seed}")
        if truncation is not None and not truncation > 0:
            raise UserError(f"the truncation must be above 0, not {truncation}")
        z, groups = latents.noise(seed, n, self.generator.z_dim), self.generator.groups
        if truncation is None:
            return z
        return torch.cat([z[:, :groups], latents.truncate(z[:, groups:], truncation)], 1)  # the vote stays as it is

    def labels(self, n: int, label: int | str | None = None) -> Tensor | None:
        """The labels of `n` samples, int64 (n,): `label` for all, or every class in turn. None without classes.

        Raises:
            UserError: there is no such class.
        """
        if label is None:
            return latents.cycle(n, self.generator.classes)
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
        return self._frames(latents.walk(self.latents(stops, seed), frames, closed=closed), label)

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
        directions = latents.principal_directions(self.generator.first_weight())
        if not 1 <= direction <= len(directions):
            raise UserError(f"the direction must be from 1 to {len(directions)}, not {direction}")
        if frames < 2:
            raise UserError(f"a way along a direction needs at least 2 frames, not {frames}")
        way, z = directions[direction - 1], self.latents(1, seed)
        steps = torch.linspace(-reach, reach, frames).view(-1, 1)
        return self._frames(z - (z @ way).view(-1, 1) * way + steps * way, label)

    def _frames(self, z: Tensor, label: int | str | None) -> Pixels:
        first = 0 if label is None and self.generator.classes else label
        return draw(self.generator, z, self.labels(len(z), first))


@torch.no_grad()
def draw(generator: nn.Module, z: Tensor, labels: Tensor | None = None) -> Pixels:
    """Latents (N, z_dim), and labels (N,) for a generator with classes -> pictures uint8 (N, H, W, C).

    The generator always gets whole blocks: kernels may round differently for another batch size, so a sample would
    otherwise depend on how many were asked for.
    """
    network, device = quick(generator), next(generator.parameters()).device
    inputs, pixels = [z] if labels is None else [z, labels], []
    for start in range(0, len(z), latents.BLOCK):
        blocks = [t[start : start + latents.BLOCK] for t in inputs]
        n = len(blocks[0])
        whole = [torch.cat([b, b.new_zeros(latents.BLOCK - n, *b.shape[1:])]).to(device) for b in blocks]
        pixels.append(to_uint8(network(*whole))[:n])
    return np.concatenate(pixels)


def quick(generator: nn.Module) -> nn.Module:
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


def grid_size(classes: int) -> int:
    """How many samples a grid of a training holds: a row for each class, or a square."""
    return COLUMNS * (classes if 1 < classes <= CLASS_ROWS else COLUMNS)


def sheet(pixels: Pixels, classes: int) -> Pixels:
    """Samples of every class in turn (N, H, W, C) as a grid, a row for each class where there are few."""
    return grid(pixels, rows=classes if 1 < classes <= CLASS_ROWS else None)


def load(source: str | os.PathLike[str]) -> Model:
    """Load a trained generator.

    Args:
        source: a run folder, a saved model's folder, the name of a model that comes with the package (`mnist`,
            `mnist-dcgan`, `mnist-cgan`), or a Hub id such as `user/name`.

    Raises:
        UserError: there is no such model, or its files are damaged or foreign.
    """
    if (ours := shipped.place(source)) is not None:
        return Model(load_generator(ours), str(source))
    path = Path(source)
    if path.is_dir():
        recover_folder(path / "model")
    for folder in (path / "model", path):
        if (folder / "model.safetensors").is_file():
            return Model(load_generator(folder), str(source))
    if path.exists():
        raise UserError(f"there is no model in {path}: it has no model/ with a model.safetensors")
    if HUB_ID.fullmatch(str(source)):
        return Model(load_generator(_from_hub(str(source))), str(source))
    raise UserError(
        f"there is no {source}{did_you_mean(str(source), shipped.NAMES)}: give a run folder, a saved model's folder, "
        f"one of {', '.join(shipped.NAMES)}, or a Hub id such as user/name"
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


def check_out(out: Path, kinds: tuple[str, ...] = (".png", ".npz", "")) -> None:
    """Refuse a place that could not be written to, before any work is done.

    Args:
        out: a file, or a folder for the samples of `write`.
        kinds: the endings that can be written; the empty one stands for a folder.

    Raises:
        UserError: a file type that is not written, or a folder that holds other files.
    """
    suffix = out.suffix.lower()
    if suffix in kinds and suffix:
        if out.is_dir():
            raise UserError(f"{out} is a folder: give a file name")
    elif "" not in kinds or (re.fullmatch(r"\.[a-z]{2,4}\d?", suffix) and not out.is_dir()):
        raise UserError(f"cannot write {out}: give {' or '.join(_KINDS[kind] for kind in kinds)}")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not an empty folder: give another --out")


_KINDS = {
    ".png": "a .png (one picture)",
    ".npz": "an .npz",
    ".gif": "a .gif (an animation)",
    "": "a folder",
}


def write_walk(pixels: Pixels, out: Path) -> None:
    """Write the frames of a walk: `.gif` an animation, `.png` a strip.

    Raises:
        UserError: `out` is neither, or cannot be written.
    """
    check_out(out, (".gif", ".png"))
    with _writing(out):
        if out.suffix.lower() == ".gif":
            save_gif(pixels, out)
        else:
            save_png(grid(pixels, columns=len(pixels)), out)


def write(pixels: Pixels, out: Path, labels: Tensor | None = None, *, rows: int = 0) -> None:
    """Write samples: `.png` a grid, `.npz` the array `arr_0`, anything else a folder with a PNG a sample.

    Args:
        pixels: uint8 (N, H, W, C).
        out: where to.
        labels: of the samples, (N,): `arr_1` of an `.npz`.
        rows: how many classes the samples go through in turn, if they do: see `sheet`.

    Raises:
        UserError: `out` cannot be written, or is a folder that holds other files.
    """
    check_out(out)
    with _writing(out):
        if out.suffix.lower() == ".png":
            save_png(sheet(pixels, rows), out)
        elif out.suffix.lower() == ".npz":
            arrays = {"arr_0": pixels} | ({} if labels is None else {"arr_1": labels.numpy()})
            with whole_file(out) as aside, aside.open("wb") as file:
                np.savez(file, **arrays)
        else:
            out.mkdir(exist_ok=True)
            for i, picture in enumerate(pixels):
                save_png(picture, out / f"{i:06d}.png")


@contextmanager
def _writing(out: Path) -> Iterator[None]:
    """Make the folder that `out` lies in; a system's refusal becomes one line."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from None
