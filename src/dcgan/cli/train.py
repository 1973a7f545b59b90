"""Commands that train: `train`, `resume`, `verify-resume`."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import FlagCreatePairsOff, Positional, arg

from dcgan.cli.result import Result
from dcgan.config import DURATIONS, Config, Device
from dcgan.data import mnist
from dcgan.devices.launcher import is_first_process
from dcgan.errors import UserError
from dcgan.system.install import find_hidden_command

if TYPE_CHECKING:
    from dcgan.run.folder import RunFolder


@dataclass(frozen=True)
class Train:
    """Train a GAN into a run folder. No flag is needed: the default is built-in MNIST with the preset `fast`."""

    config: Annotated[Config, arg(name="")]
    out: Path | None = None
    """The run folder; by default the next free one in runs/."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result | None:
        if self.config.devices == 1:  # on several devices other processes need the data
            mnist.unpack_in_background(self.config.data)
        return _result(self._train())

    def _train(self) -> "RunFolder":
        from dcgan.training.start import train_config

        return train_config(self.config, self.out)


@dataclass(frozen=True)
class TrainByData(Train):
    """The same without `--preset`: the data decide on it.

    Attributes:
        settings: what the user's flags set.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)

    def _train(self) -> "RunFolder":
        from dcgan.training.start import train

        return train(out=self.out, **self.settings)


@dataclass(frozen=True)
class Resume:
    """Continue a run exactly where it stopped. A duration counts from the run's start."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run folder."""
    data: str | None = None
    """Where the same pictures are now, if they have moved."""
    steps: int | None = None
    """Continue until this many steps (generator updates)."""
    images: int | None = None
    """Continue until the discriminator has seen this many real images."""
    epochs: float | None = None
    """Continue until this many passes over the data."""
    minutes: float | None = None
    """Continue until this much training time."""
    device: Device | None = None
    """Continue there instead of where the run was. The arithmetic then differs, so the result is no longer the same to
    the bit."""
    devices: int | None = None
    """Continue on this many devices of this machine."""
    num_nodes: int | None = None
    """Continue on this many machines."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result | None:
        from dcgan.training.start import resume

        run = resume(
            self.run,
            data=self.data,
            device=self.device,
            devices=self.devices,
            num_nodes=self.num_nodes,
            steps=self.steps,
            images=self.images,
            epochs=self.epochs,
            minutes=self.minutes,
        )
        return _result(run)


@dataclass(frozen=True)
class VerifyResume:
    """Prove that stop and resume equals no stop: train, kill at a random moment, resume, compare every bit."""

    config: Annotated[Config, arg(name="")]
    kill_seed: int | None = None
    """Seed of the random moment; by default another one each time."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.training.verify import DEFAULT_STEPS, verify_resume

        if any(getattr(self.config, name) is not None for name in DURATIONS if name != "steps"):
            raise UserError("give the length of a proof as --steps")
        proof = verify_resume(self.config, steps=self.config.steps or DEFAULT_STEPS, seed=self.kill_seed)
        return proof.as_json(), proof.as_text()


def _result(folder: "RunFolder") -> Result | None:
    """Return what is printed after a training; only the first of several processes prints."""
    if not is_first_process():
        return None
    path = folder.path
    _, grid = folder.grids()[-1]
    last = max(folder.log.measurements(), key=lambda entry: int(entry["step"]))
    content = {"run": str(path), "samples": str(grid), "model": str(folder.model), **last}
    lines = [
        f"{path}: {last['step']:,} steps, {last['images_seen']:,} images, {last['seconds']:.0f} s of training",
        f"  pictures   {grid}",
        f"  curves     {folder.curves}",
        f"  report     {folder.report}",
        f"  model      {folder.model}",
        f"  draw more  dcgan sample {shlex.quote(str(path))} --out samples.png",
    ]
    if hidden := find_hidden_command():
        command, activate = hidden
        source = "" if activate.endswith(".bat") else "source "
        lines.append(f"  command    {command}; to type just dcgan instead, first type: {source}{activate}")
    return content, "\n".join(lines)
