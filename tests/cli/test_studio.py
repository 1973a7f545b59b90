import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dcgan.cli.main import run
from dcgan.system.install import install_command


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]):
    monkeypatch.setattr("dcgan.system.install.find_spec", lambda name: None)
    assert f"the studio needs fastapi and uvicorn: {install_command('studio')}" in refused("studio")


def test_the_flags_are_given_to_the_studio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    arguments: dict[str, Any] = {}
    monkeypatch.setattr("dcgan.studio.serve.serve", lambda *_, **options: arguments.update(options))
    assert run(["studio", str(tmp_path), "--no-browser"]) == 0
    assert arguments["data_roots"] is None  # then it is the current folder
    assert not arguments["always_token"]
    assert run(["studio", str(tmp_path), "--no-browser", "--token"]) == 0
    assert arguments["always_token"]
    assert run(["studio", str(tmp_path), "--no-browser", "--data-root", "a", "--data-root", "b c"]) == 0
    assert arguments["data_roots"].paths == (Path("a"), Path("b c"))


def test_the_address_is_json_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("dcgan.studio.serve.serve", lambda *_, on_ready, **options: on_ready("http://x/"))
    assert run(["studio", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"address": "http://x/"}
    assert run(["studio", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
