"""What the discriminator of a run thinks of pictures: its scores, and where in a picture they come from."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dcgan.config import ScoreKind
from dcgan.errors import UserError
from dcgan.images import to_float
from dcgan.models import build
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.run.folder import RunFolder
from dcgan.sampling.model import Model
from dcgan.training.checkpoint import restore_tensors

BRIGHTEST_QUANTILE = 0.99
"""The part of a map's values that stay below full brightness' limit: a few larger ones would darken the rest."""


@dataclass(frozen=True)
class Opinion:
    """What a discriminator thinks of pictures.

    Attributes:
        kind: what its scores are, see `config.ScoreKind`. A probability is returned as such, from 0 to 1.
        scores: higher for what it takes for real, (N,).
        maps: how much each pixel changes the score, uint8 (N, H, W), 255 for those that change it most.
    """

    kind: ScoreKind
    scores: Tensor
    maps: Tensor


def has_discriminator(folder: RunFolder) -> bool:
    """Return whether a folder is a run whose discriminator can be asked. Its tensors are not read."""
    try:
        is_run = (folder.checkpoint / "state.json").is_file() and not folder.custom_parts()
        return is_run and folder.score_kind() != "none"
    except (UserError, OSError):
        return False


def ask(folder: RunFolder, model: Model, images: Tensor, labels: Tensor | None) -> Opinion:
    """Return what the discriminator of a run thinks of pictures uint8 (N, C, H, W), with labels (N,) if it has classes.

    Raises:
        UserError: the run has no discriminator that could be asked.
        OSError: its files cannot be read.
    """
    if not has_discriminator(folder):
        raise UserError("there is no discriminator: it is in the checkpoint of a run that trained with one")
    discriminator = _load(folder, model)
    inputs = to_float(images).requires_grad_()
    scores = discriminator(inputs, *_conditions(model, images, labels)).flatten()
    (gradient,) = torch.autograd.grad(scores.sum(), inputs)
    kind = folder.score_kind()
    shown = scores.sigmoid() if kind == "probability" else scores
    return Opinion(kind, shown.detach(), _to_maps(gradient))


def answers(folder: RunFolder, model: Model, images: Tensor, labels: Tensor | None) -> list[bool] | None:
    """Return whether the run's discriminator calls each picture real; None if the run has no discriminator to ask.

    The scores of most objectives have no fixed threshold between real and fake. For these, the half of the pictures
    with the higher scores counts as real.
    """
    try:
        opinion = ask(folder, model, images, labels)
    except (UserError, OSError):
        return None
    threshold = 0.5 if opinion.kind == "probability" else opinion.scores.median()
    says_real: list[bool] = (opinion.scores > threshold).tolist()
    return says_real


def _conditions(model: Model, images: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
    if isinstance(model.generator, GroupedGenerator):
        labels = model.generator.assign_groups(images, labels)
    return () if labels is None else (labels,)


def _to_maps(gradient: Tensor) -> Tensor:
    """Return gradients (N, C, H, W) as pictures of their size, uint8 (N, H, W)."""
    size = gradient.abs().sum(1)
    brightest = size.flatten(1).quantile(BRIGHTEST_QUANTILE, dim=1).clamp_min(1e-12)
    return (255 * (size / brightest[:, None, None]).clamp(max=1)).round().to(torch.uint8)


def _load(folder: RunFolder, model: Model) -> nn.Module:
    config, shape = folder.config(), model.generator.picture_shape
    _, discriminator = build.build_networks(config, shape, model.generator.classes, model.generator.groups)
    restore_tensors(folder.checkpoint, {"discriminator": discriminator})
    return discriminator.eval().requires_grad_(False)
