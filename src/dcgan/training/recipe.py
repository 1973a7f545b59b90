"""Which recipe a new run trains if the user names none: the data decide, unless a setting already has decided.

A run that is planned for more than the few minutes of the preset takes other settings, too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dcgan.config import TOO_FEW_PICTURES, Config
from dcgan.data.location import is_named_set
from dcgan.data.open import ImageSet
from dcgan.data.rules import CURRENT_RULES
from dcgan.devices.connect import with_launcher_devices
from dcgan.errors import UserError
from dcgan.models import build, groups
from dcgan.models.lite import MissingWeightsError, check_installed
from dcgan.presets import (
    COLOR_PRESET,
    COLOR_VERY_LONG_RUN_SETTINGS,
    DEFAULT_PRESET,
    IMAGES_PER_MINUTE,
    LONG_RUN_IMAGES,
    LONG_RUN_PICTURES,
    LONG_RUN_SETTINGS,
    MAX_MATCHED_PICTURES,
    MIN_MATCHED_PICTURES,
    NO_BATCH_NORM_LOSSES,
    VERY_LONG_RUN_IMAGES,
    VERY_LONG_RUN_SETTINGS,
    configure,
)
from dcgan.training import losses, networks
from dcgan.training.matching import FEATURES
from dcgan.training.networks import NO_CUSTOM_PARTS, CustomParts
from dcgan.training.set_up import open_data, planned_images

RECIPE_SETTINGS = dict.fromkeys(("network", "loss", "init"), "names a recipe of its own") | dict.fromkeys(
    ("d_width", "d_norm"), "needs a discriminator"
)
"""Settings that mean another recipe, whatever their value, and why."""
NAMED_SET_REASON = "it is the default for sets that are opened by a name"
FIXED_LENGTH_SETTINGS = {"network", "loss", "init", "split_data", "gp", "r2", *VERY_LONG_RUN_SETTINGS} - {"batch_size"}
"""Settings with which a run has the same settings whatever its length is."""
MNIST_SHAPE = (60_000, 1, 28, 28)


@dataclass(frozen=True)
class Recipe:
    """What a new run trains.

    Attributes:
        config: the settings.
        reason: why their preset was chosen: what follows after "because".
    """

    config: Config
    reason: str


def choose_recipe(settings: Mapping[str, Any], custom: CustomParts = NO_CUSTOM_PARTS) -> Recipe:
    """Return the recipe of a new run for which the user names no preset.

    Args:
        settings: what the user sets. A setting that `match` refuses means `fast`.
        custom: the user's own parts.

    Raises:
        UserError: a setting that cannot work, or data that cannot be used.
    """
    recipe = _choose_by_data(settings, custom)
    given = {name for name, value in settings.items() if value is not None and value is not False}
    is_plain = not (custom.names or FIXED_LENGTH_SETTINGS & given)
    return _follow_length(recipe, settings) if is_plain and recipe.config.preset == DEFAULT_PRESET else recipe


def _choose_by_data(settings: Mapping[str, Any], custom: CustomParts) -> Recipe:
    """Return the recipe that suits the data, with the settings of its preset."""
    default = configure(DEFAULT_PRESET, **settings)
    if is_named_set(default.data):
        return Recipe(default, NAMED_SET_REASON)
    if obstacle := _find_obstacle(settings, custom):
        return Recipe(default, f"{COLOR_PRESET}, the recipe for color pictures, cannot be used: {obstacle}")
    data = open_data(default, default.data, CURRENT_RULES)
    preset, reason = choose_preset(data)
    return Recipe(configure(preset, **settings), reason)


def _follow_length(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe with what suits its planned length, as far as the user leaves it open.

    Steps are updates of the networks, so a length in steps keeps the batch size.
    """
    config = recipe.config
    if config.epochs is None and _images_of_length(config, MNIST_SHAPE) < LONG_RUN_IMAGES:
        return recipe  # without opening the data
    data = open_data(config, config.data, CURRENT_RULES)
    planned = _images_of_length(config, tuple(data.pixels.shape))
    if planned < LONG_RUN_IMAGES or len(data) < LONG_RUN_PICTURES:
        return recipe
    suitable = LONG_RUN_SETTINGS
    if planned >= VERY_LONG_RUN_IMAGES:
        is_color = data.pixels.shape[1] > 1
        suitable = VERY_LONG_RUN_SETTINGS | (COLOR_VERY_LONG_RUN_SETTINGS if is_color else {})
    kept = {name for name in ("batch_size", "d_width") if name in settings}
    kept |= {"batch_size"} if config.steps is not None else set()
    changes = {name: value for name, value in suitable.items() if name not in kept}
    words = ", ".join(f"--{name.replace('_', '-')} {value}" for name, value in changes.items())
    return Recipe(replace(config, **changes), f"{recipe.reason}; it is planned to be long, so with {words}")


def _images_of_length(config: Config, shape: tuple[int, ...]) -> float:
    """Return how many images a run sees on pictures (N, C, H, W); for a duration in minutes, as many as two cores do.

    The time of an image grows with its pixels.
    """
    count, (height, width) = shape[0], shape[-2:]
    if config.minutes is None:
        return planned_images(config, count) or 0
    scale = min(1, math.prod(MNIST_SHAPE[-2:]) / (height * width))
    return config.minutes * IMAGES_PER_MINUTE * scale


def choose_preset(data: ImageSet) -> tuple[str, str]:
    """Return the preset that suits a set of pictures, and why: what follows after "because".

    Args:
        data: the pictures to train on.
    """
    if is_named_set(data.name):
        return DEFAULT_PRESET, NAMED_SET_REASON
    if data.pixels.shape[1] == 1:
        return DEFAULT_PRESET, "its pictures are gray"
    picture_count = _count_different(data)
    counted = f"{picture_count:,} different color picture{'s' * (picture_count != 1)} to train on"
    if picture_count < MIN_MATCHED_PICTURES:
        return DEFAULT_PRESET, f"it has {counted}, too few for {COLOR_PRESET} (at least {MIN_MATCHED_PICTURES})"
    if picture_count > MAX_MATCHED_PICTURES:
        return DEFAULT_PRESET, f"it has {counted}, too many for {COLOR_PRESET} (at most {MAX_MATCHED_PICTURES:,})"
    try:
        check_installed(FEATURES)
    except MissingWeightsError as error:
        return DEFAULT_PRESET, (
            f"{COLOR_PRESET} cannot be used: {error}; without this frozen network few color pictures become blobs"
        )
    return COLOR_PRESET, f"it has {counted}, few for a discriminator"


def _count_different(data: ImageSet) -> int:
    """Return how many pictures there are besides exact copies of others."""
    return len(np.unique(data.columns["digests"], axis=0)) if "digests" in data.columns else len(data)


def too_few_text(picture_count: int) -> str:
    """Return what to expect of fewer pictures than `TOO_FEW_PICTURES`."""
    return (
        f"{picture_count:,} picture{'s are' if picture_count != 1 else ' is'} too few to learn from: expect copies, "
        f"whatever the settings; collect at least {TOO_FEW_PICTURES}"
    )


def describe_choice(config: Config, data: ImageSet, reason: str) -> str:
    """Return the line that names the preset of a run and the size of its pictures, and says why."""
    height, width = data.pixels.shape[-2:]
    return f"preset {config.preset} for {data.name} at {height}x{width}, because {reason}"


def objective_notices(config: Config) -> list[str]:
    """Return what the objective has changed in the discriminator of `fast`."""
    if config.preset != DEFAULT_PRESET or config.loss not in NO_BATCH_NORM_LOSSES or config.d_norm != "none":
        return []
    return [
        f"--loss {config.loss}: the discriminator has no BatchNorm, because with it some runs with this objective "
        f"never begin to draw (--d-norm none --clip {config.clip:g})"
    ]


def _find_obstacle(settings: Mapping[str, Any], custom: CustomParts) -> str:
    """Return why `match` cannot be trained with these settings, whatever the data are; nothing if it can."""
    for name, text in RECIPE_SETTINGS.items():
        if settings.get(name) is not None:
            return f"--{name.replace('_', '-')} {text}"
    if custom.names:
        return f"your own {custom.names[0]} is given"
    try:
        _check_matchable(with_launcher_devices(configure(COLOR_PRESET, **settings)))
    except UserError as error:
        return str(error)
    return ""


def _check_matchable(config: Config) -> None:
    """Refuse what a training with these settings would refuse, before any picture is prepared for it.

    Raises:
        UserError: it names the setting.
    """
    networks.check_discriminator_settings(config)
    networks.check_not_divided(config)
    losses.make_objective(config.loss, config.label_smoothing)
    group_count = groups.choose_group_count(
        MAX_MATCHED_PICTURES, config.groups, config.z_dim, images_per_group=groups.IMAGES_PER_MATCHED_GROUP
    )
    build.check_networks(config, groups=group_count)
