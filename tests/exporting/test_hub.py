"""The layout of the Hub, and uploads to a server that speaks its protocol."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from safetensors import SafetensorError

import dcgan
from dcgan.cli.main import run
from dcgan.errors import UserError
from dcgan.evaluation.measure import evaluate
from dcgan.exporting.card import _read_figures, make_card
from dcgan.files import write_json
from dcgan.run.folder import RunFolder
from tests.conftest import SMALL, make_picture_folder
from tests.exporting.hub_server import HubServer, Repository, start_hub

# huggingface_hub 2.4.0 uploads to LFS in a way that its HTTP library warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

FILES = ["README.md", "config.json", "model.safetensors", "samples.png"]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """Return a running server, which this process takes for the Hub, with a good token."""
    with start_hub() as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", server.address + TEMPLATE)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub-cache"))
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "good-token")
        yield server


TEMPLATE = "/{repo_id}/resolve/{revision}/{filename}"


@pytest.fixture
def push_words(finished_run: RunFolder, tmp_path: Path) -> list[str]:
    words = ["export", str(finished_run.path), "--format", "safetensors", "--out", str(tmp_path / "out")]
    return [*words, "--push", "somebody/digits"]


def test_the_layout_of_the_hub(finished_run: RunFolder, tmp_path: Path):
    assert run(["export", str(finished_run.path), "--format", "safetensors", "--out", str(tmp_path / "hub")]) == 0
    assert sorted(p.name for p in (tmp_path / "hub").iterdir()) == FILES
    assert (dcgan.load(tmp_path / "hub").sample(4) == dcgan.load(finished_run).sample(4)).all()
    with Image.open(tmp_path / "hub" / "samples.png") as samples:
        assert samples.width > 8 * 28


def test_the_card_of_a_model_that_was_not_measured(finished_run: RunFolder):
    card = make_card(dcgan.load(finished_run))
    for text in (
        "license: unknown\n",
        "pipeline_tag: unconditional-image-generation",
        "28x28 pictures, trained on `mnist`",
        "![Samples](samples.png)",
        "- Preset: `dcgan`\n- Length: 7 steps, 112 images seen\n",
        "dcgan train --preset dcgan",
        "Nothing was measured",
        "Whether its samples are copies of training pictures was not measured.",
        'dcgan.load("USER/NAME")',
        "`dcgan.models.dcgan.Generator.from_pretrained`",
        "License unknown: nobody has said",
    ):
        assert text in card, text


def test_the_card_has_the_figures_of_these_weights(tmp_path: Path):
    pictures = make_picture_folder(tmp_path / "photos", 250)  # copies are searched among them, faster than among digits
    folder = dcgan.train("dcgan", data=pictures, out=tmp_path / "r", steps=4, **SMALL)
    evaluate(folder, n=50, features="random", split="all", save_in_run=True, show_progress=False)
    card = make_card(dcgan.load(folder), "somebody/digits", "cc-by-4.0")
    figures = json.loads((folder.evaluation / "figures.json").read_text())
    precision = figures["metrics"]["precision"]
    assert f"50 samples against {figures['reference']:,} pictures of all splits of `photos`" in card
    assert f"| precision ↑ | {precision['mean']:.4g} | {precision['low']:.4g} to {precision['high']:.4g} | " in card
    assert "told apart from real pictures" in card
    assert "was not measured" not in card
    assert "license: cc-by-4.0\n" in card
    assert "`cc-by-4.0`. The pictures that the model was trained on may have licenses of their own." in card
    assert 'dcgan.load("somebody/digits")' in card
    assert card == make_card(dcgan.load(folder.model), "somebody/digits", "cc-by-4.0")
    (folder.evaluation / "figures.json").write_text(json.dumps(figures | {"step": 3}))  # of an earlier model
    assert "Nothing was measured" in make_card(dcgan.load(folder))


def test_names_in_a_card_stay_text(finished_run: RunFolder):
    model = dcgan.load(finished_run)
    model.generator.trained = {**model.trained, "data": "a`b\nlicense: mit"}
    card = make_card(model)
    assert "`a'b\\nlicense: mit`" in card
    assert "\nlicense: mit" not in card


def test_a_push_and_a_download_of_processes_that_know_the_hub_by_hf_endpoint(
    hub: HubServer, push_words: list[str], finished_run: RunFolder, tmp_path: Path
):
    """The whole way, with the library of the Hub as it is."""
    variables = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    environment = os.environ | variables

    def call(*words: str) -> str:
        done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    out = json.loads(call("-m", "dcgan", *push_words, "--license", "MIT", "--json"))
    assert (out["pushed"], out["is_new"]) == (f"{hub.address}/somebody/digits", True)
    files = hub.repositories["somebody/digits"].files
    assert sorted(files) == FILES
    assert files["model.safetensors"] == (finished_run.model / "model.safetensors").read_bytes()
    assert b"license: mit\n" in files["README.md"]
    program = (
        "import dcgan; from dcgan.models.dcgan import Generator; name = 'somebody/digits'; "
        "print(dcgan.load(name).sample(2).tolist()); "
        "print(sum(p.numel() for p in Generator.from_pretrained(name).parameters()))"
    )
    samples, parameter_count = call("-c", program).splitlines()
    model = dcgan.load(finished_run)
    assert json.loads(samples) == model.sample(2).tolist()
    assert int(parameter_count) == sum(p.numel() for p in model.generator.parameters())


def test_a_repository_that_exists_gets_a_new_commit(
    hub: HubServer, push_words: list[str], capsys: pytest.CaptureFixture[str]
):
    hub.repositories["somebody/digits"] = Repository(files={"notes.md": b"mine", "README.md": b"old"})
    assert run(push_words) == 0
    assert "a new commit in the repository that was there" in capsys.readouterr().out
    repository = hub.repositories["somebody/digits"]
    assert repository.messages == ["A generator by dcgan"]
    assert sorted(repository.files) == [*FILES[:3], "notes.md", "samples.png"]
    assert repository.files["notes.md"] == b"mine"
    assert b"license: unknown" in repository.files["README.md"]


def test_a_private_repository_is_written_and_read_by_its_owner_only(
    hub: HubServer, push_words: list[str], monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
):
    hub.repositories["somebody/digits"] = Repository(is_private=True)
    assert run(push_words) == 0
    assert len(dcgan.load("somebody/digits").sample(2)) == 2
    for token in ("other-token", ""):
        monkeypatch.setenv("HF_TOKEN", token)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", "/nowhere")
        with pytest.raises(UserError, match="the Hub has no model of that name") as caught:
            dcgan.load("somebody/digits")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("token", "name", "reason"),
    [
        ("bad-token", "somebody/digits", "it does not know your token: log in with `hf auth login` (HTTP 401)"),
        ("other-token", "somebody/digits", "your token may not write there: give a name of yours"),
        ("other-token", "somebody/secret", "your token may not write there: give a name of yours"),
        ("other-token", "somebody/public", "your token may not write there: give a name of yours"),
        ("good-token", "no name at all/ /", "Repo id must"),
    ],
)
def test_a_push_that_is_refused_says_why(
    hub: HubServer,
    push_words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    refused: Callable[..., str],
    token: str,
    name: str,
    reason: str,
):
    hub.repositories |= {"somebody/secret": Repository(is_private=True), "somebody/public": Repository()}
    monkeypatch.setenv("HF_TOKEN", token)
    line = refused(*push_words[:-1], name)
    assert "out is written, but not pushed as" in line
    assert reason in line
    assert hub.repositories.keys() == {"somebody/secret", "somebody/public"}
    assert not any(repository.files for repository in hub.repositories.values())


def test_a_push_without_a_token_says_how_to_log_in(
    hub: HubServer, push_words: list[str], monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
):
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nowhere/token")
    assert "log in with `hf auth login`" in refused(*push_words)


def test_a_push_without_a_network_says_so(
    hub: HubServer, push_words: list[str], monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    assert "the Hub cannot be reached ([Errno 111] Connection refused)" in refused(*push_words)
    with pytest.raises(UserError, match="there is no folder somebody/digits, and the Hub cannot be reached"):
        dcgan.load("somebody/digits")


def test_nothing_is_pushed_offline(push_words: list[str], monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "is written, but not pushed" in refused(*push_words)


@pytest.mark.parametrize("license_name", ["my own", "mit\nlicense: other", "-", ""])
def test_a_license_that_the_hub_cannot_know_is_refused(
    license_name: str, finished_run: RunFolder, tmp_path: Path, refused: Callable[..., str]
):
    words = ["export", str(finished_run.path), "--format", "safetensors", "--out", str(tmp_path / "out")]
    assert "--license" in refused(*words, f"--license={license_name}")
    assert not (tmp_path / "out").exists()


def test_a_license_is_for_a_card(finished_run: RunFolder, tmp_path: Path, refused: Callable[..., str]):
    words = ["export", str(finished_run.path), "--out", str(tmp_path / "x.onnx"), "--license", "mit"]
    assert "--license can be used with --format safetensors" in refused(*words)


def test_a_shipped_model_has_no_figures_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = dcgan.load("mnist-dcgan")
    (tmp_path / "evaluation").mkdir()
    write_json(tmp_path / "evaluation" / "figures.json", {"step": model.trained["step"], "metrics": {}})
    monkeypatch.chdir(tmp_path)
    assert _read_figures(model) == {}


def test_a_push_that_failed_is_tried_again_with_the_same_command(
    hub: HubServer,
    push_words: list[str],
    monkeypatch: pytest.MonkeyPatch,
    refused: Callable[..., str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("HF_TOKEN", "bad-token")
    refused(*push_words)
    monkeypatch.setenv("HF_TOKEN", "good-token")
    assert run(push_words) == 0
    assert hub.repositories.keys() == {"somebody/digits"}
    assert "a new repository" in capsys.readouterr().out
    (tmp_path / "out" / "notes.txt").touch()
    assert "is not an empty folder, nor this model as it was exported" in refused(*push_words)


def test_a_push_replaces_neither_another_model_nor_a_run(
    push_words: list[str],
    finished_run: RunFolder,
    refused: Callable[..., str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    assert run(["export", "mnist", "--format", "safetensors", "--out", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    assert "nor this model as it was exported: give another --out" in refused(*push_words)
    words = [*push_words[:5], str(finished_run.path), *push_words[6:]]
    assert "is not an empty folder" in refused(*words)
    assert finished_run.checkpoint.exists()


def test_a_full_disk_is_one_line(
    push_words: list[str], monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str], tmp_path: Path
):
    def fail(*args: object, **options: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("dcgan.models.saved.SavedGenerator.save_pretrained", fail)
    assert "out: I/O error: No space left on device" in refused(*push_words)
    assert list(tmp_path.iterdir()) == []
