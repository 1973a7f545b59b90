import shutil
from pathlib import Path
from typing import Any

import pytest

from dcgan.comparison import probe, runs
from dcgan.comparison.probe import probe_run
from dcgan.comparison.runs import read_parts
from dcgan.errors import UserError
from dcgan.files import write_json
from dcgan.run.folder import RunFolder
from tests.conftest import make_picture_folder


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
    figures = {"features": "judge", "step": 5, "n": 110, "split": "test", "neighbours": 5, "seeds": [0, 1, 2, 3, 4]}
    run = RunFolder(tmp_path)
    run.evaluation.mkdir()
    write_json(run.evaluation / "figures.json", figures | changed)
    assert runs._is_evaluated(run, 5, 110) == is_own


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
