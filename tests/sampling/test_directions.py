from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan import Generator, UserError
from dcgan.cli.main import run
from dcgan.cli.sample import parse_directions
from dcgan.models.build import build_networks
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.saved import SavedGenerator
from dcgan.presets import configure
from dcgan.sampling.directions import _middle_features, find_directions
from dcgan.sampling.generate import generate_pixels
from dcgan.sampling.model import Model, load

METHODS = ("weights", "activations")


def make_generator(network: str, classes: int = 0, groups: int = 0) -> SavedGenerator:
    norm = "none" if network == "resnet" else "batch"
    config = configure("dcgan", network=network, z_dim=6, g_width=8, g_norm=norm, d_norm="none")
    return build_networks(config, (1, 28, 28), classes, groups)[0].eval()


@pytest.mark.parametrize("method", METHODS)
def test_a_coordinate_that_changes_more_than_all_others_is_the_first_direction(method: str):
    torch.manual_seed(0)
    generator = Generator(10, 1, 8, classes=3).eval()
    with torch.no_grad():
        generator.gen[0][0].weight[4] *= 30
        generator.gen[0][0].weight[10:] *= 30  # the classes: no direction may follow them
    found = find_directions(generator, method)
    assert found.vector(1)[4] > 0.98
    assert found.shares[0] > 0.2
    assert found.shares[0] > 2 * found.shares[1]
    assert found.shares.sum() < 1.001
    assert torch.allclose(found.vectors.norm(dim=1), torch.ones(10), atol=1e-5)


@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64", "resnet"])
@pytest.mark.parametrize("classes", [0, 2])
def test_every_family_has_directions_of_both_methods(network: str, classes: int):
    generator = make_generator(network, classes)
    for method in METHODS:
        found = find_directions(generator, method)
        assert found.vectors.shape == (6, 6)
        assert (found.shares.diff() <= 0).all()


@pytest.mark.parametrize("groups", [0, 2])
def test_activations_of_upsample_are_maps_and_not_styles(groups: int):
    """Most of its layers make a style, and a layer of these stands in the middle of all."""
    torch.manual_seed(0)
    config = configure("match", z_dim=20, g_width=6)
    generator = build_networks(config, (1, 28, 28), 0, groups)[0].eval()
    network = generator.network if isinstance(generator, GroupedGenerator) else generator
    assert generator.middle_layer() is network.middle_layer() is network.layers[1]
    z, labels = torch.randn(5, network.z_dim), torch.arange(5) % groups if groups else None
    maps = 12 * 4 * 4  # 12 channels of 14x14 pixels, which are averaged to 4x4
    assert _middle_features(network, z, labels).shape == (5, maps)
    assert find_directions(generator, "activations").vectors.shape == (network.z_dim, generator.z_dim)


@pytest.mark.parametrize("method", METHODS)
def test_directions_of_groups_do_not_move_the_votes(method: str):
    generator = make_generator("dcgan", groups=2)
    assert find_directions(generator, method).vectors[:, : generator.groups].abs().max() < 1e-9


def test_activations_are_found_alike_each_time_and_leave_the_random_numbers_of_others():
    generator = make_generator("dcgan64")
    torch.manual_seed(5)
    first, after = find_directions(generator, "activations"), torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), after)
    assert torch.equal(find_directions(generator, "activations").vectors, first.vectors)
    assert not any(module._forward_pre_hooks for module in generator.modules())


@pytest.mark.parametrize("method", METHODS)
def test_samples_are_moved_along_directions(rgb_model: Model, method: str):
    found = rgb_model.directions(method)
    z = rgb_model.latents(5, seed=3) + 1.5 * found.vector(2) - 0.5 * found.vector(4)
    moved = rgb_model.sample(5, seed=3, directions={2: 1.5, 4: -0.5}, method=method)
    assert (moved == generate_pixels(rgb_model.generator, z)).all()
    assert (rgb_model.sample(5, seed=3, directions={2: 0.0}) == rgb_model.sample(5, seed=3)).all()
    assert (moved != rgb_model.sample(5, seed=3)).any()


@pytest.mark.parametrize("directions", [{0: 1.0}, {17: 1.0}, {1: float("nan")}, {1: float("inf")}, {1: 1e40}])
def test_impossible_directions_are_refused(rgb_model: Model, directions: dict[int, float]):
    with pytest.raises(UserError, match="must be"):
        rgb_model.sample(1, directions=directions)


def test_an_unknown_method_is_refused(rgb_model: Model):
    with pytest.raises(UserError, match=r"must be weights or activations, not 'weight', did you mean 'weights'\?"):
        rgb_model.directions("weight")


def test_the_command_draws_a_strip_for_each_direction(class_model: Model, tmp_path: Path):
    words = ["directions", class_model.source, "--out", str(tmp_path / "d"), "--count", "3", "--frames", "5"]
    assert run([*words, "--label", "dog"]) == 0
    assert {path.name for path in (tmp_path / "d").iterdir()} == {
        "01.png", "02.png", "03.png", "directions.png", "directions.npz"
    }  # fmt: skip
    frames = class_model.along(2, 5, label="dog")
    with Image.open(tmp_path / "d" / "02.png") as strip, Image.open(tmp_path / "d" / "directions.png") as all_strips:
        assert strip.size == (5 * 30 + 2, 32)
        assert all_strips.size == (5 * 30 + 2, 3 * 30 + 2)
        assert (np.asarray(strip)[2:30, 2:30] == frames[0, ..., 0]).all()
        assert (np.asarray(all_strips)[32:60, 122:150] == frames[4, ..., 0]).all()
    with np.load(tmp_path / "d" / "directions.npz") as arrays:
        assert (arrays["vectors"] == class_model.directions().vectors[:3].numpy()).all()
        assert arrays["shares"].shape == (3,)


def test_the_command_sample_moves_along_directions(class_model: Model, tmp_path: Path):
    out = tmp_path / "a.npz"
    words = ["sample", class_model.source, "--n", "4", "--direction", "2=1.5", "--direction=1=-1", "--out", str(out)]
    assert run([*words, "--direction-method", "activations"]) == 0
    expected = load(class_model.source).sample(4, directions={2: 1.5, 1: -1.0}, method="activations")
    with np.load(out) as arrays:
        assert (arrays["arr_0"] == expected).all()


def test_amounts_are_read():
    assert parse_directions(["2=1.5", "1=-.5", "12=+3"]) == {2: 1.5, 1: -0.5, 12: 3.0}


@pytest.mark.parametrize("word", ["2", "2=", "=1", "a=1", "2=nan", "2=1e9", "-1=1", "2=1=1", "2 = 1"])
def test_amounts_of_another_form_are_refused(refused: Callable[..., str], tmp_path: Path, word: str):
    error = refused("sample", "mnist", f"--direction={word}", "--out", str(tmp_path / "a.png"))
    assert f"--direction takes NUMBER=AMOUNT, such as 2=1.5, not {word}" in error


def test_a_direction_given_twice_and_no_directions_are_refused(refused: Callable[..., str], tmp_path: Path):
    words = ("sample", "mnist", "--direction=1=1", "--direction=1=2", "--out", str(tmp_path / "a.png"))
    assert "--direction 1 is given twice" in refused(*words)
    assert "--count must be at least 1" in refused("directions", "mnist", "--count", "0", "--out", str(tmp_path / "d"))
    assert list(tmp_path.iterdir()) == []
