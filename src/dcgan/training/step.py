"""One step of training, the same for every GAN: what differs between them is in the settings and the objective."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dcgan.data.sampler import next_part_indices, part_share, rank_share
from dcgan.devices.batch import Batch
from dcgan.devices.connect import mean_over_ranks
from dcgan.images import to_float
from dcgan.rng import RandomPurpose, RandomSource, SeparatePurpose, derive_seed, derive_separate_seed
from dcgan.training import losses
from dcgan.training.augment import apply_augmentations, find_augmentations
from dcgan.training.matching import MatchedSamples, Matcher
from dcgan.training.recording import StepParts
from dcgan.training.schedule import ScheduledSettings, schedule_at
from dcgan.training.sliced import SlicedRandom
from dcgan.training.state import State

Condition = tuple[Tensor, ...]
"""What the networks are given besides z or pictures: nothing, or classes or groups int64 (N,)."""
D_LOSS_FAULT, G_LOSS_FAULT = 1, 3
"""Numbers of the losses in `recovery.FAULTS`. The number of each gradient is one more."""
LOSS_G_COLUMN, GRAD_G_COLUMN = 1, 6
"""Columns of `StepSums.totals` that a generator update adds to."""


def next_batch(state: State) -> Batch:
    """Return the next batch. The last one of an epoch is shorter."""
    n, seen, rank = state.picture_count, state.progress.images_seen, state.fabric.global_rank
    size = min(state.config.batch_size, n - seen % n)
    if state.part_sizes:
        return Batch(state.fabric, size, *part_share(state.part_sizes, size, seen, rank))
    return Batch(state.fabric, size, *rank_share(size, rank, state.fabric.world_size))


def train_step(state: State) -> None:
    """Do one step: the updates of the networks, then that of the averaged generator."""
    progress = state.progress
    schedule = schedule_at(state.config, progress.images_seen, progress.first_plan)
    _set_learning_rates(state, schedule)
    first = progress.images_seen
    if state.matcher is None:
        parts: StepParts[Any] = StepParts(partial(_adversarial_updates, state, schedule))
    else:
        parts = _matching_parts(state, state.matcher)
    if state.recorder is not None and _has_whole_batches(state) and not _is_rare(state):
        state.recorder.run((schedule.beta2, schedule.penalty_scale), progress, parts)
    else:
        with _seeded_layers(state):
            parts.run()
    new_images = progress.images_seen - first
    state.ema.update(state.generator, progress.images_seen, new_images, schedule.half_life)
    progress.step += 1


@contextmanager
def _seeded_layers(state: State) -> Iterator[None]:
    """Seed what layers of the user's own networks draw, such as dropout, by the images seen, as all else is seeded.

    Layers of this package draw nothing from torch's own random state.
    """
    if not state.has_own_networks:
        yield
        return
    device, path = state.fabric.device, (state.progress.images_seen, state.fabric.global_rank)
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(derive_separate_seed(state.config.seed, SeparatePurpose.OWN_LAYERS, *path))
        yield


def _has_whole_batches(state: State) -> bool:
    """Return whether the end of the epoch shortens no batch of the next step.

    With a discriminator, the batch after it counts too: a paired objective takes it for the generator's update.
    """
    n, config = state.picture_count, state.config
    batches = 1 if state.matcher is not None else config.n_critic + 1
    return state.progress.images_seen % n + batches * config.batch_size <= n


def _is_rare(state: State) -> bool:
    """Return whether the next step has penalties that most steps do not have."""
    return state.config.penalty_every > 1 and _has_penalties(state)


def _has_penalties(state: State) -> bool:
    """Return whether R1 and R2, where they have a weight, are added in the next step."""
    return state.progress.step % state.config.penalty_every == 0


def _adversarial_updates(state: State, schedule: ScheduledSettings) -> None:
    """Do `n_critic` discriminator updates, then one generator update."""
    config, progress = state.config, state.progress
    penalty_scale = schedule.penalty_scale * config.penalty_every if _has_penalties(state) else 0.0
    for k in range(config.n_critic):
        batch = next_batch(state)
        reals, condition = next_reals(state)
        # The graph of fakes is needed only if the generator's update uses them too.
        keeps_graph = config.share_z and k == config.n_critic - 1
        with nullcontext() if keeps_graph else torch.no_grad():
            fakes = state.generator(_latents(state, batch, RandomPurpose.D_LATENTS), *condition)
        update_discriminator(state, batch, reals, fakes.detach(), condition, penalty_scale)
        progress.images_seen += batch.size
    if not config.share_z:
        if state.objective.is_paired:  # new reals for new fakes: the batch that the discriminator sees next
            batch = next_batch(state)
            reals, condition = next_reals(state)
        fakes = state.generator(_latents(state, batch, RandomPurpose.G_LATENTS), *condition)
    update_generator(state, batch, reals, fakes, condition)


def _matching_parts(state: State, matcher: Matcher) -> StepParts[MatchedSamples]:
    """Return one generator update without a discriminator: see `matching`."""
    batch = next_batch(state)

    def draw() -> MatchedSamples:
        reals, condition = next_reals(state)
        z = _latents(state, batch, RandomPurpose.G_LATENTS)
        samples = state.generator(z, *condition)
        groups = condition[0] if condition else torch.zeros(len(z), dtype=torch.int64, device=z.device)
        with torch.no_grad():
            positions = cast(Any, state.generator).appearance(z, groups)
            goals = matcher.find_goals(batch.gather(positions), batch.gather(groups))
        return matcher.compare_features(batch, samples, batch.gather(reals), goals)

    def compare_pixels(matched: MatchedSamples) -> None:
        seed = derive_separate_seed(state.config.seed, SeparatePurpose.MATCHING_FILTERS, state.progress.images_seen)
        matcher.compare_pixels(batch, matched, SlicedRandom.seeded(seed, state.fabric.device))

    def update(matched: MatchedSamples) -> None:
        state.optimizer_g.zero_grad()
        # The gradients of the weights become the mean over the devices, and those of the samples add up to the batch's.
        state.fabric.backward(matched.samples, matched.gradient * state.fabric.world_size)
        matched.samples = matched.samples.detach()  # a recording keeps them, and shall not keep their graph
        norm = _step_if_finite(state, state.optimizer_g, matched.loss, G_LOSS_FAULT)
        state.sums.totals[LOSS_G_COLUMN] += matched.loss
        state.sums.totals[GRAD_G_COLUMN] += norm
        state.sums.totals[-1] += 1
        state.progress.images_seen += batch.size

    return StepParts(draw, compare_pixels, update)


def _set_learning_rates(state: State, schedule: ScheduledSettings) -> None:
    for optimizer, lr in ((state.optimizer_g, schedule.lr), (state.optimizer_d, schedule.d_lr)):
        for group in optimizer.param_groups if optimizer is not None else ():
            group["betas"] = (state.config.betas[0], schedule.beta2)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr * state.progress.lr_scale)
            else:
                group["lr"] = lr * state.progress.lr_scale


def update_discriminator(
    state: State, batch: Batch, reals: Tensor, fakes: Tensor, condition: Condition, penalty_scale: float
) -> None:
    """Do one update of the discriminator.

    Args:
        state: what is trained.
        batch: the batch that the pictures belong to.
        reals: real pictures (N, C, H, W) in [-1, 1].
        fakes: as many generated ones, without a graph.
        condition: what the networks are given besides.
        penalty_scale: factor on the weights of R1 and R2.
    """
    config, objective = state.config, state.objective
    r1, r2 = penalty_scale * config.r1, penalty_scale * config.r2
    discriminator, optimizer = state.adversary
    fakes = _augmented(state, batch, fakes, RandomPurpose.DIFFAUGMENT_D_FAKES)
    reals = _augmented(state, batch, reals, RandomPurpose.DIFFAUGMENT_REALS)
    reals.requires_grad_(r1 > 0)
    fakes.requires_grad_(r2 > 0)
    fake_scores = discriminator(fakes, *condition)
    real_scores, mismatch_scores = _score_reals(state, batch, reals, condition)
    loss = objective.discriminator(real_scores, fake_scores)
    if mismatch_scores is not None:
        loss = torch.lerp(loss, objective.discriminator(real_scores, mismatch_scores), config.mismatch)
    if r1:
        loss = loss + r1 * losses.zero_centered_penalty(real_scores, reals)
    if r2:
        loss = loss + r2 * losses.zero_centered_penalty(fake_scores, fakes)
    if config.gp:
        share = _random(state, batch, RandomPurpose.GRADIENT_PENALTY).uniform(len(reals), 1, 1, 1)
        loss = loss + config.gp * losses.gradient_penalty(
            lambda images: discriminator(images, *condition), reals.detach(), fakes.detach(), share
        )
    with torch.no_grad():
        d_real = objective.readable_scores(real_scores).mean()
        d_fake = objective.readable_scores(fake_scores).mean()
        d_right = (real_scores > fake_scores).float().mean()
        loss_d, d_real, d_fake, d_right = _means_over_devices(state, batch, loss, d_real, d_fake, d_right)
    optimizer.zero_grad()
    state.fabric.backward(loss * batch.weight)
    norm = _step_if_finite(state, optimizer, loss_d, D_LOSS_FAULT)
    zero = torch.zeros_like(norm)
    state.sums.totals += torch.stack([loss_d, zero, d_real, d_fake, d_right, norm, zero, torch.ones_like(norm)])


def _score_reals(state: State, batch: Batch, reals: Tensor, condition: Condition) -> tuple[Tensor, Tensor | None]:
    """Return the scores of real pictures, (N, 1), and those of the same pictures with wrong classes, if they are used.

    A discriminator that can score a picture as several classes at once computes its features once.
    """
    discriminator, _ = state.adversary
    if not (state.config.mismatch and state.class_count > 1):
        return discriminator(reals, *condition), None
    (classes,) = condition
    others = _other_classes(state, batch, classes)
    if getattr(discriminator, "scores_several_classes", False):
        scores = discriminator(reals, torch.stack([classes, others], 1))
        return scores[:, :1], scores[:, 1:]
    return discriminator(reals, classes), discriminator(reals, others)


def _other_classes(state: State, batch: Batch, conditions: Tensor) -> Tensor:
    """Return for each condition (N,) another class, or a group of another class, all equally likely."""
    random = _random(state, batch, RandomPurpose.WRONG_CLASSES)
    groups_per_class = max(1, getattr(state.generator, "groups", 0) // state.class_count)
    offset = random.integers(len(conditions), state.class_count - 1)[:, 0] + 1
    group = random.integers(len(conditions), groups_per_class)[:, 0]
    return (conditions // groups_per_class + offset) % state.class_count * groups_per_class + group


def update_generator(state: State, batch: Batch, reals: Tensor, fakes: Tensor, condition: Condition) -> None:
    """Do one update of the generator.

    Args:
        state: what is trained.
        batch: the batch that the pictures belong to.
        reals: real pictures (N, C, H, W), used only by an objective that pairs them with the fakes.
        fakes: pictures that the generator has just drawn, with their graph.
        condition: what the networks are given besides.
    """
    discriminator, _ = state.adversary
    with _frozen(discriminator):
        scores = [discriminator(_augmented(state, batch, fakes, RandomPurpose.DIFFAUGMENT_G_FAKES), *condition)]
        if state.objective.is_paired:
            augmented_reals = _augmented(state, batch, reals.detach(), RandomPurpose.DIFFAUGMENT_REALS)
            scores.append(discriminator(augmented_reals, *condition))
        loss = state.objective.generator(*scores)
        (loss_g,) = _means_over_devices(state, batch, loss)
        state.optimizer_g.zero_grad()
        state.fabric.backward(loss * batch.weight)
    norm = _step_if_finite(state, state.optimizer_g, loss_g, G_LOSS_FAULT)
    # Weighted by the number of discriminator updates, so that every column of the totals has the same divisor.
    state.sums.totals[LOSS_G_COLUMN] += loss_g * state.config.n_critic
    state.sums.totals[GRAD_G_COLUMN] += norm * state.config.n_critic


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Freeze a network: it passes gradients on without computing those of its own weights, which nobody needs.

    Weights that were frozen before, by a user who trains only a part of a network, stay frozen.
    """
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in trained:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trained:
            weight.requires_grad_(True)


def _means_over_devices(state: State, batch: Batch, *means: Tensor) -> list[Tensor]:
    """Return means over this device's pictures as means over those of all devices, float32, without a graph.

    A value that is not finite on one device is then known to all: no device may step if another does not.
    """
    own = torch.stack([mean.detach().float() for mean in means])
    return list(mean_over_ranks(state.fabric, own * batch.weight))


@torch.no_grad()
def _step_if_finite(state: State, optimizer: Optimizer, loss: Tensor, fault_number: int) -> Tensor:
    """Step, unless the loss or a gradient is not finite or a former one was not; return the norm of the gradient.

    Nothing waits for the device. The tensor `found_inf` makes Adam leave the weights and its moments as they are, which
    is torch's own way for gradients that overflow in 16 bits. `sums.fault` keeps the first fault: `fault_number` for
    the loss, `fault_number` + 1 for the gradient.
    """
    fault = state.sums.fault
    grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    own_fault = torch.where(loss.isfinite(), (~norm.isfinite()) * (fault_number + 1.0), float(fault_number))
    fault.copy_(torch.where(fault > 0, fault, own_fault))
    adam: Any = getattr(optimizer, "optimizer", optimizer)  # Fabric may have wrapped it
    if state.config.clip and (usual_norm := adam.usual_norm()) is not None:
        # Before the first step that was not skipped there is no usual norm, and nothing is shortened.
        factor = torch.where(usual_norm > 0, (state.config.clip * usual_norm / norm).clamp(max=1), 1.0)
        torch._foreach_mul_(grads, factor)
    if adam.defaults["fused"]:
        adam.found_inf = fault.clamp(max=1)
        optimizer.step()
    elif not fault:  # on MPS Adam is not fused, and the host has to look
        optimizer.step()
    return norm


def next_reals(state: State) -> tuple[Tensor, Condition]:
    """Return this device's next real pictures, (N, C, H, W) in [-1, 1], and their conditions (N,), if there are any."""
    batch, config, seen, device = next_batch(state), state.config, state.progress.images_seen, state.data.pixels.device
    if state.part_sizes:
        rank = state.fabric.global_rank
        indices = next_part_indices(state.part_sizes, batch.size, seen, config.seed, rank, device)
    else:
        find_indices = state.batch_indices if state.recorder is None else state.recorder.indices
        indices = find_indices(seen)[batch.part]
    images = load_reals(state, indices)
    if _is_augmented(state, only_reals=True):
        images = apply_augmentations(config.augment, images, _random(state, batch, RandomPurpose.FLIP), only_reals=True)
    return images, () if state.conditions is None else (state.conditions[indices].to(state.fabric.device),)


def load_reals(state: State, indices: Tensor) -> Tensor:
    """Return real pictures as the networks take them: float32 (N, C, H, W) in [-1, 1], on the device."""
    pixels = state.data.pixels[indices].to(state.fabric.device)
    return to_float(pixels).to(memory_format=torch.channels_last)


def _is_augmented(state: State, *, only_reals: bool) -> bool:
    return any(augmentation.only_reals == only_reals for augmentation in find_augmentations(state.config.augment))


def _augmented(state: State, batch: Batch, images: Tensor, purpose: RandomPurpose) -> Tensor:
    """Return pictures (N, C, H, W) in [-1, 1] as the discriminator sees them."""
    if not _is_augmented(state, only_reals=False):
        return images
    random = _random(state, batch, purpose)
    augmented = apply_augmentations(state.config.augment, images, random, only_reals=False)
    return augmented.contiguous(memory_format=torch.channels_last)


def _latents(state: State, batch: Batch, purpose: RandomPurpose) -> Tensor:
    """Return latents for training, (N, z_dim)."""
    return _random(state, batch, purpose).normal(batch.size, state.config.z_dim)


def _random(state: State, batch: Batch, purpose: RandomPurpose) -> RandomSource:
    """Return random numbers that follow from (seed, purpose, images seen): a resumed run draws the same ones."""
    seen = state.progress.images_seen
    if state.recorder is not None:
        return RandomSource(state.recorder.generator(purpose, seen), batch.size, batch.part)
    seed = derive_seed(state.config.seed, purpose, seen)
    return RandomSource(torch.Generator(state.fabric.device).manual_seed(seed), batch.size, batch.part)
