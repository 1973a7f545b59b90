"""Animations: frames become a `.gif`, a `.webp` or an `.mp4`."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from dcgan.errors import UserError
from dcgan.files import atomic_file
from dcgan.images import Pixels, composite_on_white, to_pillow
from dcgan.system.install import install_command
from dcgan.system.resources import check_memory

FILM_SUFFIXES = (".gif", ".webp", ".mp4")
DEFAULT_FPS, MIN_FPS = 20.0, 0.1
MAX_FPS = {".gif": 50.0, ".webp": 120.0, ".mp4": 120.0}
"""Viewers show a GIF frame for at least two hundredths of a second, and show a shorter one for ten."""
MAX_FRAMES = {".gif": 2_000, ".webp": 2_000, ".mp4": 1_000_000}
"""An animation of more frames opens slowly everywhere, and all of it is in memory while it is written."""
MAX_GIF_SECONDS = 655
"""Pillow writes equal frames as one, whose duration is 16 bits of hundredths of a second. In a .webp it is divided."""
MIN_SIZE, MAX_SIZE = 16, 4_096
TICKS_PER_SECOND = {".gif": 100, ".webp": 1000}
"""The durations of frames are whole numbers of these ticks, which Pillow is given in milliseconds."""
RATE_DENOMINATOR = 1_001
"""The largest denominator of the rate of an .mp4, which is that of 30000/1001."""
BT709 = 1
"""Number of the color space of HDTV in the standards of video, which players assume for large pictures."""
CONSTANT_QUALITY = "17"
"""Quality of x264 (crf) at which eyes see no difference from the frames."""


@dataclass(frozen=True)
class FilmFormat:
    """How frames become a film.

    Attributes:
        fps: frames per second.
        size: pixels of the longer side; None keeps the frames as large as they are. Small frames are enlarged by a
            whole number, so that each pixel becomes a square, to at most this size. Large ones are reduced to it.
    """

    fps: float = DEFAULT_FPS
    size: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that cannot work."""
        if not (math.isfinite(self.fps) and self.fps >= MIN_FPS):
            raise UserError(f"the frames per second must be at least {MIN_FPS:g}, not {self.fps:g}")
        if self.size is not None and not MIN_SIZE <= self.size <= MAX_SIZE:
            raise UserError(f"the size of a film must be from {MIN_SIZE} to {MAX_SIZE} pixels, not {self.size}")

    def frame_count(self, seconds: float) -> int:
        """Return how many frames last so many seconds.

        Raises:
            UserError: fewer than two.
        """
        if not (math.isfinite(seconds * self.fps) and (count := round(seconds * self.fps)) >= 2):
            raise UserError(f"a film needs at least 2 frames: {seconds:g} seconds at {self.fps:g} per second are fewer")
        return count

    def scaled_size(self, width: int, height: int, default: int | None = None) -> tuple[int, int]:
        """Return the width and the height of the film for frames of a size.

        Args:
            width: of the frames.
            height: of the frames.
            default: what small frames are enlarged to if no size is given. Larger ones then stay as they are.
        """
        longer_side = max(width, height)
        target = self.size or max(default or 0, longer_side)
        if longer_side <= target:
            factor = target // longer_side
            return width * factor, height * factor
        return max(1, round(width * target / longer_side)), max(1, round(height * target / longer_side))


def is_film(out: Path) -> bool:
    """Return whether an output path has the ending of a film."""
    return out.suffix.lower() in FILM_SUFFIXES


def check_film(out: Path, count: int, film_format: FilmFormat) -> None:
    """Check that a film can be written, before its frames are drawn.

    Args:
        out: a file with an ending of `FILM_SUFFIXES`.
        count: number of frames.
        film_format: its size and speed.

    Raises:
        UserError: it has too many frames, or too many a second for its kind of file, or lasts too long for a .gif, or
            an .mp4 needs a package.
    """
    kind = out.suffix.lower()
    if film_format.fps > MAX_FPS[kind]:
        raise UserError(f"a {kind} shows at most {MAX_FPS[kind]:g} frames per second, not {film_format.fps:g}")
    if count > MAX_FRAMES[kind]:
        other = "" if kind == ".mp4" else ", or write an .mp4"
        raise UserError(f"a {kind} of {count:,} frames is too long: give at most {MAX_FRAMES[kind]:,}{other}")
    if kind == ".gif" and (seconds := count / film_format.fps) > MAX_GIF_SECONDS:
        raise UserError(
            f"a .gif lasts at most {MAX_GIF_SECONDS} seconds, not {seconds:,.0f}: write a .webp or an .mp4, or give "
            "more frames per second"
        )
    if kind == ".mp4" and find_spec("av") is None:
        raise UserError(f"an .mp4 needs the package av: {install_command('film')}; or write a .gif or a .webp")


def write_film(
    frames: Iterable[Pixels], count: int, out: Path, film_format: FilmFormat, *, default_size: int | None = None
) -> None:
    """Write frames as an animation that repeats, or as an .mp4. The file is written as a whole or not at all.

    Args:
        frames: uint8 (H, W, C), all of one shape. They are read once, while the film is written.
        count: how many they are.
        out: a file with an ending of `FILM_SUFFIXES`.
        film_format: its size and speed.
        default_size: what small frames are enlarged to if the format has no size.

    Raises:
        UserError: as `check_film`, or there is too little memory.
        OSError: the file cannot be written.
    """
    check_film(out, count, film_format)
    iterator = iter(frames)
    first = next(iterator)
    width, height = film_format.scaled_size(first.shape[1], first.shape[0], default_size)
    scaled = (_scale(frame, width, height) for frame in chain([first], iterator))
    kind = out.suffix.lower()
    if kind == ".mp4":
        _write_mp4(scaled, out, film_format.fps)
        return
    check_memory(count * width * height * first.shape[-1], f"{count:,} frames", "lower --size or give fewer frames")
    pictures = map(to_pillow, scaled if kind == ".webp" else map(_without_alpha, scaled))
    options: dict[str, Any] = {"lossless": True} if kind == ".webp" else {}
    durations = frame_durations(count, film_format.fps, TICKS_PER_SECOND[kind])
    with atomic_file(out) as temporary:
        next(pictures).save(
            temporary, kind[1:], save_all=True, append_images=pictures, duration=durations, loop=0, **options
        )


def frame_durations(count: int, fps: float, ticks_per_second: int) -> list[int]:
    """Return how long each frame is shown, in milliseconds, so that the film has the right length.

    Each frame ends at the tick that is nearest to its time: at 30 frames per second, those of a GIF last 30, 40, 30 ms
    and so on.
    """
    ends = [round((i + 1) * ticks_per_second / fps) for i in range(count)]
    return [(end - start) * 1000 // ticks_per_second for start, end in zip([0, *ends], ends, strict=False)]


def _scale(frame: Pixels, width: int, height: int) -> Pixels:
    """Return a frame (H, W, C) at another size."""
    if (width, height) == (frame.shape[1], frame.shape[0]):
        return frame
    is_enlarged = width >= frame.shape[1]
    if is_enlarged:
        return frame.repeat(height // frame.shape[0], 0).repeat(width // frame.shape[1], 1)
    image = to_pillow(frame).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(height, width, -1)


def _without_alpha(frame: Pixels) -> Pixels:
    """Return a frame (H, W, C) with one or three channels; what is transparent is shown on white."""
    if frame.shape[-1] != 4:
        return frame
    color: npt.NDArray[np.float32] = frame[..., :3].astype(np.float32)
    alpha: npt.NDArray[np.float32] = frame[..., 3:].astype(np.float32)
    return composite_on_white(color, alpha).round().astype(np.uint8)


def _to_even_rgb(frame: Pixels) -> Pixels:
    """Return a frame as RGB with even sides, which x264 needs: the last row and column are repeated if they are odd."""
    rgb = np.broadcast_to(_without_alpha(frame), (*frame.shape[:2], 3))
    return np.pad(rgb, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")


def _write_mp4(frames: Iterator[Pixels], out: Path, fps: float) -> None:
    # Imported only when it is needed: it is an optional package.
    import av

    pictures = map(_to_even_rgb, frames)
    first = next(pictures)
    rate = Fraction(fps).limit_denominator(RATE_DENOMINATOR)
    with (
        atomic_file(out) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        stream = container.add_stream("libx264", rate=rate, options={"crf": CONSTANT_QUALITY})
        stream.width, stream.height, stream.pix_fmt = first.shape[1], first.shape[0], "yuv420p"
        stream.codec_context.colorspace = BT709
        for picture in chain([first], pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p", dst_colorspace=BT709)))
        container.mux(stream.encode())
