"""Networks of the user's own that cannot be used: each is refused in one line, before anything is written."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import dcgan
from dcgan import UserError
from dcgan.devices.processes import TrainingStopped
from dcgan.run.folder import RunFolder
from dcgan.training.callbacks import StepEvent
from dcgan.training.losses import OBJECTIVES, Objective, make_objective
from dcgan.training.try_parts import check_gradients, try_networks
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


class Detached(nn.Module):
    """A network whose inputs or outputs are detached."""

    def __init__(self, network: nn.Module, *, at_input: bool = False, in_evaluation_only: bool = False) -> None:
        super().__init__()
        self.network, self.z_dim, self.at_input, self.in_evaluation_only = network, 8, at_input, in_evaluation_only

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.in_evaluation_only and self.training:
            return self.network(x)
        return self.network(x.detach()) if self.at_input else self.network(x).detach()


class ComplexWeight(nn.Flatten):
    """A discriminator with a complex weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(784, 1, dtype=torch.complex64))


def draw_layer(**options: Any) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 784, **options), nn.Unflatten(1, (1, 28, 28)))


def score_layer(**options: Any) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 1, **options))


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
        ({"generator": Detached(draw_layer())}, "the generator's pictures do not depend on its weights: no gradient"),
        ({"discriminator": Detached(score_layer())}, "the discriminator's scores do not depend on its weights: no"),
        (
            {"discriminator": Detached(score_layer(), at_input=True)},
            "the discriminator's scores do not depend on the pictures: no gradient goes through its forward",
        ),
        ({"discriminator": ComplexWeight()}, "the discriminator's weight weight is complex: keep its real and its"),
        (
            {"generator": draw_layer(dtype=torch.float64), "z_dim": 8},
            r"does not take latents \(2, 8\): its weights are torch.float64, and .* in float32: call .float\(\)",
        ),
        (
            {"discriminator": score_layer(dtype=torch.float64)},
            r"does not take pictures \(2, 1, 28, 28\): its weights are torch.float64, and .*: call .float\(\)",
        ),
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


class Score(nn.Sequential):
    """A small discriminator with parts that are easy to get wrong."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__(nn.Flatten(), nn.Linear(28 * 28, 8), *parts, nn.Linear(8, 1))


def tensors_of(run: RunFolder) -> bytes:
    return (run.checkpoint / "state.safetensors").read_bytes()


def test_networks_that_drew_before_are_trained_in_training_mode(tmp_path: Path):
    settings = {**SMALL, "steps": 2}
    networks = [Score(nn.BatchNorm1d(8)) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    networks[1].eval()
    runs = [
        dcgan.train("dcgan", out=tmp_path / str(i), discriminator=network, **settings)
        for i, network in enumerate(networks)
    ]
    assert tensors_of(runs[0]) == tensors_of(runs[1])


def test_a_refused_call_leaves_the_mode_of_a_network_as_it_was():
    generator = nn.Unflatten(1, (1, 2, 4))
    with pytest.raises(UserError, match="must return scores"):
        try_networks(generator, nn.Flatten(), torch.zeros(2, 8), torch.zeros(2, 1, 2, 4), ())
    assert generator.training


def test_networks_that_have_no_gradient_in_evaluation_mode_are_trained():
    normalized = nn.Sequential(nn.Linear(8, 784), nn.BatchNorm1d(784), nn.Unflatten(1, (1, 28, 28)))
    networks = [Detached(network, in_evaluation_only=True) for network in (normalized, score_layer())]
    before = [tensor.clone() for network in networks for tensor in network.state_dict().values()]
    networks[0].eval()
    check_gradients(networks[0], networks[1], torch.randn(2, 8), ())
    after = [tensor for network in networks for tensor in network.state_dict().values()]
    assert all(map(torch.equal, before, after))
    assert [module.training for network in networks for module in network.modules()] == [False] * 5 + [True] * 4


def test_networks_made_in_inference_mode_are_refused(tmp_path: Path):
    with torch.inference_mode():
        discriminator = score_layer()
        with pytest.raises(UserError, match=r"the discriminator was made in torch\.inference_mode"):
            dcgan.train("dcgan", out=tmp_path / "r", discriminator=discriminator, steps=1, **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_name_does_not_replace_a_loss_of_ones_own(tmp_path: Path):
    loss = Objective(lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean())
    run = dcgan.train("dcgan", out=tmp_path / "r", loss=loss, **SMALL, steps=2)
    with pytest.raises(UserError, match=r"^resume takes your own dcgan\.Objective as loss, not the name 'hinge'$"):
        dcgan.resume(run, loss="hinge", steps=4)


def test_a_layer_that_is_used_twice_is_saved_and_resumed(tmp_path: Path):
    def make() -> nn.Module:
        torch.manual_seed(0)
        twice = nn.PReLU()
        return Score(twice, nn.Linear(8, 8), twice)

    whole = dcgan.train("dcgan", out=tmp_path / "whole", discriminator=make(), **SMALL, steps=4)
    part = dcgan.train("dcgan", out=tmp_path / "part", discriminator=make(), **SMALL, steps=2)
    assert tensors_of(dcgan.resume(part, discriminator=make(), steps=4)) == tensors_of(whole)


def test_dropout_is_repeated_and_resumed_to_the_bit(tmp_path: Path):
    def make() -> nn.Module:
        torch.manual_seed(0)
        return Score(nn.Dropout(0.5))

    runs = [dcgan.train("dcgan", out=tmp_path / name, discriminator=make(), **SMALL, steps=4) for name in "ab"]
    torch.manual_seed(1)  # the user's own random state
    part = dcgan.train("dcgan", out=tmp_path / "part", discriminator=make(), **SMALL, steps=2)
    resumed = dcgan.resume(part, discriminator=make(), steps=4)
    assert tensors_of(runs[0]) == tensors_of(runs[1]) == tensors_of(resumed)


def test_a_stopped_run_with_parts_of_ones_own_says_which_call_continues_it(tmp_path: Path):
    class Interrupt:
        def on_step(self, event: StepEvent) -> None:
            if event.step == 2:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(TrainingStopped, match=r"continue with: dcgan\.resume\('.*/r', discriminator=\.\.\.\)$"):
        dcgan.train("dcgan", out=tmp_path / "r", steps=9, discriminator=Score(), callbacks=[Interrupt()], **SMALL)


def test_a_generator_that_cannot_be_copied_is_refused_in_one_line(tmp_path: Path):
    layer = torch.nn.utils.spectral_norm(nn.Linear(8, 28 * 28))
    generator = nn.Sequential(layer, nn.Unflatten(1, (1, 28, 28)))
    generator(torch.zeros(1, 8))  # the layer keeps what it computed, with its graph
    with pytest.raises(UserError, match=r"^the generator cannot be copied for its average: ") as error:
        dcgan.train("dcgan", out=tmp_path / "r", steps=1, generator=generator, **SMALL)
    assert "\n" not in str(error.value)


def test_a_lazy_layer_is_refused_until_it_has_weights(tmp_path: Path):
    with pytest.raises(UserError, match="discriminator has a lazy layer without weights yet: call it with a batch"):
        dcgan.train(out=tmp_path / "r", steps=1, discriminator=nn.Sequential(nn.Flatten(), nn.LazyLinear(1)))
    assert list(tmp_path.iterdir()) == []
