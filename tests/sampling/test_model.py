import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dcgan
from dcgan import UserError
from dcgan.cli.main import run as command
from dcgan.models.build import build_networks
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.sampling.generate import generate_pixels
from dcgan.sampling.model import Model, load
from dcgan.sampling.output import write_frames


def test_a_class_is_chosen_by_index_or_by_name(class_model: Model):
    assert class_model.classes == ("cat", "dog", "1")
    samples = class_model.sample(6, seed=1)
    for name, index in (("cat", 0), ("dog", 1), ("1", 2), ("2", 2), ("0", 0), (1, 1), (np.int64(1), 1)):
        chosen = class_model.sample(6, seed=1, label=name)
        assert (chosen[index::3] == samples[index::3]).all()
        assert (chosen != samples).any()
        assert class_model.labels(6, name).tolist() == [index] * 6
    assert class_model.labels(5).tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("label", [3, "3", -1, "-1", "cow", "dgo", "", "9" * 400, 10**30])
def test_an_unknown_class_is_refused(class_model: Model, label: int | str):
    with pytest.raises(UserError, match=r"no class .*--label takes 0 to 2 or a name, cat to 1"):
        class_model.sample(1, label=label)


def test_an_unconditional_model_takes_no_label(rgb_model: Model):
    with pytest.raises(UserError, match="trained without classes and takes no --label"):
        rgb_model.sample(1, label=0)
    assert rgb_model.labels(4) is None


@pytest.mark.parametrize("names", [None, ["a"], "abc", 7])
def test_class_names_that_do_not_fit_are_not_used(class_model: Model, names: object):
    model = load(class_model.source)
    model.generator.trained = {"classes": names}
    assert model.classes == ("0", "1", "2")


def test_walks(rgb_model: Model, class_model: Model, tmp_path: Path):
    frames = rgb_model.walk(3, 4, seed=2)
    assert frames.shape == (9, 28, 28, 3)
    assert (frames[[0, 4, 8]] == rgb_model.sample(3, seed=2)).all()
    write_frames(frames, tmp_path / "way.png")
    with Image.open(tmp_path / "way.png") as image:
        assert image.size == (9 * 30 + 2, 32)
    write_frames(rgb_model.walk(3, 4, closed=True), tmp_path / "way.gif")
    with Image.open(tmp_path / "way.gif") as image:
        assert (image.n_frames, image.size, image.info["loop"]) == (12, (28, 28), 0)
    assert class_model.walk(2, 2, label="dog").mean() != class_model.walk(2, 2).mean()


@pytest.mark.parametrize("name", ["walk.gif", "walk.GIF"])
def test_an_animation_is_a_closed_walk(tmp_path: Path, name: str):
    assert command(["interpolate", "mnist", "--out", str(tmp_path / name), "--stops", "3", "--frames", "2"]) == 0
    with Image.open(tmp_path / name) as image:
        assert image.n_frames == 6


@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64", "resnet"])
@pytest.mark.parametrize("classes", [0, 2])
def test_a_walk_along_a_principal_direction(network: str, classes: int):
    no_norm = {"g_norm": "none", "d_norm": "none"} if network == "resnet" else {}
    config = configure("dcgan", network=network, z_dim=6, g_width=8, **no_norm)
    generator, _ = build_networks(config, (1, 28, 28), classes)
    model = Model(generator.eval(), "here")
    assert model.along(1, 5).shape == (5, 28, 28, 1)
    with pytest.raises(UserError, match="direction must be from 1 to 6, not 7"):
        model.along(7)


def test_impossible_walks_are_refused(rgb_model: Model, tmp_path: Path):
    for arguments in ({"stops": 1}, {"frames": 0}):
        with pytest.raises(UserError, match="at least 2 stops"):
            rgb_model.walk(**arguments)
    with pytest.raises(UserError, match="from 1 to 16, not 0"):
        rgb_model.along(0)
    with pytest.raises(UserError, match="at least 2 frames"):
        rgb_model.along(1, 1)
    for name in ("a.npz", "a", "a.jpg"):
        with pytest.raises(UserError, match=r"give a .gif \(an animation\) .* or a .png"):
            write_frames(rgb_model.walk(2, 1), tmp_path / name)


def test_truncation_makes_samples_more_alike(rgb_model: Model):
    spread = [rgb_model.sample(64, truncation=t).astype(float).std(axis=0).mean() for t in (None, 1.0, 0.1)]
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize(
    "arguments", [{"n": 0}, {"n": -1}, {"seed": -1}, {"seed": 2**63}, {"truncation": 0.0}, {"truncation": float("nan")}]
)
def test_impossible_arguments_are_refused(rgb_model: Model, arguments: dict):
    with pytest.raises(UserError, match="must be"):
        rgb_model.sample(**arguments)


def test_a_run_a_model_folder_and_a_run_object_are_models(finished_run: RunFolder):
    first = dcgan.load(finished_run.path).sample(2)
    assert (dcgan.load(finished_run.model).sample(2) == first).all()
    assert (dcgan.load(finished_run).sample(2) == first).all()
    assert dcgan.load(str(finished_run.path)).trained["data"] == "mnist"


@pytest.mark.parametrize("name", ["nothing", "a/b/c", "../nothing", ""])
def test_other_names_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="there is no" if name else "is empty"):
        dcgan.load(name)


def test_a_run_without_its_model_is_refused(finished_run: RunFolder, tmp_path: Path):
    shutil.copytree(finished_run.path, tmp_path / "r")
    shutil.rmtree(tmp_path / "r" / "model")
    with pytest.raises(UserError, match="no model in"):
        dcgan.load(tmp_path / "r")


def test_a_hub_id_without_a_network_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="no folder somebody/digits"):
        dcgan.load("somebody/digits")


def test_a_hub_id_is_fetched_without_pickles(monkeypatch: pytest.MonkeyPatch, finished_run: RunFolder):
    requests = []

    def snapshot(name: str, allow_patterns: list[str]) -> str:
        requests.append((name, allow_patterns))
        return str(finished_run.model)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert dcgan.load("somebody/digits").sample(1).shape == (1, 28, 28, 1)
    assert requests == [("somebody/digits", ["config.json", "model.safetensors"])]


def test_loading_during_a_save_changes_nothing(finished_run: RunFolder, tmp_path: Path):
    shutil.copytree(finished_run.model, tmp_path / ".model.old")
    for source in (tmp_path, tmp_path / "model"):
        assert np.array_equal(load(source).sample(2), load(finished_run).sample(2))
    assert [path.name for path in tmp_path.iterdir()] == [".model.old"]


def test_weights_are_in_memory_of_torch(finished_run: RunFolder):
    # The memory of a mapped file is aligned to 8 bytes; torch's own to 64.
    generator = load(finished_run).generator
    assert all(tensor.data_ptr() % 64 == 0 for tensor in generator.state_dict().values())


def test_a_stream_draws_the_same_samples_a_few_at_a_time(class_model: Model):
    stream = class_model.stream(1100, seed=2)
    batches = list(stream.batches)
    assert {len(batch) for batch in batches} == {64, 1100 % 64}
    assert np.array_equal(np.concatenate(batches), class_model.sample(1100, seed=2))
    z, labels = class_model.latents(1100, 2), class_model.labels(1100)
    assert np.array_equal(np.concatenate(batches), generate_pixels(class_model.generator, z, labels))
    assert stream.byte_count == 1100 * 28 * 28


def test_samples_that_do_not_fit_into_memory_are_refused(class_model: Model):
    with pytest.raises(UserError, match=r"of memory, .* are free: draw fewer at a time"):
        class_model.sample(10**13)
