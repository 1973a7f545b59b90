from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan.evaluation import floor, grids
from dcgan.evaluation.grids import make_class_grid
from dcgan.evaluation.measure import evaluate
from dcgan.evaluation.samples import open_samples
from dcgan.metrics.features import open_extractor
from tests.evaluation.helpers import write_copies, write_digits

pytestmark = pytest.mark.usefixtures("small_reference")


def test_nearest_training_pictures_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The samples are copies of training digits, so each is followed by itself."""
    monkeypatch.setattr(floor, "MAX_FLOOR_IMAGES", 1100)
    monkeypatch.setattr(grids, "MAX_FLOOR_IMAGES", 1100)
    evaluate(str(write_copies(tmp_path / "s.npz")), data="mnist", neighbours=tmp_path / "n.png")
    grid = np.asarray(Image.open(tmp_path / "n.png"))
    assert grid.shape == (2 + 8 * 30, 2 + 6 * 30)
    for top in range(2, 242, 30):
        assert np.array_equal(grid[top : top + 28, 2:30], grid[top : top + 28, 32:60])
        assert not np.array_equal(grid[top : top + 28, 2:30], grid[top : top + 28, 62:90])


def test_a_row_shows_one_class(tmp_path: Path):
    """The samples are real digits, whose classes are known."""
    samples = open_samples(str(write_digits(tmp_path / "s.npz", labels=True)))
    grid, names = make_class_grid(samples, open_extractor("judge"))
    assert names == tuple(map(str, range(10)))
    unlabeled = replace(samples, classes=())
    judged_grid, _ = make_class_grid(unlabeled, open_extractor("judge"))
    assert grid.shape == judged_grid.shape == (302, 242, 1)
    # for unrelated digits the share would be 0.77; one other class shifts its row
    assert (grid == judged_grid).mean() > 0.95
    assert make_class_grid(unlabeled, open_extractor("random"))[1] == ()
