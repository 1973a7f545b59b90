from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from dcgan.config import ScoreKind
from dcgan.reporting.curves import draw_curves

MEASUREMENT = {"loss_d": 0.7, "loss_g": 0.6, "d_real": 0.5, "d_fake": 0.4}


@pytest.mark.parametrize("score_kind", get_args(ScoreKind))
@pytest.mark.parametrize("n", [0, 1, 5])
def test_curves_of_any_length_are_drawn(tmp_path: Path, score_kind: ScoreKind, n: int):
    draw_curves([{"images_seen": i, **MEASUREMENT} for i in range(n)], tmp_path / "curves.png", score_kind)
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == (880, 385 if score_kind == "none" else 770)
        assert np.asarray(image.convert("L")).std() > 5


def colored_pixels(path: Path) -> int:
    """Return how many pixels have a color; axes, grid and texts are gray."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    return int((pixels.max(2) - pixels.min(2) > 60).sum())


def test_a_single_measurement_is_a_point(tmp_path: Path):
    """The legend has a line for each curve in any case; the points come on top of it."""
    counts = []
    for n in (0, 1):
        measurements = [{"images_seen": 100, **MEASUREMENT}] * n
        draw_curves(measurements, tmp_path / f"{n}.png", "probability")
        counts.append(colored_pixels(tmp_path / f"{n}.png"))
    assert counts[1] > counts[0] + 4 * 25  # four points of at least 25 pixels
