"""What the Hub's mixin does with a generator of ours."""

from pathlib import Path

import pytest

from dcgan import Generator
from dcgan.models.store import load_generator, save_generator
from tests.models.conftest import save_small_generator


def test_save_pretrained_can_be_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    generator = Generator(6, 1, 4)
    generator.save_pretrained(tmp_path / "m")
    assert load_generator(tmp_path / "m").trained is None
    assert "Saved with dcgan" in (tmp_path / "m" / "README.md").read_text()
    assert capsys.readouterr().out == ""


def test_the_card(tmp_path: Path):
    save_small_generator(tmp_path / "m")
    card = (tmp_path / "m" / "README.md").read_text()
    for text in ("pipeline_tag: unconditional-image-generation", "28x28, 1 channel\n", "`mnist`", "dcgan train"):
        assert text in card


def test_the_card_says_which_features_flatter_it(tmp_path: Path):
    generator = save_small_generator(tmp_path / "m")
    sentence = "\nIt was trained to match the features `lite0`, so metrics by these features are too good.\n"
    assert sentence not in (tmp_path / "m" / "README.md").read_text()
    generator.trained = {**generator.trained, "features": "lite0"}
    save_generator(generator, tmp_path / "matched")
    assert sentence in (tmp_path / "matched" / "README.md").read_text()


def test_from_pretrained_takes_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save_small_generator(tmp_path)
    for module in ("huggingface_hub.hub_mixin", "dcgan.models.saved"):
        monkeypatch.setattr(f"{module}.hf_hub_download", lambda *_, filename, **__: str(tmp_path / filename))
    assert Generator.from_pretrained("somebody/digits").z_dim == 6
