import json
import os
from pathlib import Path

import pytest

from dcgan.errors import UserError
from dcgan.presets import PRESETS
from dcgan.run import folder as folder_module
from dcgan.run.log import REQUIRED_METRICS

CONFIG = PRESETS["dcgan"]


def test_runs_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert [str(folder_module.create_run(None, CONFIG).path) for _ in range(3)] == [
        f"runs/dcgan-mnist-{n}" for n in (1, 2, 3)
    ]


def test_the_config_of_a_run(tmp_path: Path):
    folder = folder_module.create_run(tmp_path / "a", CONFIG)
    content = json.loads((folder.path / "config.json").read_text())
    assert content["command"] == "dcgan train --preset dcgan"
    assert set(content["versions"]) == {"dcgan", "torch", "torchvision", "lightning-fabric", "numpy"}
    assert folder_module.open_run(tmp_path / "a").config() == CONFIG


def test_a_folder_that_holds_a_run_is_refused_and_resume_named(tmp_path: Path):
    (folder_module.create_run(tmp_path / "a", CONFIG).checkpoint).mkdir()
    with pytest.raises(UserError, match=r"already holds a run.*dcgan resume"):
        folder_module.create_run(tmp_path / "a", CONFIG)


def test_a_run_that_was_killed_before_its_first_state_can_be_started_anew(tmp_path: Path):
    first = folder_module.create_run(tmp_path / "a", CONFIG)
    (first.path / "reals.png").touch()
    assert folder_module.create_run(tmp_path / "a", CONFIG) == first
    (first.path / "mine.txt").touch()
    with pytest.raises(UserError, match="not an empty folder"):
        folder_module.create_run(tmp_path / "a", CONFIG)


def test_a_folder_with_other_files_is_refused(tmp_path: Path):
    (tmp_path / "photo.png").touch()
    with pytest.raises(UserError, match="not an empty folder"):
        folder_module.create_run(tmp_path, CONFIG)
    with pytest.raises(UserError, match="not an empty folder"):
        folder_module.create_run(tmp_path / "photo.png", CONFIG)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        folder_module.create_run(tmp_path / "file" / "run", CONFIG)


def test_what_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no run at"):
        folder_module.open_run(tmp_path)
    (tmp_path / "config.json").write_text('{"format_version": 1, "family": "dcgan"}')
    with pytest.raises(UserError, match="saved model"):
        folder_module.open_run(tmp_path)


LINE = dict.fromkeys(REQUIRED_METRICS, 1)


def test_torn_and_foreign_lines_are_left_out(tmp_path: Path):
    folder = folder_module.RunFolder(tmp_path)
    assert list(folder.log.entries()) == []
    event = {"event": "pictures", "step": 1, "images_seen": 1}
    foreign = [{}, [1], {"step": 1}, LINE | {"loss_d": "low"}, LINE | {"step": -1}, LINE | {"step": True}]
    texts = ["\udcff", "[" * 100_000, "9" * 9999, '{"step": NaN}', *map(json.dumps, foreign)]
    texts += [json.dumps(LINE | {"loss_g": 1e999}), json.dumps(event | {"event": 3}), json.dumps(event)]
    folder.log.path.write_text("\n".join([*texts, json.dumps(LINE), '{"step": 6, "lo']), errors="surrogateescape")
    assert list(folder.log.entries()) == [event, LINE]
    assert list(folder.log.measurements()) == [LINE]
    assert list(folder.log.events()) == [event]


def test_the_log_is_replaced_whole(tmp_path: Path):
    folder = folder_module.RunFolder(tmp_path)
    folder.append(LINE)
    folder.log.replace([LINE, LINE])
    folder.append(LINE)
    assert list(folder.log.entries()) == [LINE] * 3
    with pytest.raises(ValueError, match="not JSON"):
        folder.append({"loss_d": float("nan")})


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path):
    folder = folder_module.RunFolder(tmp_path)
    (folder.samples).mkdir()
    for left in (tmp_path / ".metrics.jsonl.new", folder.samples / ".00000000.png.new"):
        left.touch()
    (tmp_path / ".checkpoint.new").mkdir()
    (tmp_path / ".checkpoint.new" / "state.json").touch()
    folder.log.path.touch()
    folder.remove_unfinished_files()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["metrics.jsonl", "samples"]


def test_a_run_folder_is_a_path(tmp_path: Path):
    assert os.fspath(folder_module.RunFolder(tmp_path)) == str(tmp_path)
