"""Several sets become one."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan.config import join_specs
from dcgan.data.find import list_file_names
from dcgan.data.open import open_images
from dcgan.errors import UserError
from tests.conftest import cached_set_names


def write_pictures(root: Path, names: list[str], *, channels: int = 3, side: int = 20, seed: int = 0) -> str:
    """Write pictures of noise, each at a name such as `cat/0`, and return their folder."""
    source = np.random.default_rng(seed)
    for name in names:
        pixels = source.integers(0, 256, (side, side, channels), dtype=np.uint8)
        path = root / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(path)
    return str(root)


def in_classes(*classes: str, count: int = 20) -> list[str]:
    return [f"{name}/{i}" for name in classes for i in range(count)]


def test_the_pictures_of_all_sets_stand_one_after_another(tmp_path: Path):
    gray = write_pictures(tmp_path / "gray", in_classes("cat", "dog"), channels=1)
    color = write_pictures(tmp_path / "color", in_classes("dog", "owl"), seed=1)
    joined = join_specs([gray, color])
    for split in ("train", "validation", "test", "all"):
        first, second, both = (open_images(data, split) for data in (gray, color, joined))
        assert both.pixels.shape == (len(first) + len(second), 3, 20, 20)
        assert (both.pixels[: len(first)] == first.pixels).all()  # gray is repeated
        assert torch.equal(both.pixels[len(first) :], second.pixels)
        assert both.classes == ("cat", "dog", "owl")
        assert both.labels[: len(first)].tolist() == first.labels.tolist()
        assert both.labels[len(first) :].tolist() == (second.labels + 1).tolist()
    names = list_file_names(joined)
    both = open_images(joined, "all")
    for row in (0, len(both) - 1):
        label, name = int(both.labels[row]), names[both.columns["indices"][row]]
        assert name.startswith(f"{'gray' if row == 0 else 'color'}: {both.classes[label]}/")
        path = tmp_path / name.replace(": ", "/")
        assert (np.asarray(Image.open(path).convert("RGB")).transpose(2, 0, 1) == both.pixels[row].numpy()).all()
    assert [both.mode_names[i] for i in both.columns["modes"]] == ["L"] * 40 + ["RGB"] * 40
    assert len(np.unique(both.columns["groups"])) == 80


def test_a_class_named_as_macos_writes_it_is_the_same_class(tmp_path: Path):
    name = "caf\u00e9"
    sets = [
        write_pictures(tmp_path / form, in_classes(unicodedata.normalize(form, name), "tea"), seed=seed)
        for seed, form in enumerate(("NFC", "NFD"))
    ]
    images = open_images(join_specs(sets), "all")
    assert sorted(images.classes) == [name, "tea"]
    assert images.labels.bincount().tolist() == [40, 40]


def test_the_pixels_are_mapped_from_the_cache_and_written_once(tmp_path: Path):
    joined = join_specs([write_pictures(tmp_path / n, in_classes(n), seed=i) for i, n in enumerate("ab")])
    first = open_images(joined)
    entries = cached_set_names()
    assert len(entries) == 5  # of each set, of both, and which pictures of each the other holds out
    again = open_images(joined)
    assert cached_set_names() == entries
    assert torch.equal(first.pixels, again.pixels)
    assert first.content_key == again.content_key


def test_keys_stand_for_the_content(tmp_path: Path):
    a, b, c = (write_pictures(tmp_path / n, [f"{i}" for i in range(20)], seed=i) for i, n in enumerate("abc"))
    sets = [open_images(join_specs(specs)) for specs in ([a, b], [b, a], [a, c])]
    assert len({images.content_key for images in sets}) == 3
    assert sets[0].pictures_key == sets[1].pictures_key != sets[2].pictures_key
    before = open_images(join_specs([a, b]))
    Image.new("RGB", (20, 20)).save(tmp_path / "b" / "0.png")
    after = open_images(join_specs([a, b]))
    assert before.content_key != after.content_key
    assert before.pictures_key != after.pictures_key


def test_a_set_without_classes_leaves_the_joined_set_without(tmp_path: Path):
    flat = write_pictures(tmp_path / "flat", [f"{i}" for i in range(20)])
    labeled = write_pictures(tmp_path / "labeled", in_classes("cat", "dog"), seed=1)
    images = open_images(join_specs([labeled, flat]))
    assert images.labels is None
    assert images.classes == ()
    assert images.notices == (f"there are no classes, because {images.no_classes_reason}",)
    assert images.no_classes_reason == "flat: there are no folders of classes and no labels"
    assert open_images(join_specs([flat, write_pictures(tmp_path / "x", ["0", "1"], seed=2)])).notices == ()


def test_sets_with_names_are_joined_too(tmp_path: Path):
    folder = write_pictures(tmp_path / "digits", in_classes("3", "ten"), channels=1, side=28)
    joined = join_specs(["mnist", folder])
    images = open_images(joined, "test")
    assert len(images) == 10_000 + len(open_images(folder, "test"))
    assert images.classes == (*"0123456789", "ten")
    assert images.columns.keys() == set()
    assert list_file_names(join_specs(["mnist", folder])) == []


def test_the_size_suits_all_sets(tmp_path: Path):
    small = write_pictures(tmp_path / "small", ["0", "1"], side=20)
    large = write_pictures(tmp_path / "large", ["0", "1"], side=100)
    assert open_images(join_specs([small, large]), "all").pixels.shape == (4, 3, 32, 32)
    assert open_images(join_specs([small, large]), "all", size=(40, 30)).pixels.shape == (4, 3, 40, 30)
    assert open_images(join_specs([small, large]), "all").original_size == "20x20, 100x100"


def test_copies_in_another_set_of_what_one_set_holds_out_are_not_trained_on(tmp_path: Path):
    """Equal files, mirror images and pictures of other colors."""
    names = [f"{i}" for i in range(60)]
    a, b = write_pictures(tmp_path / "a", names), write_pictures(tmp_path / "b", names[30:], seed=1)
    assert open_images(join_specs([a, b])).notices == ()
    held_out = [open_images(a, split) for split in ("validation", "test")]
    files = [list_file_names(a)[i] for part in held_out for i in part.columns["indices"].tolist()]
    assert len(files) == 6
    c = tmp_path / "c"
    write_pictures(c, ["x", "y"], seed=2)  # few: nothing is held out
    for number, file in enumerate(files):
        pixels = np.asarray(Image.open(tmp_path / "a" / file))
        changed = (pixels, pixels[:, ::-1], (40 + pixels[..., ::-1] * 0.7).astype(np.uint8))[number % 3]
        Image.fromarray(np.ascontiguousarray(changed)).save(c / Path(file).name)
    joined = join_specs([a, str(c)])
    trained = open_images(joined)
    assert trained.notices == (
        "6 pictures are not trained on, because another set holds out an equal or a similar one",
    )
    assert len(trained) == len(open_images(a)) + 2
    assert trained.pixels.shape[0] == len(trained.columns["digests"])
    names = list_file_names(joined)
    assert sorted(names[i] for i in trained.columns["indices"] if names[i].startswith("c: ")) == [
        "c: x.png",
        "c: y.png",
    ]
    assert torch.equal(open_images(joined, "test").pixels, held_out[1].pixels)
    assert len(open_images(joined, "all")) == 68
    assert open_images(joined, "test").content_key == trained.content_key


def test_files_that_cannot_be_used_are_named_with_their_set(tmp_path: Path):
    a = write_pictures(tmp_path / "a", ["0", "1"])
    b = write_pictures(tmp_path / "b", ["0", "1"], seed=1)
    (tmp_path / "b" / "2.png").write_bytes(b"nothing")
    ((name, _),) = open_images(join_specs([a, b]), "all").skipped_files
    assert name == "b: 2.png"


def test_different_ranges_of_values_need_one_range(tmp_path: Path):
    for name, largest in (("a", 1000), ("b", 4000)):
        for i in range(2):
            pixels = np.full((20, 20), i, np.uint16)
            pixels[0, 0] = largest
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    joined = join_specs([str(tmp_path / "a"), str(tmp_path / "b")])
    with pytest.raises(UserError, match=r"a has values from 0 to 1023 and b has values from 0 to 4095: give one --v"):
        open_images(joined)
    images = open_images(joined, "all", value_range=(0, 4000))
    assert images.value_range == (0, 4000)
    assert images.pixels[:, 0, 0, 0].tolist() == [64, 64, 255, 255]


def test_a_range_that_is_given_leaves_sets_of_8_bits_as_they_are(tmp_path: Path):
    """A run saves the range that was found, so a resumed run gives it."""
    (tmp_path / "a").mkdir()
    for i in range(2):
        Image.fromarray(np.full((28, 28), 1000 + i, np.uint16)).save(tmp_path / "a" / f"{i}.png")
    np.save(tmp_path / "b.npy", np.zeros((4, 28, 28), np.uint8))
    joined = join_specs(["mnist", str(tmp_path / "a"), str(tmp_path / "b.npy")])
    found = open_images(joined, "test")
    assert found.value_range == (0, 1023)
    assert open_images(joined, "test", value_range=found.value_range).content_key == found.content_key


def test_mistakes_are_refused_in_one_line(tmp_path: Path):
    a = write_pictures(tmp_path / "a", ["0", "1"])
    with pytest.raises(UserError, match="a/ is named twice: join different sets"):
        open_images(join_specs([a, f"{a}/"]))
    with pytest.raises(UserError, match="there is no data '/nowhere'"):
        open_images(join_specs([a, "/nowhere"]))
    with pytest.raises(UserError, match="the name of the data is empty"):
        open_images("join:a ''")
    (tmp_path / "notes.txt").write_text("no pictures")
    with pytest.raises(UserError, match=r"notes.txt is a file of a kind that is not read"):
        open_images(join_specs([a, str(tmp_path / "notes.txt")]))
