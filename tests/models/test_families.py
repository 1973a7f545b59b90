import subprocess
import sys
from pathlib import Path

import pytest
import torch

import dcgan
from dcgan import UserError
from dcgan.cli.main import run
from dcgan.models.build import build_networks, check_networks
from dcgan.models.families import FAMILIES, Family, find_family
from dcgan.models.grouped_generator import GroupedGenerator
from dcgan.models.saved import SavedGenerator
from dcgan.models.store import load_generator, save_generator
from dcgan.models.summary import summarize
from dcgan.presets import configure
from tests.conftest import SMALL, SMALL_FLAGS


@pytest.fixture
def _tiny_family(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "tiny", Family("one linear layer", "tests.models.tiny_family"))


def test_the_families_are_listed_without_torch():
    code = "import sys; from dcgan.models.families import FAMILIES, find_family; find_family('mlp')"
    code += "; print(list(FAMILIES)); assert 'torch' not in sys.modules"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "['mlp', 'dcgan', 'dcgan64', 'upsample', 'resnet']\n"


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_the_same_interface(name: str):
    module = find_family(name).load()
    assert issubclass(module.Generator, SavedGenerator)
    assert module.Generator.family == name
    assert callable(module.build)
    assert callable(module.init)


@pytest.mark.parametrize(
    ("name", "hint"), [("dcgan46", "did you mean 'dcgan64'?"), ("", "the networks are mlp, dcgan")]
)
def test_an_unknown_family_is_refused(name: str, hint: str):
    with pytest.raises(UserError, match="there is no network") as error:
        find_family(name)
    assert hint in str(error.value)
    with pytest.raises(UserError, match="there is no network"):
        check_networks(configure("dcgan", network=name))


@pytest.mark.usefixtures("_tiny_family")
def test_a_family_that_is_added_is_built_summarized_saved_and_loaded(tmp_path: Path):
    config = configure("dcgan", network="tiny", z_dim=8)
    generator, discriminator = build_networks(config, (1, 20, 24), classes=3)
    z, labels = torch.randn(5, 8), torch.arange(5) % 3
    assert discriminator(generator(z, labels), labels).shape == (5, 1)
    assert [row.output for row in summarize(generator, (8,), has_labels=True)] == [(480,)]
    save_generator(generator, tmp_path / "m")
    loaded = load_generator(tmp_path / "m")
    assert type(loaded) is type(generator)
    assert torch.equal(loaded(z, labels), generator(z, labels))


@pytest.mark.usefixtures("_tiny_family")
def test_a_family_that_is_added_can_have_groups(tmp_path: Path):
    generator, _ = build_networks(configure("dcgan", network="tiny", z_dim=8), (1, 16, 16), groups=3)
    assert isinstance(generator, GroupedGenerator)
    save_generator(generator.eval(), tmp_path / "m")
    z = torch.randn(5, 8)
    assert torch.equal(load_generator(tmp_path / "m")(z), generator(z))


@pytest.mark.usefixtures("_tiny_family")
def test_a_family_that_is_added_trains_and_samples(tmp_path: Path):
    run_folder = dcgan.train("dcgan", out=tmp_path / "run", network="tiny", steps=2, **SMALL)
    assert dcgan.load(run_folder).sample(3).shape == (3, 28, 28, 1)


@pytest.mark.usefixtures("_tiny_family")
def test_a_family_that_is_added_works_from_the_command_line_to_the_report(tmp_path: Path):
    out = tmp_path / "run"
    assert run(["train", "--network", "tiny", "--steps", "2", "--out", str(out), *SMALL_FLAGS]) == 0
    assert (out / "report.html").is_file()
    assert run(["sample", str(out), "--n", "4", "--out", str(tmp_path / "a.png")]) == 0


def test_a_model_of_a_family_that_is_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setitem(FAMILIES, "tiny", Family("one linear layer", "tests.models.tiny_family"))
        generator, _ = build_networks(configure("dcgan", network="tiny", z_dim=8), (1, 16, 16))
        save_generator(generator, tmp_path / "m")
    with pytest.raises(UserError, match="describes no generator that this version knows: family 'tiny'"):
        load_generator(tmp_path / "m")
