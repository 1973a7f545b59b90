"""Networks of the user's own that cannot be used: each is refused in one line, before anything is written."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import dcgan
from dcgan import UserError
from dcgan.training.losses import OBJECTIVES, Objective, make_objective
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


class LacksClasses(nn.Module):
    """A generator that knows five classes."""

    def __init__(self):
        super().__init__()
        self.z_dim, self.classes, self.layer = 4, nn.Embedding(5, 4), nn.Linear(4, 784)

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(z + self.classes(labels))).view(-1, 1, 28, 28)


def mean_loss(*scores: torch.Tensor) -> torch.Tensor:
    return torch.cat(scores).mean()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"generator": nn.Linear(9, 9).requires_grad_(False)}, "the generator has no weights that can be trained"),
        ({"discriminator": nn.Flatten()}, "the discriminator has no weights that can be trained"),
        ({"loss": Objective(lambda r, f: r - f, mean_loss)}, r"discriminator's part .* not \(2, 1\): take its mean"),
        ({"loss": Objective(lambda r, f: 0.5, mean_loss)}, "must return a tensor, not float"),
        ({"loss": Objective(mean_loss, lambda f: f.mean().view(1))}, r"generator's part .* not \(1,\): take its mean"),
        ({"loss": Objective(mean_loss, lambda f: f.mean().detach())}, "does not depend on the scores"),
        ({"loss": Objective(lambda r: r.mean(), mean_loss)}, r"does not take scores \(N, 1\) and scores \(N, 1\) \("),
        ({"loss": Objective(mean_loss, mean_loss, score_kind="none")}, "score_kind of your own loss must be one of"),
        ({"callbacks": object()}, "callbacks must be a list of objects, not object"),
        ({"callbacks": [print]}, r"callbacks\[0\], of builtin_function_or_method, has none of the methods on_start,"),
        ({"callbacks": [type("Named", (), {"on_step": print})]}, r"callbacks\[0\] is the class Named: call it"),
        (
            {"generator": LacksClasses(), "conditional": True},
            "labels 9, 0: conditional networks .* as a second argument",
        ),
    ],
)
def test_parts_that_cannot_be_trained_are_refused_in_one_line(tmp_path: Path, parts: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message) as error:
        dcgan.train("dcgan", out=tmp_path / "r", data="mnist", steps=1, device="cpu", **parts)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
