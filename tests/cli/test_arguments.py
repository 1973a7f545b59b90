import dataclasses
from pathlib import Path
from typing import get_type_hints

import pytest

import dcgan
from dcgan.cache import expand_user
from dcgan.cli.commands import COMMANDS
from dcgan.cli.main import parse, run
from dcgan.run.folder import RunFolder
from tests.conftest import SMALL, SMALL_FLAGS


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home folder; the current folder is another one, which is empty."""
    home, current = tmp_path / "home", tmp_path / "current"
    home.mkdir()
    current.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))  # Windows
    monkeypatch.chdir(current)
    return home


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["train", "--out=~/x"], "out"),
        (["train", "--preset", "dcgan", "--out", "~/x"], "out"),
        (["resume", "~/x"], "run"),
        (["sample", "mnist", "--out=~/x"], "out"),
        (["evaluate", "mnist", "--neighbours=~/x"], "neighbours"),
        (["evaluate", "mnist", "--sheets=~/x"], "sheets"),
        (["invert", "mnist", "~/x", "--out", "o"], "picture"),
        (["compare", "--out=~/x"], "out"),
        (["data", "check", "mnist", "--out=~/x"], "out"),
        (["studio", "~/x"], "runs"),
    ],
)
def test_a_path_of_the_home_folder_is_expanded_wherever_it_stands(home: Path, words: list[str], field: str):
    assert getattr(parse(words), field) == home / "x"
    literal = parse([word.replace("~", "./~") for word in words])
    assert getattr(literal, field) == Path("~/x").absolute()


def test_every_folder_of_a_repeated_flag_is_expanded(home: Path):
    assert parse(["studio", "--data-root=~/a", "--data-root", "b"]).data_root == (home / "a", Path("b"))


def test_a_run_in_the_home_folder_is_found_by_every_command(
    home: Path, capsys: pytest.CaptureFixture[str], without_report: None
):
    assert run(["train", *SMALL_FLAGS, "--steps", "1", "--out=~/r"]) == 0
    for words in (
        ["resume", "~/r", "--steps", "2"],
        ["train", "--preset=~/r/config.json", "--steps", "1", "--out=~/again"],
        ["train", *SMALL_FLAGS, "--init=~/r", "--steps", "1", "--out=~/further"],
        ["sample", "~/r", "--out=~/samples.png"],
        ["report", "~/r"],
    ):
        assert run(words) == 0, capsys.readouterr().err
    assert {path.name for path in home.iterdir()} >= {"again", "further", "r", "samples.png"}
    assert list(Path().iterdir()) == []


def test_python_calls_expand_the_home_folder(home: Path, without_report: None):
    folder = dcgan.train(**SMALL, steps=1, out="~/r", show_progress=False)
    assert folder == dcgan.resume("~/r", steps=2, show_progress=False) == RunFolder(home / "r")
    model = dcgan.load("~/r")
    assert model.source == str(home / "r")
    model.generator.save_pretrained("~/saved")
    assert type(model.generator).from_pretrained("~/saved").z_dim == model.generator.z_dim
    with pytest.raises(dcgan.UserError, match=r"there is no data '~/nothing'"):
        dcgan.evaluate("~/r", data="~/nothing", show_progress=False)
    assert list(Path().iterdir()) == []


def test_a_folder_that_is_named_like_the_home_folder_is_reached_by_its_place(home: Path, without_report: None):
    folder = dcgan.train(**SMALL, steps=1, out="./~", show_progress=False)
    assert folder.path == Path("~").absolute() == expand_user(folder)
    assert dcgan.load(folder).trained["step"] == dcgan.load("./~").trained["step"] == 1
    assert list(home.iterdir()) == []


def test_a_name_that_only_begins_like_a_home_folder_stays_the_same_when_it_is_expanded_again(home: Path):
    unknown = expand_user("~nobody-has-this-name/x")
    assert unknown == expand_user(unknown) == Path("~nobody-has-this-name/x").absolute()
    assert [expand_user(path) for path in ("mnist", "./mnist", "a/~", "")] == list(
        map(Path, ("mnist", "mnist", "a/~", ""))
    )


def test_every_flag_for_numbers_says_which_it_takes(refused):
    kinds = {int: "a whole number", int | None: "a whole number", float: "a number", float | None: "a number"}
    commands: dict[str, list[tuple[str, object]]] = {
        name: [(field.name, get_type_hints(command)[field.name]) for field in dataclasses.fields(command)]
        for name, command in COMMANDS.items()
        if name != "data"
    }
    commands["train"] += get_type_hints(dcgan.Config).items()
    flags = [
        (command, flag, kinds[kind]) for command, found in commands.items() for flag, kind in found if kind in kinds
    ]
    assert len(flags) > 50
    for command, name, kind in flags:
        flag = f"--{name.replace('_', '-')}"
        words = ["r"] * len([f for f, kind in commands[command] if f in ("run", "model", "picture")])
        out = ["--out", "o"] if "out" in dict(commands[command]) else []
        assert refused(command, *words, *out, f"{flag}=1x") == (
            f"dcgan: {flag} takes {kind}, not 1x; see dcgan {command} --help\n"
        )
