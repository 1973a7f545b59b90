import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dcgan.cli.main import parse, run
from dcgan.training import advise
from tests.conftest import picture_folder


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(advise, "MEASURED", 1)
    monkeypatch.setattr(advise, "WARM_UP", 0)


@pytest.mark.usefixtures("_quick")
def test_data_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    picture_folder(tmp_path / "my set", 40, classes=2)
    (tmp_path / "my set" / "class 0" / "b.png").write_bytes(b"x")
    assert run(["data", "check", "my set", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parts"] == {"train": 36, "validation": 2, "test": 2}
    assert found["advice"]["size"] == found["size"]
    assert found["advice"]["hours"] > 0
    assert found["advice"]["memory_mib"] > 50
    with Image.open(found["contact_sheet"]) as sheet:
        assert sheet.mode == "RGB"

    assert run(["data", "check", "my set", "--out", "s.png"]) == 0
    text = capsys.readouterr().out
    for part in (
        "40; to train 36",
        "2: class 0 20, class 1 20",
        "b.png: not a picture",
        "DiffAugment is on by itself",
        "s.png",
    ):
        assert part in text
    command = found["advice"]["command"].replace("'my set'", "my_set").split()
    assert parse(command[1:]).config.augment == "auto"


@pytest.mark.parametrize(
    ("sizes", "size", "n", "expected"),
    [
        (None, (28, 28), 60_000, {}),
        (np.array([[28, 28]]), (28, 28), 5_000, {}),
        (np.array([[20, 60], [64, 30], [28, 28]]), (16, 16), 50_000, {"fit": "pad"}),
        (np.array([[28, 28]]), (28, 28), 40, {"batch_size": 8}),
        (np.array([[28, 28]]), (28, 28), 3, {"batch_size": 2}),
    ],
)
def test_advice(sizes, size: tuple, n: int, expected: dict):
    settings, reasons = advise.recommend_settings(sizes, size, n)
    assert settings == {"preset": "fast", "image_size": str(size[0])} | expected
    assert len(reasons) == 1 + len(expected) + (n < 10_000)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data"], "say what to do"),
        (["data", "chek", "x"], "say what to do"),
        (["data", "check"], "SPEC"),
        (["data", "check", "nowhere"], "no data 'nowhere'"),
        (["data", "check", "mnist", "--out", "a.jpg"], "give the name of a .png"),
    ],
)
def test_mistakes(refused, words: list[str], message: str):
    assert message in refused(*words)
