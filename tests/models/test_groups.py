import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import dcgan
from dcgan import UserError
from dcgan.exporting import onnx
from dcgan.images import to_float
from dcgan.models import build, groups
from dcgan.models.groups import GroupedGenerator
from dcgan.models.store import save_generator
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.sampling import invert
from dcgan.sampling import model as model_module
from dcgan.training.ema import estimate_batchnorm
from dcgan.training.state import State, set_up
from dcgan.training.step import train_step
from tests.conftest import SMALL

TINY = {**SMALL, "groups": 3}
SHADES = (20, 120, 220)


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    """Six hundred noisy pictures of three shades, a half, a third and a sixth of them."""
    source = np.random.default_rng(0)
    level = np.repeat(SHADES, [300, 200, 100])
    pixels = np.clip(level[:, None, None, None] + source.integers(-9, 10, (600, 16, 16, 1)), 0, 255).astype(np.uint8)
    np.savez(tmp_path / "shades.npz", arr_0=pixels[source.permutation(600)])
    return tmp_path / "shades.npz"


def started(data: Path, **settings: object) -> State:
    return set_up(configure("fast", data=str(data), **TINY | settings))


def test_look_alikes_are_found(shades: Path):
    pixels = torch.from_numpy(np.load(shades)["arr_0"]).permute(0, 3, 1, 2)
    centres = groups.find_centres(pixels, 3, seed=0)
    told = groups.assign_groups(pixels, centres)
    assert sorted(told.bincount().tolist()) == [100, 200, 300]
    means = pixels.float().mean((1, 2, 3))
    assert all(means[told == k].std() < 5 for k in range(3))
    assert torch.equal(groups.find_centres(pixels, 3, seed=0), centres)


def test_pictures_that_equal_each_other_leave_groups_empty():
    pixels = torch.zeros(50, 1, 16, 16, dtype=torch.uint8)
    told = groups.assign_groups(pixels, groups.find_centres(pixels, 4, seed=0))
    assert told.bincount(minlength=4).tolist() == [50, 0, 0, 0]
    b = groups.vote_offsets(told.bincount(minlength=4) / 50)
    assert b.isfinite().all()
    assert (torch.randn(1000, 4) + b).argmax(1).bincount(minlength=4)[0] > 980


def test_of_fewer_pictures_than_groups_some_stay_empty():
    pixels = torch.tensor([0, 100, 200], dtype=torch.uint8)[:, None, None, None].repeat(1, 1, 16, 16)
    told = groups.assign_groups(pixels, groups.find_centres(pixels, 5, seed=0))
    assert len(set(told.tolist())) == 3
    assert told.max() < 3


def test_large_pictures_are_looked_at_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch):
    most = []
    monkeypatch.setattr(groups, "to_float", lambda pixels: (most.append(len(pixels)), to_float(pixels))[1])
    pixels = torch.randint(0, 256, (50, 3, 256, 256), dtype=torch.uint8)
    groups.assign_groups(pixels, groups.find_centres(pixels, 2, seed=0))
    assert max(most) * 3 * 256 * 256 * 4 <= 2**24


@pytest.mark.parametrize("shares", [[1.0], [0.5, 0.5], [0.7, 0.2, 0.1], [0.9, 0.05, 0.03, 0.02], [1 / 32] * 32])
def test_each_group_wins_as_often_as_it_is_there(shares: list[float]):
    b = groups.vote_offsets(torch.tensor(shares))
    source = torch.Generator().manual_seed(0)
    wins = (torch.randn(200_000, len(shares), generator=source) + b).argmax(1).bincount(minlength=len(shares))
    expected = torch.tensor(shares)
    assert ((wins / 200_000 - expected).abs() <= 5 * (expected * (1 - expected) / 200_000).sqrt() + 1e-6).all()


@pytest.mark.parametrize(
    ("n", "most", "z_dim", "count"),
    [
        (60_000, 128, 192, 128), (1_000, 32, 64, 10), (99, 32, 64, 1), (5, 32, 64, 1), (900, 4, 64, 4),
        (60_000, 32, 9, 6), (60_000, 32, 1, 0), (60_000, 0, 64, 0),
    ],
)  # fmt: skip
def test_few_pictures_or_a_short_z_have_few_groups(n: int, most: int, z_dim: int, count: int):
    assert groups.group_count(n, most, z_dim) == count


@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64", "resnet"])
def test_every_network_can_be_told_groups(network: str):
    none = {"g_norm": "none", "d_norm": "none"} if network == "resnet" else {}
    config = configure("dcgan", network=network, z_dim=9, g_width=4, d_width=4, **none)
    generator, discriminator = build.build_networks(config, (1, 28, 28), groups=3)
    z = torch.randn(5, 9)
    pictures = generator(z)
    assert pictures.shape == (5, 1, 28, 28)
    assert discriminator(pictures, torch.tensor([0, 1, 2, 0, 1])).shape == (5, 1)
    assert generator.classes == 0
    assert model_module.Model(generator.eval(), "here").along(1, 3).shape == (3, 28, 28, 1)


def built(k: int = 3) -> GroupedGenerator:
    generator, _ = build.build_networks(configure("fast", z_dim=k + 4, g_width=4, d_width=4), (1, 28, 28), groups=k)
    assert isinstance(generator, GroupedGenerator)
    return generator.eval()


def test_z_chooses_the_group_and_a_group_can_be_told():
    generator = built()
    z = torch.randn(64, 7)
    winner = (z[:, :3] + generator.votes).argmax(1)
    weights = generator.group_weights(z)
    assert torch.equal(weights.argmax(1), winner)
    assert weights.sum(1) == pytest.approx(torch.ones(64))
    assert (weights.max(1).values > 0.99).float().mean() > 0.8  # decided, but for near ties
    clear = weights.max(1).values > 0.9999
    assert torch.allclose(generator(z)[clear], generator.network(z[:, 3:], winner)[clear], atol=1e-3)
    generator.train()
    assert torch.equal(generator(z, winner), generator.network(z[:, 3:], winner))


def test_between_two_groups_pictures_change_without_a_jump():
    generator = built()
    z = torch.randn(1, 7).repeat(400, 1)
    z[:, 0] = torch.linspace(-4, 4, 400)
    ends = (generator(z[:1]) - generator(z[-1:])).abs().max()
    steps = (generator(z)[1:] - generator(z)[:-1]).abs().amax((1, 2, 3))
    assert 0 < steps.max() < ends * 0.6


def test_a_saved_generator_comes_back(tmp_path: Path):
    generator = built()
    generator.votes.copy_(torch.tensor([1.0, 0.0, -1.0]))
    save_generator(generator, tmp_path / "model")
    back = dcgan.load(tmp_path / "model")
    assert torch.equal(back.generator(torch.ones(2, 7)), generator(torch.ones(2, 7)))
    assert back.generator.groups == 3
    assert (back.sample(5, 1) == back.sample(9, 1)[:5]).all()


@pytest.mark.parametrize(
    "inner",
    [
        {"family": "nobody"}, {}, {"family": "dcgan64", "width": 10**9}, {"family": "dcgan64", "what": 3},
        {"family": "dcgan64", "classes": 0}, {"family": ["dcgan64"]}, [1], "x", 3, None,
    ],
)  # fmt: skip
def test_a_damaged_description_is_refused(tmp_path: Path, inner: object):
    generator = built()
    save_generator(generator, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"network": inner}))
    with pytest.raises(UserError, match="damaged: it describes no grouped generator"):
        dcgan.load(tmp_path / "model")


@pytest.mark.parametrize("classes", [1.5, 2, "x", [3], None])
def test_damaged_classes_are_refused(tmp_path: Path, classes: object):
    save_generator(built(), tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"classes": classes}))
    with pytest.raises(UserError, match="damaged: it describes no grouped generator"):
        dcgan.load(tmp_path / "model")


def test_training_tells_both_networks_the_groups(shades: Path):
    state = started(shades)
    assert state.told is not None
    assert sorted(state.told.bincount().tolist()) == pytest.approx([90, 180, 270], abs=12)  # a tenth is held out
    assert state.classes == 0
    assert state.config.z_dim == SMALL["z_dim"]
    before = [p.clone() for p in state.generator.parameters()]
    train_step(state)
    assert all(not torch.equal(a, b) for a, b in zip(before, state.generator.parameters(), strict=True))


def test_own_networks_come_before_groups(tmp_path: Path, shades: Path):
    mine, _ = build.build_networks(configure("dcgan64", z_dim=8, g_width=4, d_width=4), (1, 16, 16))
    run = dcgan.train("fast", generator=mine, data=str(shades), out=tmp_path / "r", steps=1, **TINY)
    assert len(list(run.samples.iterdir())) == 2


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Two classes, each of two shades: 300 and 200 pictures of 0, 100 and 300 of 1, a tenth of them held out."""
    source = np.random.default_rng(0)
    level, label = np.repeat([20, 80, 160, 230], [300, 200, 100, 300]), np.repeat([0, 1], [500, 400])
    pixels = np.clip(level[:, None, None, None] + source.integers(-9, 10, (900, 16, 16, 1)), 0, 255).astype(np.uint8)
    order = source.permutation(900)
    np.savez(tmp_path / "classes.npz", arr_0=pixels[order], arr_1=label[order])
    return tmp_path / "classes.npz"


def test_each_class_is_sorted_into_groups_of_its_own(classes: Path):
    state = started(classes, conditional=True, groups=4)
    generator = state.ema.network
    assert isinstance(generator, GroupedGenerator)
    assert (generator.groups, generator.classes, state.classes, state.config.groups) == (4, 2, 2, 4)
    assert torch.equal(state.told // 2, state.data.labels)
    means = state.data.pixels.float().mean((1, 2, 3))
    assert all(means[state.told == k].std() < 5 for k in range(4))
    wins = generator.group_weights(torch.randn(20_000, generator.z_dim), torch.arange(20_000) % 2).argmax(1).view(-1, 2)
    assert (wins // 2 == torch.tensor([0, 1])).all()
    for label in (0, 1):
        shares = state.told[state.told // 2 == label].bincount(minlength=4).float()
        assert wins[:, label].bincount(minlength=4) / 10_000 == pytest.approx(shares / shares.sum(), abs=0.03)


def test_told_a_class_z_chooses_among_its_groups():
    generator, _ = build.build_networks(
        configure("fast", z_dim=9, g_width=4, d_width=4), (1, 28, 28), classes=2, groups=4
    )
    assert isinstance(generator, GroupedGenerator)
    generator.eval()
    z, labels = torch.randn(64, 9), torch.arange(64) % 2
    weights = generator.group_weights(z, labels)
    assert torch.equal(weights.argmax(1) // 2, labels)
    assert torch.allclose(generator(z, labels), generator.network(z[:, 4:], weights))

    estimate_batchnorm(generator, [(z, labels)])
    found = [m.running_mean.clone() for m in generator.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    estimate_batchnorm(generator.network, [(z[:, 4:], weights)])
    expected = [m.running_mean for m in generator.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert any(mean.abs().max() > 0 for mean in found)


def test_a_run_of_before_groups_within_classes_is_refused(tmp_path: Path, classes: Path):
    given = {**TINY, "groups": 4, "conditional": True}
    run = dcgan.train("fast", data=str(classes), out=tmp_path / "r", steps=1, **given)
    with pytest.raises(UserError, match="of an earlier version"):
        set_up(replace(run.config(), groups=5), is_new=False)
    own = dcgan.load(run).generator.requires_grad_(True)
    with pytest.raises(UserError, match="cannot be told classes: start from it"):
        dcgan.train("cgan", generator=own, data=str(classes), out=tmp_path / "o", steps=1)


def test_classes_and_groups_train_draw_and_go_on_to_the_bit(tmp_path: Path, classes: Path):
    given = {**TINY, "groups": 4, "conditional": True}
    whole = dcgan.train("fast", data=str(classes), out=tmp_path / "whole", steps=6, **given)
    part = dcgan.train("fast", data=str(classes), out=tmp_path / "part", steps=3, **given)
    dcgan.resume(part, steps=6)
    assert state_of(whole) == state_of(part)
    model = dcgan.load(whole)
    assert model.generator.classes == 2
    assert model.sample(4, label=1).shape == (4, 16, 16, 1)
    assert onnx.export_onnx(model, tmp_path / "g.onnx") <= 1e-5


def test_a_class_of_few_pictures_and_many_classes():
    pixels = torch.randint(0, 256, (60, 1, 16, 16), dtype=torch.uint8)
    labels = torch.tensor([0] * 58 + [2] * 2)
    told = groups.assign_groups(pixels, groups.find_centres(pixels, 9, 0, labels, 3), labels, 3)
    assert torch.equal(told // 3, labels)
    assert [groups.group_count(60_000, 128, 192, n) for n in (0, 10, 64, 65, 1000)] == [128, 120, 128, 0, 0]


def test_a_warm_start_needs_groups_of_the_same_classes(tmp_path: Path, classes: Path, shades: Path):
    first = dcgan.train("fast", data=str(shades), out=tmp_path / "a", steps=1, **TINY)
    with pytest.raises(UserError, match=r"--init .* knows no classes, and .* has 2"):
        started(classes, conditional=True, init=str(first.path))
    second = dcgan.train(
        "fast", data=str(classes), out=tmp_path / "b", steps=1, **TINY | {"groups": 4}, conditional=True
    )
    assert started(classes, conditional=True, init=str(second.path)).generator.groups == 4
    assert started(classes, init=str(second.path)).generator.groups == 4


def state_of(run: RunFolder) -> bytes:
    return (run.checkpoint / "state.safetensors").read_bytes()


def test_a_run_on_groups_goes_on_to_the_bit(tmp_path: Path, shades: Path, monkeypatch: pytest.MonkeyPatch):
    whole = dcgan.train("fast", data=str(shades), out=tmp_path / "whole", steps=6, **TINY)
    part = dcgan.train("fast", data=str(shades), out=tmp_path / "part", steps=3, **TINY)
    monkeypatch.setattr(
        groups, "find_centres", None
    )  # the groups are those of the state, whatever would be found today
    dcgan.resume(part, steps=6)
    assert state_of(whole) == state_of(part)


def test_a_warm_start_keeps_the_models_groups(tmp_path: Path, shades: Path):
    first = dcgan.train("fast", data=str(shades), out=tmp_path / "a", steps=2, **TINY)
    pixels = np.load(shades)["arr_0"]
    np.savez(tmp_path / "few.npz", arr_0=pixels[pixels.mean((1, 2, 3)) > 70][:150])  # none of the darkest shade
    assert started(tmp_path / "few.npz").generator.groups == 1
    state = started(tmp_path / "few.npz", init=str(first.path))
    saved, mine = (g.state_dict() for g in (dcgan.load(first.path).generator, state.generator))
    assert all(torch.equal(saved[name], mine[name]) for name in saved if name != "votes")
    shares = state.told.bincount(minlength=3) / len(state.told)
    assert shares.min() == 0
    assert torch.equal(mine["votes"], groups.vote_offsets(shares))

    run = dcgan.train("fast", data=str(tmp_path / "few.npz"), init=str(first.path), out=tmp_path / "b", steps=2, **TINY)
    whole = dcgan.train(
        "fast", data=str(tmp_path / "few.npz"), init=str(first.path), out=tmp_path / "c", steps=4, **TINY
    )
    dcgan.resume(run, steps=4)
    assert state_of(run) == state_of(whole)


def test_truncation_leaves_the_vote_alone():
    model = model_module.Model(built().requires_grad_(False), "here")
    whole, cut = model.latents(64), model.latents(64, truncation=0.5)
    assert torch.equal(whole[:, :3], cut[:, :3])
    assert cut[:, 3:].abs().max() <= 0.5


def test_only_directions_that_change_the_picture_can_be_gone_along():
    model = model_module.Model(built().requires_grad_(False), "here")
    assert model.along(4, 3).std(0).max() > 0
    with pytest.raises(UserError, match="direction must be from 1 to 4, not 5"):
        model.along(5)


def test_a_generator_of_ones_own_that_takes_another_z(tmp_path: Path):
    mine = torch.nn.Sequential(torch.nn.Linear(5, 28 * 28), torch.nn.Unflatten(1, (1, 28, 28)))
    with pytest.raises(UserError, match=r"does not take latents \(2, 192\): give it an attribute z_dim, or say z_dim"):
        dcgan.train(generator=mine, out=tmp_path / "r", steps=1)


@pytest.mark.parametrize(("n", "augment"), [(9_999, "diffaugment"), (10_000, "none")])
def test_few_pictures_are_varied_unasked(tmp_path: Path, n: int, augment: str):
    np.savez(tmp_path / "a.npz", arr_0=np.zeros((n, 16, 16, 1), np.uint8))
    assert started(tmp_path / "a.npz").config.augment == augment
    assert started(tmp_path / "a.npz", augment="flip").config.augment == "flip"


def test_onnx_votes_as_pytorch_does(tmp_path: Path):
    generator = built()
    model = model_module.Model(generator.requires_grad_(False), "here")
    assert onnx.export_onnx(model, tmp_path / "g.onnx") <= 1e-5
    z = torch.randn(500, 7)
    z[:250, 1] = z[:250, 0] + generator.votes[0] - generator.votes[1] + torch.linspace(-0.02, 0.02, 250)  # near ties
    session = onnxruntime.InferenceSession(str(tmp_path / "g.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(["images"], {"z": z.numpy()})
    assert np.abs(found - generator(z).numpy()).max() <= 1e-5


def test_a_picture_finds_its_group_again():
    generator = built()
    model = model_module.Model(generator.requires_grad_(False), "here")
    found = invert.invert(model, model.sample(1, seed=3)[0])
    assert found.error < 12
    assert found.label is None
