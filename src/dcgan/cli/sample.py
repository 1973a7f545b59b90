"""Commands that draw: `sample`, `interpolate` and `directions` with a trained model, `film` from a run."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

from dcgan.cli.result import Result
from dcgan.errors import UserError

if TYPE_CHECKING:
    from dcgan.sampling.film import FilmFormat

DirectionMethod = Literal["weights", "activations"]
DIRECTION_AMOUNT = re.compile(r"(\d{1,6})=([+-]?(?:\d+\.?\d*|\.\d+))")
"""A direction and how far to move along it, such as 2=-1.5."""
DEFAULT_STOPS = 5
"""Samples that a walk passes through."""
DEFAULT_FRAMES = 12
"""Pictures from each sample of a walk to the next."""
WALK_SIZE = 256
"""Pixels to which the small pictures of a walk are enlarged in a film, if no --size is given."""


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
        check_direction_method(self.direction_method, has_direction=bool(directions))
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
    """Walk through latent space: from sample to sample, or along a direction."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, the folder of a saved model, a shipped name (mnist, mnist-dcgan, mnist-cgan), or a Hub id such as
    user/name."""
    out: Path
    """FILE.gif, FILE.webp or FILE.mp4: a smooth loop. FILE.png: a strip of pictures from the first sample to the
    last."""
    stops: int | None = None
    """Number of samples that the walk passes through; 5 by default."""
    frames: int | None = None
    """Pictures from each sample to the next, or along the whole direction; 12 by default."""
    seed: int = 0
    """Seed of the samples: the walk passes through the first ones that `dcgan sample` draws with it."""
    label: str | None = None
    """The class to draw, by index or by name. Without it, a conditional model draws its first class."""
    direction: int | None = None
    """Move the first sample along this direction of `dcgan directions` instead; 1 is the strongest."""
    direction_method: DirectionMethod = "weights"
    """How the directions are found: see `dcgan directions --help`."""
    seconds: float | None = None
    """Length of a film, instead of --frames; it is rounded to whole frames from each sample to the next."""
    fps: float | None = None
    """Frames per second of a film; 20 by default."""
    size: int | None = None
    """Pixels of the longer side of a film. Pictures are enlarged by a whole number to at most this; by default to at
    most 256."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.sampling.film import is_film
        from dcgan.sampling.model import load
        from dcgan.sampling.output import DEFAULT_FILM_FORMAT, WALK_SUFFIXES, check_output_path, write_frames

        check_output_path(self.out, WALK_SUFFIXES)
        self._check_directions()
        is_closed = is_film(self.out)
        frames, film_format = self._plan_film() if is_closed else (self._strip_frames(), DEFAULT_FILM_FORMAT)
        model = load(self.model)
        if self.direction is None:
            pixels = model.walk(self._stop_count(), frames, self.seed, label=self.label, closed=is_closed)
        else:
            pixels = model.along(
                self.direction, frames, self.seed, label=self.label, method=self.direction_method, closed=is_closed
            )
        write_frames(pixels, self.out, film_format, default_size=WALK_SIZE)
        content = {"out": str(self.out), "frames": len(pixels), "seed": self.seed, "shape": list(pixels.shape)}
        return content, f"{len(pixels)} frames: {self.out}"

    def _stop_count(self) -> int:
        return DEFAULT_STOPS if self.stops is None else self.stops

    def _check_directions(self) -> None:
        """Refuse flags that would change nothing."""
        check_direction_method(self.direction_method, has_direction=self.direction is not None)
        if self.stops is not None and self.direction is not None:
            raise UserError("--stops is for a walk from sample to sample, and --direction moves one: give one of them")

    def _plan_film(self) -> "tuple[int, FilmFormat]":
        """Return the frames of each part of the walk, and the format of the film, which is checked before it is drawn.

        Raises:
            UserError: two flags say how long the film is, or it cannot be written like this.
        """
        from dcgan.sampling.film import DEFAULT_FPS, FilmFormat, check_film

        if self.frames is not None and self.seconds is not None:
            raise UserError("--frames and --seconds both say how long the film is: give one of them")
        film_format = FilmFormat(DEFAULT_FPS if self.fps is None else self.fps, self.size)
        parts = max(1, self._stop_count()) if self.direction is None else 1
        frames = DEFAULT_FRAMES if self.frames is None else self.frames
        if self.seconds is not None:
            frames = max(1, round(film_format.frame_count(self.seconds) / parts))
        check_film(self.out, parts * frames, film_format)
        return frames, film_format

    def _strip_frames(self) -> int:
        """Return the frames of each part of a strip, which takes no flags of films."""
        for name in ("seconds", "fps", "size"):
            if getattr(self, name) is not None:
                raise UserError(f"--{name} is for a film, and {self.out} is a strip: give a .gif, .webp or .mp4")
        return DEFAULT_FRAMES if self.frames is None else self.frames


@dataclass(frozen=True)
class Film:
    """Make a film of a run: the same latents through the training."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """The run folder. Its grids in samples/ become the frames."""
    out: Path
    """FILE.mp4, FILE.gif or FILE.webp."""
    seconds: float = 10.0
    """Length of the film. The last second shows the last grid."""
    fps: float = 20.0
    """Frames per second."""
    size: int | None = None
    """Pixels of the longer side of the grids. They are enlarged by a whole number to at most this, or reduced to it; by
    default small ones are enlarged to at most 512."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.reporting.growth_film import write_growth_film
        from dcgan.sampling.film import FilmFormat

        film = write_growth_film(self.run, self.out, self.seconds, FilmFormat(self.fps, self.size))
        content = {"out": str(self.out), "frames": film.frames, "grids": film.grids, "seconds": film.seconds}
        return content, f"{self.out}: {film.grids} grids in {film.frames} frames, {film.seconds:g} s"


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


def check_direction_method(method: DirectionMethod, *, has_direction: bool) -> None:
    """Raise UserError if the method is not the default one and there is no direction to find."""
    if method != "weights" and not has_direction:
        raise UserError("--direction-method says how a direction is found: give --direction too")


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
