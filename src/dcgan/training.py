"""Training: setup -> fit. One loop for every GAN; what differs between them comes in as data from the settings."""

import math
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from tqdm import tqdm

from dcgan import augment, checkpoint, latents, losses, models, parts, run, schedule
from dcgan.config import DURATIONS, NO_LENGTH, Config, Device, UserError, command, configure
from dcgan.data import Images, open_images
from dcgan.data.sampler import epoch_order, next_batch, share
from dcgan.ema import Ema, estimate_batchnorm
from dcgan.files import printable
from dcgan.images import grid, save_png, to_float
from dcgan.losses import Objective
from dcgan.parts import BUILT, Own
from dcgan.report import curves
from dcgan.run import RunFolder
from dcgan.sample import draw, grid_size, sheet
from dcgan.schedule import Now

Given = tuple[Tensor, ...]
"""What the networks are told besides z or pictures: nothing, or labels int64 (N,)."""
NORM_BATCHES = 16
"""Blocks of latents from which the averaged generator's BatchNorm statistics are estimated."""


class Stopped(KeyboardInterrupt):
    """A run was stopped by a signal and saved. Its text says how to go on."""

    def __init__(self, folder: RunFolder, number: int) -> None:
        super().__init__(f"stopped and saved; go on with: dcgan resume {shlex.quote(str(folder.path))}")
        self.status = 128 + number


@dataclass
class State:
    """Everything that changes while training, and what it is trained on."""

    config: Config
    fabric: Fabric
    data: Images
    objective: Objective
    generator: nn.Module
    discriminator: nn.Module
    optimizer_g: Optimizer
    optimizer_d: Optimizer
    ema: Ema
    own: Own
    totals: Tensor
    """Sums since the last log line: loss_d, loss_g, d_real, d_fake, updates. On the device, so that no step waits."""
    planned: int | None
    """Images after which training ends; None until a length in minutes has been measured."""
    step: int = 0
    images_seen: int = 0
    seconds: float = 0.0
    """Time spent on updates: logging, drawing and saving left out."""

    @property
    def classes(self) -> int:
        """How many classes the networks are told about; 0 if they are not."""
        return len(self.data.classes) if self.config.conditional else 0

    def parts(self) -> dict[str, nn.Module | Optimizer]:
        """What a saved state holds tensors of."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "ema": self.ema.network,
            "optimizer_g": self.optimizer_g,
            "optimizer_d": self.optimizer_d,
        }

    def counters(self) -> dict[str, Any]:
        """What a saved state holds besides."""
        names = ("step", "images_seen", "seconds", "planned")
        return {name: getattr(self, name) for name in names} | {"totals": self.totals.tolist(), "data": self.data.key}


def train(
    preset: str | os.PathLike[str] = "dcgan",
    *,
    out: str | os.PathLike[str] | None = None,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
    loss: str | Objective | None = None,
    **settings: Any,
) -> RunFolder:
    """Train a GAN, as `dcgan train` does.

    Args:
        preset: a name in `PRESETS`, or the path of a run's `config.json`.
        out: the run folder; by default the next free one in `runs/`.
        generator: a network of your own, (N, z_dim) -> (N, C, H, W) in [-1, 1], in the place of the preset's. Its
            `z_dim` is its attribute of that name, or the setting. It is trained in place.
        discriminator: a network of your own, (N, C, H, W) -> (N, 1). Trained in place too.
        loss: a name, or an `Objective` of your own.
        **settings: fields of `Config`, such as `data="mnist"`, `steps=500`, `lr=1e-3`. With `conditional=True` both
            networks are called with labels, int64 (N,), as a second argument.

    Returns:
        The run folder; `dcgan.load(run)` gives the trained model, unless its class is your own.

    Raises:
        UserError: a setting that cannot work, or a folder that cannot be written. Nothing is touched then.
        Stopped: Ctrl-C or SIGTERM, after the run was saved.
    """
    if isinstance(loss, str):
        settings["loss"] = loss
    own = Own(generator, discriminator, loss if isinstance(loss, Objective) else None)
    return train_config(configure(preset, **settings), Path(out) if out else None, own)


def train_config(config: Config, out: Path | None = None, own: Own = BUILT) -> RunFolder:
    """Train with these settings into a new run folder: see `train`."""
    if all(getattr(config, name) is None for name in DURATIONS):
        raise UserError("say how long to train: --steps, --images, --epochs or --minutes")
    state = setup(config, own)
    with _signals() as received:  # from here on there is a folder, and Ctrl-C leaves it whole
        folder = run.create(out, state.config, own.names)
        _say_data(state)
        if state.data.skipped:
            folder.write_skipped(state.data.skipped)
        save_png(grid(_first_reals(state)), folder.path / "reals.png")
        fit(state, folder, received)
    return folder


def resume(
    path: str | os.PathLike[str],
    *,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
    loss: Objective | None = None,
    device: str | None = None,
    **length: float | None,
) -> RunFolder:
    """Go on with a run just where it stopped, as `dcgan resume` does.

    Args:
        path: the run folder.
        generator: your own, if the run was started with one; its weights are read from the run.
        discriminator: the same.
        loss: the same.
        device: go on there instead of where the run was; other arithmetic, so no longer the same to the bit.
        **length: a new `steps`, `images`, `epochs` or `minutes`, counted from the run's start.

    Raises:
        UserError: no run, a damaged state, or a run that has already reached its length.
    """
    folder, own = run.open_run(Path(path)), Own(generator, discriminator, loss)
    parts.check_same(folder, own)
    config = folder.config()
    if device:
        config = replace(config, device=cast(Device, device))
    length = {name: value for name, value in length.items() if value is not None}
    if length:
        config = replace(config, **NO_LENGTH | length)
    state = setup(replace(config, init=None), own)  # the weights come from the state, not from where they began
    state.config = config
    saved = checkpoint.restore(folder.checkpoint, state.parts(), counters=state.counters())
    if (saved.get("data") or state.data.key) != state.data.key:
        raise UserError(f"{path} cannot go on: {printable(config.data)} holds other pictures now than when it began")
    planned = state.planned if length else saved["planned"]
    for name in ("step", "images_seen", "seconds"):
        setattr(state, name, saved[name])
    state.planned = planned
    state.totals += torch.tensor(saved["totals"], device=state.totals.device)
    if finished(state) or (length and state.seconds >= 60 * (config.minutes or math.inf)):
        raise UserError(f"{path} is finished at step {state.step}: give a larger --steps to go on")
    with _signals() as received:
        folder.cut_log(state.step, config.log_every)
        if length:
            folder.write_config(config, own.names)
        fit(state, folder, received)
    return folder


def setup(config: Config, own: Own = BUILT) -> State:
    """Open the data, build the networks and put everything on the device. Nothing is written yet."""
    fabric = _fabric(config)
    if not (own.generator and own.discriminator):
        models.check(config)  # before any picture is prepared for them
    data = open_images(config.data, size=config.size, channels=config.channels, fit=config.fit, seed=config.seed)
    generator, discriminator, objective = parts.choose(config, data, own)
    config = replace(config, z_dim=getattr(generator, "z_dim", config.z_dim))
    # Pictures stay where they are used, as bytes: a batch is an index away, and a whole epoch of MNIST is 47 MB.
    if _fits(data.pixels, fabric.device):
        data = replace(data, pixels=data.pixels.to(fabric.device))
    ema = Ema(generator)
    ema.network.to(fabric.device)
    now = schedule.at(config, 0)
    g, optimizer_g = _placed(generator, now.lr, config, fabric)
    d, optimizer_d = _placed(discriminator, now.d_lr, config, fabric)
    totals = torch.zeros(5, device=fabric.device)
    planned = planned_images(config, len(data))
    state = State(config, fabric, data, objective, g, d, optimizer_g, optimizer_d, ema, own, totals, planned)
    if own.generator or own.discriminator:
        real, given = _next_reals(state)
        parts.try_out(g, d, _noise(state, 2, 2), real[:2], tuple(labels[:2] for labels in given))
    return state


class Bf16(MixedPrecision):
    """bf16 where it is safe. It needs no gradient scaler, so backward is torch's own: penalties differentiate too."""

    backward = Precision.backward


def _fabric(config: Config) -> Fabric:
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    kind = next(name for name, is_here in here.items() if is_here) if config.device == "auto" else config.device
    if not here[kind]:
        raise UserError(f"there is no {kind} device here: use --device cpu, or leave --device out")
    precision = Bf16("bf16-mixed", kind) if config.precision == "bf16" else Precision()
    return Fabric(accelerator=kind, devices=1, plugins=[precision])


def _fits(pixels: Tensor, device: torch.device) -> bool:
    """Whether a set may take its place in a device's memory: half of what is free is left to the networks."""
    if device.type == "cuda":
        return pixels.nbytes < torch.cuda.mem_get_info(device)[0] / 2
    if device.type == "mps":
        return pixels.nbytes < torch.mps.recommended_max_memory() / 2
    return True


def _say_data(state: State) -> None:
    """Say once what the data is and what became of it; nothing where it is used just as it is."""
    data = state.data
    n, (channels, height, width) = len(data), data.pixels.shape[1:]
    if data.original != f"{height}x{width}":
        print(
            f"{data.name}: {n:,} pictures of {data.original}, {channels} channel{'s' * (channels > 1)}, resized to "
            f"{height}x{width} ({state.config.fit}), which the network {state.config.network} draws",
            file=sys.stderr,
        )
    if data.skipped:
        name, why = data.skipped[0]
        print(
            f"{data.name}: {len(data.skipped):,} files cannot be used and are listed in skipped.json, such as "
            f"{name} ({why})",
            file=sys.stderr,
        )


def _placed(network: nn.Module, lr: float, config: Config, fabric: Fabric) -> tuple[nn.Module, Optimizer]:
    """Put a network on the device, with its optimizer."""
    # channels_last and the fused Adam together: 96 -> 81 ms a step (batch 128, 2 cores; docs/experiments.md)
    network = network.to(memory_format=torch.channels_last)
    fused = fabric.device.type in ("cpu", "cuda")
    placed = fabric.setup(network, Adam(network.parameters(), lr=lr, betas=config.betas, fused=fused))
    return cast(tuple[nn.Module, Optimizer], placed)


def planned_images(config: Config, n: int) -> int | None:
    """Images after which training ends, for `n` pictures in the set; None for a length in minutes, not yet measured."""
    if config.steps is not None:
        epochs, rest = divmod(config.steps * config.n_critic, math.ceil(n / config.batch_size))
        return epochs * n + rest * config.batch_size
    if config.epochs is not None:
        return math.ceil(config.epochs * n)
    return config.images


def fit(state: State, folder: RunFolder, received: Sequence[int] = ()) -> None:
    """Train until the planned end, logging, drawing and saving on the way.

    Args:
        state: what is trained.
        folder: where it is written to.
        received: signals that ask for a stop, in the order in which they arrive.

    Raises:
        Stopped: a signal arrived; the run was saved.
    """
    config = state.config
    if state.step == 0:
        save(state, folder)
    with _bar(state, folder) as bar:
        while not finished(state) and not received:
            begin = time.perf_counter()
            update(state)
            if state.fabric.device.type == "cuda" and (state.planned is None or state.step % config.log_every == 0):
                torch.cuda.synchronize()  # or the clock would time the asking, not the work
            state.seconds += time.perf_counter() - begin
            if state.planned is None:
                state.planned = _measured_plan(state)
            bar.total = state.planned
            bar.update(state.images_seen - bar.n)
            if state.step % config.log_every == 0:
                _log(state, folder, bar)
            if state.step % config.save_every == 0:
                save(state, folder)
        if finished(state) and state.step % config.log_every:
            _log(state, folder, bar)
        if state.step % config.save_every:
            save(state, folder)
    curves(list(folder.lines()), folder.path / "curves.png", is_bce=state.objective.is_bce)
    if received and not finished(state):
        raise Stopped(folder, received[0])


def finished(state: State) -> bool:
    """Whether the planned number of images has been seen."""
    return state.planned is not None and state.images_seen >= state.planned


def update(state: State) -> None:
    """One step: `n_critic` discriminator updates, then one generator update."""
    config, now = state.config, schedule.at(state.config, state.images_seen)
    _set_rates(state, now)
    for k in range(config.n_critic):
        real, given = _next_reals(state)
        count = len(_next_indices(state))
        # Only fakes that will serve the generator too need their graph kept.
        keep = config.share_z and k == config.n_critic - 1
        with nullcontext() if keep else torch.no_grad():
            fake = state.generator(_noise(state, len(real), 2), *given)
        _update_discriminator(state, real, fake.detach(), given, now.zero_centred)
        state.images_seen += count
    if not config.share_z:
        if state.objective.is_paired:  # fresh reals for fresh fakes: the batch that the discriminator sees next
            real, given = _next_reals(state)
        fake = state.generator(_noise(state, len(real), 3), *given)
    _update_generator(state, real, fake, given)
    state.ema.update(state.generator, state.images_seen, count * config.n_critic, now.half_life)
    state.step += 1


def _set_rates(state: State, now: Now) -> None:
    for optimizer, lr in ((state.optimizer_g, now.lr), (state.optimizer_d, now.d_lr)):
        for group in optimizer.param_groups:
            group["lr"], group["betas"] = lr, (state.config.betas[0], now.beta2)


def _update_discriminator(state: State, real: Tensor, fake: Tensor, given: Given, zero_centred: float) -> None:
    config = state.config
    fake, real = _varied(state, fake, 8), _varied(state, real, 9)
    real.requires_grad_(config.r1 > 0)
    fake.requires_grad_(config.r2 > 0)
    fake_scores, real_scores = state.discriminator(fake, *given), state.discriminator(real, *given)
    loss = state.objective.discriminator(real_scores, fake_scores)
    if config.r1:
        loss = loss + zero_centred * config.r1 * losses.zero_centred_penalty(real_scores, real)
    if config.r2:
        loss = loss + zero_centred * config.r2 * losses.zero_centred_penalty(fake_scores, fake)
    if config.gp:
        mix = torch.rand(len(real), 1, 1, 1, generator=_source(state, 6), device=real.device)
        loss = loss + config.gp * losses.gradient_penalty(
            lambda images: state.discriminator(images, *given), real.detach(), fake.detach(), mix
        )
    state.optimizer_d.zero_grad()
    state.fabric.backward(loss)
    state.optimizer_d.step()
    with torch.no_grad():
        d_real, d_fake = state.objective.shown(real_scores).mean(), state.objective.shown(fake_scores).mean()
        state.totals += torch.stack([loss, torch.zeros_like(loss), d_real, d_fake, torch.ones_like(loss)])


def _update_generator(state: State, real: Tensor, fake: Tensor, given: Given) -> None:
    # Frozen, D passes gradients on to the fakes without computing its own weights' gradients, which nobody uses.
    state.discriminator.requires_grad_(False)
    scores = [state.discriminator(_varied(state, fake, 10), *given)]
    if state.objective.is_paired:
        scores.append(state.discriminator(_varied(state, real.detach(), 9), *given))
    loss = state.objective.generator(*scores)
    state.optimizer_g.zero_grad()
    state.fabric.backward(loss)
    state.optimizer_g.step()
    state.discriminator.requires_grad_(True)
    # Weighted by the critic's updates, so that every column of the totals has the same divisor.
    state.totals[1] += loss.detach() * state.config.n_critic


def _next_indices(state: State) -> Tensor:
    """The batch that is due, over all devices."""
    return next_batch(len(state.data), state.config.batch_size, state.images_seen, state.config.seed)


def _next_reals(state: State) -> tuple[Tensor, Given]:
    """The real pictures that this device is due, (N, C, H, W), and their labels (N,) if the networks are told them."""
    indices = share(_next_indices(state), state.fabric.global_rank, state.fabric.world_size)
    if not state.classes:
        return _reals(state, indices), ()
    assert state.data.labels is not None
    return _reals(state, indices), (state.data.labels[indices].to(state.fabric.device),)


def _reals(state: State, indices: Tensor) -> Tensor:
    """Real pictures as the networks take them, some of them mirrored where that is asked for."""
    pixels = state.data.pixels[indices.to(state.data.pixels.device)].to(state.fabric.device)
    images = to_float(pixels).to(memory_format=torch.channels_last)
    return augment.flip(images, _source(state, 7)) if "flip" in state.config.augment else images


def _varied(state: State, images: Tensor, purpose: int) -> Tensor:
    """Pictures as the discriminator sees them."""
    if "diffaugment" not in state.config.augment:
        return images
    return augment.diffaugment(images, _source(state, purpose)).contiguous(memory_format=torch.channels_last)


def _first_reals(state: State) -> Any:
    pixels = state.data.pixels[epoch_order(len(state.data), state.config.seed, 0)[: grid_size(0)]]
    return pixels.permute(0, 2, 3, 1).cpu().numpy()


def _noise(state: State, n: int, purpose: int) -> Tensor:
    """Latents for training, (n, z_dim)."""
    return torch.randn(n, state.config.z_dim, generator=_source(state, purpose), device=state.fabric.device)


def _source(state: State, purpose: int) -> torch.Generator:
    """Randomness from (seed, purpose, images seen): a resumed run draws what it would have drawn."""
    seed = latents.derive(state.config.seed, purpose, state.images_seen)
    return torch.Generator(state.fabric.device).manual_seed(seed)


def averaged_generator(state: State) -> nn.Module:
    """The generator that is drawn from and saved: averaged weights, with BatchNorm statistics of their own."""
    network = state.ema.network
    if not state.config.ema:
        network.load_state_dict(state.generator.state_dict())
        return network.eval()
    for mine, theirs in zip(network.buffers(), state.generator.buffers(), strict=True):
        mine.copy_(theirs)  # what is not averaged, such as the vectors of spectral normalisation
    seed, n = latents.derive(state.config.seed, 4), NORM_BATCHES * latents.BLOCK
    z, labels = latents.noise(seed, n, state.config.z_dim), latents.cycle(n, state.classes)
    inputs = [t.to(state.fabric.device) for t in (z, labels) if t is not None]
    estimate_batchnorm(network, zip(*(torch.split(t, latents.BLOCK) for t in inputs), strict=True))
    return network


def save(state: State, folder: RunFolder) -> None:
    """Write the grid of fixed latents, the model and the state.

    Raises:
        UserError: a weight is not finite. Nothing is written then: the state before it is kept.
    """
    if not all(bool(p.isfinite().all()) for p in (*state.generator.parameters(), *state.discriminator.parameters())):
        raise _not_finite(state, folder)
    config, network, classes = state.config, averaged_generator(state), state.classes
    n = grid_size(classes)
    pixels = draw(network, latents.noise(config.seed, n, config.z_dim), latents.cycle(n, classes))
    save_png(sheet(pixels, classes), folder.samples / f"{state.images_seen:08d}.png")
    trained = {
        "preset": config.preset,
        "data": printable(config.data),
        "step": state.step,
        "images_seen": state.images_seen,
        "averaged": config.ema > 0,
        "command": None if state.own.names else printable(command(config)),
    }
    if classes:
        trained["classes"] = list(state.data.classes)
    models.save_generator(network, folder.model, trained)
    checkpoint.save(folder.checkpoint, state.parts(), state.counters())


def _log(state: State, folder: RunFolder, bar: "tqdm[Any]") -> None:
    *sums, count = state.totals.tolist()  # the only place where the host waits for the device
    if state.step % state.config.log_every == 0:
        state.totals.zero_()  # but not at an end off the beat: a run that is extended goes on with the sum
    loss_d, loss_g, d_real, d_fake = (value / count for value in sums)
    values = {"loss_d": loss_d, "loss_g": loss_g, "d_real": d_real, "d_fake": d_fake}
    if not all(map(math.isfinite, values.values())):
        raise _not_finite(state, folder)
    folder.append({"step": state.step, "images_seen": state.images_seen, "seconds": round(state.seconds, 3), **values})
    text = f"Loss_D {loss_d:.3f}, Loss_G {loss_g:.3f}, D(x) {d_real:.3f}, D(G(z)) {d_fake:.3f}"
    if state.objective.is_bce:
        text += f", from 1/2 {d_real - 0.5:+.3f} {d_fake - 0.5:+.3f}"
    bar.set_postfix_str(text, refresh=False)


def _not_finite(state: State, folder: RunFolder) -> UserError:
    return UserError(
        f"the numbers are not finite any more at step {state.step}: lower --lr; "
        f"the last good state is in {folder.checkpoint}"
    )


def _measured_plan(state: State) -> int | None:
    """A length in minutes, as images: fixed once, from the speed over the first seconds."""
    budget = 60 * (state.config.minutes or 0)
    if state.seconds < min(5.0, budget / 10):
        return None
    return round(state.images_seen * budget / state.seconds)


def _bar(state: State, folder: RunFolder) -> "tqdm[Any]":
    # In a log file a line every ten seconds is enough; on a terminal the bar moves as one looks at it.
    wait = 0.5 if os.isatty(2) else 10
    return tqdm(
        total=state.planned,
        initial=state.images_seen,
        desc=folder.path.name,
        unit="img",
        unit_scale=True,
        mininterval=wait,
    )


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM instead of being ended by them; a second Ctrl-C ends at once.

    Python delivers signals to the main thread only; in another thread (a server's, say) nothing is caught.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    kept: dict[signal.Signals, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            kept[number] = signal.signal(number, remember)
    except ValueError:  # not in the main thread
        pass
    try:
        yield received
    finally:
        for caught, handler in kept.items():
            signal.signal(caught, handler)
