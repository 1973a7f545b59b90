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
