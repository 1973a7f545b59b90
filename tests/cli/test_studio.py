from collections.abc import Callable

import pytest


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]):
    monkeypatch.setattr("dcgan.cli.studio.find_spec", lambda name: None)
    assert "the studio needs fastapi and uvicorn: pip install 'dcgan[studio]'" in refused("studio")
