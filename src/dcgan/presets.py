"""The presets, and how settings are made from a preset and the user's changes."""

import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from dcgan.cache import expand_user
from dcgan.config import DURATIONS, NO_DURATION, Config, plain_value, read_config, split_specs
from dcgan.errors import UserError, did_you_mean
from dcgan.files import read_json

DEFAULT_PRESET, COLOR_PRESET = "fast", "match"
"""What a new run trains if the user names no preset: `training.recipe` chooses one of the two by the data."""
MIN_MATCHED_PICTURES, MAX_MATCHED_PICTURES = 20, 20_000
"""For how many color pictures to train on `match` is chosen. Its groups have at least 20 pictures on average, and it
keeps the features of all pictures in memory, 46 KB each."""
RECOGNIZABLE_IMAGES, BETTER_IMAGES = 41_840, 66_672
"""Images of two models that `match` trained on `MEASURED_SET`. Of the first one's samples, five readers could name 61%
to 98%; the second's have a better KID. An hour, 250,944 images, came to 0.38 to 0.42 with three seeds, and to
twice the recall (docs/folders.md)."""
RECOGNIZABLE_KID, BETTER_KID = 0.52, 0.41
"""The KID of these two, by the features `lite2`, of 1,000 samples against 400 test pictures. It is 0.06 for real
pictures, and 1.5 for `fast` after 618,000 images, the median of three."""
MEASURED_SET = "1,492 emoji at 64x64"
"""The one set whose samples readers have named."""
# docs/presets.md says what each preset follows, with its formulae and its departures from the paper.
PRESETS: dict[str, Config] = {
    # Goodfellow et al., "Generative Adversarial Networks" (2014): fully connected networks, without its maxout, dropout
    # and momentum, in the form that courses teach: ReLU with BatchNorm in G, LeakyReLU in D, Adam.
    "vanilla": Config(
        preset="vanilla", network="mlp", d_norm="none", g_width=128, d_width=128, steps=20_000,
    ),
    # Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional GANs" (2016), in the
    # form of the study: unpadded 28x28 networks, BatchNorm scales drawn from N(0, 0.02), D's loss is a mean.
    "dcgan": Config(preset="dcgan", steps=11_500),
    # The same paper as published: four strided layers at 64x64, z 100, 512 to 64 channels, BatchNorm scales N(1, 0.02).
    # Other sizes have as many layers as bring them to 4..7 pixels. z is normal, not uniform.
    "dcgan64": Config(
        preset="dcgan64", image_size=64, network="dcgan64", z_dim=100, g_width=64, d_width=64, steps=20_000,
    ),
    # Gulrajani et al., "Improved Training of Wasserstein GANs" (2017): penalty 10, five critic updates, Adam with betas
    # (0, 0.9), layer normalization in the critic as its §4 recommends. The network is that of dcgan64, but narrower,
    # and the learning rate ten times the paper's: minutes instead of hours (docs/experiments.md).
    "wgan-gp": Config(
        preset="wgan-gp", image_size=None, network="dcgan64", d_norm="layer", g_width=32, d_width=16,
        loss="wasserstein", gp=10.0, n_critic=5, lr=1e-3, betas=(0.0, 0.9), batch_size=64, steps=10_000,
    ),
    # Mirza, Osindero, "Conditional Generative Adversarial Nets" (2014), with convolutions: the class enters G by
    # conditional BatchNorm (de Vries et al. 2017) too, and D by projection (Miyato, Koyama 2018), not by concatenation.
    "cgan": Config(
        preset="cgan", image_size=None, network="dcgan64", conditional=True, g_width=32, d_width=32, lr=2e-3,
        batch_size=64, steps=10_000,
    ),
    # Huang et al., "The GAN is dead; long live the GAN! A Modern Baseline GAN" (2024): relativistic pairs, R1 and R2 at
    # every step, no normalization, Adam with beta1 = 0, burn-in. Smaller blocks and batch, a higher rate and a tanh.
    "r3gan": Config(
        preset="r3gan", image_size=None, network="resnet", g_norm="none", d_norm="none", g_width=16, d_width=16,
        loss="relativistic", r1=0.1, r2=0.1, lr=2e-3, betas=(0.0, 0.99), clip=2.0, burn_in=50_000, batch_size=64,
        steps=10_000,
    ),
    # Our own recipe, for minutes on a CPU (docs/presets.md): the layers of dcgan64, but narrow, ten times the paper's
    # learning rate, and groups of similar pictures instead of labels.
    "fast": Config(
        preset="fast", image_size=None, network="dcgan64", groups=128, mismatch=0.1, z_dim=192, augment="auto",
        g_width=32, d_width=16, lr=2e-3, batch_size=64, images=300_000, save_every=375,
    ),
    # Our own recipe for a folder of color pictures on a CPU (docs/presets.md): no discriminator, which would learn a
    # small set by heart; samples are drawn towards real pictures in the features of a frozen network.
    "match": Config(
        preset="match", image_size=None, network="upsample", loss="drifting", groups=64, z_dim=192, g_width=24,
        lr=1e-3, lr_end=0.1, betas=(0.0, 0.99), ema=10_000, batch_size=32, images=100_000, evaluate_every=350,
    ),
}  # fmt: skip
IMAGES_PER_MINUTE = 100_000
"""For how many images of 28x28 a planned minute counts. Two cores see 77,000 to 160,000 in a minute."""
LONG_RUN_IMAGES, VERY_LONG_RUN_IMAGES = 400_000, 1_000_000
"""Planned images from which a run of the default preset is long, and very long, and has other settings."""
LONG_RUN_SETTINGS: dict[str, Any] = {"d_norm": "none", "r1": 0.1, "penalty_every": 8}
"""Those of a long run: as good after a minute, better after four (docs/experiments.md)."""
VERY_LONG_RUN_SETTINGS = LONG_RUN_SETTINGS | {"groups": 256, "z_dim": 384, "batch_size": 128}
"""Those of a very long one: the groups are worse for a minute, and better after a quarter of an hour."""
COLOR_VERY_LONG_RUN_SETTINGS: dict[str, Any] = {"d_width": 32}
"""Besides, those of a very long one of color pictures: three digits in three colors are too much for a discriminator of
half the width, which is at its end after 2,000,000 images (docs/experiments.md)."""
NO_BATCH_NORM_LOSSES = ("minimax", "least-squares")
"""Objectives with which `fast` has no normalization in the discriminator, but short gradients: with BatchNorm some runs
with them never begin, and without both some lose the digits at twice the rate (docs/experiments.md)."""
NO_BATCH_NORM: dict[str, Any] = {"d_norm": "none", "clip": 2.0}
STEEPNESS_SETTINGS = {"gp", "r2", *LONG_RUN_SETTINGS}
"""Settings that decide how steep the discriminator becomes: if the user gives one of them, none is changed."""
NOTHING_GIVEN: Mapping[str, Any] = {}
LONG_RUN_PICTURES = 25_600
"""The least number of pictures to train on for both: 100 in each of the groups."""
COMPARED_PRESETS = ("vanilla", "dcgan", "wgan-gp", "cgan", "r3gan", "fast")
"""What `dcgan compare` compares by default: the recipes that the study's document names, and two more."""
PRESET_DESCRIPTIONS = {
    "fast": "the default, for a CPU: good digits in a minute; groups of similar pictures replace labels",
    "match": "a folder of color pictures on a CPU: samples match real pictures in frozen features",
    "vanilla": "the fully connected networks of the first GAN: any size, Adam 2e-4, 20,000 steps",
    "dcgan": "the study's network and settings: 28x28, BatchNorm, Adam 2e-4, 11,500 steps",
    "dcgan64": "Radford et al. (2016) as published, at 64x64; any size from 16 to 256",
    "wgan-gp": "Wasserstein critic with gradient penalty: more stable, five critic updates a step",
    "cgan": "conditional: you choose the class that is drawn; needs labels",
    "r3gan": "the modern objective: relativistic pairs, R1 and R2, no normalization",
}
"""A line for each preset in `dcgan train --help`."""


def configure(preset: str | os.PathLike[str] = DEFAULT_PRESET, **settings: Any) -> Config:
    """Return a preset with some of its settings replaced.

    Args:
        preset: a name in `PRESETS`, or the path of a run's `config.json`.
        **settings: fields of `Config`. A duration replaces whichever duration the preset has.

    Raises:
        UserError: an unknown preset or setting, a value that cannot work, or two durations.
    """
    unknown = [name for name in settings if name not in Config.__dataclass_fields__]
    if unknown:
        raise UserError(f"there is no setting {unknown[0]!r}{did_you_mean(unknown[0], Config.__dataclass_fields__)}")
    base = preset_config(os.fspath(preset), settings)
    settings = {name: plain_value(value) for name, value in settings.items()}
    if any(settings.get(name) is not None for name in DURATIONS):
        base = replace(base, **NO_DURATION)
    return replace(base, **settings)


def preset_config(preset: str, given: Mapping[str, Any] = NOTHING_GIVEN) -> Config:
    """Return the settings that a preset's name, or the path of a `config.json`, stands for.

    Args:
        preset: the name or the path.
        given: settings that will replace some of the preset's. With a loss of `NO_BATCH_NORM_LOSSES`, and nothing
            else that decides how steep the discriminator becomes, `fast` has no BatchNorm there.
    """
    if preset in PRESETS:
        is_affected = preset == DEFAULT_PRESET and given.get("loss") in NO_BATCH_NORM_LOSSES
        suitable = NO_BATCH_NORM if is_affected and not STEEPNESS_SETTINGS & given.keys() else {}
        return replace(PRESETS[preset], **suitable)
    if preset.endswith(".json"):
        path = expand_user(preset)
        if custom_parts := read_json(path).get("own"):
            name = custom_parts[0]
            raise UserError(f"{preset} is of a run with your own {name}: train again with dcgan.train({name}=...)")
        return _with_recorded_data(read_config(path), path.parent)
    if settings_path := _find_settings(preset):
        raise UserError(f"there is no preset {preset!r}, but a run: give {settings_path} for its settings")
    raise UserError(
        f"there is no preset {preset!r}{did_you_mean(preset, PRESETS)}; the presets are {', '.join(PRESETS)}, "
        "or a run's config.json"
    )


def _find_settings(name: str) -> Path | None:
    """Return the `config.json` of the run in a folder of this name; None if there is none."""
    path = expand_user(name) / "config.json"
    with suppress(OSError, ValueError):  # no file can have the name, or it holds no settings
        read_config(path)
        return path
    return None


def _with_recorded_data(config: Config, run: Path) -> Config:
    """Return the settings of a run with the path of its data, which only its checkpoint knows, if they are there."""
    try:
        path = read_json(run / "checkpoint" / "state.json").get("data_path")
    except UserError:
        return config
    # Of sets that are joined, some may have a name and no path.
    is_there = isinstance(path, str) and any(map(os.path.exists, split_specs(path)))
    return replace(config, data=str(path)) if is_there else config


def train_command(config: Config, extended_plan: int | None = None) -> str:
    """Return the shell command that trains with exactly these settings.

    Args:
        config: the settings.
        extended_plan: the images that a run was first planned for, if it was extended and its rates fell over that
            plan: then two commands train it again.
    """
    if extended_plan is not None:
        unit = next(name for name in DURATIONS if getattr(config, name) is not None)
        first = train_command(replace(config, **(NO_DURATION | {"images": extended_plan})))
        return f"{first} --out RUN && dcgan resume RUN --{unit} {getattr(config, unit)}"
    preset = config.preset if config.preset in PRESETS else "dcgan"
    base, words = PRESETS[preset], ["dcgan", "train", "--preset", preset]
    stated = NO_BATCH_NORM if preset == DEFAULT_PRESET and config.loss in NO_BATCH_NORM_LOSSES else {}
    for field in fields(config):
        value = getattr(config, field.name)
        is_default = value == getattr(base, field.name) and field.name not in stated
        if field.name == "preset" or is_default or value is None:
            continue
        flag = "--" + field.name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        elif field.name in ("logger", "data"):  # repeatable: the flag stands before each name
            words += [word for name in (split_specs(value) if field.name == "data" else value) for word in (flag, name)]
        else:
            words += [flag, *map(str, value if isinstance(value, tuple) else [value])]
    return shlex.join(words)
