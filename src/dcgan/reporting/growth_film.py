"""The film of a run: its grids, which show the same latents after more and more images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from dcgan.errors import UserError
from dcgan.files import printable
from dcgan.images import Pixels, draw_on_white
from dcgan.run.folder import open_run
from dcgan.sampling.film import FILM_SUFFIXES, FilmFormat, check_film, write_film
from dcgan.sampling.output import check_output_path, writable_parent

DEFAULT_SIZE = 512
"""Pixels to which small grids are enlarged if no size is given."""
LAST_GRID_S = 1.0
"""How long the last grid stays at the end of the film; at most half of it."""
CAPTION_HEIGHT, FONT_SIZE, CAPTION_GRAY = 26, 16, 176


@dataclass(frozen=True)
class GrowthFilm:
    """A film that was written.

    Attributes:
        frames: number of its frames.
        grids: how many grids of the run are in it.
        seconds: its length.
    """

    frames: int
    grids: int
    seconds: float


def write_growth_film(run: Path, out: Path, seconds: float, film_format: FilmFormat) -> GrowthFilm:
    """Write the film of a run, with the images seen below each grid.

    Every grid is shown for the same time, and none is blended with the next: a blend would be a picture that no model
    has drawn. If there are more grids than frames, some are left out, but never the first or the last one.

    Args:
        run: the run folder; it may still be training.
        out: a `.gif`, `.webp` or `.mp4`.
        seconds: length of the film.
        film_format: its size, without the caption, and its speed.

    Raises:
        UserError: there is no run, it has fewer than two grids, a grid cannot be read, or the film cannot be written.
    """
    check_output_path(out, FILM_SUFFIXES)
    count = film_format.frame_count(seconds)
    check_film(out, count, film_format)
    grids = open_run(run).grids()
    if len(grids) < 2:
        raise UserError(f"a film needs at least two grids, and {run}/samples has {len(grids)}: train longer")
    chosen = choose_grids(len(grids), count, film_format.fps)
    frames = _draw_frames([grids[i] for i in chosen], film_format)
    with writable_parent(out):
        write_film(frames, count, out, FilmFormat(film_format.fps))
    return GrowthFilm(count, len(set(chosen)), round(count / film_format.fps, 3))


def choose_grids(grid_count: int, frame_count: int, fps: float) -> list[int]:
    """Return the number of the grid that each frame shows, in rising order: the first, evenly spaced ones, the last."""
    last_frames = min(max(1, round(LAST_GRID_S * fps)), frame_count // 2)
    moving: list[int] = (
        np.linspace(0, grid_count, max(1, frame_count - last_frames), endpoint=False).astype(int).tolist()
    )
    return moving + [grid_count - 1] * (frame_count - len(moving))


def _draw_frames(grids: list[tuple[int, Path]], film_format: FilmFormat) -> Iterator[Pixels]:
    """Yield a frame for each (images seen, path of the grid); a grid that is shown again is drawn once."""
    frame, shown, size = np.zeros(0, np.uint8), Path(), (0, 0)
    for images_seen, path in grids:
        if path != shown:
            image = _read_grid(path)
            if size not in ((0, 0), image.size):
                raise UserError(f"cannot use {printable(str(path))}: it has another size than the grids before it")
            size, shown = image.size, path
            frame = _draw_frame(image, images_seen, film_format)
        yield frame


def _read_grid(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return draw_on_white(image) if image.mode == "RGBA" else image.convert("RGB")
    except UnidentifiedImageError:
        raise UserError(f"cannot use {printable(str(path))}: it is no picture") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"cannot use {printable(str(path))}: {error}") from None


def _draw_frame(grid: Image.Image, images_seen: int, film_format: FilmFormat) -> Pixels:
    """Return a grid (H, W, 3) at the size of the film, with the number of images seen below it."""
    width, height = film_format.scaled_size(*grid.size, DEFAULT_SIZE)
    method = Image.Resampling.NEAREST if width >= grid.width else Image.Resampling.LANCZOS
    frame = Image.new("RGB", (width, height + CAPTION_HEIGHT))
    frame.paste(grid.resize((width, height), method))
    position = (width // 2, height + CAPTION_HEIGHT // 2)
    font = ImageFont.load_default(FONT_SIZE)
    text = f"{images_seen:,} images"
    ImageDraw.Draw(frame).text(position, text, fill=(CAPTION_GRAY,) * 3, font=font, anchor="mm")
    return np.asarray(frame)
