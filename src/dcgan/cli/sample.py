"""Commands that draw with a trained model: `sample`, `interpolate`, `directions`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

from dcgan.cli.result import Result
from dcgan.errors import UserError

DirectionMethod = Literal["weights", "activations"]
DIRECTION_AMOUNT = re.compile(r"(\d{1,6})=([+-]?(?:\d+\.?\d*|\.\d+))")
"""A direction and how far to move along it, such as 2=-1.5."""


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
    direction: UseAppendAction[tuple[str, ...]] = ()
    """NUMBER=AMOUNT, repeatable: move every latent along a direction of `dcgan directions`, by an amount in standard
    deviations of z, such as 2=1.5."""
    direction_method: DirectionMethod = "weights"
    """How the directions are found: see `dcgan directions --help`."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.sampling.model import load
        from dcgan.sampling.output import check_output_path, write_sample_stream

        check_output_path(self.out)
        directions = parse_directions(self.direction)
        stream = (model := load(self.model)).stream(
            self.n,
            self.seed,
            label=self.label,
            truncation=self.truncation,
            directions=directions,
            method=self.direction_method,
        )
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
    """Move the first sample along this direction of `dcgan directions` instead; 1 is the strongest."""
    direction_method: DirectionMethod = "weights"
    """How the directions are found: see `dcgan directions --help`."""
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
            pixels = model.along(self.direction, self.frames, self.seed, label=self.label, method=self.direction_method)
        write_frames(pixels, self.out)
        content = {"out": str(self.out), "frames": len(pixels), "seed": self.seed, "shape": list(pixels.shape)}
        return content, f"{len(pixels)} frames: {self.out}"


@dataclass(frozen=True)
class Directions:
    """Find the directions of latent space along which the pictures change most, and draw a strip along each."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, the folder of a saved model, a shipped name (mnist, mnist-dcgan, mnist-cgan), or a Hub id such as
    user/name."""
    out: Path
    """The folder to write: a strip for each direction (01.png and so on), all of them in directions.png, and the unit
    vectors in directions.npz."""
    method: DirectionMethod = "weights"
    """`weights` factors the matrix of the first layer (SeFa). `activations` computes principal components of features
    in the middle of the network, from random latents (GANSpace)."""
    count: int = 8
    """Number of directions, the strongest first."""
    frames: int = 9
    """Pictures along each direction, from -3 to +3 standard deviations of z."""
    seed: int = 0
    """Seed of the sample that is moved: the first one that `dcgan sample` draws with it."""
    label: str | None = None
    """The class to draw, by index or by name. Without it, a conditional model draws its first class."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.sampling.directions import write_directions
        from dcgan.sampling.model import load
        from dcgan.sampling.output import check_output_path

        check_output_path(self.out, ("",))
        if self.count < 1:
            raise UserError(f"--count must be at least 1, not {self.count}")
        found = (model := load(self.model)).directions(self.method).strongest(self.count)
        strips = [model.along_vector(vector, self.frames, self.seed, label=self.label) for vector in found.vectors]
        write_directions(found, strips, self.out)
        shares = [round(share, 4) for share in found.shares.tolist()]
        content = {"out": str(self.out), "method": self.method, "count": len(found), "shares": shares}
        lines = [
            f"{len(found)} directions: {self.out}/directions.png",
            *map(_share_line, range(1, len(found) + 1), shares),
        ]
        return content, "\n".join(lines)


def _share_line(number: int, share: float) -> str:
    return f"  {number:>2}  {share:6.1%} of the variance of the features"


def parse_directions(words: Iterable[str]) -> dict[int, float]:
    """Return the amount along each direction from words such as `2=1.5`.

    Raises:
        UserError: a word has another form, or names a direction again.
    """
    amounts: dict[int, float] = {}
    for word in words:
        if (match := DIRECTION_AMOUNT.fullmatch(word)) is None:
            raise UserError(f"--direction takes NUMBER=AMOUNT, such as 2=1.5, not {word}")
        if (number := int(match[1])) in amounts:
            raise UserError(f"--direction {number} is given twice: give it once")
        amounts[number] = float(match[2])
    return amounts
