"""A saved generator -> pictures."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dcgan import latents
from dcgan.config import UserError
from dcgan.files import recover_folder, whole_file
from dcgan.images import Pixels, grid, save_png, to_uint8
from dcgan.models import load_generator
from dcgan.models.saved import SavedGenerator

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Model:
    """A trained generator.

    Attributes:
        generator: the network, in evaluation mode: (N, z_dim) -> (N, C, H, W) in [-1, 1].
        source: where it was loaded from.
    """

    generator: SavedGenerator
    source: str

    @property
    def trained(self) -> dict[str, Any]:
        """Where it comes from: data, preset, step, images_seen, command; empty if it was saved without."""
        return self.generator.trained or {}

    def sample(self, n: int = 64, seed: int = 0, *, truncation: float | None = None) -> Pixels:
        """Draw pictures.

        Args:
            n: how many.
            seed: picture `i` of a seed is the same whatever `n` is.
            truncation: keep each coordinate of z within ±this: lower is more typical and less varied.

        Returns:
            uint8 (n, H, W, C).

        Raises:
            UserError: `n` or `truncation` is not above 0, or the seed is below 0.
        """
        if n < 1:
            raise UserError(f"the number of samples must be at least 1, not {n}")
        if not 0 <= seed < 2**63:
            raise UserError(f"the seed must be from 0 to 2^63 - 1, not {seed}")
        if truncation is not None and not truncation > 0:
            raise UserError(f"the truncation must be above 0, not {truncation}")
        z = latents.noise(seed, n, self.generator.z_dim)
        return draw(self.generator, z if truncation is None else latents.truncate(z, truncation))


@torch.no_grad()
def draw(generator: SavedGenerator, z: Tensor) -> Pixels:
    """Latents (N, z_dim) -> pictures uint8 (N, H, W, C).

    The generator always gets whole blocks: kernels may round differently for another batch size, so a sample would
    otherwise depend on how many were asked for.
    """
    device = next(generator.parameters()).device
    pixels = []
    for block in torch.split(z, latents.BLOCK):
        full = torch.zeros(latents.BLOCK, z.shape[1])
        full[: len(block)] = block
        pixels.append(to_uint8(generator(full.to(device)))[: len(block)])
    return np.concatenate(pixels)


def load(source: str | os.PathLike[str]) -> Model:
    """Load a trained generator.

    Args:
        source: a run folder, a saved model's folder, or a Hub id such as `user/name`.

    Raises:
        UserError: there is no such model, or its files are damaged or foreign.
    """
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
    raise UserError(f"there is no {source}: give a run folder, a saved model's folder or a Hub id such as user/name")


def _from_hub(name: str) -> Path:
    """Fetch a model's two files from the Hub, or find them in its cache, and return their folder."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["config.json", "model.safetensors"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"there is no folder {name}, and the Hub gives no model of that name: {reason}") from None


def check_out(out: Path) -> None:
    """Refuse a place that `write` could not use, before any work is done.

    Raises:
        UserError: a file type that is not written, or a folder that holds other files.
    """
    if out.suffix.lower() in (".png", ".npz"):
        if out.is_dir():
            raise UserError(f"{out} is a folder: give a file name")
    elif re.fullmatch(r"\.[A-Za-z]{2,4}\d?", out.suffix) and not out.is_dir():
        raise UserError(f"cannot write {out}: give a .png (a grid), an .npz, or a folder")
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not an empty folder: give another --out")


def write(pixels: Pixels, out: Path) -> None:
    """Write samples: `.png` a grid, `.npz` the array `arr_0`, anything else a folder with a PNG a sample.

    Raises:
        UserError: `out` cannot be written, or is a folder that holds other files.
    """
    check_out(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix.lower() == ".png":
            save_png(grid(pixels), out)
        elif out.suffix.lower() == ".npz":
            with whole_file(out) as aside, aside.open("wb") as file:
                np.savez(file, arr_0=pixels)
        else:
            out.mkdir(exist_ok=True)
            for i, picture in enumerate(pixels):
                save_png(picture, out / f"{i:06d}.png")
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}") from None
