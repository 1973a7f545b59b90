import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dcgan.comparison import probe, runs
from dcgan.comparison.plan import Plan
from dcgan.comparison.probe import probe_run
from dcgan.comparison.progress import RunProgress
from dcgan.comparison.runs import read_parts
from dcgan.errors import UserError
from dcgan.files import write_json
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.training import loop
from dcgan.training.checkpoint import read_checkpoint
from dcgan.training.start import train_config
from dcgan.training.state import State
from dcgan.training.step import train_step
from tests.conftest import SMALL, make_picture_folder


def test_parts_that_are_damaged_are_refused(tmp_path: Path):
    (tmp_path / "parts.json").write_text('{"format_version": 1, "parts": 3}')
    with pytest.raises(UserError, match=r"parts\.json is damaged: remove"):
        read_parts(RunFolder(tmp_path))


@pytest.mark.parametrize(
    ("changed", "is_own"),
    [({}, True), ({"split": "train"}, False), ({"neighbours": 3}, False), ({"seeds": [0]}, False), ({"n": 9}, False)],
)
def test_an_evaluation_that_the_user_made_otherwise_is_not_that_of_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], is_own: bool
):
    monkeypatch.setattr(runs, "_default_features", lambda folder: "judge")
    monkeypatch.setattr(runs, "load", lambda path: SimpleNamespace(trained={"step": 5}))
    figures = {"features": "judge", "step": 5, "n": 110, "split": "test", "neighbours": 5, "seeds": [0, 1, 2, 3, 4]}
    run = RunFolder(tmp_path)
    run.evaluation.mkdir()
    write_json(run.evaluation / "figures.json", figures | changed)
    plan = Plan(("vanilla",), (0,), "steps", 5, "mnist", 28, 110)
    assert runs._is_evaluated(plan, run) == is_own
    assert not runs._is_evaluated(replace(plan, split="all"), run)


def test_a_run_without_a_discriminator_is_probed(finished_run: RunFolder, tmp_path: Path):
    shutil.copytree(finished_run.path, tmp_path / "r")
    run = RunFolder(tmp_path / "r")
    measured = [{k: v for k, v in e.items() if k not in ("loss_d", "d_real", "d_fake")} for e in run.log.entries()]
    run.log.replace(measured)
    probed = probe_run("mnist", run)
    assert "loss_g" in probed
    assert probed.keys().isdisjoint({"loss_d", "d_real", "d_fake"})


def test_few_test_pictures_are_probed_by_the_kernel_distance(
    finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    data = make_picture_folder(tmp_path / "data", 40)
    monkeypatch.setattr(probe, "PROBE_SAMPLE_COUNT", 20)
    assert "frechet_inception_distance" not in (probed := probe_run(str(data), finished_run))
    assert "kernel_inception_distance_mean" in probed
    assert probed["features"] == "random"
    monkeypatch.setattr(probe, "extract_reference", lambda images, *_: pytest.fail(str(len(images))))
    with pytest.raises(pytest.fail.Exception, match="40"):
        probe_run(str(data), finished_run, split="all")


class Rates:
    """The learning rates after each step of the trainings that follow."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[float] = []

        def step_and_note(state: State) -> None:
            train_step(state)
            self.seen.append(state.optimizer_g.param_groups[0]["lr"])

        monkeypatch.setattr(loop, "train_step", step_and_note)


@pytest.mark.usefixtures("without_report", "clock")
@pytest.mark.parametrize("length", [{"steps": 6}, {"images": 96}, {"minutes": 0.004}])
def test_learning_rates_fall_over_all_parts_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: dict):
    config = configure("dcgan", lr_end=0.1, seed=1, **SMALL, **length)
    (unit, amount), rates = next(iter(length.items())), Rates(monkeypatch)
    train_config(config, tmp_path / "whole")
    whole, rates.seen = rates.seen, []
    progress = RunProgress(2, lambda done: None)
    for part in (amount / 2, amount):
        part_config = replace(config, **{unit: part if unit == "minutes" else round(part)})
        runs._train_until_end(part_config, config, unit, RunFolder(tmp_path / "parts"), progress)
    assert rates.seen == pytest.approx(whole, rel=0.1 if unit == "minutes" else 1e-9)
    assert min(whole) < 0.2 * max(whole)


@pytest.mark.usefixtures("without_report")
def test_a_run_that_ended_because_of_copies_is_trained_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = configure("dcgan", **SMALL, steps=4)
    run = train_config(replace(config, steps=2), tmp_path / "r", whole_run=config)
    monkeypatch.setattr(runs, "read_checkpoint", lambda path: replace(read_checkpoint(path), copies_step=2))
    runs._train_until_end(config, config, "steps", run, RunProgress(2, lambda done: None))
    assert read_checkpoint(run.checkpoint).step == 2
    assert runs.describe_end(run) == "at step 2, because its samples were copies of training pictures"
