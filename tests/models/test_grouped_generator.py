import json
from pathlib import Path

import onnxruntime
import pytest
import torch

import dcgan
from dcgan import UserError
from dcgan.exporting import onnx
from dcgan.models.build import build_networks
from dcgan.models.grouped_generator import GroupedGenerator, vote_offsets
from dcgan.models.store import save_generator
from dcgan.presets import configure
from dcgan.sampling.invert import invert_image
from dcgan.sampling.model import Model
from dcgan.training.ema import estimate_batchnorm
from tests.rounding import assert_equal_up_to_rounding


def build_grouped(k: int = 3) -> GroupedGenerator:
    generator, _ = build_networks(configure("fast", z_dim=k + 4, g_width=4, d_width=4), (1, 28, 28), groups=k)
    assert isinstance(generator, GroupedGenerator)
    return generator.eval()


@pytest.mark.parametrize("shares", [[1.0], [0.5, 0.5], [0.7, 0.2, 0.1], [0.9, 0.05, 0.03, 0.02], [1 / 32] * 32])
def test_each_group_wins_as_often_as_its_share(shares: list[float]):
    offsets = vote_offsets(torch.tensor(shares))
    source = torch.Generator().manual_seed(0)
    wins = (torch.randn(200_000, len(shares), generator=source) + offsets).argmax(1).bincount(minlength=len(shares))
    expected = torch.tensor(shares)
    assert ((wins / 200_000 - expected).abs() <= 5 * (expected * (1 - expected) / 200_000).sqrt() + 1e-6).all()


@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64", "resnet"])
def test_every_family_can_draw_groups(network: str):
    no_norm = {"g_norm": "none", "d_norm": "none"} if network == "resnet" else {}
    config = configure("dcgan", network=network, z_dim=9, g_width=4, d_width=4, **no_norm)
    generator, discriminator = build_networks(config, (1, 28, 28), groups=3)
    z = torch.randn(5, 9)
    pictures = generator(z)
    assert pictures.shape == (5, 1, 28, 28)
    assert discriminator(pictures, torch.tensor([0, 1, 2, 0, 1])).shape == (5, 1)
    assert generator.classes == 0
    assert Model(generator.eval(), "here").along(1, 3).shape == (3, 28, 28, 1)


def test_z_chooses_the_group_unless_it_is_given():
    generator = build_grouped()
    z = torch.randn(64, 7)
    winner = (z[:, :3] + generator.votes).argmax(1)
    weights = generator.group_weights(z)
    assert torch.equal(weights.argmax(1), winner)
    assert weights.sum(1) == pytest.approx(torch.ones(64))
    assert (weights.max(1).values > 0.99).float().mean() > 0.8  # clearly decided, except near ties
    clear = weights.max(1).values > 0.9999
    assert torch.allclose(generator(z)[clear], generator.network(z[:, 3:], winner)[clear], atol=1e-3)
    generator.train()
    assert torch.equal(generator(z, winner), generator.network(z[:, 3:], winner))


def test_for_a_class_z_chooses_one_of_its_groups():
    generator, _ = build_networks(configure("fast", z_dim=9, g_width=4, d_width=4), (1, 28, 28), classes=2, groups=4)
    assert isinstance(generator, GroupedGenerator)
    generator.eval()
    z, labels = torch.randn(64, 9), torch.arange(64) % 2
    weights = generator.group_weights(z, labels)
    assert torch.equal(weights.argmax(1) // 2, labels)
    assert torch.allclose(generator(z, labels), generator.network(z[:, 4:], weights))

    estimate_batchnorm(generator, [(z, labels)])
    actual = [m.running_mean.clone() for m in generator.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    estimate_batchnorm(generator.network, [(z[:, 4:], weights)])
    expected = [m.running_mean for m in generator.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(torch.equal(a, b) for a, b in zip(actual, expected, strict=True))
    assert any(mean.abs().max() > 0 for mean in actual)


def test_pictures_change_without_a_jump_between_two_groups():
    generator = build_grouped()
    z = torch.randn(1, 7).repeat(400, 1)
    z[:, 0] = torch.linspace(-4, 4, 400)
    ends = (generator(z[:1]) - generator(z[-1:])).abs().max()
    steps = (generator(z)[1:] - generator(z)[:-1]).abs().amax((1, 2, 3))
    assert 0 < steps.max() < ends * 0.6


def test_a_saved_generator_is_loaded(tmp_path: Path):
    generator = build_grouped()
    generator.votes.copy_(torch.tensor([1.0, 0.0, -1.0]))
    save_generator(generator, tmp_path / "model")
    loaded = dcgan.load(tmp_path / "model")
    assert torch.equal(loaded.generator(torch.ones(2, 7)), generator(torch.ones(2, 7)))
    assert loaded.generator.groups == 3
    assert (loaded.sample(5, 1) == loaded.sample(9, 1)[:5]).all()


@pytest.mark.parametrize(
    "network",
    [
        {"family": "nobody"}, {}, {"family": "dcgan64", "width": 10**9}, {"family": "dcgan64", "what": 3},
        {"family": "dcgan64", "classes": 0}, {"family": ["dcgan64"]}, [1], "x", 3, None,
    ],
)  # fmt: skip
def test_a_damaged_description_is_refused(tmp_path: Path, network: object):
    generator = build_grouped()
    save_generator(generator, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"network": network}))
    with pytest.raises(UserError, match="damaged: it describes no grouped generator"):
        dcgan.load(tmp_path / "model")


@pytest.mark.parametrize("classes", [1.5, 2, "x", [3], None])
def test_damaged_classes_are_refused(tmp_path: Path, classes: object):
    save_generator(build_grouped(), tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"classes": classes}))
    with pytest.raises(UserError, match="damaged: it describes no grouped generator"):
        dcgan.load(tmp_path / "model")


def test_truncation_does_not_change_the_votes():
    model = Model(build_grouped().requires_grad_(False), "here")
    full, truncated = model.latents(64), model.latents(64, truncation=0.5)
    assert torch.equal(full[:, :3], truncated[:, :3])
    assert truncated[:, 3:].abs().max() <= 0.5


def test_no_direction_changes_the_votes():
    model = Model(build_grouped().requires_grad_(False), "here")
    assert model.along(4, 3).std(0).max() > 0
    with pytest.raises(UserError, match="direction must be from 1 to 4, not 5"):
        model.along(5)


def test_onnx_votes_as_pytorch_does(tmp_path: Path):
    generator = build_grouped()
    model = Model(generator.requires_grad_(False), "here")
    onnx.export_onnx(model, tmp_path / "g.onnx")
    z = torch.randn(500, 7)
    z[:250, 1] = z[:250, 0] + generator.votes[0] - generator.votes[1] + torch.linspace(-0.02, 0.02, 250)  # near ties
    session = onnxruntime.InferenceSession(str(tmp_path / "g.onnx"), providers=["CPUExecutionProvider"])
    (images,) = session.run(["images"], {"z": z.numpy()})
    assert_equal_up_to_rounding(torch.from_numpy(images), generator, z)


def test_inversion_finds_the_group():
    generator = build_grouped()
    model = Model(generator.requires_grad_(False), "here")
    inversion = invert_image(model, model.sample(1, seed=3)[0])
    assert inversion.error < 12
    assert inversion.label is None
