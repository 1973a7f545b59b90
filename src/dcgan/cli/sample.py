"""Commands that draw with a trained model: `sample`, `interpolate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from dcgan.cli.result import Result


@dataclass(frozen=True)
class Sample:
    """Draw pictures with a trained model."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, the folder of a saved model, a shipped name (mnist, mnist-dcgan, mnist-cgan), or a Hub id such as
    user/name."""
    out: Path
    """FILE.png: a grid, with a row for each class if there are at most ten. FILE.npz: the array arr_0, uint8
    (N, H, W, C), and the labels as arr_1 if there are classes. A folder: one PNG for each sample."""
    n: int = 64
    """Number of samples."""
    seed: int = 0
    """Seed of the latents. Sample i of a seed is the same for every --n."""
    label: str | None = None
    """The class to draw, by index or by name. Without it, a conditional model draws every class in turn."""
    truncation: float | None = None
    """Keep each coordinate of z within this distance of 0. Samples are then more typical and less varied."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.sampling.model import load
        from dcgan.sampling.output import check_output_path, write_sample_stream

        check_output_path(self.out)
        model = load(self.model)
        stream = model.stream(self.n, self.seed, label=self.label, truncation=self.truncation)
        write_sample_stream(stream, self.out, rows=len(model.classes) if self.label is None else 0)
        content = {"out": str(self.out), "n": self.n, "seed": self.seed, "shape": [self.n, *stream.picture_shape]}
        return content, f"{self.n} samples: {self.out}"


@dataclass(frozen=True)
class Interpolate:
    """Walk through latent space: from sample to sample, or along a principal direction."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, the folder of a saved model, a shipped name (mnist, mnist-dcgan, mnist-cgan), or a Hub id such as
    user/name."""
    out: Path
    """FILE.gif: an animation that repeats. FILE.png: a strip of pictures."""
    stops: int = 5
    """Number of samples that the walk passes through."""
    frames: int = 12
    """Pictures from each sample to the next, or along the whole direction."""
    seed: int = 0
    """Seed of the samples: the walk passes through the first ones that `dcgan sample` draws with it."""
    label: str | None = None
    """The class to draw, by index or by name. Without it, a conditional model draws its first class."""
    direction: int | None = None
    """Move the first sample along this principal direction of the generator's first layer instead; 1 is the
    strongest."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.sampling.model import load
        from dcgan.sampling.output import check_output_path, write_frames

        check_output_path(self.out, (".gif", ".png"))
        model, is_closed = load(self.model), self.out.suffix.lower() == ".gif"
        if self.direction is None:
            pixels = model.walk(self.stops, self.frames, self.seed, label=self.label, closed=is_closed)
        else:
            pixels = model.along(self.direction, self.frames, self.seed, label=self.label)
        write_frames(pixels, self.out)
        content = {"out": str(self.out), "frames": len(pixels), "seed": self.seed, "shape": list(pixels.shape)}
        return content, f"{len(pixels)} frames: {self.out}"
