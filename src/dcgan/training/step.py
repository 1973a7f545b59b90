"""One step of training, the same for every GAN: what differs between them is in the settings and the objective."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from dcgan.data.sampler import next_batch_indices, rank_share
from dcgan.devices import connect
from dcgan.images import to_float
from dcgan.rng import RandomSource, derive_seed
from dcgan.training import augment, losses, schedule
from dcgan.training.schedule import ScheduledSettings
from dcgan.training.state import State

Given = tuple[Tensor, ...]
"""What the networks are told besides z or pictures: nothing, or classes or groups int64 (N,)."""


@dataclass(frozen=True)
class Batch:
    """The batch of one update, and this device's part of it.

    Attributes:
        whole: pictures over all devices.
        part: which of them are this device's.
        weight: what a mean over them counts for in the mean over all devices: see `sampler.share`.
    """

    whole: int
    part: slice
    weight: float


def next_batch(state: State) -> Batch:
    """The batch that comes next: an epoch's last one is short."""
    n = len(state.data)
    whole = min(state.config.batch_size, n - state.images_seen % n)
    return Batch(whole, *rank_share(whole, state.fabric.global_rank, state.fabric.world_size))


def train_step(state: State) -> None:
    """One step: `n_critic` discriminator updates, then one generator update."""
    config, now = state.config, schedule.schedule_at(state.config, state.images_seen, state.first_plan)
    _set_rates(state, now)
    for k in range(config.n_critic):
        batch = next_batch(state)
        real, given = next_reals(state)
        # Only fakes that will serve the generator too need their graph kept.
        keep = config.share_z and k == config.n_critic - 1
        with nullcontext() if keep else torch.no_grad():
            fake = state.generator(_noise(state, batch, 2), *given)
        _update_discriminator(state, batch, real, fake.detach(), given, now.zero_centred)
        state.images_seen += batch.whole
    seen = batch.whole * config.n_critic
    if not config.share_z:
        if state.objective.is_paired:  # fresh reals for fresh fakes: the batch that the discriminator sees next
            batch = next_batch(state)
            real, given = next_reals(state)
        fake = state.generator(_noise(state, batch, 3), *given)
    update_generator(state, batch, real, fake, given)
    state.ema.update(state.generator, state.images_seen, seen, now.half_life)
    state.step += 1


def _set_rates(state: State, now: ScheduledSettings) -> None:
    for optimizer, lr in ((state.optimizer_g, now.lr), (state.optimizer_d, now.d_lr)):
        for group in optimizer.param_groups:
            group["lr"], group["betas"] = lr * state.lr_scale, (state.config.betas[0], now.beta2)


def _update_discriminator(
    state: State, batch: Batch, real: Tensor, fake: Tensor, given: Given, zero_centred: float
) -> None:
    config = state.config
    fake, real = _varied(state, batch, fake, 8), _varied(state, batch, real, 9)
    real.requires_grad_(config.r1 > 0)
    fake.requires_grad_(config.r2 > 0)
    fake_scores, real_scores = state.discriminator(fake, *given), state.discriminator(real, *given)
    loss = state.objective.discriminator(real_scores, fake_scores)
    if config.mismatch and state.classes > 1:
        wrong_scores = state.discriminator(real, _of_another_class(state, batch, *given))
        loss = torch.lerp(loss, state.objective.discriminator(real_scores, wrong_scores), config.mismatch)
    if config.r1:
        loss = loss + zero_centred * config.r1 * losses.zero_centred_penalty(real_scores, real)
    if config.r2:
        loss = loss + zero_centred * config.r2 * losses.zero_centred_penalty(fake_scores, fake)
    if config.gp:
        mix = _chance(state, batch, 6).uniform(len(real), 1, 1, 1)
        loss = loss + config.gp * losses.gradient_penalty(
            lambda images: state.discriminator(images, *given), real.detach(), fake.detach(), mix
        )
    with torch.no_grad():
        d_real, d_fake = state.objective.shown(real_scores).mean(), state.objective.shown(fake_scores).mean()
        right = (real_scores > fake_scores).float().mean()
        loss_d, d_real, d_fake, right = _over_devices(state, batch, loss, d_real, d_fake, right)
    state.optimizer_d.zero_grad()
    state.fabric.backward(loss * batch.weight)
    norm = _step_if_finite(state, state.optimizer_d, loss_d, 1)
    none = torch.zeros_like(norm)
    state.totals += torch.stack([loss_d, none, d_real, d_fake, right, norm, none, torch.ones_like(norm)])


def _of_another_class(state: State, batch: Batch, told: Tensor) -> Tensor:
    """For what each picture is told, (N,), another class, or some group of one: each as likely."""
    chance, each = _chance(state, batch, 16), max(1, getattr(state.generator, "groups", 0) // state.classes)
    turn, group = chance.integers(len(told), state.classes - 1)[:, 0] + 1, chance.integers(len(told), each)[:, 0]
    return (told // each + turn) % state.classes * each + group


def update_generator(state: State, batch: Batch, real: Tensor, fake: Tensor, given: Given) -> None:
    """One update of the generator for the fakes that it has just drawn, and reals for an objective that pairs them."""
    # Frozen, D passes gradients on to the fakes without computing its own weights' gradients, which nobody uses.
    state.discriminator.requires_grad_(False)
    scores = [state.discriminator(_varied(state, batch, fake, 10), *given)]
    if state.objective.is_paired:
        scores.append(state.discriminator(_varied(state, batch, real.detach(), 9), *given))
    loss = state.objective.generator(*scores)
    (loss_g,) = _over_devices(state, batch, loss)
    state.optimizer_g.zero_grad()
    state.fabric.backward(loss * batch.weight)
    norm = _step_if_finite(state, state.optimizer_g, loss_g, 3)
    state.discriminator.requires_grad_(True)
    # Weighted by the critic's updates, so that every column of the totals has the same divisor.
    state.totals[1] += loss_g * state.config.n_critic
    state.totals[6] += norm * state.config.n_critic


def _over_devices(state: State, batch: Batch, *means: Tensor) -> list[Tensor]:
    """Means over this device's pictures -> means over those of all devices, float32, without a graph.

    What is not finite on one of them is then known to all: none may step where another does not.
    """
    own = torch.stack([mean.detach().float() for mean in means])
    return list(connect.mean_over_ranks(state.fabric, own * batch.weight))


@torch.no_grad()
def _step_if_finite(state: State, optimizer: Optimizer, loss: Tensor, number: int) -> Tensor:
    """Step, unless the loss or a gradient is not finite, or one was not before; return the gradient's length.

    Nothing waits for the device: Adam is told by `found_inf`, a tensor there, to leave the weights and its moments as
    they are (torch's own way for gradients that overflow in 16 bits). `state.fault` remembers what was not finite
    first: `number` for the loss, `number` + 1 for the gradient.
    """
    grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    found = torch.where(loss.isfinite(), (~norm.isfinite()) * (number + 1.0), float(number))
    state.fault.copy_(torch.where(state.fault > 0, state.fault, found))
    inner: Any = getattr(optimizer, "optimizer", optimizer)  # Fabric's wrapper may be around it
    if state.config.clip and (usual := inner.usual_length()) is not None:
        # before the first step that was not skipped nothing is remembered, and nothing is shortened
        torch._foreach_mul_(grads, torch.where(usual > 0, (state.config.clip * usual / norm).clamp(max=1), 1.0))
    if inner.defaults["fused"]:
        inner.found_inf = state.fault.clamp(max=1)
        optimizer.step()
    elif not state.fault:  # on MPS, whose Adam is not fused, the host has to look
        optimizer.step()
    return norm


def next_reals(state: State) -> tuple[Tensor, Given]:
    """The real pictures that this device is due, (N, C, H, W), and their labels (N,) if the networks are told them."""
    batch, config, data = next_batch(state), state.config, state.data
    indices = next_batch_indices(len(data), config.batch_size, state.images_seen, config.seed, data.pixels.device)[
        batch.part
    ]
    images = reals(state, indices)
    if "flip" in config.augment:
        images = augment.random_flip(images, _chance(state, batch, 7))
    return images, () if state.told is None else (state.told[indices].to(state.fabric.device),)


def reals(state: State, indices: Tensor) -> Tensor:
    """Real pictures as the networks take them."""
    pixels = state.data.pixels[indices].to(state.fabric.device)
    return to_float(pixels).to(memory_format=torch.channels_last)


def _varied(state: State, batch: Batch, images: Tensor, purpose: int) -> Tensor:
    """Pictures as the discriminator sees them."""
    if "diffaugment" not in state.config.augment:
        return images
    varied = augment.diffaugment(images, _chance(state, batch, purpose))
    return varied.contiguous(memory_format=torch.channels_last)


def _noise(state: State, batch: Batch, purpose: int) -> Tensor:
    """Latents for training, (N, z_dim)."""
    return _chance(state, batch, purpose).normal(batch.whole, state.config.z_dim)


def _chance(state: State, batch: Batch, purpose: int) -> RandomSource:
    """Randomness from (seed, purpose, images seen): a resumed run draws what it would have drawn."""
    seed = derive_seed(state.config.seed, purpose, state.images_seen)
    source = torch.Generator(state.fabric.device).manual_seed(seed)
    return RandomSource(source, batch.whole, batch.part)
