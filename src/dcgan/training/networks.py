"""The two networks and the objective of a run: built from the settings, from a saved model, or the user's own."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from dcgan.config import Config
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


def check_same_parts(folder: RunFolder, custom: CustomParts) -> None:
    """Refuse to resume a run without the same custom parts as it was started with.

    Raises:
        UserError: it was started with others.
    """
    if (names := folder.custom_parts()) == custom.names:
        return
    started_with = f"your own {' and '.join(names)}" if names else "no parts of your own"
    raise UserError(f"{folder.path} was started with {started_with}: continue it with {folder.resume_call(names)}")
