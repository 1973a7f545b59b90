"""Names of data that may be shown to others."""

from pathlib import Path

import pytest

from dcgan.data.location import absolute_path, public_data_name, public_name
from dcgan.data.open import open_images
from dcgan.errors import UserError


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


@pytest.mark.parametrize("data", ["", " ", "\n"])
def test_an_empty_name_is_not_the_current_folder(data: str):
    with pytest.raises(UserError, match="the name of the data is empty"):
        open_images(data)
