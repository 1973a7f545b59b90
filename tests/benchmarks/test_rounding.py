"""The benchmark of rounding: the study's code and ours compute the same step."""

import torch

from benchmarks import rounding, study
from dcgan.models import dcgan
from dcgan.presets import configure
from dcgan.training.set_up import set_up
from dcgan.training.step import train_step


def test_in_float64_a_step_is_the_studys():
    torch.manual_seed(0)
    studys = study.Generator(64).double(), study.Discriminator().double()
    ours = dcgan.Generator(64).double(), dcgan.Discriminator().double()
    for network, trained in zip(ours, studys, strict=True):
        network.load_state_dict(trained.state_dict())
        network.to(memory_format=torch.channels_last)
    batch = [torch.randn(8, 64).double(), torch.randn(8, 64).double(), torch.randn(8, 1, 28, 28).double()]
    expected = rounding.compute_step(*studys, batch, as_we_do=False)
    for actual, reference in zip(rounding.compute_step(*ours, batch, as_we_do=True), expected, strict=True):
        assert (actual - reference).norm() < 1e-9 * reference.norm()


def test_gradients_of_a_step_are_as_exact_as_the_studys():
    """In the best of some batches. In others a ReLU flips, by chance as often here as in the study's code."""
    state = set_up(configure("dcgan", device="cpu"))
    while state.progress.step < 30:
        train_step(state)
    distances = rounding.measure_distances(state, batches=7)
    studys, ours = ([min(column) for column in zip(*distances[name], strict=True)] for name in ("study", "ours"))
    for part, actual, expected in zip(rounding.PARTS, ours, studys, strict=True):
        assert actual < 3 * expected, part
