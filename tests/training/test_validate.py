import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

import dcgan
from dcgan.errors import UserError
from dcgan.run.folder import RunFolder
from dcgan.training import validate
from tests.conftest import SMALL, Clock

pytestmark = pytest.mark.usefixtures("without_report")
MEASURED = "frechet_inception_distance"
EVERY = {**SMALL, "evaluate_every": 2}


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "SAMPLES", 130)
    monkeypatch.setattr(validate, "MAX_REFERENCE_IMAGES", 200)


def measured(folder: RunFolder) -> list[dict]:
    return [line for line in folder.log.events() if line["event"] == "measured"]


def distances(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let the measurements come out like this."""
    rest = iter(values)
    monkeypatch.setattr(validate, "sample_distance", lambda *_: next(rest))


def origin(folder: RunFolder) -> dict:
    return json.loads((folder.model / "config.json").read_text())["trained"]


def state(folder: RunFolder) -> dict:
    found = json.loads((folder.checkpoint / "state.json").read_text())
    return {name: value for name, value in found.items() if name not in ("seconds", "checksum", "first_plan")}


def tensors(folder: RunFolder) -> dict[str, bytes]:
    files = (folder.checkpoint / "state.safetensors", folder.model / "model.safetensors")
    return {f"{file.name}/{name}": t.numpy().tobytes() for file in files for name, t in load_file(file).items()}


def test_measurements_are_logged_with_all_that_they_depend_on(tmp_path: Path):
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=5, **EVERY)
    assert [line["step"] for line in measured(folder)] == [2, 4]
    for line in measured(folder):
        assert (line["features"], line["split"], line["n"]) == ("random", "validation", 130)
        assert line[MEASURED] > 0


def test_the_best_model_is_kept_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    distances(monkeypatch, [3.0, 1.0, 2.0])
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=7, **EVERY)
    assert origin(folder)["step"] == 4
    assert origin(folder)["measured"] == {MEASURED: 1.0, "features": "random", "split": "validation", "n": 130}
    assert (state(folder)["best"], state(folder)["best_step"], state(folder)["stale"]) == (1.0, 4, 1)
    until = dcgan.train("dcgan", out=tmp_path / "s", steps=4, **SMALL)
    assert (folder.model / "model.safetensors").read_bytes() == (until.model / "model.safetensors").read_bytes()


def test_patience_ends_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    distances(monkeypatch, [3.0, 1.0, 2.0, 1.0, 0.5])
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=50, patience=2, **EVERY)
    assert state(folder)["step"] == 8  # as good as the best is no better
    assert origin(folder)["step"] == 4
    with pytest.raises(UserError, match=r"finished: it ran out of --patience at step 8"):
        dcgan.resume(folder, steps=60)


def test_measuring_changes_nothing_of_the_training(tmp_path: Path, finished_run: RunFolder):
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=7, **EVERY)
    mine, other = (load_file(f.checkpoint / "state.safetensors") for f in (folder, finished_run))
    assert all(mine[name].equal(other[name]) for name in other)


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_resumed_run_measures_as_one_that_never_stopped(tmp_path: Path, stop: int):
    settings = {**EVERY, "lr": 3e-3, "save_every": 3}
    whole = dcgan.train("dcgan", out=tmp_path / "whole", steps=9, **settings)
    part = dcgan.train("dcgan", out=tmp_path / "part", steps=stop, **settings)
    resumed = dcgan.resume(part, steps=9)
    assert tensors(resumed) == tensors(whole)
    assert state(resumed) == state(whole)
    assert [{**line, "seconds": 0} for line in resumed.log.entries()] == [
        {**line, "seconds": 0} for line in whole.log.entries()
    ]
    # the origin names the length that was asked for at first in its command
    assert origin(resumed)["step"] == origin(whole)["step"]


def test_time_to_measure_is_not_training_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock):
    def slowly(*_: object) -> float:
        clock.now += 100
        return 1.0

    monkeypatch.setattr(validate, "sample_distance", slowly)
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=4, **EVERY)
    assert json.loads((folder.checkpoint / "state.json").read_text())["seconds"] == pytest.approx(0.04)
    assert clock.now > 200


def test_a_small_set_is_measured_against_what_it_is_trained_on(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(256, size=(90, 28, 28, 1), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", arr_0=pixels)
    folder = dcgan.train("dcgan", out=tmp_path / "r", data=str(tmp_path / "d.npz"), steps=2, **EVERY)
    assert measured(folder)[0]["split"] == "train"


def test_patience_without_measurements_is_refused():
    with pytest.raises(UserError, match="give --evaluate-every too"):
        dcgan.Config(patience=3)


def test_no_measurement_is_no_setting(finished_run: RunFolder):
    assert measured(finished_run) == []
    assert finished_run.config().evaluate_every == 0
