"""What the search for copies says of training pictures."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dcgan.data import stacked
from dcgan.data.open import open_images
from dcgan.data.rules import CURRENT_RULES, RULES_OF_0_1
from dcgan.evaluation import copies
from dcgan.evaluation.save import nearest_grid
from dcgan.evaluation.task import EvaluationTask, open_task
from dcgan.evaluation.training_data import training_data_of
from dcgan.models.dcgan64 import Generator
from dcgan.models.store import save_generator
from dcgan.run.folder import RunFolder
from dcgan.sampling.model import load
from tests.conftest import make_picture_folder
from tests.evaluation.helpers import write_noise


def test_training_pictures_have_the_names_of_the_rules_that_they_were_read_by(tmp_path: Path):
    """Version 0.1.0 read the folders of file systems too, which stand before the others."""
    make_picture_folder(tmp_path / "d", 60)
    make_picture_folder(tmp_path / "d" / "$RECYCLE.BIN", 5)
    for rules, count in ((RULES_OF_0_1, 65), (CURRENT_RULES, 60)):
        everything = open_images(str(tmp_path / "d"), "all", size=(20, 20), rules=rules)
        assert len(everything) == count
        task = SimpleNamespace(data_source=str(tmp_path / "d"), real_images=everything)
        train = open_images(str(tmp_path / "d"), size=(20, 20), rules=rules)
        names = copies._training_names(task, train)
        assert [int(Path(name).stem) for name in names] == train.pixels[:, 0, 0, 0].tolist()


def save_noise(path: Path, count: int, seed: int, deviation: float) -> np.ndarray:
    """Save pictures of a brightness that rises in one direction each, with noise; return them, (N, 28, 28, 1)."""
    random = np.random.default_rng(seed)
    angles = random.uniform(0, 2 * np.pi, (count, 1, 1))
    y, x = np.mgrid[-1:1:28j, -1:1:28j]
    values = 128 + 70 * (np.cos(angles) * x + np.sin(angles) * y) + random.normal(0, deviation, (count, 28, 28))
    pixels = values.round().clip(0, 255).astype(np.uint8)[..., None]
    np.savez(path, arr_0=pixels)
    return pixels


@pytest.mark.usefixtures("small_reference")
@pytest.mark.parametrize("are_copies", [False, True])
def test_samples_without_the_noise_of_the_data_are_no_copies(tmp_path: Path, are_copies: bool):
    """They are nearer to all training pictures than other pictures with noise are; weak copies of single ones are."""
    data = save_noise(tmp_path / "data.npz", 900, 0, 40)
    save_noise(tmp_path / "samples.npz", 300, 1, 0)
    if are_copies:
        np.savez(tmp_path / "samples.npz", arr_0=(64 + data[:300] / 2).astype(np.uint8))
    switches = dict.fromkeys(("resize", "infinite", "train_on_fakes", "show_progress"), False)
    options = {"n": 300, "features": "random", "seeds": 5, "k": 3, "device": "cpu", "split": None}
    check = copies.check_copies(
        open_task(str(tmp_path / "samples.npz"), data=str(tmp_path / "data.npz"), **options, **switches)
    )
    assert (check.verdict.verdict == "copies") == are_copies
    assert ("as much coarse and fine structure as the samples" in check.verdict.reason) != are_copies
    assert (check.closeness < 1).double().mean() == pytest.approx(check.verdict.near_share, abs=1e-6)


def save_model_of_stacks(folder: Path, command: str | None) -> str:
    """Save a generator that was trained on stacked digits, as it is exported."""
    generator = Generator(z_dim=4, picture_shape=(3, 28, 28), width=2).eval()
    save_generator(generator, folder, {"data": "stacked-mnist", "data_rules": CURRENT_RULES, "command": command})
    return str(folder)


def open_stacks_task(source: str) -> EvaluationTask:
    """Open an evaluation of samples that are compared with stacked digits."""
    switches = dict.fromkeys(("resize", "infinite", "train_on_fakes", "show_progress"), False)
    options = {"n": 120, "features": "random", "seeds": 5, "k": 3, "device": "cpu", "split": None}
    return open_task(source, data="stacked-mnist", **options, **switches)


@pytest.mark.usefixtures("small_reference")
def test_copies_of_stacked_digits_are_searched_among_those_of_the_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The stacks that are trained on depend on the seed; those of the test part and of the floor are common to all."""
    monkeypatch.setattr(stacked, "STACK_COUNTS", {"train": 1_000, "test": 400})
    model = save_model_of_stacks(tmp_path / "m", "dcgan train --data stacked-mnist --seed 3")
    own = open_images("stacked-mnist", seed=3).pixels
    task = open_stacks_task(model)
    samples = replace(task.samples, draw=lambda seed, n: iter([(own[:n], None)]))
    task = replace(task, samples=samples)
    assert copies.can_check_copies(task)
    verdict = copies.check_copies(task).verdict
    assert (verdict.verdict, verdict.near_share) == ("copies", 1.0)
    grid = nearest_grid(task)
    assert (grid[2:30, 2:30] == grid[2:30, 32:60]).all()
    assert torch.equal(task.real_images.pixels, open_images("stacked-mnist", "test").pixels)
    assert torch.equal(task.open_floor_split().pixels, open_images("stacked-mnist", "train").pixels)
    assert not any("is not known" in note for note in task.notes)


def test_stacked_digits_of_an_unknown_seed_are_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A generator of the user's own has no command, and files say nothing at all."""
    monkeypatch.setattr(stacked, "STACK_COUNTS", {"train": 1_000, "test": 400})
    model, files = save_model_of_stacks(tmp_path / "m", None), write_noise(tmp_path / "s.npz", (120, 28, 28, 3))
    for source in (model, str(files)):
        task = open_stacks_task(source)
        assert not copies.can_check_copies(task)
        (note,) = [note for note in task.notes if "is not known" in note]
        assert note.startswith("the seed that drew the training pictures of stacked-mnist is not known: ")


@pytest.mark.parametrize(
    ("command", "seed"),
    [
        ("dcgan train --data stacked-mnist", 0),
        ("dcgan train --seed 12 --device cpu", 12),
        ("dcgan train --seed", None),
        ("dcgan train 'torn", None),
    ],
)
def test_the_seed_of_an_exported_model_is_that_of_its_command(tmp_path: Path, command: str, seed: int | None):
    assert training_data_of(load(save_model_of_stacks(tmp_path / "m", command))).seed == seed


def test_the_seed_of_a_run_is_that_of_its_settings(finished_run: RunFolder, tmp_path: Path):
    """Also if its model has no command, as one of the user's own networks."""
    run = RunFolder(Path(shutil.copytree(finished_run.path, tmp_path / "r")))
    for path, part, name, value in (
        (run.config_path, "settings", "seed", 5),
        (run.model / "config.json", "trained", "command", None),
    ):
        content = json.loads(path.read_text())
        content[part][name] = value
        path.write_text(json.dumps(content))
    assert training_data_of(load(run)).seed == 5
