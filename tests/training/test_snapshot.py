import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import dcgan
from dcgan import UserError
from dcgan.run.folder import RunFolder
from tests.conftest import SMALL

pytestmark = pytest.mark.usefixtures("without_report")


def test_without_averaging_the_generator_itself_is_saved(tmp_path: Path):
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=2, **{**SMALL, "ema": 0})
    state, model = load_file(folder.checkpoint / "state.safetensors"), load_file(folder.model / "model.safetensors")
    assert torch.equal(model["gen.0.0.weight"], state["generator/gen.0.0.weight"])


def test_an_averaged_generator_has_batchnorm_statistics_of_its_own(finished_run: RunFolder):
    generator = dcgan.load(finished_run).generator
    z = torch.randn(2000, generator.z_dim)
    activations = generator.gen[0][0](z.view(-1, generator.z_dim, 1, 1))
    assert torch.allclose(generator.gen[0][1].running_mean, activations.mean(dim=(0, 2, 3)), atol=0.01)


@pytest.mark.parametrize("log_every", [2, 100])
def test_a_run_that_is_never_finite_ends_before_it_is_saved(tmp_path: Path, log_every: int):
    with pytest.raises(UserError, match="not finite"):
        dcgan.train("dcgan", out=tmp_path / "r", steps=20, **{**SMALL, "lr": 1e30, "log_every": log_every})
    assert json.loads((tmp_path / "r" / "checkpoint" / "state.json").read_text())["step"] == 0


def test_a_judge_counts_the_classes_in_grids_of_digits(finished_run: RunFolder, tmp_path: Path):
    events = [event for event in finished_run.log.events() if event["event"] == "pictures"]
    assert [sum(event["classes"]) for event in events] == [64, 64, 64]
    pixels = np.random.default_rng(0).integers(0, 256, (20, 28, 28), np.uint8)
    np.save(tmp_path / "a.npy", pixels)
    other = dcgan.train("dcgan", out=tmp_path / "r", data=str(tmp_path / "a.npy"), steps=1, **SMALL)
    assert all("classes" not in event for event in other.log.events())
