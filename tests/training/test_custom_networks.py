"""Networks of the user's own that cannot be used: each is refused in one line, before anything is written."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import dcgan
from dcgan import UserError
from dcgan.training.losses import OBJECTIVES, make_objective
from dcgan.training.networks import try_networks
from tests.conftest import SMALL

pytestmark = pytest.mark.usefixtures("without_report")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"generator": nn.Linear}, "^generator must be a torch.nn.Module, not the class Linear: call it$"),
        ({"discriminator": "resnet"}, "^discriminator must be a torch.nn.Module, not str$"),
        ({"loss": nn.BCELoss()}, "^loss must be a name or a dcgan.Objective, not BCELoss$"),
    ],
)
def test_parts_that_are_no_networks_are_refused(tmp_path: Path, parts: dict[str, Any], message: str):
    for call in (lambda: dcgan.train(out=tmp_path / "r", steps=1, **parts), lambda: dcgan.resume(tmp_path, **parts)):
        with pytest.raises(UserError, match=message):
            call()
    assert list(tmp_path.iterdir()) == []


class Pair(nn.Module):
    """A network that returns two values."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x


@pytest.mark.parametrize(
    ("generator", "discriminator", "message"),
    [
        (Pair(), nn.Flatten(), "the generator must return a tensor of pictures, not tuple"),
        (nn.Linear(9, 9), nn.Flatten(), r"the generator does not take latents \(2, 8\): give it an attribute z_dim"),
        (nn.Unflatten(1, (1, 2, 4)), Pair(), "the discriminator must return a tensor of scores, not tuple"),
        (nn.Unflatten(1, (1, 2, 4)), nn.Linear(9, 1), r"the discriminator does not take pictures \(2, 1, 2, 4\) \("),
        (nn.Unflatten(1, (1, 2, 4)), nn.Flatten(), r"the discriminator must return scores \(2, 1\), not \(2, 8\)"),
    ],
)
def test_networks_that_do_not_fit_are_refused_in_one_line(generator: nn.Module, discriminator: nn.Module, message: str):
    with pytest.raises(UserError, match=message) as error:
        try_networks(generator, discriminator, torch.zeros(2, 8), torch.zeros(2, 1, 2, 4), ())
    assert "\n" not in str(error.value)


def test_layers_that_the_user_froze_stay_frozen(tmp_path: Path):
    frozen, score = nn.Linear(28 * 28, 8).requires_grad_(False), nn.Linear(8, 1)
    discriminator = nn.Sequential(nn.Flatten(), frozen, nn.LeakyReLU(0.2), score)
    before = [weight.detach().clone() for weight in (frozen.weight, score.weight)]
    dcgan.train("dcgan", out=tmp_path / "r", discriminator=discriminator, steps=3, **SMALL)
    assert torch.equal(frozen.weight, before[0])
    assert not torch.equal(score.weight, before[1])
    assert [weight.requires_grad for weight in discriminator.parameters()] == [False, False, True, True]


def test_labels_are_smoothed_for_a_loss_of_ones_own():
    named = make_objective("non-saturating", 0.1)
    reals, fakes = torch.tensor([[2.0]]), torch.tensor([[-1.0]])
    own = make_objective(OBJECTIVES["non-saturating"], 0.1)
    assert own.discriminator(reals, fakes) == named.discriminator(reals, fakes)
    assert own.discriminator(reals, fakes) != OBJECTIVES["non-saturating"].discriminator(reals, fakes)
    with pytest.raises(UserError, match="your own loss has no labels to smooth"):
        make_objective(OBJECTIVES["hinge"], 0.1)
