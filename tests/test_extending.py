"""The page docs/extending.md: each of its examples adds one entry, which works from the command line to the report."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dcgan import presets
from dcgan.cli.main import run
from dcgan.metrics import features
from dcgan.models import families
from dcgan.training import augment, losses
from tests.conftest import SMALL_FLAGS

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
TABLES = (
    (losses, "OBJECTIVES"),
    (families, "FAMILIES"),
    (presets, "PRESETS"),
    (presets, "PRESET_DESCRIPTIONS"),
    (augment, "AUGMENTATIONS"),
    (features, "EXTRACTORS"),
)
Register = Callable[[str], None]


def sections() -> dict[str, list[str]]:
    """Return the blocks of Python of each section by its title."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    titles, texts = parts[1::2], parts[2::2]
    block = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return {title: block.findall(text) for title, text in zip(titles, texts, strict=True)}


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Register]:
    """Give a function that runs the example of a section. After the test the tables are as before."""
    monkeypatch.syspath_prepend(tmp_path)

    def run_section(title: str) -> None:
        for block in sections()[title]:
            if (file_name := re.match(r"# (\w+\.py)\n", block)) is not None:
                (tmp_path / file_name[1]).write_text(block, encoding="utf-8")
            else:
                exec(block, {})

    tables = [getattr(module, name) for module, name in TABLES]
    copies = [dict(table) for table in tables]
    yield run_section
    for table, copy in zip(tables, copies, strict=True):
        table.clear()
        table.update(copy)
    sys.modules.pop("tiny", None)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pictures of noise, 16x16, in two classes."""
    pixels = np.random.default_rng(0).integers(0, 256, (1200, 16, 16, 1), np.uint8)
    np.savez(tmp_path / "data.npz", arr_0=pixels, arr_1=np.arange(1200) % 2)
    return tmp_path / "data.npz"


def train(data: Path, out: Path, *flags: str) -> dict[str, object]:
    """Train three steps by the command line; return the settings in config.json."""
    words = ["train", "--data", str(data), "--out", str(out), "--steps", "3", "--groups", "0", *SMALL_FLAGS, *flags]
    assert run(words) == 0
    settings: dict[str, object] = json.loads((out / "config.json").read_text())["settings"]
    return settings


def report_text(out: Path) -> str:
    assert run(["report", str(out)]) == 0
    return (out / "report.html").read_text(encoding="utf-8")


def help_text(capsys: pytest.CaptureFixture[str], command: str = "train") -> str:
    capsys.readouterr()
    assert run([command, "--help"]) == 0
    return capsys.readouterr().out


def test_every_section_has_an_example():
    assert all(sections().values())
    assert len(sections()) == 5


def test_an_objective(register: Register, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["train", "--data", str(data), "--loss", "squared-hinge", "--steps", "1"]) == 2
    register("An objective")
    assert "squared-hinge" in help_text(capsys)
    out = tmp_path / "run"
    assert train(data, out, "--loss", "squared-hinge")["loss"] == "squared-hinge"
    assert json.loads((out / "config.json").read_text())["score_kind"] == "raw"
    text = report_text(out)
    assert "squared-hinge" in text
    assert "1/2: the optimum" not in text
    assert run(["resume", str(out), "--steps", "5"]) == 0


def test_a_network_family(register: Register, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    register("A network family")
    assert "tiny" in help_text(capsys)
    assert run(["summary", "--network", "tiny", "--groups", "0"]) == 0
    assert "Linear" in capsys.readouterr().out
    out = tmp_path / "run"
    assert train(data, out, "--network", "tiny")["network"] == "tiny"
    assert run(["sample", str(out), "--n", "3", "--out", str(tmp_path / "samples.npz")]) == 0
    assert np.load(tmp_path / "samples.npz")["arr_0"].shape == (3, 16, 16, 1)
    assert run(["resume", str(out), "--steps", "5"]) == 0
    assert "tiny" in report_text(out)


def test_a_preset(register: Register, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    register("A preset")
    assert "quick: small networks for a first look" in help_text(capsys)
    out = tmp_path / "run"
    words = ["train", "--preset", "quick", "--data", str(data), "--out", str(out), "--steps", "2", "--device", "cpu"]
    assert run(words) == 0
    content = json.loads((out / "config.json").read_text())
    assert content["settings"]["preset"] == "quick"
    assert content["command"].startswith("dcgan train --preset quick")
    assert "quick" in report_text(out)


def test_an_augmentation(register: Register, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    register("An augmentation")
    assert "noise" in help_text(capsys)
    plain, noisy = tmp_path / "plain", tmp_path / "noisy"
    train(data, plain, "--augment", "none")
    assert train(data, noisy, "--augment", "flip+noise")["augment"] == "flip+noise"
    assert (plain / "model" / "model.safetensors").read_bytes() != (noisy / "model" / "model.safetensors").read_bytes()
    assert run(["resume", str(noisy), "--steps", "5"]) == 0
    assert "flip+noise" in report_text(noisy)


def test_a_feature_extractor(register: Register, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    register("A feature extractor")
    assert "thumbnails" in help_text(capsys, "evaluate")
    out = tmp_path / "run"
    train(data, out)
    words = ["evaluate", str(out), "--features", "thumbnails", "--n", "120", "--split", "train", "--json"]
    capsys.readouterr()
    assert run(words) == 0
    evaluation = json.loads(capsys.readouterr().out)
    assert evaluation["features"] == "thumbnails"
    assert evaluation["metrics"]["kernel_inception_distance_mean"]["mean"] > 0
    assert "features thumbnails" in report_text(out)
