"""Tries a user's own networks and objective before anything is written, and refuses in one line what cannot train."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from dcgan.config import ScoreKind
from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.training.losses import Objective

OWN_SCORE_KINDS = tuple(kind for kind in get_args(ScoreKind) if kind != "none")
"""What the scores of a user's own objective may be."""
Z_DIM_HINT = "give it an attribute z_dim, or pass z_dim=..."


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
