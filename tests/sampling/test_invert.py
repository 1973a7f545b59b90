import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcgan
from dcgan import UserError
from dcgan.cli.main import run
from dcgan.images import save_png
from dcgan.models.store import save_generator
from dcgan.sampling import invert
from dcgan.sampling.generate import generate_pixels
from dcgan.sampling.latents import draw_latents
from dcgan.sampling.model import Model, load


@pytest.fixture(scope="module", params=[0, 3])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A generator that draws smooth blobs, at another position for each class."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        generator = dcgan.Generator(4, 1, 8, norm="none", classes=request.param)
        for layer in generator.modules():
            if isinstance(layer, torch.nn.ConvTranspose2d):
                torch.nn.init.normal_(layer.weight, 0.0, 0.15)
    folder = tmp_path_factory.mktemp("m") / "model"
    save_generator(generator.eval(), folder, {"data": "blobs", "classes": ["a", "b", "c"]})
    return load(folder)


def _rms_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(((a.astype(float) - b.astype(float)) ** 2).mean()))


def test_a_sample_is_found_again(model: Model):
    pixels, labels = model.sample(3, seed=7), model.labels(3)
    pool = invert.draw_sample_pool(model)
    for i, picture in enumerate(pixels):
        inversion = invert.invert_image(model, picture, pool)
        target = picture.reshape(-1) / 127.5 - 1
        best = 127.5 * np.sqrt(((pool.images.numpy() - target) ** 2).mean(1)).min()
        assert inversion.error < best / 2
        rounded_error = _rms_difference(inversion.pixels, picture)
        assert inversion.error == pytest.approx(rounded_error, abs=0.5)
        assert inversion.label == (None if labels is None else int(labels[i]))


def test_the_latent_draws_the_reconstruction(model: Model):
    inversion = invert.invert_image(model, model.sample(1, seed=9)[0])
    labels = None if inversion.label is None else torch.tensor([inversion.label])
    drawn = generate_pixels(model.generator, inversion.z[None], labels)[0]
    assert np.abs(drawn.astype(int) - inversion.pixels.astype(int)).max() <= 1
    assert inversion.z.shape == (4,)


def test_a_given_class_is_searched_alone(model: Model):
    if not model.classes:
        with pytest.raises(UserError, match="takes no --label"):
            invert.draw_sample_pool(model, "a")
        return
    picture = model.sample(1, seed=7, label="a")[0]
    of_any_class = invert.invert_image(model, picture)
    of_class_b = invert.invert_image(model, picture, invert.draw_sample_pool(model, "b"))
    assert (of_any_class.label, of_class_b.label) == (0, 1)
    assert of_any_class.error < of_class_b.error


def test_starts_have_every_class_and_the_nearest_sample(model: Model):
    pool = invert.draw_sample_pool(model)
    rows = invert._choose_starts(pool, pool.images[5])
    assert len(set(rows.tolist())) == invert.START_COUNT
    assert 5 in rows.tolist()
    if pool.labels is not None:
        assert set(pool.labels[rows].tolist()) == {0, 1, 2}


def test_the_command(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    picture = model.sample(1, seed=3)[0]
    save_png(picture, tmp_path / "p.png")
    words = ["invert", model.source, str(tmp_path / "p.png"), "--out", str(tmp_path / "found")]
    assert run([*words, "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert sorted(p.name for p in (tmp_path / "found").iterdir()) == ["latent.npz", "reconstruction.png"]
    with Image.open(tmp_path / "found" / "reconstruction.png") as image:
        assert _rms_difference(np.asarray(image), picture[..., 0]) == pytest.approx(output["error"], abs=0.5)
    with np.load(tmp_path / "found" / "latent.npz", allow_pickle=False) as arrays:
        assert arrays["z"].shape == (1, 4)
        assert ("label" in arrays.files) == bool(model.classes)
    assert run([*words[:-1], str(tmp_path / "again")]) == 0
    assert "of 255 from the picture (RMS)" in capsys.readouterr().out


def test_any_picture_is_resized_to_the_models_shape(model: Model, tmp_path: Path):
    Image.new("RGBA", (50, 31), (9, 99, 200, 128)).save(tmp_path / "p.webp")
    assert invert.read_image(model, tmp_path / "p.webp")[0].shape == (28, 28, 1)
    with pytest.raises(UserError, match="must be"):
        invert.invert_image(model, np.zeros((3, 3, 1), np.uint8))


def test_the_range_of_a_16_bit_picture_is_said_or_given(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
):
    values = np.arange(28 * 28, dtype=np.uint16).reshape(28, 28)
    Image.fromarray(values).save(tmp_path / "p.png")
    pixels, notice = invert.read_image(model, tmp_path / "p.png")
    assert pixels.max() == round(783 / 1023 * 255)
    assert "so 0 to 1023 (10 bits) are black to white" in notice
    pixels, notice = invert.read_image(model, tmp_path / "p.png", (0.0, 783.0))
    assert (pixels.max(), notice) == (255, "")
    words = ["invert", model.source, str(tmp_path / "p.png"), "--out"]
    assert run([*words, str(tmp_path / "a")]) == 0
    assert "p.png: no value of the 16-bit pictures is above 783" in capsys.readouterr().err
    assert "with LOW below HIGH, not 7 7" in refused(*words, str(tmp_path / "b"), "--value-range", "7", "7")
    save_png(np.zeros((28, 28, 1), np.uint8), tmp_path / "8.png")
    assert "changes nothing" in invert.read_image(model, tmp_path / "8.png", (0.0, 783.0))[1]


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_damaged_pictures_are_refused_in_one_line(
    content: bytes, model: Model, tmp_path: Path, refused: Callable[..., str]
):
    (tmp_path / "p.png").write_bytes(content)
    assert "cannot use" in refused("invert", model.source, str(tmp_path / "p.png"), "--out", str(tmp_path / "o"))
    assert "cannot use" in refused("invert", model.source, str(tmp_path / "none.png"), "--out", str(tmp_path / "o"))
    assert "not an empty folder" in refused("invert", model.source, "p.png", "--out", str(tmp_path))
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_a_digit_takes_less_than_two_seconds_of_a_core():
    """The study's network at its default width. Untrained weights take as long as trained ones."""
    model = Model(dcgan.Generator(64, 1, 64).eval().requires_grad_(False), "here")
    pool = invert.SamplePool(draw_latents(0, 64, 64), None, torch.rand(64, 784))
    times = []
    for _ in range(2):
        start = time.process_time()
        invert.invert_image(model, np.zeros((28, 28, 1), np.uint8), pool)
        times.append(time.process_time() - start)
    assert min(times) < 2  # measured: 1.0 s
