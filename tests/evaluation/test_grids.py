from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan.evaluation import floor, grids
from dcgan.evaluation.grids import make_class_grid, make_group_grid
from dcgan.evaluation.measure import evaluate
from dcgan.evaluation.samples import open_samples
from dcgan.metrics.features import open_extractor
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.store import save_generator
from dcgan.run.folder import RunFolder
from dcgan.sampling.model import load
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


def save_grouped_generator(folder: Path, classes: int = 0) -> GroupedGenerator:
    """Save a generator of four groups, of which the first is never drawn and the last most often."""
    description = {"family": "upsample", "z_dim": 16, "picture_shape": [1, 16, 16], "width": 4, "classes": 4}
    generator = GroupedGenerator(description, classes).eval()
    generator.votes.copy_(torch.tensor([-9.0, 0.0, 0.0, 1.0]))
    save_generator(generator, folder)
    return generator


def test_a_row_shows_one_group(tmp_path: Path):
    generator = save_grouped_generator(tmp_path / "m")
    samples = open_samples(tmp_path / "m")
    grid, names = make_group_grid(samples)
    groups = generator.group_weights(samples_latents(tmp_path / "m")).argmax(1)
    counts = groups.bincount(minlength=4)
    assert names[0] == f"group 3: {int(counts[3]) / 1024:.1%}"
    assert names[-1] == "group 0: 0.0%"
    assert grid.shape == (2 + 4 * 18, 2 + 8 * 18, 1)
    pixels = next(iter(samples.draw(0, 1024)))[0]
    first = pixels[groups == 3][0, 0].numpy()
    assert np.array_equal(grid[2:18, 2:18, 0], first)
    assert not grid[-18:].any()  # group 0 is never drawn


def samples_latents(folder: Path) -> torch.Tensor:
    return load(folder).latents(1024, 0)


def test_groups_of_classes_have_the_names_of_their_classes(tmp_path: Path):
    save_grouped_generator(tmp_path / "m", classes=2)
    _, names = make_group_grid(open_samples(tmp_path / "m"))
    assert sorted(name.split(":")[0] for name in names) == [f"group {g} ({g // 2})" for g in range(4)]


def test_files_and_other_generators_have_no_groups(tmp_path: Path, finished_run: RunFolder):
    assert make_group_grid(open_samples(str(write_digits(tmp_path / "s.npz"))))[1] == ()
    assert make_group_grid(open_samples(finished_run.path))[1] == ()
