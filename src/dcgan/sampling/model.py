"""A trained generator: where it is loaded from, and what can be drawn with it."""

import contextlib
import math
import operator
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dcgan.cache import expand_user
from dcgan.errors import UserError, did_you_mean
from dcgan.files import composed, current_folder, error_reason, read_atomic_folder
from dcgan.images import Pixels
from dcgan.models.saved import SavedGenerator
from dcgan.models.shipped import SHIPPED_NAMES, find_shipped_model
from dcgan.models.store import load_generator
from dcgan.run.folder import suggest_run
from dcgan.sampling.directions import Directions, find_directions
from dcgan.sampling.generate import SampleStream, generate_batches, generate_pixels
from dcgan.sampling.interpolate import walk_latents
from dcgan.sampling.latents import SAMPLE_BATCH_SIZE, cycle_labels, draw_latents, truncate_latents
from dcgan.system.allocator import keep_freed_memory
from dcgan.system.resources import check_memory
from dcgan.system.threads import fix_thread_count
from dcgan.system.torch_settings import isolate_iteration, isolate_torch_settings

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


LATENT_BLOCK_SIZE = 16 * SAMPLE_BATCH_SIZE
"""Latents that a stream holds at a time."""
MAX_AMOUNT = 10**6
"""How far a latent is moved along a direction of length 1 at most."""
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Model:
    """A trained generator.

    Attributes:
        generator: the network, in evaluation mode. It takes latents (N, z_dim), and labels (N,) if it has classes, and
            returns images (N, C, H, W) in [-1, 1].
        source: what it was loaded from.
    """

    generator: SavedGenerator
    source: str

    @property
    def trained(self) -> dict[str, Any]:
        """How it was trained: data, preset, step, images_seen, command. Empty if that was not saved."""
        return self.generator.trained or {}

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes; empty if it was trained without labels."""
        names = self.trained.get("classes")
        if isinstance(names, list) and len(names) == self.generator.classes:
            return tuple(map(str, names))
        return tuple(map(str, range(self.generator.classes)))

    @isolate_torch_settings()
    @keep_freed_memory()
    def sample(
        self,
        n: int = 64,
        seed: int = 0,
        *,
        label: int | str | None = None,
        truncation: float | None = None,
        directions: Mapping[int, float] | None = None,
        method: str = "weights",
    ) -> Pixels:
        """Draw pictures.

        Args:
            n: number of pictures.
            seed: picture `i` of a seed is the same for every `n`.
            label: the class to draw, by index or by name; without it, all classes in turn, see `labels`.
            truncation: limits each coordinate of z to ±this: a lower value gives more typical and less varied pictures.
            directions: moves each latent by an amount, in standard deviations of z, along the direction of a number:
                `{2: 1.5}`. See `directions`.
            method: how the directions are found.

        Returns:
            uint8 (n, H, W, C).

        Raises:
            UserError: `n` or `truncation` is not above 0, the seed is below 0, there is no such class or direction, or
                the pictures do not fit into memory.
        """
        stream = self.stream(n, seed, label=label, truncation=truncation, directions=directions, method=method)
        check_memory(stream.byte_count, f"{n:,} samples", "draw fewer at a time, or use `stream`")
        pixels, start = np.empty((n, *stream.picture_shape), np.uint8), 0
        for batch in stream.batches:
            pixels[start : start + len(batch)] = batch
            start += len(batch)
        return pixels

    @isolate_torch_settings()
    def stream(
        self,
        n: int = 64,
        seed: int = 0,
        *,
        label: int | str | None = None,
        truncation: float | None = None,
        directions: Mapping[int, float] | None = None,
        method: str = "weights",
    ) -> SampleStream:
        """Return the pictures of `sample` as a stream: each batch is drawn when it is asked for.

        Args:
            n: as in `sample`.
            seed: as in `sample`.
            label: as in `sample`.
            truncation: as in `sample`.
            directions: as in `sample`.
            method: as in `sample`.

        Raises:
            UserError: as `sample`, except for the memory.
        """
        _check_arguments(n, seed, truncation)
        shift = self._shift(directions, method)
        index = None if label is None else self._class_index(label)

        @isolate_torch_settings()
        def labels(first: int, count: int) -> Tensor | None:
            if index is None:
                return cycle_labels(count, self.generator.classes, first=first)
            return torch.full((count,), index)

        blocks = ((first, min(LATENT_BLOCK_SIZE, n - first)) for first in range(0, n, LATENT_BLOCK_SIZE))
        inputs = (
            (self._latents(seed, count, truncation, first) + shift, labels(first, count)) for first, count in blocks
        )
        channels, height, width = self.generator.picture_shape
        batches = isolate_iteration(generate_batches(self.generator, inputs))
        return SampleStream(n, (height, width, channels), batches, labels, self.classes)

    @isolate_torch_settings()
    def latents(self, n: int, seed: int = 0, truncation: float | None = None) -> Tensor:
        """Return the latents that `sample` draws from, (n, z_dim).

        Raises:
            UserError: `n` or `truncation` is not above 0, or the seed is below 0.
        """
        _check_arguments(n, seed, truncation)
        return self._latents(seed, n, truncation)

    def _latents(self, seed: int, n: int, truncation: float | None, first: int = 0) -> Tensor:
        z = draw_latents(seed, n, self.generator.z_dim, first=first)
        if truncation is None:
            return z
        votes, rest = z[:, : self.generator.groups], z[:, self.generator.groups :]
        return torch.cat([votes, truncate_latents(rest, truncation)], 1)  # each group is drawn as often as before

    @isolate_torch_settings()
    def labels(self, n: int, label: int | str | None = None) -> Tensor | None:
        """Return the labels of `n` samples, int64 (n,): `label` for all of them, or all classes in turn.

        Returns:
            None if there are no classes.

        Raises:
            UserError: there is no such class.
        """
        if label is None:
            return cycle_labels(n, self.generator.classes)
        return torch.full((n,), self._class_index(label))

    @isolate_torch_settings()
    def walk(
        self, stops: int = 5, frames: int = 12, seed: int = 0, *, label: int | str | None = None, closed: bool = False
    ) -> Pixels:
        """Draw a walk from sample to sample, uint8 (F, H, W, C).

        Args:
            stops: number of samples of the seed that it passes through.
            frames: number of frames from each sample to the next.
            seed: of the samples.
            label: class of all frames; without it the first class, if there are classes.
            closed: walk along a smooth loop that ends a frame before the first sample, instead of along arcs that end
                at the last one.

        Raises:
            UserError: there are fewer than two stops, no frames, or no such class.
        """
        if stops < 2 or frames < 1:
            raise UserError(f"a walk needs at least 2 stops and 1 frame between them, not {stops} and {frames}")
        self._check_frame_memory((stops - 1 + closed) * frames + 1 - closed)
        return self._draw_frames(walk_latents(self.latents(stops, seed), frames, closed=closed), label)

    @isolate_torch_settings()
    def directions(self, method: str = "weights") -> Directions:
        """Return the directions of latent space along which the pictures change most, the strongest first.

        Args:
            method: `weights` finds the principal directions of the first layer's features from its weights (SeFa).
                `activations` finds those of features in the middle of the network, from random latents (GANSpace).

        Raises:
            UserError: there is no such method, or the first layer is not linear.
        """
        return find_directions(self.generator, method)

    @isolate_torch_settings()
    def along(
        self,
        direction: int,
        frames: int = 12,
        seed: int = 0,
        *,
        label: int | str | None = None,
        reach: float = 3.0,
        method: str = "weights",
        closed: bool = False,
    ) -> Pixels:
        """Move the first sample of a seed along a direction, uint8 (F, H, W, C).

        Args:
            direction: its number in `directions`; 1 is the strongest.
            frames: number of frames from -reach to +reach along the direction.
            seed: of the sample.
            label: as in `walk`.
            reach: distance of both ends from 0, in standard deviations of z.
            method: how the directions are found.
            closed: move to +reach and smoothly back, and end a frame before the start, so that the film can repeat.

        Raises:
            UserError: there is no such direction, fewer than two frames, or no such class.
        """
        vector = self.directions(method).vector(direction)
        return self.along_vector(vector, frames, seed, label=label, reach=reach, closed=closed)

    @isolate_torch_settings()
    def along_vector(
        self,
        vector: Tensor,
        frames: int = 12,
        seed: int = 0,
        *,
        label: int | str | None = None,
        reach: float = 3.0,
        closed: bool = False,
    ) -> Pixels:
        """Move the first sample of a seed along a unit vector (z_dim,), uint8 (F, H, W, C): see `along`.

        Raises:
            UserError: there are fewer than two frames, or no such class.
        """
        if frames < 2:
            raise UserError(f"a walk along a direction needs at least 2 frames, not {frames}")
        self._check_frame_memory(frames)
        positions = torch.linspace(-reach, reach, frames).view(-1, 1)
        if closed:
            positions = -reach * torch.cos(2 * math.pi * torch.arange(frames) / frames).view(-1, 1)
        z = self.latents(1, seed)
        return self._draw_frames(z - (z @ vector).view(-1, 1) * vector + positions * vector, label)

    def _shift(self, directions: Mapping[int, float] | None, method: str) -> Tensor | float:
        """Return what is added to every latent, (z_dim,), to move it along directions; 0 without any."""
        if not directions:
            return 0.0
        for number, amount in directions.items():
            if not abs(amount) <= MAX_AMOUNT:
                limits = f"from -{MAX_AMOUNT:,} to {MAX_AMOUNT:,}"
                raise UserError(f"the amount along direction {number} must be {limits}, not {amount:g}")
        found = self.directions(method)
        return torch.stack([amount * found.vector(number) for number, amount in directions.items()]).sum(0)

    def _check_frame_memory(self, count: int) -> None:
        values = math.prod(self.generator.picture_shape) + FLOAT_BYTES * self.generator.z_dim
        check_memory(count * values, f"{count:,} frames", "give fewer frames")

    def _draw_frames(self, z: Tensor, label: int | str | None) -> Pixels:
        label = 0 if label is None and self.generator.classes else label
        return generate_pixels(self.generator, z, self.labels(len(z), label))

    def _class_index(self, label: int | str) -> int:
        count = self.generator.classes
        if not count:
            raise UserError(f"{self.source} was trained without classes and takes no --label: see dcgan train --help")
        with contextlib.suppress(TypeError):  # also of NumPy and torch
            label = operator.index(label)  # type: ignore[arg-type]
        names = list(map(composed, self.classes))
        if isinstance(label, str) and composed(label) in names:
            return names.index(composed(label))
        if re.fullmatch(r"\d{1,9}", str(label)) and int(label) < count:
            return int(label)
        raise UserError(
            f"there is no class {label!r}{did_you_mean(str(label), self.classes)}: --label takes 0 to {count - 1}"
            + (f" or a name, {self.classes[0]} to {self.classes[-1]}" if self.trained.get("classes") else "")
        )


def _check_arguments(n: int, seed: int, truncation: float | None) -> None:
    if n < 1:
        raise UserError(f"the number of samples must be at least 1, not {n}")
    if not 0 <= seed < 2**63:
        raise UserError(f"the seed must be from 0 to 2^63 - 1, not {seed}")
    if truncation is not None and not truncation > 0:
        raise UserError(f"the truncation must be above 0, not {truncation}")


@isolate_torch_settings()
def load(source: str | os.PathLike[str]) -> Model:
    """Load a trained generator.

    Args:
        source: a run folder, a saved model's folder, the name of a model that comes with the package (`mnist`,
            `mnist-dcgan`, `mnist-cgan`), or a Hub id such as `user/name`.

    Raises:
        UserError: there is no such model, or its files are damaged or foreign.
    """
    name = os.path.expanduser(source)  # a text, in which `./mnist` stays another model than `mnist`
    if not name:
        raise UserError("the name of the model is empty: give a run folder, a saved model's folder or a name")
    fix_thread_count()
    return Model(read_atomic_folder(_find_model_folder(name), load_generator), name)


def _find_model_folder(source: str | os.PathLike[str]) -> Path:
    if shipped_folder := find_shipped_model(source):
        return shipped_folder
    path = expand_user(source)
    for folder in (path / "model", path):
        if _holds_model(folder):
            return folder
    if path.exists():
        raise UserError(f"there is no model in {path}: it has no model/ with a model.safetensors")
    if HUB_ID.fullmatch(str(source)):
        return _download_from_hub(str(source))
    hint = suggest_run(path) or did_you_mean(str(source), SHIPPED_NAMES)
    raise UserError(
        f"there is no {source}{hint}: give a run folder, a saved model's "
        f"folder, one of {', '.join(SHIPPED_NAMES)}, or a Hub id such as user/name"
    )


def _holds_model(folder: Path) -> bool:
    """Return whether a folder is a saved model; a training may replace it by the next one at this moment."""
    # After a replacement between both looks, the folder has its name again.
    return any((current_folder(folder) / "model.safetensors").is_file() for _ in range(2))


def _download_from_hub(hub_id: str) -> Path:
    """Return the folder with the two files of a model from the Hub, or from its cache."""
    # Imported only when it is needed: the import takes time at the start of every command.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=["config.json", "model.safetensors"]))
    except LocalEntryNotFoundError as error:
        raise UserError(f"there is no folder {hub_id}, and the Hub cannot be reached: {error_reason(error)}") from None
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = error_reason(error)
        raise UserError(f"there is no folder {hub_id}, and the Hub has no model of that name: {reason}") from None
