"""The two networks and the objective of a run: from the settings, a saved model, or the user's own."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dcgan.config import Config
from dcgan.data.open import ImageSet
from dcgan.errors import UserError
from dcgan.models import build, groups
from dcgan.models.groups import GroupedGenerator
from dcgan.run.folder import RunFolder
from dcgan.sampling.model import Model, load
from dcgan.training import losses
from dcgan.training.losses import Objective


@dataclass(frozen=True)
class CustomParts:
    """A user's own parts of a run, each in the place of the one that the settings name."""

    generator: nn.Module | None = None
    discriminator: nn.Module | None = None
    loss: Objective | None = None

    @property
    def names(self) -> list[str]:
        """Which of them there are."""
        return [name for name in ("generator", "discriminator", "loss") if getattr(self, name) is not None]


NO_CUSTOM_PARTS = CustomParts()
"""Nothing of the user's own: everything is built from the settings."""


@dataclass(frozen=True)
class ChosenParts:
    """What a run consists of.

    Attributes:
        generator: with the weights that it starts from.
        discriminator: likewise.
        objective: what they play.
        told: the class or the group of each picture, int64 (N,), if the networks are told one.
    """

    generator: nn.Module
    discriminator: nn.Module
    objective: Objective
    told: Tensor | None


def choose_parts(config: Config, data: ImageSet, own: CustomParts, *, is_new: bool = True) -> ChosenParts:
    """The networks with the weights that they start from, what they play, and what they are told.

    Args:
        config: the settings.
        data: what they learn from.
        own: the user's own parts.
        is_new: whether a run begins. Of one that goes on the groups are in its state, and are not looked for.

    Raises:
        UserError: parts that cannot go together, or with the data.
    """
    if config.conditional and not data.classes:
        raise UserError(f"--conditional (preset cgan) needs labels, and {config.data} has none: use --no-conditional")
    start = None if config.init is None else load(config.init)
    count = config.groups if tells_groups(config, own) else 0
    if count and is_new:
        count = _suited(config, data, start)
    elif config.conditional and count % len(data.classes):
        raise UserError("the run is of an earlier version, which knew no groups within classes: train anew")
    if config.conditional and isinstance(own.generator, GroupedGenerator):
        raise UserError("a generator with groups of its own cannot be told classes: start from it, with --init")
    generator, discriminator = _networks(config, data, own, count)
    if start is not None:
        start_from(generator, start)
    told = data.labels if config.conditional else None
    if is_new and count:
        assert isinstance(generator, GroupedGenerator)
        if start is None:
            generator.centres.copy_(groups.find_centres(data.pixels, count, config.seed, told, generator.classes))
        told = generator.meet(data.pixels, told)
    objective = own.loss or losses.make_objective(config.loss, config.label_smoothing)
    if own.discriminator is None and own.loss is None:
        _check_bounded(config)
    _check_per_picture(config, discriminator)
    return ChosenParts(generator, discriminator, objective, told)


def tells_groups(config: Config, own: CustomParts) -> bool:
    """Whether the networks are told groups of look-alikes: networks of the user's own are not."""
    return config.groups > 0 and not (own.generator or own.discriminator)


def _suited(config: Config, data: ImageSet, start: Model | None) -> int:
    """How many groups the networks are told: as many as the model that they start from has, or as suit the data.

    Raises:
        UserError: that model's groups are not of these classes.
    """
    classes = len(data.classes) if config.conditional else 0
    if start is None or not start.generator.groups:
        return groups.group_count(len(data), config.groups, config.z_dim, classes)
    if classes not in (0, theirs := start.generator.classes):
        hint = "start from a model of these classes" + ("" if theirs else ", or use --no-conditional")
        raise UserError(
            f"--init {start.source} knows {theirs or 'no'} classes, and {config.data} has {classes}: {hint}"
        )
    return start.generator.groups


def _networks(config: Config, data: ImageSet, own: CustomParts, count: int) -> tuple[nn.Module, nn.Module]:
    if own.generator and own.discriminator:
        return own.generator, own.discriminator
    channels, height, width = data.pixels.shape[1:]
    classes = len(data.classes) if config.conditional else 0
    built = build.build_networks(config, (channels, height, width), classes, count)
    return own.generator or built[0], own.discriminator or built[1]


def start_from(generator: nn.Module, model: Model) -> None:
    """Give a generator the weights of a saved one.

    Raises:
        UserError: its weights have other names or shapes.
    """
    saved, mine = model.generator.state_dict(), generator.state_dict()
    for name in [*mine, *saved]:
        have, want = (tuple(weights[name].shape) if name in weights else None for weights in (saved, mine))
        if have != want:
            preset = model.trained.get("preset")
            hint = f"; it was trained with --preset {preset}" if preset else ""
            if hint and model.generator.groups != getattr(generator, "groups", 0):
                hint += f" --groups {model.generator.groups}"
            what = f"{name} is {have or 'missing'} there and {want or 'missing'} here"
            raise UserError(f"--init {model.source} does not fit this generator: {what}{hint}")
    generator.load_state_dict(saved)


def _check_bounded(config: Config) -> None:
    """A Wasserstein critic whose slope nothing bounds has no optimum: its score grows for ever."""
    bounded = config.gp or config.r1 or config.r2 or config.d_norm == "spectral"
    if config.loss == "wasserstein" and not bounded:
        raise UserError("--loss wasserstein needs a critic of bounded slope: use --gp 10 --d-norm layer")
    if config.loss == "wasserstein" and config.conditional and config.mismatch:
        raise UserError("--loss wasserstein does not bound what a wrong class costs: use --mismatch 0")


def _check_per_picture(config: Config, discriminator: nn.Module) -> None:
    """A penalty is on the slope of a score at its own picture; with BatchNorm a score depends on the whole batch."""
    penalties = [f"--{name}" for name in ("gp", "r1", "r2") if getattr(config, name)]
    if penalties and any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in discriminator.modules()):
        raise UserError(
            f"{penalties[0]} needs the slope at each picture alone, and BatchNorm in the discriminator mixes pictures: "
            "use --d-norm layer, instance, spectral or none"
        )


def check_same_parts(folder: RunFolder, own: CustomParts) -> None:
    """Refuse to go on with a run whose own parts are not all here again.

    Raises:
        UserError: it was started with others.
    """
    if (names := folder.custom_parts()) == own.names:
        return
    call = ", ".join([repr(str(folder.path)), *(f"{name}=..." for name in names)])
    what = f"your own {' and '.join(names)}" if names else "no parts of your own"
    raise UserError(f"{folder.path} trains {what}: go on with dcgan.resume({call})")


@torch.no_grad()
def try_out(generator: nn.Module, discriminator: nn.Module, z: Tensor, real: Tensor, given: tuple[Tensor, ...]) -> None:
    """Send two latents through a user's networks, in evaluation mode, so that nothing is learned or counted.

    Raises:
        UserError: pictures of another shape than the data's, or not one score for each.
    """
    modes = [(m, m.training) for network in (generator, discriminator) for m in network.modules()]
    generator.eval()
    discriminator.eval()
    try:
        pictures = generator(z[: len(real)], *given)
    except RuntimeError as error:
        what = f"the generator does not take latents {tuple(z[: len(real)].shape)}"
        raise UserError(f"{what}: give it an attribute z_dim, or say z_dim=... ({error})") from None
    if pictures.shape != real.shape:
        raise UserError(f"the generator draws {tuple(pictures.shape[1:])}, the pictures are {tuple(real.shape[1:])}")
    if (scores := discriminator(pictures, *given)).shape != (len(real), 1):
        raise UserError(f"the discriminator must give scores {(len(real), 1)}, not {tuple(scores.shape)}")
    for module, mode in modes:
        module.training = mode
