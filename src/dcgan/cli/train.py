"""Commands that train: `train`, `resume`, `verify-resume`."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from dcgan.cli.result import Result
from dcgan.config import DURATIONS, Config, Device
from dcgan.data import mnist_bytes
from dcgan.devices.launcher import is_first_process
from dcgan.errors import UserError

if TYPE_CHECKING:
    from dcgan.run.folder import RunFolder


@dataclass(frozen=True)
class Train:
    """Train a GAN into a run folder. No flag is needed: built-in MNIST, the default preset."""

    config: Annotated[Config, arg(name="")]
    out: Path | None = None
    """The run folder; by default the next free one in runs/."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result | None:
        if self.config.devices == 1:  # else it is others that need it
            mnist_bytes.unpack_in_background(self.config.data)
        from dcgan.training.start import train_config

        return _result(train_config(self.config, self.out))


@dataclass(frozen=True)
class Resume:
    """Go on with a run exactly where it stopped. A length counts from the run's start."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run folder."""
    steps: int | None = None
    """Go on until this many generator updates."""
    images: int | None = None
    """Go on until this many real images were shown."""
    epochs: float | None = None
    """Go on until this many passes over the data."""
    minutes: float | None = None
    """Go on until this much training time."""
    device: Device | None = None
    """Go on there instead of where the run was; other arithmetic, so no longer the same to the bit."""
    devices: int | None = None
    """Go on on so many devices of this machine."""
    num_nodes: int | None = None
    """Go on on so many machines."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result | None:
        from dcgan.training.start import resume

        length = {name: getattr(self, name) for name in DURATIONS}
        run = resume(self.run, device=self.device, devices=self.devices, num_nodes=self.num_nodes, **length)
        return _result(run)


@dataclass(frozen=True)
class VerifyResume:
    """Prove that stop and resume equals no stop: train, kill at a random moment, resume, compare every bit."""

    config: Annotated[Config, arg(name="")]
    kill_seed: int | None = None
    """Which random moment; by default another each time."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.training.verify import STEPS, verify_resume

        if any(getattr(self.config, name) is not None for name in DURATIONS if name != "steps"):
            raise UserError("the length of a proof is given in --steps")
        proof = verify_resume(self.config, steps=self.config.steps or STEPS, seed=self.kill_seed)
        return proof.as_json(), proof.as_text()


def _result(folder: "RunFolder") -> Result | None:
    """What is printed; nothing by any but the first of many processes."""
    if not is_first_process():
        return None
    path = folder.path
    grid, last = max(folder.samples.iterdir()), max(folder.log.measurements(), key=lambda line: int(line["step"]))
    found = {"run": str(path), "samples": str(grid), "model": str(folder.model), **last}
    text = [
        f"{path}: {last['step']:,} steps, {last['images_seen']:,} images, {last['seconds']:.0f} s of training",
        f"  pictures   {grid}",
        f"  curves     {path / 'curves.png'}",
        f"  report     {folder.report}",
        f"  model      {folder.model}",
        f"  draw more  dcgan sample {shlex.quote(str(path))} --out digits.png",
    ]
    return found, "\n".join(text)
