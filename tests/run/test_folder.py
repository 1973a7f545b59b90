import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dcgan.config import ScoreKind
from dcgan.errors import UserError
from dcgan.presets import PRESETS, configure
from dcgan.run.folder import RunFolder, create_run, open_run
from dcgan.sampling.model import load

CONFIG = PRESETS["dcgan"]


def test_runs_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert [str(create_run(None, CONFIG).path) for _ in range(3)] == [f"runs/dcgan-mnist-{n}" for n in (1, 2, 3)]


CREATE_RUN = """
import sys, time
from dcgan.presets import PRESETS
from dcgan.run.folder import create_run
time.sleep(max(0, float(sys.argv[1]) - time.time()))
print(create_run(None, PRESETS["dcgan"]).path)
"""


def test_runs_that_start_at_once_get_folders_of_their_own(tmp_path: Path):
    start = str(time.time() + 3)
    words = [sys.executable, "-c", CREATE_RUN, start]
    processes = [subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    paths = [process.communicate()[0].strip() for process in processes]
    assert sorted(paths) == [f"runs/dcgan-mnist-{n}" for n in (1, 2, 3, 4)]


def test_the_config_of_a_run(tmp_path: Path):
    folder = create_run(tmp_path / "a", CONFIG, "probability")
    content = json.loads((folder.path / "config.json").read_text())
    assert content["command"] == "dcgan train --preset dcgan"
    assert content["score_kind"] == "probability"
    assert set(content["versions"]) == {"dcgan", "torch", "torchvision", "lightning-fabric", "numpy"}
    assert open_run(tmp_path / "a").config() == CONFIG


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        ("minimax", "probability"),
        ("non-saturating", "probability"),
        ("relativistic", "relative"),
        ("hinge", "raw"),
        ("wasserstein", "raw"),
        ("least-squares", "raw"),
    ],
)
def test_the_score_kind_of_a_run_of_version_0_1_follows_from_its_loss(tmp_path: Path, loss: str, kind: ScoreKind):
    folder = create_run(tmp_path / "a", configure("dcgan", loss=loss))
    content = json.loads(folder.config_path.read_text())
    del content["score_kind"]
    folder.config_path.write_text(json.dumps(content))
    assert folder.score_kind() == kind
    folder.config_path.write_text(json.dumps(content | {"own": ["loss"]}))
    assert folder.score_kind() == "raw"  # the user's own objective: nothing is known of its scores


@pytest.mark.parametrize("kind", ["probability", "relative", "raw"])
def test_the_score_kind_in_the_config_counts(tmp_path: Path, kind: ScoreKind):
    folder = create_run(tmp_path / "a", CONFIG, kind, ["loss"])
    assert folder.score_kind() == kind
    content = json.loads(folder.config_path.read_text())
    for damaged in (None, 3, "logits", ["raw"]):
        folder.config_path.write_text(json.dumps(content | {"score_kind": damaged}))
        assert folder.score_kind() == "raw"


def test_a_folder_that_holds_a_run_is_refused_and_resume_is_named(tmp_path: Path):
    create_run(tmp_path / "a", CONFIG).checkpoint.mkdir()
    with pytest.raises(UserError, match=r"already holds a run.*dcgan resume"):
        create_run(tmp_path / "a", CONFIG)


def test_a_run_that_was_killed_before_its_first_checkpoint_can_be_started_again(tmp_path: Path):
    first = create_run(tmp_path / "a", CONFIG)
    (first.path / "reals.png").touch()
    assert create_run(tmp_path / "a", CONFIG) == first
    (first.path / "mine.txt").touch()
    with pytest.raises(UserError, match="not an empty folder"):
        create_run(tmp_path / "a", CONFIG)


def test_a_folder_with_other_files_is_refused(tmp_path: Path):
    (tmp_path / "photo.png").touch()
    with pytest.raises(UserError, match="not an empty folder"):
        create_run(tmp_path, CONFIG)
    with pytest.raises(UserError, match="not an empty folder"):
        create_run(tmp_path / "photo.png", CONFIG)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        create_run(tmp_path / "file" / "run", CONFIG)


def test_a_folder_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no run at"):
        open_run(tmp_path)
    (tmp_path / "config.json").write_text('{"format_version": 1, "family": "dcgan"}')
    with pytest.raises(UserError, match="saved model"):
        open_run(tmp_path)


def test_unfinished_files_of_a_killed_process_are_removed(tmp_path: Path):
    folder = RunFolder(tmp_path)
    folder.samples.mkdir()
    for unfinished in (tmp_path / ".metrics.jsonl.new", folder.samples / ".00000000.png.new"):
        unfinished.touch()
    (tmp_path / ".checkpoint.new").mkdir()
    (tmp_path / ".checkpoint.new" / "state.json").touch()
    folder.log.path.touch()
    folder.remove_unfinished_files()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["metrics.jsonl", "samples"]


def test_skipped_files_are_listed_with_their_reasons(tmp_path: Path):
    RunFolder(tmp_path).write_skipped_files([("a.png", "not a picture"), ("b.png", "empty")])
    assert json.loads((tmp_path / "skipped.json").read_text()) == [
        {"file": "a.png", "reason": "not a picture"},
        {"file": "b.png", "reason": "empty"},
    ]


def test_a_run_folder_is_a_path(tmp_path: Path):
    assert os.fspath(RunFolder(tmp_path)) == str(tmp_path)


def test_grids_are_in_the_order_of_their_images(tmp_path: Path):
    run = RunFolder(tmp_path)
    assert run.grids() == []
    run.samples.mkdir()
    counts = (99_999_936, 0, 128, 100_000_000, 1_000_000_000)
    for images_seen in counts:
        run.grid_path(images_seen).touch()
    for name in (".00000128.png.new", "notes.txt", "128.png"):
        (run.samples / name).touch()
    assert [images_seen for images_seen, _ in run.grids()] == sorted(counts)
    assert run.grids()[-1][1] == run.samples / "1000000000.png"


def test_the_printed_grid_is_the_last_one(finished_run: RunFolder, tmp_path: Path):
    from dcgan.cli.train import _result

    shutil.copytree(finished_run, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    for images_seen in (99_999_936, 100_000_000):  # as names, the greater number comes first
        run.grid_path(images_seen).touch()
    result = _result(run)
    assert result is not None
    assert result[0]["samples"] == str(run.samples / "100000000.png")


def test_a_killed_write_is_completed_by_the_trainer_only(tmp_path: Path):
    run = RunFolder(tmp_path)
    for name in ("model", "checkpoint"):
        (tmp_path / f".{name}.old").mkdir()
    run.complete_interrupted_writes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "model"]


def test_a_run_below_the_usual_folder_is_suggested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    folder = create_run(None, CONFIG)
    with pytest.raises(UserError, match=rf"there is no run at {folder.path.name}, did you mean {folder.path}\?"):
        open_run(Path(folder.path.name))
    with pytest.raises(UserError, match=rf"there is no {folder.path.name}, did you mean {folder.path}\?"):
        load(folder.path.name)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("out", ["link", "link/run"])
def test_a_link_that_leads_nowhere_is_refused_with_its_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
):
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("gone")
    with pytest.raises(UserError, match="link is a link to gone, where nothing is; make a folder there, or remove"):
        create_run(Path(out), CONFIG)
    Path("gone").mkdir()
    assert create_run(Path(out), CONFIG).config() == CONFIG
