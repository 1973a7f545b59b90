"""Names of data that may be shown to others."""

from pathlib import Path

import pytest

from dcgan.cache import cache_folder
from dcgan.config import short_name
from dcgan.data.location import absolute_path, describe_missing, find_places, public_data_name, public_name
from dcgan.data.open import open_images
from dcgan.errors import UserError
from dcgan.training.advise import check_data
from tests.conftest import cached_set_names, make_picture_folder


def test_what_is_below_the_current_folder_is_relative_and_the_rest_a_name(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert public_name(str(tmp_path / "a" / "photos")) == "a/photos"
    assert public_name("/home/somebody/photos") == "photos"
    assert public_name("~/photos") == "photos"
    assert public_name("../photos") == "../photos"
    assert public_name("photos.zip") == "photos.zip"
    assert public_name(str(tmp_path)) == tmp_path.name


def test_a_path_does_not_become_the_name_of_another_set():
    assert public_data_name("/home/somebody/mnist") == "./mnist"
    assert public_data_name("mnist") == "mnist"


def test_a_named_set_has_no_path(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_path("mnist") is None
    assert absolute_path("hf:user/name") is None
    assert public_data_name("hf:user/name") == "hf:user/name"
    assert absolute_path("./mnist") == str(tmp_path / "mnist")


def test_the_home_of_nobody_is_a_path_without_data(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = "~nobody-has-this-name/cats"
    assert absolute_path(data) == str(tmp_path / data)
    assert find_places(None, data) == ([str(tmp_path / data)], [])
    assert short_name(data) == "cats"
    for spec in (data, f"join:mnist {data}"):
        for read in (open_images, check_data):
            with pytest.raises(UserError, match=r"^there is no data '~nobody-has-this-name/cats'[^\n]*$"):
                read(spec)


def test_a_home_is_put_in_the_place_of_its_sign(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DCGAN_CACHE", "~/cache")
    make_picture_folder(tmp_path / "cats", 4)
    assert len(open_images("~/cats", "all")) == 4
    assert absolute_path("~/cats") == str(tmp_path / "cats")
    assert cache_folder() == tmp_path / "cache"
    assert len(cached_set_names()) == 1
    with pytest.raises(UserError, match="named twice"):
        open_images(f"join:~/cats {tmp_path}/cats")


@pytest.mark.parametrize("data", ["", " ", "\n"])
def test_an_empty_name_is_not_the_current_folder(data: str):
    with pytest.raises(UserError, match="the name of the data is empty"):
        open_images(data)


def test_joined_sets_have_a_public_name_and_a_path_each(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    joined = "join:/home/me/cats mnist '/home/me/my dogs' /home/me/mnist"
    assert public_data_name(joined) == "join:cats mnist 'my dogs' ./mnist"
    assert public_data_name("/home/me/join:a b") == "./join:a b"
    assert absolute_path("join:cats mnist") == f"join:{tmp_path}/cats mnist"
    assert absolute_path("join:mnist hf:user/name") is None


def test_each_of_joined_sets_is_where_it_was_or_below_the_current_folder(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cats").mkdir()
    (tmp_path / "old" / "dogs").mkdir(parents=True)
    recorded = f"join:{tmp_path}/old/cats {tmp_path}/old/dogs mnist"
    places, existing = find_places(recorded, "join:cats dogs mnist")
    assert existing == [f"join:{tmp_path}/cats {tmp_path}/old/dogs mnist"]
    assert describe_missing(places[:2]) == f"{tmp_path}/old/cats or {tmp_path}/dogs"
    assert find_places(f"{tmp_path}/old/dogs", "dogs")[1] == [f"{tmp_path}/old/dogs"]
    assert find_places(None, "dogs") == ([f"{tmp_path}/dogs"], [])
