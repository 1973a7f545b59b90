"""The film of a run as a file that a page downloads."""

import tempfile
from pathlib import Path
from typing import Literal

from dcgan.reporting.growth_film import write_growth_film
from dcgan.sampling.film import FilmFormat

FilmKind = Literal["gif", "mp4"]
SECONDS, FPS, SIZE = 6.0, 10.0, 448
"""Length, frames per second, and pixels of the longer side, without the caption."""
MEDIA_TYPES: dict[FilmKind, str] = {"gif": "image/gif", "mp4": "video/mp4"}


def draw_film(run: Path, kind: FilmKind) -> bytes:
    """Return the film of a run, as `dcgan film` writes it.

    Raises:
        UserError: the run has fewer than two grids, one cannot be read, or an .mp4 needs a package.
    """
    with tempfile.TemporaryDirectory(prefix="dcgan-studio-") as folder:
        path = Path(folder) / f"film.{kind}"
        write_growth_film(run, path, SECONDS, FilmFormat(FPS, SIZE))
        return path.read_bytes()
