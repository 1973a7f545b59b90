from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan.reporting.curves import draw_curves

LINE = {"loss_d": 0.7, "loss_g": 0.6, "d_real": 0.5, "d_fake": 0.4}


@pytest.mark.parametrize("is_bce", [True, False])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_curves(tmp_path: Path, is_bce: bool, n: int):
    draw_curves([{"images_seen": i, **LINE} for i in range(n)], tmp_path / "curves.png", is_bce=is_bce)
    with Image.open(tmp_path / "curves.png") as image:
        assert image.size == (880, 770)
        assert np.asarray(image.convert("L")).std() > 5
