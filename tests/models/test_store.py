import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dcgan import Generator, UserError
from dcgan.models.build import build_networks
from dcgan.models.store import load_generator, save_generator
from dcgan.presets import configure
from dcgan.sampling.model import load
from tests.models.conftest import save_small_generator


def test_a_saved_generator_is_loaded(tmp_path: Path):
    generator = save_small_generator(tmp_path / "m")
    loaded = load_generator(tmp_path / "m")
    assert loaded.trained == generator.trained
    z = torch.randn(3, 6)
    assert torch.equal(loaded(z), generator(z))
    assert torch.equal(Generator.from_pretrained(tmp_path / "m")(z), generator(z))
    assert not loaded.training
    assert sorted(f.name for f in (tmp_path / "m").iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_no_pickle_is_read(tmp_path: Path):
    folder = tmp_path / "m"
    save_small_generator(folder)
    (folder / "model.safetensors").unlink()
    torch.save(Generator(6, 1, 4).state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"no .*model.safetensors"):
        load_generator(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "stylegan"}, "family 'stylegan'"),
        ({"family": None}, "family None"),
        ({"family": []}, r"family \[\]"),
        ({"sha256": "0"}, "checksum"),
        ({"z_dim": 7}, "gen.0.0.weight is"),
        ({"z_dim": "many"}, "config.json is damaged"),
        ({"z_dim": -1}, "config.json is damaged"),
        ({"z_dim": 10**12}, "config.json is damaged"),
        ({"hidden_dim": 10**18}, "config.json is damaged"),
        ({"format_version": 2}, "newer dcgan"),
        ({"format_version": None}, "not written by dcgan"),
    ],
)
def test_a_foreign_or_damaged_config_is_refused_before_memory_is_used(tmp_path: Path, change: dict, message: str):
    save_small_generator(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        load_generator(tmp_path)


@pytest.mark.parametrize("keep", [0, 7, 8, 100, -1])
def test_a_cut_model_file_is_refused(tmp_path: Path, keep: int):
    save_small_generator(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"model.safetensors is damaged"):
        load_generator(tmp_path)


def test_a_flipped_byte_in_the_weights_is_noticed(tmp_path: Path):
    save_small_generator(tmp_path)
    path = tmp_path / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="checksum"):
        load_generator(tmp_path)


def test_weights_of_another_type_are_refused(tmp_path: Path):
    save_small_generator(tmp_path)
    path = tmp_path / "model.safetensors"
    save_file({k: v.bfloat16() if v.is_floating_point() else v for k, v in load_file(path).items()}, path)
    with pytest.raises(UserError, match="BF16"):
        load_generator(tmp_path)


def test_half_precision_is_read(tmp_path: Path):
    generator = save_small_generator(tmp_path)
    save_generator(copy.deepcopy(generator).half(), tmp_path)
    loaded = load_generator(tmp_path)
    z = torch.randn(9, 6)
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    assert (loaded(z) - generator.eval()(z)).abs().max() < 1 / 127.5


def test_a_foreign_model_file_is_refused(tmp_path: Path):
    save_small_generator(tmp_path)
    save_file({"weight": torch.zeros(3)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="does not fit"):
        load_generator(tmp_path)


def test_weights_are_saved_as_they_are_whatever_their_layout(tmp_path: Path):
    generator = Generator(6, 1, 4).to(memory_format=torch.channels_last)
    save_generator(generator, tmp_path / "m")
    for name, tensor in load_file(tmp_path / "m" / "model.safetensors").items():
        assert torch.equal(tensor, generator.state_dict()[name])


def test_a_model_of_the_first_format_is_read_and_draws_the_same():
    folder = Path(__file__).parents[1] / "fixtures" / "model-1"
    with np.load(folder / "samples.npz", allow_pickle=False) as arrays:
        expected = arrays["arr_0"].astype(int)
    model = load(folder)
    assert abs(model.sample(2, seed=0).astype(int) - expected).max() <= 1
    assert model.trained["step"] == 7
    assert model.classes == ()


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("norm", ["batch", "instance", "layer", "none", "spectral"])
@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64", "resnet"])
def test_generators_of_every_family_are_saved_and_loaded(tmp_path: Path, network: str, norm: str, classes: int):
    norm = {"mlp": "layer" if norm == "instance" else norm, "resnet": "none"}.get(network, norm)
    config = configure("dcgan", network=network, z_dim=6, g_width=4, d_width=4, g_norm=norm, d_norm="none")
    generator, _ = build_networks(config, (3, 28, 28), classes)
    labels = (torch.tensor([0, 2, 1]),) if classes else ()
    generator(torch.randn(3, 6), *labels)
    save_generator(generator.eval(), tmp_path / "m")
    loaded, z = load_generator(tmp_path / "m"), torch.randn(3, 6)
    assert torch.equal(loaded(z, *labels), generator(z, *labels))
    assert (loaded.classes, loaded.picture_shape) == (classes, (3, 28, 28))


@pytest.mark.parametrize(
    "change",
    [
        {"picture_shape": [1, 28]}, {"picture_shape": [1, 28, 10**9]}, {"picture_shape": [1, -28, 28]},
        {"picture_shape": [1, 2.5, 28]}, {"picture_shape": "wide"}, {"classes": -3}, {"classes": "many"},
        {"width": 10**18}, {"picture_shape": [0, 28, 28]}, {"picture_shape": None}, {"width": -1},
    ],
)  # fmt: skip
@pytest.mark.parametrize("network", ["mlp", "dcgan64", "resnet"])
def test_a_damaged_description_is_refused(tmp_path: Path, network: str, change: dict):
    no_norm = {"g_norm": "none", "d_norm": "none"}
    generator, _ = build_networks(configure("dcgan", network=network, g_width=2, **no_norm), (1, 28, 28), 2)
    save_generator(generator, tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=r"config.json"):
        load_generator(tmp_path)
