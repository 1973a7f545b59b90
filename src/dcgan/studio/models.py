"""What the studio computes, with models that are kept ready. Only the thread of `queue` comes in here."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dcgan.data.open import open_images
from dcgan.errors import UserError
from dcgan.exporting import web
from dcgan.images import to_float
from dcgan.models import build
from dcgan.models.groups import GroupedGenerator
from dcgan.run.folder import RunFolder
from dcgan.sampling import invert as invert_module
from dcgan.sampling.model import Model, generate_pixels, load
from dcgan.training.checkpoint import read_checkpoint, restore_tensors

MOST_MODELS = 4
QUESTIONS = 20


class ModelStore:
    """Draws and inverts with models, each by the folder of its run or its own."""

    def __init__(self) -> None:
        torch.set_num_threads(1)  # of this thread
        self._models: OrderedDict[tuple[str, float], Model] = OrderedDict()
        self._pools: dict[int, invert_module.StartPool] = {}

    def model(self, place: Path) -> Model:
        """The model as it is on the disk now, from memory if that has not changed.

        Raises:
            UserError: there is none, or it is damaged.
        """
        path = RunFolder(place).model / "config.json"
        key = (str(place), path.stat().st_mtime if path.is_file() else 0.0)
        if key not in self._models:
            found = load(place)
            found.generator.requires_grad_(False)
            self._models[key] = found
            while len(self._models) > MOST_MODELS:
                _, old = self._models.popitem(last=False)
                self._pools.pop(id(old), None)
        self._models.move_to_end(key)
        return self._models[key]

    def about(self, place: Path) -> dict[str, Any]:
        """What the play page knows of a generator."""
        return web.describe_generator(self.model(place))

    def latents(self, place: Path, seed: int, n: int, truncation: float | None) -> list[list[float]]:
        """Latents as `dcgan sample` draws from them."""
        found: list[list[float]] = self.model(place).latents(n, seed, truncation).tolist()
        return found

    def draw(self, place: Path, z: list[list[float]], labels: list[int] | None) -> bytes:
        """The pictures of latents, uint8 (N, H, W, C) in that order.

        Raises:
            UserError: latents or labels are not what the model takes.
        """
        model = self.model(place)
        size, classes = model.generator.z_dim, model.generator.classes
        if any(len(latent) != size for latent in z):
            raise UserError(f"each latent must have {size} numbers")
        if classes and (labels is None or len(labels) != len(z) or not all(0 <= label < classes for label in labels)):
            raise UserError(f"give a label from 0 to {classes - 1} for each latent")
        given = torch.tensor(labels) if classes else None
        return generate_pixels(model.generator, torch.tensor(z, dtype=torch.float32), given).tobytes()

    def invert(self, place: Path, pixels: list[int]) -> dict[str, Any]:
        """The nearest latent of a picture, (H, W, C) in that order.

        Raises:
            UserError: the picture has another size.
        """
        model = self.model(place)
        channels, height, width = model.generator.picture_shape
        if len(pixels) != channels * height * width:
            raise UserError(f"the picture must have {height}x{width}x{channels} values")
        if id(model) not in self._pools:
            self._pools[id(model)] = invert_module.draw_start_pool(model)
        picture = np.array(pixels, np.uint8).reshape(height, width, channels)
        found = invert_module.invert(model, picture, self._pools[id(model)])
        about = {"z": [round(value, 4) for value in found.z.tolist()], "label": found.label, "error": found.error}
        return about | {"pixels": found.pixels.flatten().tolist()}

    def quiz(self, place: Path, seed: int) -> dict[str, Any]:
        """Twenty pictures, about half of them real, with what the discriminator says of each where there is one."""
        model = self.model(place)
        channels, height, width = model.generator.picture_shape
        data, fit = model.trained.get("data"), str(model.trained.get("fit", "crop"))
        if not data:
            raise UserError("the model does not say what it was trained on")
        real = open_images(str(data), "test", size=(height, width), channels=channels, fit=fit)
        source = np.random.default_rng(seed)
        is_real = source.random(QUESTIONS) < 0.5
        rows = torch.from_numpy(source.choice(len(real), QUESTIONS, replace=len(real) < QUESTIONS))
        fakes = torch.from_numpy(model.sample(QUESTIONS, int(source.integers(2**31)))).permute(0, 3, 1, 2)
        mixed = torch.where(torch.from_numpy(is_real)[:, None, None, None], real.pixels[rows].cpu(), fakes)
        labels = model.labels(QUESTIONS)
        if labels is not None and real.labels is not None:
            labels = torch.where(torch.from_numpy(is_real), real.labels[rows].cpu(), labels)
        return {
            "shape": [channels, height, width],
            "pictures": mixed.permute(0, 2, 3, 1).flatten(1).tolist(),
            "is_real": is_real.tolist(),
            "says_real": _verdicts(RunFolder(place), model, mixed, labels),
        }


@torch.no_grad()
def _verdicts(folder: RunFolder, model: Model, pictures: Tensor, labels: Tensor | None) -> list[bool] | None:
    """Whether the run's discriminator takes each picture for a real one; None where the run has none to ask.

    Its scores have no fixed border for most objectives: the half of the pictures with the higher scores counts as real.
    """
    try:
        network = _discriminator(folder, model)
    except (UserError, OSError):
        return None
    if isinstance(model.generator, GroupedGenerator):
        labels = model.generator.sorted(pictures, labels)
    inputs = [to_float(pictures)] if labels is None else [to_float(pictures), labels]
    scores = network.eval()(*inputs).flatten()
    found: list[bool] = (scores > (0.0 if folder.config().loss in BCE else scores.median())).tolist()
    return found


BCE = ("minimax", "non-saturating")


def _discriminator(folder: RunFolder, model: Model) -> nn.Module:
    if folder.custom_parts():
        raise UserError("a network of the user's own")
    read_checkpoint(folder.checkpoint, {})
    config, shape = folder.config(), model.generator.picture_shape
    _, network = build.build_networks(config, shape, model.generator.classes, model.generator.groups)
    restore_tensors(folder.checkpoint, {"discriminator": network})
    return network
