import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcgan
from dcgan import Generator, UserError
from dcgan.models import build
from dcgan.models.store import save_generator
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.sampling import model as model_module
from dcgan.sampling.output import grid_sample_count, sample_grid, write_frames, write_samples
from tests.conftest import SMALL


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> model_module.Model:
    folder = tmp_path_factory.mktemp("m")
    generator = Generator(16, 3, 8)
    generator(torch.randn(200, 16))  # BatchNorm statistics that matter
    save_generator(generator.eval(), folder / "model")
    return model_module.load(folder / "model")


@pytest.fixture(scope="module")
def drawer(tmp_path_factory: pytest.TempPathFactory) -> model_module.Model:
    """A model of three classes, whose pictures' brightness is their class."""
    folder = tmp_path_factory.mktemp("c")
    generator = Generator(16, 1, 8, norm="none", classes=3)
    with torch.no_grad():
        generator.gen[0][0].weight[16:] = torch.tensor([0.0, 0.3, 0.6]).view(3, 1, 1, 1)
    save_generator(generator.eval(), folder, {"data": "pets", "classes": ["cat", "dog", "1"]})
    return model_module.load(folder)


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130])
def test_a_sample_with_a_class_does_not_depend_on_how_many_are_asked_for(drawer: model_module.Model, n: int):
    assert (drawer.sample(n, seed=5) == drawer.sample(200, seed=5)[:n]).all()
    assert (drawer.sample(n, seed=5, label=2) == drawer.sample(200, seed=5, label=2)[:n]).all()


def test_a_class_is_chosen_by_index_or_by_name(drawer: model_module.Model):
    assert drawer.classes == ("cat", "dog", "1")
    every = drawer.sample(6, seed=1)
    for name, index in (("cat", 0), ("dog", 1), ("1", 2), ("2", 2), ("0", 0), (1, 1)):
        chosen = drawer.sample(6, seed=1, label=name)
        assert (chosen[index::3] == every[index::3]).all()
        assert (chosen != every).any()
        assert drawer.labels(6, name).tolist() == [index] * 6
    assert drawer.labels(5).tolist() == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("label", [3, "3", -1, "-1", "cow", "dgo", "", "9" * 400, 10**30])
def test_a_class_that_is_not_there_is_refused(drawer: model_module.Model, label: int | str):
    with pytest.raises(UserError, match=r"no class .*--label takes 0 to 2 or a name, cat to 1"):
        drawer.sample(1, label=label)


def test_an_unconditional_model_takes_no_label(model: model_module.Model):
    with pytest.raises(UserError, match="trained without classes and takes no --label"):
        model.sample(1, label=0)
    assert model.labels(4) is None


@pytest.mark.parametrize("names", [None, ["a"], "abc", 7])
def test_names_that_do_not_fit_are_not_used(drawer: model_module.Model, names: object):
    drawer = model_module.load(drawer.source)
    drawer.generator.trained = {"classes": names}
    assert drawer.classes == ("0", "1", "2")


def test_a_grid_has_a_row_for_each_class(drawer: model_module.Model, tmp_path: Path):
    pixels = drawer.sample(12)
    write_samples(pixels, tmp_path / "a.png", drawer.labels(12), rows=3)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (4 * 30 + 2, 3 * 30 + 2)
        sheet = np.asarray(image)
    for row in range(3):
        for column in range(4):
            cell = sheet[2 + 30 * row :, 2 + 30 * column :][:28, :28]
            assert (cell == pixels[3 * column + row, ..., 0]).all()


@pytest.mark.parametrize(("classes", "n", "rows"), [(0, 64, 8), (1, 64, 8), (2, 16, 2), (10, 80, 10), (11, 64, 8)])
def test_the_grids_of_a_training(classes: int, n: int, rows: int):
    assert grid_sample_count(classes) == n
    assert sample_grid(np.zeros((n, 3, 3, 1), np.uint8), classes).shape == (rows * 5 + 2, 8 * 5 + 2, 1)


def test_labels_are_written_beside_the_samples(drawer: model_module.Model, tmp_path: Path):
    write_samples(drawer.sample(4), tmp_path / "a.npz", drawer.labels(4))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert arrays["arr_1"].tolist() == [0, 1, 2, 0]
        assert arrays["arr_1"].dtype == np.int64


def test_walks(model: model_module.Model, drawer: model_module.Model, tmp_path: Path):
    way = model.walk(3, 4, seed=2)
    assert way.shape == (9, 28, 28, 3)
    assert (way[[0, 4, 8]] == model.sample(3, seed=2)).all()
    write_frames(way, tmp_path / "way.png")
    with Image.open(tmp_path / "way.png") as image:
        assert image.size == (9 * 30 + 2, 32)
    write_frames(model.walk(3, 4, closed=True), tmp_path / "way.gif")
    with Image.open(tmp_path / "way.gif") as image:
        assert (image.n_frames, image.size, image.info["loop"]) == (12, (28, 28), 0)
    assert drawer.walk(2, 2, label="dog").mean() != drawer.walk(2, 2).mean()


@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan64", "resnet"])
@pytest.mark.parametrize("classes", [0, 2])
def test_a_way_along_a_principal_direction(network: str, classes: int):
    none = {"g_norm": "none", "d_norm": "none"} if network == "resnet" else {}
    config = configure("dcgan", network=network, z_dim=6, g_width=8, **none)
    generator, _ = build.build_networks(config, (1, 28, 28), classes)
    model = model_module.Model(generator.eval(), "here")
    assert model.along(1, 5).shape == (5, 28, 28, 1)
    with pytest.raises(UserError, match="direction must be from 1 to 6, not 7"):
        model.along(7)


def test_impossible_walks(model: model_module.Model, tmp_path: Path):
    for wrong in ({"stops": 1}, {"frames": 0}):
        with pytest.raises(UserError, match="at least 2 stops"):
            model.walk(**wrong)
    with pytest.raises(UserError, match="from 1 to 16, not 0"):
        model.along(0)
    with pytest.raises(UserError, match="at least 2 frames"):
        model.along(1, 1)
    for name in ("a.npz", "a", "a.jpg"):
        with pytest.raises(UserError, match=r"give a .gif \(an animation\) or a .png"):
            write_frames(model.walk(2, 1), tmp_path / name)


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 130])
def test_a_sample_does_not_depend_on_how_many_are_asked_for(model: model_module.Model, n: int):
    assert (model.sample(n, seed=5) == model.sample(200, seed=5)[:n]).all()


def test_samples_are_bytes(model: model_module.Model):
    pixels = model.sample(3)
    assert pixels.shape == (3, 28, 28, 3)
    assert pixels.dtype == np.uint8
    assert (model.sample(3, seed=1) != pixels).any()


def test_truncation_brings_samples_together(model: model_module.Model):
    spread = [model.sample(64, truncation=t).astype(float).std(axis=0).mean() for t in (None, 1.0, 0.1)]
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"n": -1}, {"seed": -1}, {"seed": 2**63}, {"truncation": 0.0}, {"truncation": float("nan")}]
)
def test_impossible_requests(model: model_module.Model, wrong: dict):
    with pytest.raises(UserError, match="must be"):
        model.sample(**wrong)


def test_a_run_a_model_folder_and_a_run_object_are_models(finished_run: RunFolder):
    first = dcgan.load(finished_run.path).sample(2)
    assert (dcgan.load(finished_run.model).sample(2) == first).all()
    assert (dcgan.load(finished_run).sample(2) == first).all()
    assert dcgan.load(str(finished_run.path)).trained["data"] == "mnist"


def test_the_runs_last_grid_is_drawn_again(finished_run: RunFolder, tmp_path: Path):
    write_samples(dcgan.load(finished_run).sample(64, seed=0), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == max(finished_run.samples.iterdir()).read_bytes()


@pytest.mark.parametrize("name", ["nothing", "a/b/c", "../nothing", ""])
def test_what_is_no_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="there is no"):
        dcgan.load(name)


def test_a_hub_id_without_a_network_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="no folder somebody/digits"):
        dcgan.load("somebody/digits")


def test_a_hub_id_is_fetched_without_pickles(monkeypatch: pytest.MonkeyPatch, finished_run: RunFolder):
    asked = []

    def snapshot(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(finished_run.model)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert dcgan.load("somebody/digits").sample(1).shape == (1, 28, 28, 1)
    assert asked == [("somebody/digits", ["config.json", "model.safetensors"])]


def test_files(model: model_module.Model, tmp_path: Path):
    pixels = model.sample(3)
    write_samples(pixels, tmp_path / "new" / "a.npz")
    with np.load(tmp_path / "new" / "a.npz", allow_pickle=False) as arrays:
        assert (arrays["arr_0"] == pixels).all()
    write_samples(pixels, tmp_path / "many")
    files = sorted((tmp_path / "many").iterdir())
    assert len(files) == 3
    with Image.open(files[2]) as image:
        assert (np.asarray(image) == pixels[2]).all()
    write_samples(pixels, tmp_path / "a.PNG")
    with Image.open(tmp_path / "a.PNG") as image:
        assert image.size == (62, 62)


def test_a_place_in_use_is_refused(model: model_module.Model, tmp_path: Path):
    (tmp_path / "x").touch()
    for out in (tmp_path, tmp_path / "a.jpg", tmp_path / "a.TIFF", tmp_path / "x"):
        with pytest.raises(UserError):
            write_samples(model.sample(1), out)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        write_samples(model.sample(1), tmp_path / "folder.png")
    with pytest.raises(UserError, match="cannot write"):
        write_samples(model.sample(1), tmp_path / "x" / "a.png")


def test_the_model_of_a_run_that_was_removed(finished_run: RunFolder, tmp_path: Path):
    shutil.copytree(finished_run.path, tmp_path / "r")
    shutil.rmtree(tmp_path / "r" / "model")
    with pytest.raises(UserError, match="no model in"):
        dcgan.load(tmp_path / "r")


@pytest.mark.parametrize("preset", ["vanilla", "dcgan", "dcgan64", "cgan", "r3gan"])
def test_the_copy_that_draws_is_the_generator_but_for_rounding(preset: str):
    torch.manual_seed(0)
    generator, _ = build.build_networks(configure(preset, **SMALL), (1, 28, 28), 3 if preset == "cgan" else 0)
    for norm in (m for m in generator.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        for tensor in (*norm.parameters(), norm.running_mean):
            torch.nn.init.normal_(tensor)
        torch.nn.init.uniform_(norm.running_var, 0.5, 2)
    generator.eval()
    before = copy.deepcopy(generator.state_dict())
    given = (torch.randn(64, generator.z_dim), *((torch.arange(64) % 3,) if generator.classes else ()))
    with torch.no_grad():
        expected, found = generator(*given), model_module.fuse_for_inference(generator)(*given)
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


def test_the_studys_generator_draws_without_its_norms():
    generator = dcgan.Generator(4).eval()
    kinds = [type(m).__name__ for m in model_module.fuse_for_inference(generator).modules()]
    assert kinds.count("Identity") == 3
    assert "BatchNorm2d" not in kinds
    assert sum(isinstance(m, torch.nn.BatchNorm2d) for m in generator.modules()) == 3
