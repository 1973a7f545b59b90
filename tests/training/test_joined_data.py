"""Training on several sets that are joined: from the command line and from Python, and resuming."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import dcgan
from dcgan.cli.main import run
from dcgan.errors import UserError
from dcgan.evaluation.measure import evaluate
from dcgan.files import read_json
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.training.recipe import choose_recipe
from tests.conftest import SMALL, SMALL_FLAGS, make_picture_folder
from tests.data.test_joined import in_classes, write_pictures

pytestmark = pytest.mark.usefixtures("without_report")


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with the sets `cats` and `owls`."""
    write_pictures(tmp_path / "home" / "cats", in_classes("cat", "dog"))
    write_pictures(tmp_path / "home" / "owls", in_classes("owl", "hen"), seed=1)
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


def train(out: Path) -> RunFolder:
    return dcgan.train("dcgan", data=["cats", "owls"], out=out, conditional=True, **{**SMALL, "steps": 2})


def test_the_command_line_joins_what_data_names(
    sets: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    words = ["--preset", "dcgan", "--steps", "2", "--conditional", "--json", *SMALL_FLAGS]
    assert run(["train", "--data", "cats", "--out", str(sets / "r"), *words, "--data=owls"]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 2
    folder = RunFolder(sets / "r")
    assert folder.config().data == "join:cats owls"
    assert "--data cats --data owls " in read_json(folder.config_path)["command"]
    assert dcgan.load(folder).classes == ("cat", "dog", "hen", "owl")
    assert run(["train", "--out", str(sets / "again"), "--preset", str(folder.config_path)]) == 0
    assert (dcgan.load(sets / "again").sample(2) == dcgan.load(folder).sample(2)).all()
    monkeypatch.chdir(sets.parent)
    assert configure(folder.config_path).data == f"join:{sets / 'cats'} {sets / 'owls'}"


@pytest.mark.usefixtures("sets")
def test_without_a_preset_the_joined_pictures_decide():
    recipe = choose_recipe({"data": "join:cats mnist"})
    assert recipe.config.preset == "fast"
    assert recipe.reason == "it has 60,036 different color pictures to train on, too many for match (at most 20,000)"


def test_the_folder_of_a_run_has_the_names_of_all_sets(sets: Path):
    dcgan.train("dcgan", data=["cats", "owls"], **{**SMALL, "steps": 1})
    assert (sets / "runs" / "dcgan-cats-owls-1").is_dir()


def test_a_resumed_run_equals_one_that_was_not_interrupted(sets: Path, tmp_path: Path):
    whole = dcgan.train("dcgan", data=["cats", "owls"], out=tmp_path / "w", **{**SMALL, "steps": 4})
    part = dcgan.train("dcgan", data=["cats", "owls"], out=tmp_path / "p", **{**SMALL, "steps": 2})
    dcgan.resume(part, steps=4)
    assert (dcgan.load(whole).sample(3) == dcgan.load(part).sample(3)).all()


def test_each_set_is_found_where_it_was_or_below_the_current_folder(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = train(tmp_path / "r")
    assert folder.data_record().path == f"join:{sets}/cats {sets}/owls"
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    dcgan.resume(folder, steps=3)
    (sets / "owls").rename(tmp_path / "work" / "owls")
    dcgan.resume(folder, steps=4)
    assert folder.data_record().path == f"join:{sets}/cats {tmp_path}/work/owls"
    evaluation = evaluate(folder, split="all", n=50, features="random", show_progress=False)
    assert (evaluation.data, evaluation.reference_count) == ("join:cats owls", 80)


def test_a_set_that_is_gone_or_has_changed_is_named_or_refused(sets: Path, tmp_path: Path, refused: Callable[..., str]):
    folder = train(tmp_path / "r")
    (sets / "owls").rename(tmp_path / "moved")
    with pytest.raises(UserError, match=f"its pictures are not at {sets}/owls: give --data"):
        dcgan.resume(folder, steps=3)
    other = str(make_picture_folder(tmp_path / "other", 20, classes=2))
    with pytest.raises(UserError, match="holds other pictures now than when the run began"):
        dcgan.resume(folder, steps=3, data=["cats", other])
    with pytest.raises(UserError, match="holds other pictures now than when the run began"):
        dcgan.resume(folder, steps=3, data="cats")
    assert run(["resume", str(folder.path), "--steps", "3", "--data", "cats", "--data", str(tmp_path / "moved")]) == 0
    assert folder.config().data == "join:cats moved"
    notes = evaluate(
        folder, data=[str(tmp_path / "moved"), "cats"], split="all", n=50, features="random", show_progress=False
    ).notes
    assert not any("holds other pictures" in note for note in notes)


def test_paths_of_one_name_keep_their_order(sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "more").mkdir()
    write_pictures(tmp_path / "more" / "cats", in_classes("cat"), seed=2)
    monkeypatch.chdir(tmp_path / "more")
    specs = [str(sets / "cats"), str(tmp_path / "more" / "cats")]
    folder = dcgan.train("dcgan", data=specs, out=tmp_path / "r", **{**SMALL, "steps": 2})
    assert folder.config().data == "join:cats cats"
    monkeypatch.chdir(tmp_path)
    dcgan.resume(folder, steps=3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "cats", "--data", "cats"], "cats is named twice"),
        (["--data", "cats", "--data", ""], "the word after --data is empty"),
        (["--data", "cats", "--data", "nowhere"], "there is no data 'nowhere'"),
        (["--data", "join:cats"], "must name two or more sets"),
    ],
)
@pytest.mark.usefixtures("sets")
def test_mistakes_are_refused_in_one_line(refused: Callable[..., str], words: list[str], message: str):
    assert message in refused("train", "--preset", "dcgan", "--steps", "1", *words)


def test_a_list_of_paths_and_pictures_is_refused():
    with pytest.raises(UserError, match="data must be names and paths only, or pictures only: a list of both has a ra"):
        dcgan.train(data=["cats", range(3)], steps=1)
