"""Training with groups of similar pictures, from the settings to the checkpoint."""

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch

import dcgan
from dcgan import UserError
from dcgan.cache import cache_folder
from dcgan.exporting import onnx
from dcgan.metrics.extractor import FeatureExtractor
from dcgan.models import groups
from dcgan.models.build import build_networks
from dcgan.models.grouped_generator import GroupedGenerator, vote_offsets
from dcgan.models.lite import MissingWeightsError
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.training import grouping, kept_groups, networks
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from dcgan.training.step import train_step
from tests.conftest import SMALL
from tests.models.conftest import write_shades

pytestmark = pytest.mark.usefixtures("without_report")

SMALL_GROUPED = {**SMALL, "groups": 3}


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    return write_shades(tmp_path / "shades.npz")


@pytest.fixture
def two_classes(tmp_path: Path) -> Path:
    """Two classes, each of two shades: 300 and 200 pictures of 0, 100 and 300 of 1, a tenth of them held out."""
    random = np.random.default_rng(0)
    shade, label = np.repeat([20, 80, 160, 230], [300, 200, 100, 300]), np.repeat([0, 1], [500, 400])
    pixels = np.clip(shade[:, None, None, None] + random.integers(-9, 10, (900, 16, 16, 1)), 0, 255).astype(np.uint8)
    order = random.permutation(900)
    np.savez(tmp_path / "classes.npz", arr_0=pixels[order], arr_1=label[order])
    return tmp_path / "classes.npz"


def set_up_fast(data: Path, **settings: object) -> State:
    return set_up(configure("fast", data=str(data), **SMALL_GROUPED | settings))


def checkpoint_content(run: RunFolder) -> bytes:
    return (run.checkpoint / "state.safetensors").read_bytes()


def test_both_networks_are_given_the_groups(shades: Path):
    state = set_up_fast(shades)
    assert state.conditions is not None
    assert sorted(state.conditions.bincount().tolist()) == pytest.approx([90, 180, 270], abs=12)  # a tenth is held out
    assert state.class_count == 0
    assert state.config.z_dim == SMALL["z_dim"]
    before = [p.clone() for p in state.generator.parameters()]
    train_step(state)
    assert all(not torch.equal(a, b) for a, b in zip(before, state.generator.parameters(), strict=True))


def test_custom_networks_are_given_no_groups(tmp_path: Path, shades: Path):
    generator, _ = build_networks(configure("dcgan64", z_dim=8, g_width=4, d_width=4), (1, 16, 16))
    run = dcgan.train("fast", generator=generator, data=str(shades), out=tmp_path / "r", steps=1, **SMALL_GROUPED)
    assert len(list(run.samples.iterdir())) == 2


def test_each_class_is_sorted_into_its_own_groups(two_classes: Path):
    state = set_up_fast(two_classes, conditional=True, groups=4)
    generator = state.ema.network
    assert isinstance(generator, GroupedGenerator)
    assert (generator.groups, generator.classes, state.class_count, state.config.groups) == (4, 2, 2, 4)
    assert torch.equal(state.conditions // 2, state.data.labels)
    means = state.data.pixels.float().mean((1, 2, 3))
    assert all(means[state.conditions == k].std() < 5 for k in range(4))
    wins = generator.group_weights(torch.randn(20_000, generator.z_dim), torch.arange(20_000) % 2).argmax(1).view(-1, 2)
    assert (wins // 2 == torch.tensor([0, 1])).all()
    for label in (0, 1):
        shares = state.conditions[state.conditions // 2 == label].bincount(minlength=4).float()
        assert wins[:, label].bincount(minlength=4) / 10_000 == pytest.approx(shares / shares.sum(), abs=0.03)


def test_a_run_from_before_groups_within_classes_is_refused(tmp_path: Path, two_classes: Path):
    settings = {**SMALL_GROUPED, "groups": 4, "conditional": True}
    run = dcgan.train("fast", data=str(two_classes), out=tmp_path / "r", steps=1, **settings)
    with pytest.raises(UserError, match="an earlier version began this run"):
        set_up(replace(run.config(), groups=5), is_new=False, data_source=str(two_classes))
    generator = dcgan.load(run).generator.requires_grad_(True)
    with pytest.raises(UserError, match="takes no classes: pass it as --init instead"):
        dcgan.train("cgan", generator=generator, data=str(two_classes), out=tmp_path / "o", steps=1)


def test_a_run_with_classes_and_groups_resumes_to_the_bit(tmp_path: Path, two_classes: Path):
    settings = {**SMALL_GROUPED, "groups": 4, "conditional": True}
    whole = dcgan.train("fast", data=str(two_classes), out=tmp_path / "whole", steps=6, **settings)
    part = dcgan.train("fast", data=str(two_classes), out=tmp_path / "part", steps=3, **settings)
    dcgan.resume(part, steps=6)
    assert checkpoint_content(whole) == checkpoint_content(part)
    model = dcgan.load(whole)
    assert model.generator.classes == 2
    assert model.sample(4, label=1).shape == (4, 16, 16, 1)
    assert onnx.export_onnx(model, tmp_path / "g.onnx") < 1e-3


def test_an_initial_model_needs_groups_of_the_same_classes(tmp_path: Path, two_classes: Path, shades: Path):
    first = dcgan.train("fast", data=str(shades), out=tmp_path / "a", steps=1, **SMALL_GROUPED)
    with pytest.raises(UserError, match=r"--init .* knows no classes, and .* has 2"):
        set_up_fast(two_classes, conditional=True, init=str(first.path))
    second = dcgan.train(
        "fast", data=str(two_classes), out=tmp_path / "b", steps=1, **SMALL_GROUPED | {"groups": 4}, conditional=True
    )
    assert set_up_fast(two_classes, conditional=True, init=str(second.path)).generator.groups == 4
    assert set_up_fast(two_classes, init=str(second.path)).generator.groups == 4


def test_a_run_with_groups_resumes_to_the_bit(tmp_path: Path, shades: Path, monkeypatch: pytest.MonkeyPatch):
    whole = dcgan.train("fast", data=str(shades), out=tmp_path / "whole", steps=6, **SMALL_GROUPED)
    part = dcgan.train("fast", data=str(shades), out=tmp_path / "part", steps=3, **SMALL_GROUPED)
    monkeypatch.setattr(groups, "find_group_centers", None)  # a resumed run has its groups in its state
    dcgan.resume(part, steps=6)
    assert checkpoint_content(whole) == checkpoint_content(part)


def group_entries() -> list[Path]:
    return sorted(cache_folder().glob(f"*/{kept_groups.GROUPS_FILE}"))


def test_groups_of_gray_pictures_are_kept_in_the_cache(shades: Path, monkeypatch: pytest.MonkeyPatch):
    config = configure("fast", data=str(shades), device="cpu", groups=2, z_dim=24)
    first = set_up(config)
    (entry,) = group_entries()
    set_up(replace(config, seed=1))
    assert len(group_entries()) == 2
    monkeypatch.setattr(groups, "find_groups", lambda *args: pytest.fail("the groups were searched again"))
    second = set_up(config)
    assert torch.equal(first.conditions, second.conditions)
    for name, buffer in first.generator.named_buffers():
        assert torch.equal(buffer, second.generator.get_buffer(name))
    content = entry.read_bytes()
    for damaged in (content[:-9], content[:60] + b"?" + content[61:], b""):
        entry.write_bytes(damaged)
        with pytest.raises(pytest.fail.Exception):
            set_up(config)


def test_without_a_cache_the_groups_are_searched_each_time(shades: Path, monkeypatch: pytest.MonkeyPatch):
    config = configure("fast", data=str(shades), device="cpu", groups=2, z_dim=24)
    first = set_up(config)
    group_entries()[0].unlink()
    monkeypatch.setattr(kept_groups, "new_cache_entry", cannot_write)
    assert torch.equal(first.conditions, set_up(config).conditions)


def cannot_write(name: str) -> NoReturn:
    raise UserError("cannot write the cache")


def test_a_run_keeps_the_groups_of_its_initial_model(tmp_path: Path, shades: Path):
    first = dcgan.train("fast", data=str(shades), out=tmp_path / "a", steps=2, **SMALL_GROUPED)
    pixels = np.load(shades)["arr_0"]
    np.savez(tmp_path / "few.npz", arr_0=pixels[pixels.mean((1, 2, 3)) > 70][:150])  # none of the darkest shade
    assert set_up_fast(tmp_path / "few.npz").generator.groups == 1
    state = set_up_fast(tmp_path / "few.npz", init=str(first.path))
    saved, initial = (g.state_dict() for g in (dcgan.load(first.path).generator, state.generator))
    assert all(torch.equal(saved[name], initial[name]) for name in saved if name != "votes")
    shares = state.conditions.bincount(minlength=3) / len(state.conditions)
    assert shares.min() == 0
    assert torch.equal(initial["votes"], vote_offsets(shares))

    settings = {"data": str(tmp_path / "few.npz"), "init": str(first.path), **SMALL_GROUPED}
    run = dcgan.train("fast", out=tmp_path / "b", steps=2, **settings)
    whole = dcgan.train("fast", out=tmp_path / "c", steps=4, **settings)
    dcgan.resume(run, steps=4)
    assert checkpoint_content(run) == checkpoint_content(whole)


@pytest.fixture
def color_shades(shades: Path, tmp_path: Path) -> Path:
    """The shades as RGB, a little red: a tenth is held out, 540 pictures are trained on."""
    pixels = np.load(shades)["arr_0"].repeat(3, axis=3)
    pixels[..., 0] = np.minimum(pixels[..., 0], 250) + 5
    np.savez(tmp_path / "colors.npz", arr_0=pixels)
    return tmp_path / "colors.npz"


def use_brightness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features that say whether a picture is darker than the middle, which pixels sort otherwise."""

    def extract(pixels: torch.Tensor) -> tuple[torch.Tensor, None]:
        return (pixels.float().mean((1, 2, 3), keepdim=True)[:, :, 0, 0] > 128).float(), None

    extractor = FeatureExtractor("brightness", 1, extract, weights_key="brightness")
    monkeypatch.setattr(grouping, "open_extractor", lambda name: extractor)


def test_color_pictures_are_sorted_by_features_and_resume_to_the_bit(
    tmp_path: Path, color_shades: Path, monkeypatch: pytest.MonkeyPatch
):
    use_brightness(monkeypatch)
    state = set_up_fast(color_shades, groups=2)
    is_bright = (state.data.pixels.float().mean((1, 2, 3)) > 128).long()
    assert len(torch.unique(is_bright * 2 + state.conditions)) == 2  # one group is the bright pictures
    generator = state.ema.network
    assert isinstance(generator, GroupedGenerator)
    wins = generator.group_weights(torch.randn(20_000, generator.z_dim)).argmax(1).bincount(minlength=2) / 20_000
    assert wins == pytest.approx(state.conditions.bincount(minlength=2) / len(state.data), abs=0.02)

    settings = SMALL_GROUPED | {"data": str(color_shades), "groups": 2}
    whole = dcgan.train("fast", out=tmp_path / "whole", steps=6, **settings)
    part = dcgan.train("fast", out=tmp_path / "part", steps=3, **settings)
    monkeypatch.setattr(grouping, "open_extractor", None)  # a resumed run has its groups in its checkpoint
    dcgan.resume(part, steps=6)
    assert checkpoint_content(whole) == checkpoint_content(part)


def test_a_checkpoint_without_groups_has_those_of_pixels(tmp_path: Path, shades: Path):
    """As an earlier version wrote it."""
    settings = SMALL_GROUPED | {"data": str(shades)}
    whole = dcgan.train("fast", out=tmp_path / "whole", steps=6, **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(State, "saved_groups", lambda state: {})
        part = dcgan.train("fast", out=tmp_path / "part", steps=3, **settings)
    dcgan.resume(part, steps=6)
    assert checkpoint_content(whole) == checkpoint_content(part)


def test_pixels_sort_color_pictures_if_a_package_is_missing(
    tmp_path: Path, color_shades: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(name: str) -> FeatureExtractor:
        raise MissingWeightsError(f"{name} needs the package timm: pip install timm")

    monkeypatch.setattr(grouping, "open_extractor", fail)
    dcgan.train("fast", data=str(color_shades), out=tmp_path / "r", steps=1, **SMALL_GROUPED)
    line = "lite0 needs the package timm: pip install timm; the pictures are sorted into groups by their pixels"
    assert [text for text in capsys.readouterr().err.splitlines() if "timm" in text] == [f"{color_shades}: {line}"]


def test_pixels_sort_gray_pictures_and_large_sets(shades: Path, color_shades: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grouping, "open_extractor", None)
    assert set_up_fast(shades).conditions.unique().tolist() == [0, 1, 2]
    monkeypatch.setattr(grouping, "MAX_PICTURES", 539)
    assert set_up_fast(color_shades).conditions.unique().tolist() == [0, 1, 2]


def test_no_pixels_are_sorted_for_a_generator_that_matches_features(
    color_shades: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(networks, "sort_pictures", None)
    state = set_up(configure("match", data=str(color_shades), image_size=16, batch_size=4, g_width=4, groups=3))
    assert state.conditions.unique().tolist() == [0, 1, 2]


def test_a_custom_generator_with_another_z_is_refused(tmp_path: Path):
    generator = torch.nn.Sequential(torch.nn.Linear(5, 28 * 28), torch.nn.Unflatten(1, (1, 28, 28)))
    with pytest.raises(UserError, match=r"does not take latents \(2, 192\): give it an attribute z_dim, or pass z_dim"):
        dcgan.train(generator=generator, out=tmp_path / "r", steps=1)


@pytest.mark.parametrize(("n", "augment"), [(9_999, "diffaugment"), (10_000, "none")])
def test_auto_augments_few_pictures(tmp_path: Path, n: int, augment: str):
    np.savez(tmp_path / "a.npz", arr_0=np.zeros((n, 16, 16, 1), np.uint8))
    assert set_up_fast(tmp_path / "a.npz").config.augment == augment
    assert set_up_fast(tmp_path / "a.npz", augment="flip").config.augment == "flip"


def test_the_default_training_takes_the_groups_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = configure(device="cpu")
    monkeypatch.setattr(groups, "find_groups", lambda *args: pytest.fail("the groups were searched"))
    shipped = set_up(config)
    assert not group_entries()
    for other in (replace(config, seed=1), replace(config, groups=64)):
        with pytest.raises(pytest.fail.Exception):
            set_up(other)
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(kept_groups.SHIPPED_FILE.read_bytes()[:-100])
    monkeypatch.undo()
    monkeypatch.setattr(kept_groups, "SHIPPED_FILE", damaged)
    searched = set_up(config)
    assert (searched.conditions == shipped.conditions).float().mean() > 0.99  # processors round differently
    assert torch.allclose(searched.generator.centres, shipped.generator.centres, atol=0.05)
