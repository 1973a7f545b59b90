"""What the studio computes with models that stay in memory. Only the thread of `drawing_queue` calls it."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dcgan.data.open import ImageSet, open_images
from dcgan.errors import UserError
from dcgan.evaluation.training_data import open_training_data, training_data_of
from dcgan.exporting import web
from dcgan.images import Pixels, to_uint8
from dcgan.models.saved import SavedGenerator
from dcgan.models.store import load_generator
from dcgan.models.upsample import StyleNorm
from dcgan.run.folder import RunFolder
from dcgan.sampling import invert as invert_module
from dcgan.sampling.generate import fuse_for_inference
from dcgan.sampling.mix import draw_mixed
from dcgan.sampling.model import Model
from dcgan.studio import discriminator
from dcgan.studio.allowed_paths import DataRoots
from dcgan.studio.nearest import find_pairs

MAX_LOADED_MODELS = 4
QUIZ_LENGTH = 20
"""How many pictures a quiz has if enough real ones were held out of the training."""
REAL_SHARE = 0.5
"""The probability that a picture of a quiz is real."""
Z_DECIMALS = 4
"""To how many decimals a latent is rounded that the page puts into its address."""


class ModelStore:
    """Draws and inverts pictures with models, each named by the folder of its run or by its own folder."""

    def __init__(self, data_roots: DataRoots) -> None:
        self._data_roots = data_roots
        torch.set_num_threads(1)  # of this thread only
        self._models: OrderedDict[tuple[str, float], Model] = OrderedDict()
        self._start_pools: dict[int, invert_module.SamplePool] = {}
        self._networks: dict[int, SavedGenerator] = {}

    def model(self, folder: Path) -> Model:
        """Return the model as it is on the disk now, from memory if it has not changed since it was loaded.

        Raises:
            UserError: there is none, or it is damaged.
        """
        path = _saved_model_folder(folder)
        config_path = path / "config.json"
        key = (str(folder), config_path.stat().st_mtime if config_path.is_file() else 0.0)
        if key not in self._models:
            model = Model(load_generator(path), str(folder))
            model.generator.requires_grad_(False)
            self._models[key] = model
            self._forget_oldest()
        self._models.move_to_end(key)
        return self._models[key]

    def _forget_oldest(self) -> None:
        while len(self._models) > MAX_LOADED_MODELS:
            _, model = self._models.popitem(last=False)
            self._start_pools.pop(id(model), None)
            self._networks.pop(id(model), None)

    def describe(self, folder: Path) -> dict[str, Any]:
        """Return what the play page needs to know about a generator."""
        model = self.model(folder)
        return {
            **web.describe_generator(model),
            "fit": model.trained.get("fit", "crop"),
            "style_levels": len(_style_norms(model)),
            "has_discriminator": discriminator.has_discriminator(RunFolder(folder)),
        }

    def latents(self, folder: Path, seed: int, n: int, truncation: float | None) -> list[list[float]]:
        """Return the latents that `dcgan sample` draws from with this seed, n lists of z_dim numbers."""
        latents: list[list[float]] = self.model(folder).latents(n, seed, truncation).tolist()
        return latents

    def draw(
        self, folder: Path, z: list[list[float]], labels: list[int] | None, mix: tuple[int, float] | None = None
    ) -> bytes:
        """Return the pictures of latents, uint8 (N, H, W, C) in that order.

        Args:
            folder: of the model.
            z: the latents, N lists of z_dim numbers.
            labels: their classes, if the model has classes.
            mix: a class that all are mixed with, and its share from 0 to 1.

        Raises:
            UserError: the latents or labels do not fit the model, or it cannot mix classes.
        """
        return self._draw(folder, z, labels, mix)[0].tobytes()

    def scores(
        self, folder: Path, z: list[list[float]], labels: list[int] | None, mix: tuple[int, float] | None = None
    ) -> dict[str, Any]:
        """Return what the discriminator thinks of the pictures of latents, as JSON types: see `discriminator.Opinion`.

        Raises:
            UserError: as `draw`, or there is no discriminator.
        """
        pixels, label_tensor = self._draw(folder, z, labels, mix)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        opinion = discriminator.ask(RunFolder(folder), self.model(folder), images, label_tensor)
        scores, maps = opinion.scores.tolist(), opinion.maps.flatten(1).tolist()
        return {"kind": opinion.kind, "scores": scores, "maps": maps}

    def _draw(
        self, folder: Path, z: list[list[float]], labels: list[int] | None, mix: tuple[int, float] | None
    ) -> tuple[Pixels, Tensor | None]:
        model = self.model(folder)
        latents, label_tensor = _to_tensors(model, z, labels)
        if mix is None or label_tensor is None:
            inputs = [latents] if label_tensor is None else [latents, label_tensor]
            with torch.no_grad():  # and no full batch, as `dcgan sample` draws: a slider would wait four times as long
                return to_uint8(self._network(model)(*inputs)), label_tensor
        if mix[0] >= model.generator.classes:
            raise UserError(f"the class to mix with must be from 0 to {model.generator.classes - 1}")
        return draw_mixed(self._network(model), latents, label_tensor, *mix), label_tensor

    def mix_styles(self, folder: Path, z: list[list[float]], labels: list[int] | None, level: int) -> bytes:
        """Return the pictures of N latents with the styles of each other, uint8 (N·N, H, W, C) in that order.

        Args:
            folder: of the model.
            z: the latents, N lists of z_dim numbers.
            labels: their classes, if the model has classes.
            level: the layer from which on picture i·N + k has the style of latent k; before it, that of latent i.

        Raises:
            UserError: the latents or labels do not fit the model, or it has no style for each layer.
        """
        model = self.model(folder)
        latents, label_tensor = _to_tensors(model, z, labels)
        if not 0 < level < len(_style_norms(model)):
            raise UserError("this model has no style for each layer")
        return _draw_with_styles(model, latents, label_tensor, level).tobytes()

    def invert(self, folder: Path, pixels: bytes) -> dict[str, Any]:
        """Return the latent whose picture is nearest to a picture, which is given as bytes (H, W, C) in that order.

        Raises:
            UserError: the picture has another size.
        """
        model = self.model(folder)
        channels, height, width = model.generator.picture_shape
        if len(pixels) != channels * height * width:
            raise UserError(f"the picture must have {height}x{width}x{channels} values")
        image = np.frombuffer(pixels, np.uint8).reshape(height, width, channels)
        inversion = invert_module.invert_image(model, image, self._start_pool(model))
        return {
            "z": [round(value, Z_DECIMALS) for value in inversion.z.tolist()],
            "label": inversion.label,
            "error": inversion.error,
            "pixels": inversion.pixels.flatten().tolist(),
        }

    def _network(self, model: Model) -> SavedGenerator:
        """Return a model's generator in the form that draws in the least time."""
        if id(model) not in self._networks:
            with torch.no_grad():
                self._networks[id(model)] = fuse_for_inference(model.generator)
        return self._networks[id(model)]

    def _start_pool(self, model: Model) -> invert_module.SamplePool:
        if id(model) not in self._start_pools:
            self._start_pools[id(model)] = invert_module.draw_sample_pool(model)
        return self._start_pools[id(model)]

    def quiz(self, folder: Path, seed: int) -> dict[str, Any]:
        """Return real and generated pictures in random order, about half of each, and the discriminator's answers.

        No picture is shown twice. Where fewer than `QUIZ_LENGTH` pictures were held out of the training, the quiz is
        shorter: twice their number at most.

        Raises:
            UserError: the model does not say what it was trained on, or that data cannot or may not be read.
        """
        model = self.model(folder)
        images, labels, is_real = _draw_quiz(model, self._open_real_images(model), seed)
        answers = discriminator.answers(RunFolder(folder), model, images, labels)
        return {
            "shape": list(model.generator.picture_shape),
            "pictures": images.permute(0, 2, 3, 1).flatten(1).tolist(),  # (N, C, H, W) -> (N, H·W·C)
            "is_real": is_real.tolist(),
            "says_real": answers,
        }

    def nearest(self, folder: Path, seed: int) -> dict[str, Any]:
        """Return samples beside the nearest training pictures, see `nearest.find_pairs`.

        Raises:
            UserError: as `quiz`.
        """
        model = self.model(folder)
        return find_pairs(model, self._open_splits(model, "train")[0], seed)

    def _open_real_images(self, model: Model) -> list[ImageSet]:
        """Return the images that the model was not trained on: the test split, and the validation split if needed."""
        test, open_split = self._open_splits(model, "test")
        return [test] if len(test) >= QUIZ_LENGTH else [test, open_split("validation")]

    def _open_splits(self, model: Model, first: str) -> tuple[ImageSet, Callable[[str], ImageSet]]:
        """Return a split of the data that a model was trained on, in its size, and a function that opens others."""
        channels, height, width = model.generator.picture_shape
        training = training_data_of(model)
        if training is None:
            raise UserError("the model does not say what it was trained on")
        for place in filter(None, (training.record.path, training.name)):
            self._data_roots.check(place)  # before anybody looks whether it exists
        options: dict[str, Any] = {"fit": str(model.trained.get("fit", "crop"))}
        options |= {"value_range": training.value_range, "rules": training.rules, "seed": training.seed or 0}

        def open_split(source: str, split: str = first) -> ImageSet:
            return open_images(source, split, size=(height, width), channels=channels, **options)

        source, images = open_training_data(training, model.source, open_split)
        return images, lambda split: open_split(source, split)


def _to_tensors(model: Model, z: list[list[float]], labels: list[int] | None) -> tuple[Tensor, Tensor | None]:
    """Return latents (N, z_dim), and their labels (N,) if the model has classes; raise UserError if they do not fit."""
    z_dim, classes = model.generator.z_dim, model.generator.classes
    if any(len(latent) != z_dim for latent in z):
        raise UserError(f"each latent must have {z_dim} numbers")
    if classes and (labels is None or len(labels) != len(z) or not all(0 <= label < classes for label in labels)):
        raise UserError(f"give a label from 0 to {classes - 1} for each latent")
    return torch.tensor(z, dtype=torch.float32), torch.tensor(labels) if classes else None


def _style_norms(model: Model) -> list[StyleNorm]:
    """Return the layers that take a style, the coarsest first; none in a family whose latent is read only once."""
    return [module for module in model.generator.modules() if isinstance(module, StyleNorm)]


def _draw_with_styles(model: Model, z: Tensor, labels: Tensor | None, level: int) -> Pixels:
    """Draw each latent with the style of each from a layer on (Karras et al. 2019, "style mixing"), (N·N, H, W, C)."""
    inputs, norms, styles = [z] if labels is None else [z, labels], _style_norms(model), list[Tensor]()
    with torch.no_grad(), ExitStack() as hooks:
        with norms[0].register_forward_pre_hook(lambda _, arguments: styles.append(arguments[1])):
            model.generator(*inputs)
        fine = styles[0].repeat(len(z), 1)
        for norm in norms[level:]:
            hooks.enter_context(norm.register_forward_pre_hook(lambda _, arguments: (arguments[0], fine)))
        return to_uint8(model.generator(*(tensor.repeat_interleave(len(z), 0) for tensor in inputs)))


def _saved_model_folder(folder: Path) -> Path:
    """Return where a run's model is, or `folder` itself if it is a saved model. Nothing is renamed or repaired.

    While a training replaces its model, the previous one has another name for a moment.
    """
    candidates = (folder / "model", folder / ".model.old")
    return next((path for path in candidates if (path / "model.safetensors").is_file()), folder)


def _draw_quiz(model: Model, reals: list[ImageSet], seed: int) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return a quiz: its pictures, uint8 (N, C, H, W), their labels (N,) if the model has classes, and is_real (N,)."""
    rng = np.random.default_rng(seed)
    chosen = _choose_distinct(reals, QUIZ_LENGTH, rng)
    length = min(QUIZ_LENGTH, 2 * len(chosen))
    is_real = torch.from_numpy(rng.random(length) < REAL_SHARE)
    while int(is_real.sum()) > len(chosen):
        is_real[int(rng.integers(length))] = False
    fakes = torch.from_numpy(model.sample(length, int(rng.integers(2**31)))).permute(0, 3, 1, 2)
    images, labels = fakes.clone(), model.labels(length)
    for position, (image, label) in zip(is_real.nonzero().flatten().tolist(), chosen, strict=False):
        images[position] = image
        if labels is not None and label is not None:
            labels[position] = label
    return images, labels, is_real


def _choose_distinct(sets: list[ImageSet], n: int, rng: np.random.Generator) -> list[tuple[Tensor, int | None]]:
    """Return up to n images (C, H, W) in random order, no two of them equal, with their labels."""
    chosen: dict[bytes, tuple[Tensor, int | None]] = {}
    for images in sets:
        for row in rng.permutation(len(images)).tolist():
            if len(chosen) == n:
                break
            image = images.pixels[row].cpu()
            label = None if images.labels is None else int(images.labels[row])
            chosen.setdefault(image.numpy().tobytes(), (image, label))
    return list(chosen.values())
