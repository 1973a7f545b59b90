import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from dcgan import UserError
from dcgan.models.blocks import SkipInitialization
from dcgan.models.build import build_networks
from dcgan.models.families import find_family
from dcgan.models.resnet import Block
from dcgan.presets import configure
from tests.models.conftest import parameter_count


def test_weights_follow_from_the_seed_and_do_not_change_torchs_random_state():
    before = torch.get_rng_state()
    (a, d), (b, _), (c, _) = (build_networks(configure("dcgan", seed=s), (1, 28, 28)) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(a.gen[0][0].weight, b.gen[0][0].weight)
    assert not torch.equal(a.gen[0][0].weight, c.gen[0][0].weight)
    assert parameter_count(d) == 9_105


def test_two_threads_build_the_networks_of_their_seeds():
    def weights(seed: int) -> torch.Tensor:
        return build_networks(configure("dcgan", seed=seed), (1, 28, 28))[0].state_dict()["gen.0.0.weight"]

    expected = [weights(seed) for seed in range(4)]
    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            assert all(map(torch.equal, pool.map(weights, range(4)), expected))


def test_a_size_that_the_network_cannot_draw_is_refused():
    with pytest.raises(UserError, match="28x28 only"):
        build_networks(configure("dcgan"), (1, 32, 32))


def test_networks_that_do_not_fit_into_memory_are_refused():
    with pytest.raises(UserError, match="GB to train"):
        build_networks(configure("dcgan", g_width=65_536), (1, 28, 28))


@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64"])
def test_networks_without_memory_have_the_same_parts_with_spectral_normalization(network: str):
    config, family = configure("dcgan", g_norm="spectral", d_norm="spectral"), find_family(network).load()
    with torch.device("meta"), SkipInitialization():
        without_memory = family.build(config, (1, 28, 28), 10)
    for empty, filled in zip(without_memory, family.build(config, (1, 28, 28), 10), strict=True):
        expected = filled.state_dict()
        assert {name: tensor.shape for name, tensor in empty.state_dict().items()} == {
            name: tensor.shape for name, tensor in expected.items()
        }
        assert all(tensor.is_meta for tensor in empty.state_dict().values())


CHECK_NETWORKS = """
import sys
from dcgan.models.build import check_networks
from dcgan.presets import configure

before = "torch._dynamo" in sys.modules  # some versions of torch import it by themselves
check_networks(configure("dcgan", g_norm="spectral", d_norm="spectral"))
print(before or "torch._dynamo" not in sys.modules)
"""


def test_spectral_normalization_imports_no_compiler_to_be_checked():
    """Importing it takes longer than everything else up to the first step."""
    process = subprocess.run([sys.executable, "-c", CHECK_NETWORKS], check=True, capture_output=True, text=True)
    assert process.stdout == "True\n"


@pytest.mark.parametrize("size", [(28, 28), (30, 45), (17, 64), (16, 256), (100, 37)])
@pytest.mark.parametrize("network", ["mlp", "dcgan64", "resnet"])
@pytest.mark.parametrize("classes", [0, 4])
def test_any_height_and_width(network: str, size: tuple[int, int], classes: int):
    no_norm = {"g_norm": "none", "d_norm": "none"}
    config = configure("dcgan", network=network, z_dim=5, g_width=2, d_width=2, **no_norm)
    generator, discriminator = build_networks(config, (3, *size), classes)
    labels = (torch.tensor([0, 3]),) if classes else ()
    images = generator(torch.randn(2, 5), *labels)
    assert images.shape == (2, 3, *size)
    assert generator.picture_shape == (3, *size)
    assert images.abs().max() <= 1
    assert discriminator(images, *labels).shape == (2, 1)


@pytest.mark.parametrize("network", ["mlp", "dcgan64", "resnet"])
@pytest.mark.parametrize("size", [(15, 28), (28, 257), (0, 16)])
def test_sizes_out_of_range_are_refused(network: str, size: tuple[int, int]):
    config = configure("dcgan", network=network, g_norm="none", d_norm="none")
    with pytest.raises(UserError, match="16 to 256 pixels"):
        build_networks(config, (1, *size))


@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64", "resnet"])
def test_the_class_changes_the_picture_and_the_score(network: str):
    no_norm = {"g_norm": "none", "d_norm": "none"} if network == "resnet" else {}
    generator, discriminator = build_networks(configure("dcgan", network=network, **no_norm), (1, 28, 28), 10)
    if network == "resnet":  # a block starts as the identity; its class has an effect all the same
        assert all(not block.branch[4].weight.any() for block in generator.modules() if isinstance(block, Block))
    z = torch.randn(3, 64)
    a, b = (generator.eval()(z, torch.full((3,), label)) for label in (1, 2))
    assert not torch.equal(a, b)
    scores = [discriminator.eval()(a, torch.full((3,), label)) for label in (1, 2)]
    assert not torch.equal(*scores)
