"""Training without a discriminator: where samples are drawn to, what the distances notice, and whole trainings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import dcgan
from dcgan.devices.batch import Batch
from dcgan.devices.single import SingleDevice
from dcgan.errors import UserError
from dcgan.presets import configure
from dcgan.training import matching, sliced, start
from dcgan.training.checkpoint import TENSORS_NAME
from dcgan.training.matching import Goals, Matcher
from dcgan.training.verify import verify_resume

TINY = {"image_size": 16, "g_width": 4, "groups": 2, "z_dim": 24, "batch_size": 8, "log_every": 2, "save_every": 2}


def make_pictures(count: int = 24, channels: int = 3, side: int = 16) -> Tensor:
    """Return pictures with a bright square on a dark ground, each with its own place and color, (N, C, H, W)."""
    random = np.random.default_rng(0)
    pixels = np.full((count, channels, side, side), 30, np.uint8)
    for picture in pixels:
        top, left = random.integers(0, side - 6, 2)
        picture[:, top : top + 6, left : left + 6] = random.integers(80, 256, (channels, 1, 1))
    return torch.from_numpy(pixels)


def save_pictures(folder: Path, pixels: Tensor) -> Path:
    folder.mkdir()
    for i, picture in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(picture.squeeze()).save(folder / f"{i:03}.png")
    return folder


def make_matcher(groups: Tensor) -> Matcher:
    matcher = Matcher(make_pictures(len(groups)))
    matcher.groups.copy_(groups)
    return matcher


def random_source(seed: int = 0) -> sliced.SlicedRandom:
    return sliced.SlicedRandom.seeded(seed, torch.device("cpu"))


def whole_batch(size: int) -> Batch:
    return Batch(SingleDevice(), size, slice(0, size), 1.0)


def scaled(pixels: Tensor) -> Tensor:
    return pixels / 127.5 - 1


def goals_of(allowed: Tensor) -> Goals:
    return Goals(torch.arange(allowed.shape[1]), allowed, torch.zeros(len(allowed)))


def test_goals_are_the_nearest_pictures_of_the_own_group():
    groups = torch.arange(24) % 3
    matcher = make_matcher(groups)
    rows = torch.tensor([4, 9])
    goals = matcher.find_goals(matcher.positions[rows] + 1e-4, groups[rows])
    assert goals.nearest.tolist() == rows.tolist()
    assert (goals.allowed.sum(1) == matching.GOAL_COUNT).all()
    assert goals.is_first.all()
    assert goals.rows.tolist() == sorted(set(goals.rows.tolist()))
    for allowed, group in zip(goals.allowed, groups[rows], strict=True):
        assert (groups[goals.rows[allowed]] == group).all()


def test_a_group_of_one_picture_has_one_goal():
    groups = torch.tensor([0] * 23 + [1])
    goals = make_matcher(groups).find_goals(torch.zeros(1, matching.APPEARANCE_DIM), torch.tensor([1]))
    assert goals.rows[goals.allowed[0]].tolist() == [23]


def test_samples_are_moved_towards_the_real_pictures_that_are_allowed():
    start, reals = torch.zeros(2, 8), torch.stack([torch.full((8,), 1.0), torch.full((8,), -1.0)])
    vectors = start.clone().requires_grad_()
    matching.drifting_loss([vectors], [reals], goals_of(torch.eye(2, dtype=torch.bool))).backward()
    moved = -vectors.grad
    assert (moved[0] > 0).all()
    assert (moved[1] < 0).all()


def test_goals_with_repeats_draw_samples_to_the_same_place(monkeypatch: pytest.MonkeyPatch):
    matcher, groups = make_matcher(torch.arange(24) % 3), torch.tensor([0, 0, 0, 1, 2])
    positions, samples = matcher.positions[groups] + 1e-4, scaled(make_pictures())[5:10]
    matched = []
    for keeps_repeats in (False, True):
        monkeypatch.setattr(matching, "_keeps_repeats", lambda device, keeps=keeps_repeats: keeps)
        goals = matcher.find_goals(positions, groups)
        assert len(goals.rows) == (10 if keeps_repeats else len(set(goals.rows.tolist())))
        assert int(goals.is_first.sum()) == len(set(goals.rows.tolist())) < 10
        matched.append(matcher.compare_features(whole_batch(5), samples, samples, goals))
    torch.testing.assert_close(matched[0].loss, matched[1].loss)
    torch.testing.assert_close(matched[0].gradient, matched[1].gradient, rtol=1e-4, atol=1e-7)


def test_a_real_picture_that_is_there_twice_counts_once():
    generator = torch.Generator().manual_seed(0)
    samples, reals = (torch.randn(n, 8, generator=generator) for n in (4, 5))
    allowed = torch.rand(4, 5, generator=generator) < 0.5
    rows = torch.tensor([0, 1, 1, 2, 3, 3, 3, 4])  # as on a GPU, where all steps have the same shapes
    is_first = torch.tensor([True, True, False, True, True, False, False, True])
    padded = Goals(rows, allowed[:, rows] & is_first, torch.zeros(4))
    assert padded.is_first.tolist() == is_first.tolist()
    results = []
    for some_reals, goals in ((reals, goals_of(allowed)), (reals[rows], padded)):
        own = samples.clone().requires_grad_()
        loss = matching.drifting_loss([own], [some_reals], goals)
        loss.backward()
        results.append((loss.detach(), own.grad))
    torch.testing.assert_close(*results)


def test_other_samples_repel():
    vectors = torch.tensor([[0.0, 0.0], [0.0, 0.1]], requires_grad=True)
    reals = torch.tensor([[5.0, 0.0], [5.0, 0.1]])
    matching.drifting_loss([vectors], [reals], goals_of(torch.ones(2, 2, dtype=torch.bool))).backward()
    moved = -vectors.grad
    assert (moved[:, 0] > 0).all()
    assert moved[1, 1] > moved[0, 1]  # away from each other


def test_variances_are_those_of_torch():
    values = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(0)) + 10
    expected = values.var((2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(sliced.variances(values, (2, 3)), expected)


def test_means_and_deviations_of_maps_are_those_of_pictures():
    images = torch.randn(5, 3, 8, 4, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last).requires_grad_()
    of_maps = sliced.means_and_deviations(images.permute(0, 2, 3, 1), (1, 2))
    torch.testing.assert_close(of_maps, sliced.means_and_deviations(images, (2, 3)))
    (gradient,) = torch.autograd.grad(of_maps.square().sum(), images)
    assert gradient.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("by_picture", [False, True])
def test_patches_of_the_same_pictures_have_no_distance(by_picture: bool):
    images = scaled(make_pictures())
    for seed in range(5):
        distance = sliced.patch_distance(images, images, random_source(seed), by_picture=by_picture)
        assert float(distance) == 0


@pytest.mark.parametrize("by_picture", [False, True])
@pytest.mark.parametrize("change", ["stripes", "checkers", "pale", "blurred", "red"])
def test_patches_notice(change: str, by_picture: bool):
    reals = scaled(make_pictures(side=32))
    stripes = torch.tensor([0.2, -0.2]).repeat(16)
    blurred = torch.nn.functional.avg_pool2d(reals, 3, 1, 1)
    changed = {
        "stripes": reals + stripes,
        "checkers": reals + 5 * stripes * stripes[:, None],
        "pale": reals * 0.6,
        "blurred": blurred,
        "red": reals + torch.tensor([0.3, 0.0, 0.0])[:, None, None],
    }[change]
    distances = [
        float(sliced.patch_distance(changed, reals, random_source(seed), by_picture=by_picture)) for seed in range(20)
    ]
    assert np.mean(distances) > 0.05


@pytest.mark.parametrize("side", [16, 17, 28])
def test_patches_of_a_single_picture_have_a_finite_distance(side: int):
    one, other = (scaled(make_pictures(2, side=side))[i : i + 1] for i in range(2))
    for seed in range(60):
        for by_picture in (False, True):
            assert sliced.patch_distance(one, other, random_source(seed), by_picture=by_picture).isfinite()


def test_filters_of_all_kinds_have_length_one_and_only_colors_see_a_flat_picture():
    for side in sliced.FILTER_SIDES:
        filters = sliced.random_filters(random_source(), 3, side)
        torch.testing.assert_close(filters.flatten(1).norm(dim=1), torch.ones(sliced.FILTER_COUNT))
        seen = filters.sum((2, 3)).abs().amax(1) > 1e-4
        assert seen.nonzero()[:, 0].tolist() == list(range(1, sliced.FILTER_COUNT, 4))


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("sample", ["noise", "flat"])
def test_gradients_are_finite_and_follow_from_the_seed(channels: int, sample: str):
    pixels = make_pictures(channels=channels)
    samples = torch.randn(4, channels, 16, 16).tanh() if sample == "noise" else torch.zeros(4, channels, 16, 16)
    gradients = []
    for _ in range(2):
        matcher = Matcher(pixels)
        goals = matcher.find_goals(matcher.positions[:4], torch.zeros(4, dtype=torch.int64))
        matched = matcher.compare_features(whole_batch(4), samples, scaled(pixels[:4]), goals)
        drifting = matched.gradient.clone()
        matcher.compare_pixels(whole_batch(4), matched, random_source())
        assert matched.gradient.isfinite().all()
        assert (matched.gradient - drifting).norm() > 0
        assert drifting.norm() > 0
        assert matched.loss.isfinite()
        gradients.append(matched.gradient)
    assert torch.equal(*gradients)


def test_equal_pictures_are_possible():
    pixels = torch.full((8, 3, 16, 16), 200, dtype=torch.uint8)
    matcher = Matcher(pixels)
    goals = matcher.find_goals(torch.zeros(2, matching.APPEARANCE_DIM), torch.zeros(2, dtype=torch.int64))
    matched = matcher.compare_features(whole_batch(2), torch.zeros(2, 3, 16, 16), scaled(pixels[:2]), goals)
    matcher.compare_pixels(whole_batch(2), matched, random_source())
    assert matched.gradient.isfinite().all()


def test_a_checkpoint_holds_no_weight_of_the_frozen_network():
    matcher = Matcher(make_pictures())
    assert matcher.state_dict().keys() == {"groups", "recent_samples", "recent_reals"}
    frozen = {"_network._network.stem.0.weight": torch.zeros(32, 3, 3, 3)}
    matcher.load_state_dict(matcher.state_dict() | frozen)  # as an earlier version saved it


def test_a_copy_for_a_step_shares_all_but_recent_samples():
    matcher = Matcher(make_pictures())
    twin = matcher.copy_for_a_step()
    assert twin._spaces is matcher._spaces
    assert twin.positions is matcher.positions
    twin.recent_samples.zero_()
    assert matcher.recent_samples.any()


def test_more_pictures_than_memory_are_refused(monkeypatch: pytest.MonkeyPatch):
    Matcher(make_pictures(2))
    monkeypatch.setattr("dcgan.system.resources.available_memory", lambda: 50_000)
    with pytest.raises(UserError, match=r"the features of 24 pictures need .* use --preset fast, or fewer pictures"):
        Matcher(make_pictures(24))


def test_transparent_pictures_are_seen_on_white():
    images = torch.tensor([0.0, 0.0, 0.0, -1.0])[None, :, None, None].expand(1, 4, 2, 2)
    torch.testing.assert_close(matching.as_rgb(images), torch.ones(1, 3, 2, 2))
    torch.testing.assert_close(matching.as_rgb(-images.abs()), torch.ones(1, 3, 2, 2))
    opaque = torch.tensor([0.2, -0.4, 0.6, 1.0])[None, :, None, None].expand(1, 4, 2, 2)
    torch.testing.assert_close(matching.as_rgb(opaque), opaque[:, :3])


def test_a_training_brings_samples_nearer_and_is_a_whole_run(tmp_path: Path):
    data = save_pictures(tmp_path / "squares", make_pictures(60))
    run = dcgan.train("match", data=str(data), out=tmp_path / "r", **TINY, steps=60)
    pictures = [entry["nearness"] for entry in run.log.events() if entry["event"] == "pictures"]
    assert pictures[-1] < 0.8 * pictures[0]
    measurement = list(run.log.measurements())[-1]
    assert {"loss_g", "grad_g"} <= measurement.keys()
    assert "loss_d" not in measurement
    report = run.report.read_text()
    assert "Loss_G at the end" in report
    assert "D(x)" not in report
    model = dcgan.load(run)
    assert model.sample(3).shape == (3, 16, 16, 3)
    assert model.trained["features"] == "lite0"  # `evaluate` says that these features flatter it
    assert run.curves.stat().st_size > 0


@pytest.mark.slow
def test_a_resumed_run_equals_one_that_never_stopped(tmp_path: Path):
    data = save_pictures(tmp_path / "squares", make_pictures(60))
    config = configure("match", **TINY | {"data": str(data)})
    hashes = verify_resume(config, steps=12).tensors
    assert {"state/matcher/recent_samples", "state/matcher/groups"} <= hashes.keys()


def test_a_resumed_run_knows_the_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = save_pictures(tmp_path / "squares", make_pictures(90))
    run = dcgan.train("match", data=str(data), out=tmp_path / "r", **TINY | {"groups": 4}, steps=3)
    assert run.config().groups == 4
    saved = load_file(run.checkpoint / TENSORS_NAME)
    assert sorted(saved["matcher/groups"].unique().tolist()) == [0, 1, 2, 3]
    states = []
    monkeypatch.setattr(start, "fit", lambda state, writer, signals: states.append(state))
    dcgan.resume(run, steps=4)
    assert torch.equal(states[0].conditions, saved["matcher/groups"])


def test_a_run_continues_with_the_same_frozen_network_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = save_pictures(tmp_path / "squares", make_pictures(24))
    run = dcgan.train("match", data=str(data), out=tmp_path / "r", **TINY, steps=2)
    assert dcgan.load(run).trained["features_sha256"] == matching.FROZEN_NETWORK_SHA256
    monkeypatch.setattr("dcgan.training.restore.FROZEN_NETWORK_SHA256", "0" * 64)
    with pytest.raises(UserError, match=r"other weights of the frozen network lite0 \(SHA-256 5793.*than this version"):
        dcgan.resume(run, steps=3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--network", "dcgan64"], "--loss drifting needs a generator with an appearance: use --network upsample"),
        (["--z-dim", "10", "--groups", "0"], "--z-dim of at least 16"),
        (["--g-norm", "layer"], "has BatchNorm"),
        (["--mismatch", "0.1"], "--mismatch has no use with --loss drifting"),
        (["--n-critic", "2"], "--n-critic has no use with --loss drifting"),
        (["--d-width", "64"], "--d-width has no use with --loss drifting"),
        (["--d-norm", "none"], "--d-norm has no use with --loss drifting"),
        (["--augment", "diffaugment"], "--augment has no use with --loss drifting"),
        (["--label-smoothing", "0.1"], "drifting has no labels to smooth"),
    ],
)
def test_mistakes(tmp_path: Path, refused: Callable[..., str], words: list[str], message: str):
    data = save_pictures(tmp_path / "squares", make_pictures(30))
    flags = ["--image-size", "16", "--g-width", "4", "--steps", "2", "--out", str(tmp_path / "r")]
    assert message in refused("train", "--preset", "match", "--data", str(data), *flags, *words)


def test_a_discriminator_of_ones_own_has_no_use(tmp_path: Path):
    data = save_pictures(tmp_path / "squares", make_pictures(30))
    with pytest.raises(UserError, match="trains no discriminator"):
        dcgan.train("match", data=str(data), out=tmp_path / "r", discriminator=torch.nn.Linear(1, 1), **TINY, steps=2)


def test_gray_pictures_and_classes_are_possible(tmp_path: Path):
    for name in ("a", "b"):
        save_pictures(tmp_path / name, make_pictures(20, channels=1))
    (tmp_path / "set").mkdir()
    for name in ("a", "b"):
        (tmp_path / name).rename(tmp_path / "set" / name)
    settings = TINY | {"groups": 0}
    run = dcgan.train("match", data=str(tmp_path / "set"), out=tmp_path / "r", conditional=True, **settings, steps=3)
    assert dcgan.load(run).sample(2, label="b").shape == (2, 16, 16, 1)
