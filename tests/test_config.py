import json
import re
import shlex
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dcgan import config
from dcgan.cli.main import _parse_settings
from dcgan.cli.train import Train
from dcgan.config import Config, is_joined, join_specs, short_name, split_specs
from dcgan.errors import UserError
from dcgan.models.families import FAMILIES
from dcgan.presets import PRESET_DESCRIPTIONS, PRESETS, configure, train_command
from dcgan.run.folder import RunFolder
from dcgan.training import augment, losses, networks
from dcgan.training.start import train


def test_the_names_in_the_settings_are_looked_up_in_their_tables():
    for name in losses.OBJECTIVES:
        networks.check_names(Config(loss=name))
    for name in FAMILIES:
        networks.check_names(Config(network=name))
    for name in (*augment.AUGMENTATIONS, "none", "auto", "flip+diffaugment"):
        networks.check_names(Config(augment=name))
    assert set(PRESET_DESCRIPTIONS) == set(PRESETS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "hings"}, "--loss must be one of minimax, non-saturating, least-squares, hinge, wasserstein, relat"),
        ({"network": "mpl"}, "there is no network 'mpl', did you mean 'mlp'?"),
        ({"augment": "flop"}, "--augment must be one of none, auto, flip, diffaugment, or several joined by +"),
    ],
)
def test_an_unknown_name_is_refused_before_the_data_is_opened(settings: dict, message: str):
    with pytest.raises(UserError, match=r"^[^\n]*$") as error:
        train("dcgan", data="nowhere", **settings)
    assert message in str(error.value)


def test_a_preset_names_itself_and_has_one_duration():
    for name, preset in PRESETS.items():
        assert preset.preset == name
        assert sum(getattr(preset, duration) is not None for duration in config.DURATIONS) == 1


def test_the_preset_dcgan_is_the_study():
    c = PRESETS["dcgan"]
    assert (c.z_dim, c.batch_size, c.lr, c.betas, c.steps) == (64, 128, 2e-4, (0.5, 0.999), 11_500)
    assert (c.n_critic, c.share_z) == (1, False)


def test_a_duration_replaces_that_of_the_preset():
    assert configure("dcgan", minutes=2).steps is None
    assert configure("dcgan", lr=1.0).steps == 11_500


def test_settings_survive_json(tmp_path: Path):
    c = configure("dcgan", lr=3e-4, betas=(0.0, 0.9), minutes=1.5)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"format_version": 1, "settings": config.config_to_json(c)}))
    assert config.read_config(path) == c
    assert configure(str(path)) == c
    assert configure(str(path), seed=4) == replace(c, seed=4)


def test_the_command_names_the_settings_that_differ_from_the_preset():
    assert train_command(PRESETS["dcgan"]) == "dcgan train --preset dcgan"
    c = configure("dcgan", data="a b", betas=(0.0, 0.9), share_z=True, minutes=2.0)
    assert train_command(c) == ("dcgan train --preset dcgan --data 'a b' --share-z --betas 0.0 0.9 --minutes 2.0")


NONE = {"d_norm": "none", "clip": 2.0}


@pytest.mark.parametrize(
    ("preset", "settings", "changes"),
    [
        ("fast", {"loss": "minimax"}, NONE),
        ("fast", {"loss": "least-squares"}, NONE),
        ("fast", {"loss": "hinge"}, {}),
        ("fast", {}, {}),
        ("cgan", {"loss": "minimax"}, {}),
        ("fast", {"loss": "minimax", "d_norm": "batch"}, {}),
        ("fast", {"loss": "minimax", "r1": 0.0}, {}),
        ("fast", {"loss": "minimax", "clip": 0.0}, {"d_norm": "none"}),
        ("fast", {"loss": "least-squares", "d_norm": "spectral"}, {}),
    ],
)
def test_objectives_that_do_not_begin_with_batch_norm_have_none(preset: str, settings: dict, changes: dict):
    expected = replace(PRESETS[preset], **settings, **changes)
    assert configure(preset, **settings) == expected
    words = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    given = _parse_settings("train", Train, ["--preset", preset, *words, "--images", "300"])
    assert given.config == configure(preset, **settings, images=300)
    command = shlex.split(train_command(given.config))[2:]
    assert _parse_settings("train", Train, command).config == given.config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 0.0}, "--lr must be above 0, not 0.0"),
        ({"lr": float("nan")}, "--lr must be a number"),
        ({"batch_size": 0}, "--batch-size must be from 1 to 65536, not 0"),
        ({"batch_size": 1.5}, "--batch-size must be a whole number"),
        ({"batch_size": True}, "--batch-size must be a whole number"),
        ({"batch_size": "5"}, "--batch-size must be a whole number, not '5'"),
        ({"lr": "1e-3"}, "--lr must be a number, not '1e-3'"),
        ({"device": "gpu"}, "--device must be one of auto, cpu, cuda, mps, not 'gpu'"),
        ({"device": torch.device("cuda", 1)}, "--device must be one of auto, cpu, cuda, mps, not 'cuda:1'"),
        ({"z_dim": 10**9}, "--z-dim must be from 1 to 65536"),
        ({"n_critic": 0}, "--n-critic must be above 0"),
        ({"betas": (0.5, 1.0)}, "--betas must be two numbers"),
        ({"betas": (0.5,)}, "--betas must be two numbers"),
        ({"betas": None}, "--betas must be two numbers"),
        ({"value_range": 5}, "--value-range must be two numbers"),
        ({"value_range": (1, "2")}, "--value-range must be two numbers"),
        ({"value_range": (0, float("inf"))}, "--value-range must be two numbers"),
        ({"value_range": (4, 4)}, "--value-range must be two finite numbers LOW HIGH with LOW below HIGH, not 4 4"),
        ({"seed": -1}, "--seed must be from 0"),
        ({"steps": -1}, "--steps must be above 0"),
        ({"epochs": 1e308}, "--epochs must be above 0 and at most"),
        ({"lr": 10**400}, "--lr must be a number"),
        ({"steps": 1, "epochs": 1}, "--steps and --epochs all say how long"),
        ({"d_lr": 0.0}, "--d-lr must be above 0"),
        ({"gp": -1.0}, "--gp must be 0 (off) or above"),
        ({"r1": float("inf")}, "--r1 must be a number"),
        ({"penalty_every": 0, "r1": 0.1}, "--penalty-every must be above 0, not 0"),
        ({"penalty_every": 8}, "--penalty-every says how often R1 and R2 are added: give --r1 or --r2 too"),
        ({"lr_end": 0.0}, "--lr-end must be above 0 and at most 1"),
        ({"label_smoothing": 1.0}, "--label-smoothing must be from 0 to below 1"),
        ({"clip": -1.0}, "--clip must be 0 (off) or above"),
        ({"mismatch": -0.1}, "--mismatch must be from 0 to below 1"),
        ({"conditional": 1}, "--conditional must be true or false"),
        ({"batchsize": 3}, "there is no setting 'batchsize', did you mean 'batch_size'?"),
    ],
)
def test_an_impossible_value_is_refused_by_name(settings: dict, message: str):
    with pytest.raises(UserError, match=r"^[^\n]*$") as error:
        configure("dcgan", **settings)
    assert message in str(error.value)


def test_paths_and_numbers_of_numpy_are_accepted(tmp_path: Path):
    c = configure("dcgan", lr=np.float64(0.5), steps=np.int64(3), betas=[0, np.float32(0.5)])
    assert (c.lr, c.steps, c.betas) == (0.5, 3, (0, 0.5))
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"format_version": 1, "settings": config.config_to_json(c)}))
    assert configure(path) == c


def test_for_an_unknown_preset_the_nearest_name_is_suggested():
    with pytest.raises(UserError, match="did you mean 'dcgan'"):
        configure("dcgna")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "no format_version"),
        ('{"format_version": 99}', "newer dcgan"),
        ('{"format_version": 1}', "no settings"),
        ('{"format_version": 1, "settings": {"colour": 1}}', "does not know: 'colour'"),
        ('{"format_version": 1, "settings": {"lr": "fast"}}', "--lr must be a number"),
    ],
)
def test_a_damaged_config_is_refused(tmp_path: Path, text: str, message: str):
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        config.read_config(path)


def test_a_missing_config_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="cannot read"):
        configure(str(tmp_path / "none.json"))


def test_every_setting_is_documented():
    from tyro._docstrings import get_field_docstring  # the help is made from these texts

    for field in fields(Config):
        assert get_field_docstring(Config, field.name, ()), field.name


@pytest.mark.parametrize(
    ("size", "canonical", "sides"),
    [(28, 28, (28, 28)), ("64", 64, (64, 64)), ("32x32", 32, (32, 32)), ("48x64", "48x64", (48, 64))],
)
def test_a_size_is_a_number_or_height_by_width(size: int | str, canonical: int | str, sides: tuple):
    c = configure("dcgan", image_size=size)
    assert (c.image_size, c.size) == (canonical, sides)


@pytest.mark.parametrize("size", [15, 257, "", "x", "28x", "x28", "28x28x28", "-28", "28 x 28", "28x1000", "a"])
def test_an_impossible_size_is_refused(size: int | str):
    with pytest.raises(UserError, match=r"--image-size must be N or HEIGHTxWIDTH, each from 16 to 256"):
        configure("dcgan", image_size=size)


def test_a_device_of_torch_is_its_name():
    assert configure("dcgan", device=torch.device("cpu")) == configure("dcgan", device="cpu")


def test_channels_are_1_3_or_4():
    assert configure("dcgan", channels=3).channels == 3
    with pytest.raises(UserError, match="--channels must be 1, 3 or 4, not 2"):
        configure("dcgan", channels=2)


def test_a_range_of_values_is_two_floats_and_part_of_the_command():
    c = configure("dcgan", value_range=[0, 4095])
    assert c.value_range == (0.0, 4095.0)
    assert isinstance(c.value_range[0], float)
    assert train_command(c) == "dcgan train --preset dcgan --value-range 0.0 4095.0"


def test_one_set_is_named_by_its_own_spec():
    assert join_specs(["my cats"]) == "my cats"
    assert split_specs("my cats") == ("my cats",)
    assert not is_joined("./join:cats")


@pytest.mark.parametrize("specs", [("cats", "dogs"), ("my cats", "a'b", "hf:user/name"), ("C:\\cats", "cats + dogs")])
def test_joined_specs_are_split_again(specs: tuple[str, ...]):
    assert split_specs(join_specs(specs)) == specs
    assert join_specs([join_specs(specs), "mnist"]) == join_specs([*specs, "mnist"])


def test_names_for_files():
    assert short_name("data/cats.zip") == "cats"
    assert short_name(join_specs(["data/cats.zip", "/home/me/my dogs", "mnist"])) == "cats-my dogs-mnist"


@pytest.mark.parametrize("data", ["join:", "join:cats", "join:'cats dogs", "join:cats join:dogs"])
def test_texts_that_do_not_name_several_sets_are_refused(data: str):
    with pytest.raises(UserError, match="give --data for each set"):
        split_specs(data)


def test_the_settings_of_a_run_are_named_where_the_run_is_given_as_a_preset(tmp_path: Path):
    (tmp_path / "c2").mkdir()
    with pytest.raises(UserError, match=r"there is no preset '.*c2'; the presets are"):
        configure(tmp_path / "c2")
    RunFolder(tmp_path / "c2").write_config(PRESETS["dcgan"], "probability")
    with pytest.raises(UserError, match=rf"c2', but a run: give {re.escape(str(tmp_path))}.c2.config\.json for its"):
        configure(tmp_path / "c2")
    assert configure(tmp_path / "c2" / "config.json") == PRESETS["dcgan"]
