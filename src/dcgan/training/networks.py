"""The two networks and the objective of a run: built from the settings, from a saved model, or the user's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from dcgan.config import Config, ScoreKind
from dcgan.data.open import ImageSet
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.images import color_mode
from dcgan.models import build, families, groups
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.saved import SavedGenerator
from dcgan.run.folder import RunFolder
from dcgan.sampling.model import Model, load
from dcgan.training import losses
from dcgan.training.augment import find_augmentations
from dcgan.training.grouping import sort_pictures
from dcgan.training.losses import Objective


@dataclass(frozen=True)
class CustomParts:
    """A user's own parts of a run. Each replaces the one that the settings name."""

    generator: nn.Module | None = None
    discriminator: nn.Module | None = None
    loss: Objective | None = None

    @property
    def names(self) -> list[str]:
        """The names of the parts that are the user's own."""
        return [name for name in ("generator", "discriminator", "loss") if getattr(self, name) is not None]


DISCRIMINATOR_SETTINGS = ("d_lr", "d_width", "d_norm", "n_critic", "share_z", "gp", "r1", "r2", "mismatch", "augment")
"""Settings that change nothing without a discriminator."""
NO_DISCRIMINATOR = Config()
"""The values that they have if nobody sets them."""
OWN_SCORE_KINDS = tuple(kind for kind in get_args(ScoreKind) if kind != "none")
"""What the scores of a user's own objective may be."""
Z_DIM_HINT = "give it an attribute z_dim, or pass z_dim=..."
NO_CUSTOM_PARTS = CustomParts()
"""Everything is built from the settings."""


@dataclass(frozen=True)
class ChosenNetworks:
    """The networks of a run with their initial weights.

    Attributes:
        generator: the generator.
        discriminator: the discriminator; None if the objective has none.
        objective: what they minimize.
        conditions: the class or the group of each picture, int64 (N,), if the networks are given one that is known.
        notice: a line about the groups for the user; empty if there is nothing to say.
    """

    generator: nn.Module
    discriminator: nn.Module | None
    objective: Objective
    conditions: Tensor | None
    notice: str = ""


def check_names(config: Config) -> None:
    """Look up everything that the settings name, before any picture is prepared.

    Raises:
        UserError: there is no such objective, network family or augmentation.
    """
    losses.find_objective(config.loss)
    families.find_family(config.network)
    find_augmentations(config.augment)


def choose_networks(
    config: Config, data: ImageSet, custom: CustomParts, picture_count: int, *, is_new: bool = True
) -> ChosenNetworks:
    """Return the networks with their initial weights, the objective, and what the networks are given as conditions.

    Args:
        config: the settings.
        data: the pictures that are trained on, as far as this process holds them.
        custom: the user's own parts.
        picture_count: how many are trained on in all processes together.
        is_new: whether a run begins. The groups of a run that is resumed are in its checkpoint and are not searched.

    Raises:
        UserError: parts that cannot be used together, or not with this data.
    """
    if config.conditional and not data.classes:
        hint = f" ({data.no_classes_reason}); or use" if data.no_classes_reason else ": use"
        preset = "" if Path(config.preset).suffix else f" (preset {config.preset})"
        raise UserError(
            f"--conditional{preset} needs labels, and {printable(config.data)} has none{hint} --no-conditional"
            f"{', or another preset' if preset else ''}"
        )
    if config.conditional and isinstance(custom.generator, GroupedGenerator):
        raise UserError("a generator with groups of its own takes no classes: pass it as --init instead")
    initial_model = None if config.init is None else load(config.init)
    objective = losses.make_objective(custom.loss or config.loss, config.label_smoothing)
    size = groups.IMAGES_PER_GROUP if objective.has_discriminator else groups.IMAGES_PER_MATCHED_GROUP
    group_count = _group_count(config, data, custom, initial_model, picture_count if is_new else None, size)
    generator, discriminator = _build_networks(config, data, custom, group_count)
    if initial_model is not None:
        load_initial_weights(generator, initial_model)
    conditions, notice = data.labels if config.conditional else None, ""
    # Without a discriminator, `state` finds new groups, in the features that the generator matches.
    if is_new and group_count and (objective.has_discriminator or initial_model is not None):
        assert isinstance(generator, GroupedGenerator)
        found = sort_pictures(config, data, generator, is_initial=initial_model is not None)
        conditions, notice = found.groups, found.notice
    if not objective.has_discriminator:
        _check_matching(config, custom, generator, is_new=is_new)
        return ChosenNetworks(generator, None, objective, conditions)
    if custom.discriminator is None:
        _check_bounded(config, objective, "your own loss" if custom.loss else f"--loss {config.loss}")
    _check_scores_per_picture(config, discriminator)
    return ChosenNetworks(generator, discriminator, objective, conditions, notice)


def uses_groups(config: Config, custom: CustomParts) -> bool:
    """Return whether the networks are given groups of similar pictures. A user's own networks are not."""
    return config.groups > 0 and not (custom.generator or custom.discriminator)


def _group_count(
    config: Config, data: ImageSet, custom: CustomParts, initial_model: Model | None, new_count: int | None, size: int
) -> int:
    """Return how many groups the networks are given: as many as the initial model has, or as many as suit the data.

    A new run has `new_count` pictures, and at least `size` of them in a group on average; one that is resumed (None)
    has the groups of its settings.

    Raises:
        UserError: the initial model's groups are not groups of these classes.
    """
    wanted = config.groups if uses_groups(config, custom) else 0
    classes = len(data.classes) if config.conditional else 0
    if not wanted or new_count is None:
        if classes and wanted % classes:
            raise UserError("an earlier version began this run, which knew no groups within classes: train a new run")
        return wanted
    if initial_model is None or not initial_model.generator.groups:
        return groups.choose_group_count(new_count, wanted, config.z_dim, classes, size)
    if initial_model.generator.groups >= config.z_dim:
        model = initial_model.generator
        raise UserError(
            f"--init {initial_model.source} has {model.groups} groups, which are numbers of z: give --z-dim "
            f"{model.z_dim}, as it has, not {config.z_dim}"
        )
    if classes not in (0, known := initial_model.generator.classes):
        hint = "start from a model of these classes" + ("" if known else ", or use --no-conditional")
        raise UserError(
            f"--init {initial_model.source} knows {known or 'no'} classes, and {config.data} has {classes}: {hint}"
        )
    return initial_model.generator.groups


def _build_networks(
    config: Config, data: ImageSet, custom: CustomParts, group_count: int
) -> tuple[nn.Module, nn.Module]:
    if custom.generator and custom.discriminator:
        return custom.generator, custom.discriminator
    channels, height, width = data.pixels.shape[1:]
    classes = len(data.classes) if config.conditional else 0
    generator, discriminator = build.build_networks(config, (channels, height, width), classes, group_count)
    return custom.generator or generator, custom.discriminator or discriminator


def load_initial_weights(generator: nn.Module, model: Model) -> None:
    """Give a generator the weights of a saved one.

    Raises:
        UserError: its weights have other names or shapes.
    """
    saved, own = model.generator.state_dict(), generator.state_dict()
    if isinstance(generator, SavedGenerator) and model.generator.picture_shape[0] != generator.picture_shape[0]:
        there, here = (color_mode(network.picture_shape[0]) for network in (model.generator, generator))
        raise UserError(f"--init {model.source} does not fit: it draws {there} pictures, and these are {here}")
    for name in [*own, *saved]:
        saved_shape, own_shape = (tuple(w[name].shape) if name in w else None for w in (saved, own))
        if saved_shape != own_shape:
            preset = model.trained.get("preset")
            hint = f"; it was trained with --preset {preset}" if preset else ""
            if hint and model.generator.groups != getattr(generator, "groups", 0):
                hint += f" --groups {model.generator.groups}"
            difference = f"{name} is {saved_shape or 'missing'} there and {own_shape or 'missing'} here"
            raise UserError(f"--init {model.source} does not fit this generator: {difference}{hint}")
    generator.load_state_dict(saved)


def check_discriminator_settings(config: Config) -> None:
    """Refuse settings of a discriminator for an objective that has none.

    Raises:
        UserError: it names the first of them.
    """
    unused = [name for name in DISCRIMINATOR_SETTINGS if getattr(config, name) != getattr(NO_DISCRIMINATOR, name)]
    if unused:
        flag = unused[0].replace("_", "-")
        raise UserError(f"--{flag} has no use with --loss {config.loss}, which trains no discriminator: leave it out")


def check_not_divided(config: Config) -> None:
    """Refuse data that are divided among processes for a training without a discriminator.

    Raises:
        UserError: they are.
    """
    if config.split_data:
        raise UserError("a training without a discriminator compares with all pictures: leave out --split-data")


def _check_matching(config: Config, custom: CustomParts, generator: nn.Module, *, is_new: bool) -> None:
    """Refuse what has no meaning without a discriminator. Earlier versions began runs with some of these settings."""
    check_not_divided(config)
    if is_new:
        check_discriminator_settings(config)
    if custom.discriminator is not None:
        raise UserError(f"--loss {config.loss} trains no discriminator: leave out your own")
    if not hasattr(getattr(generator, "network", generator), "fit_appearance"):
        raise UserError(f"--loss {config.loss} needs a generator with an appearance: use --network upsample")


def _check_bounded(config: Config, objective: Objective, name: str) -> None:
    """Refuse a critic whose scores nothing bounds, for an objective, called `name`, that then has no minimum."""
    if not objective.needs_bounded_critic:
        return
    if not (config.gp or config.r1 or config.r2 or config.d_norm == "spectral"):
        raise UserError(f"{name} needs a critic with a bounded gradient: use --gp 10 --d-norm layer")
    if config.conditional and config.mismatch:
        raise UserError(f"{name} does not bound the loss for a wrong class: use --mismatch 0")


def _check_scores_per_picture(config: Config, discriminator: nn.Module) -> None:
    """Refuse penalties with BatchNorm: a penalty needs scores that depend on their own picture alone."""
    penalties = [f"--{name}" for name in ("gp", "r1", "r2") if getattr(config, name)]
    if penalties and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in discriminator.modules()):
        raise UserError(
            f"{penalties[0]} needs scores that depend on one picture each, and BatchNorm in the discriminator mixes "
            "pictures: use --d-norm layer, instance, spectral or none"
        )


def check_modules(generator: object, discriminator: object, loss: object) -> None:
    """Refuse parts of the user's own that are no networks, such as a class instead of an object of it.

    Raises:
        UserError: it names the part.
    """
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        if network is not None and not isinstance(network, nn.Module):
            hint = f"the class {network.__name__}: call it" if isinstance(network, type) else type(network).__name__
            raise UserError(f"{name} must be a torch.nn.Module, not {hint}")
        if network is not None and any(isinstance(weight, UninitializedParameter) for weight in network.parameters()):
            raise UserError(
                f"the {name} has a lazy layer without weights yet: call it with a batch once before training"
            )
        if network is not None and not any(weight.requires_grad for weight in network.parameters()):
            raise UserError(f"the {name} has no weights that can be trained: all are frozen, or it has none")
        if network is not None:
            _check_weights(name, network)
    if loss is not None and not isinstance(loss, str | Objective):
        raise UserError(f"loss must be a name or a dcgan.Objective, not {type(loss).__name__}")
    if isinstance(loss, Objective):
        _try_objective(loss)


def _check_weights(name: str, network: nn.Module) -> None:
    """Refuse weights to train that the optimizer cannot change.

    Raises:
        UserError: it says which weight, and what to do.
    """
    for weight_name, weight in network.named_parameters():
        if weight.requires_grad and weight.is_complex():
            raise UserError(f"the {name}'s weight {weight_name} is complex: keep its real and its imaginary part")
        if weight.requires_grad and weight.is_inference():
            raise UserError(f"the {name} was made in torch.inference_mode and cannot be trained: make it outside")


def _try_objective(loss: Objective) -> None:
    """Call a user's objective with a few scores.

    Raises:
        UserError: it does not take them, or returns what no network can minimize.
    """
    if loss.score_kind not in OWN_SCORE_KINDS:
        kinds = ", ".join(map(repr, OWN_SCORE_KINDS))
        raise UserError(f"the score_kind of your own loss must be one of {kinds}, not {loss.score_kind!r}")
    real, fake = (torch.tensor([[0.5], [start]], requires_grad=True) for start in (0.25, -0.25))
    calls = {"discriminator": (real, fake), "generator": (fake, real) if loss.is_paired else (fake,)}
    for name, scores in calls.items():
        shapes = " and ".join(["scores (N, 1)"] * len(scores))
        try:
            value = getattr(loss, name)(*scores)
        except Exception as error:  # of the user's own code
            raise UserError(f"the {name}'s part of your own loss does not take {shapes} ({_one_line(error)})") from None
        if not isinstance(value, Tensor):
            raise UserError(f"the {name}'s part of your own loss must return a tensor, not {type(value).__name__}")
        if value.shape:
            shape = tuple(value.shape)
            raise UserError(
                f"the {name}'s part of your own loss must return one number, shape (), not {shape}: take its mean"
            )
        if not value.requires_grad:
            raise UserError(f"the {name}'s part of your own loss does not depend on the scores: it has no gradient")


def check_same_parts(folder: RunFolder, custom: CustomParts) -> None:
    """Refuse to resume a run without the same custom parts as it was started with.

    Raises:
        UserError: it was started with others.
    """
    if (names := folder.custom_parts()) == custom.names:
        return
    started_with = f"your own {' and '.join(names)}" if names else "no parts of your own"
    raise UserError(f"{folder.path} was started with {started_with}: continue it with {folder.resume_call(names)}")


@torch.no_grad()
def try_networks(
    generator: nn.Module, discriminator: nn.Module | None, z: Tensor, reals: Tensor, condition: tuple[Tensor, ...]
) -> None:
    """Send latents through a user's networks, in evaluation mode so that nothing is learned or counted.

    Args:
        generator: (N, z_dim) -> (N, C, H, W).
        discriminator: (N, C, H, W) -> (N, 1); None if there is none.
        z: latents, (2, z_dim).
        reals: up to two real pictures.
        condition: labels int64, as many as real pictures, or nothing.

    Raises:
        UserError: the generated pictures have another shape than the data, or there is not one score for each.
    """
    with _modes_restored(generator, discriminator) as modules:
        for module in modules:
            module.eval()
        images = _try_generator(generator, z[: len(reals)], reals, condition)
        if discriminator is not None:
            _try_discriminator(discriminator, images, condition)


@contextmanager
def _modes_restored(*networks: nn.Module | None) -> Iterator[list[nn.Module]]:
    """Give all modules of networks to a block that sets their training mode, and restore it."""
    modules = [module for network in networks if network is not None for module in network.modules()]
    modes = [module.training for module in modules]
    try:
        yield modules
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def check_gradients(
    generator: nn.Module, discriminator: nn.Module | None, z: Tensor, condition: tuple[Tensor, ...]
) -> None:
    """Refuse a user's networks that no gradient goes through.

    They are asked in evaluation mode, so that nothing is learned or counted. One may turn gradients off there, and is
    asked again in training mode, with the buffers of a copy.

    Args:
        generator: see `try_networks`. It has no wrapper that waits for a step after each gradient.
        discriminator: the same.
        z: latents, as many as conditions if there are any.
        condition: see `try_networks`.

    Raises:
        UserError: the weights of one of them would not be trained.
    """
    with _modes_restored(generator, discriminator) as modules:
        for module in modules:
            module.eval()
        if not _find_missing_gradient(generator, discriminator, z, condition):
            return
        buffers = [(buffer, buffer.clone()) for module in modules for buffer in module.buffers(recurse=False)]
        for module in modules:
            module.train()
        missing = _find_missing_gradient(generator, discriminator, z, condition)
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
    if missing:
        raise UserError(f"{missing}: no gradient goes through its forward, which may use detach or no_grad")


def _find_missing_gradient(
    generator: nn.Module, discriminator: nn.Module | None, z: Tensor, condition: tuple[Tensor, ...]
) -> str:
    """Return what does not depend on what, so that a training lacks a gradient; an empty text if it lacks none."""
    images: Tensor = generator(z, *condition)
    if not images.requires_grad:
        return "the generator's pictures do not depend on its weights"
    if discriminator is None:
        return ""
    if not discriminator(images.detach(), *condition).requires_grad:
        return "the discriminator's scores do not depend on its weights"
    images = images.detach().requires_grad_()
    scores: Tensor = discriminator(images, *condition)
    (gradient,) = torch.autograd.grad(scores.sum(), images, allow_unused=True)
    return "" if gradient is not None else "the discriminator's scores do not depend on the pictures"


def _try_generator(generator: nn.Module, z: Tensor, reals: Tensor, condition: tuple[Tensor, ...]) -> Tensor:
    """Return what a user's generator draws of latents (N, z_dim), as many as real pictures.

    Raises:
        UserError: it does not take them, or draws pictures of another shape than the real ones.
    """
    try:
        images = generator(z, *condition)
    except Exception as error:  # of the user's own code
        problem = f"the generator does not take latents {tuple(z.shape)}{_and_labels(condition)}"
        hint = "conditional networks get labels as a second argument" if condition else Z_DIM_HINT
        hint = _dtype_hint(generator) or hint
        raise UserError(f"{problem}: {hint} ({_one_line(error)})") from None
    if not isinstance(images, Tensor):
        raise UserError(f"the generator must return a tensor of pictures, not {type(images).__name__}")
    if images.shape != reals.shape:
        raise UserError(f"the generator draws {tuple(images.shape[1:])}, the pictures are {tuple(reals.shape[1:])}")
    return images


def _try_discriminator(discriminator: nn.Module, images: Tensor, condition: tuple[Tensor, ...]) -> None:
    """Send pictures (N, C, H, W) through a user's discriminator.

    Raises:
        UserError: it does not take them, or there is not one score for each.
    """
    try:
        scores = discriminator(images, *condition)
    except Exception as error:  # of the user's own code
        problem = f"the discriminator does not take pictures {tuple(images.shape)}{_and_labels(condition)}"
        hint = f": {hint}" if (hint := _dtype_hint(discriminator)) else ""
        raise UserError(f"{problem}{hint} ({_one_line(error)})") from None
    if not isinstance(scores, Tensor):
        raise UserError(f"the discriminator must return a tensor of scores, not {type(scores).__name__}")
    if scores.shape != (len(images), 1):
        raise UserError(f"the discriminator must return scores {(len(images), 1)}, not {tuple(scores.shape)}")


def _dtype_hint(network: nn.Module) -> str:
    """Return what to do with a network that has weights of another type than what it is given; empty if it has none."""
    others = {weight.dtype for weight in network.parameters() if weight.is_floating_point()} - {torch.float32}
    return (
        f"its weights are {min(map(str, others))}, and a training computes in float32: call .float()" if others else ""
    )


def _and_labels(condition: tuple[Tensor, ...]) -> str:
    return f" and labels {', '.join(map(str, condition[0].tolist()))}" if condition else ""


def _one_line(error: Exception) -> str:
    return printable(" ".join(str(error).split()))
