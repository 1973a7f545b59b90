import json
import shutil
from pathlib import Path

import pytest
import torch

from dcgan.evaluation.measure import evaluate
from dcgan.metrics.features import EXTRACTORS, FeatureExtractor
from dcgan.reporting.page import write_report
from dcgan.run.folder import RunFolder
from tests.evaluation.helpers import SAMPLE_COUNT, write_digits

pytestmark = pytest.mark.usefixtures("small_reference")
NAMES = ("lite0", "lite2", "random", "judge")


@pytest.fixture(autouse=True)
def quick_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name stands for the mean of other rows, which is quick."""
    for i, name in enumerate(NAMES):

        def open_row(device: str, is_stacked: bool, name: str = name, i: int = i) -> FeatureExtractor:
            def extract(pixels: torch.Tensor) -> tuple[torch.Tensor, None]:
                return pixels.float()[:, 0, 4 * i + 4 : 4 * i + 8].mean(2) / 255, None  # (N, 4)

            return FeatureExtractor(name, 4, extract, weights_key="rows")

        monkeypatch.setitem(EXTRACTORS, name, open_row)


def trained_with_lite0(run: RunFolder, folder: Path) -> Path:
    """Return a copy of a run whose model says that it was trained to match features."""
    shutil.copytree(run.path, folder)
    path = folder / "model" / "config.json"
    content = json.loads(path.read_text())
    content["trained"]["features"] = "lite0"
    path.write_text(json.dumps(content))
    return folder


def notes(source: Path, features: str) -> list[str]:
    evaluation = evaluate(source, data="mnist", n=SAMPLE_COUNT, features=features, show_progress=False)
    return [note for note in evaluation.as_json()["notes"] if "trained with" in note]


def test_a_run_that_was_trained_with_features_says_so_where_they_judge_it(finished_run: RunFolder, tmp_path: Path):
    for name in NAMES:
        assert notes(finished_run.path, name) == []
    run = trained_with_lite0(finished_run, tmp_path / "r")
    (note,) = notes(run, "lite0")
    assert note.startswith(
        "the generator was trained with the features lite0, so its metrics by them are too good; its "
    )
    assert "by other features: random " in note
    assert note.endswith(" (related, may flatter)")
    assert notes(run, "lite2") == [
        "lite2 is related to lite0, which the generator was trained with, and may flatter it"
    ]
    assert notes(run, "random") == notes(run, "judge") == []


def test_the_distances_beside_it_are_those_of_an_evaluation_with_them(finished_run: RunFolder, tmp_path: Path):
    by_random = evaluate(finished_run.path, n=SAMPLE_COUNT, features="random", show_progress=False)
    (note,) = notes(trained_with_lite0(finished_run, tmp_path / "r"), "lite0")
    expected = by_random.as_json()["metrics"]["kernel_inception_distance_mean"]["mean"]
    distance = float(note.split("random ")[1].split(",")[0])
    assert distance == pytest.approx(expected, rel=0.05)  # of the first seed, and of all seeds


def test_the_report_and_the_json_say_it(finished_run: RunFolder, tmp_path: Path):
    run = RunFolder(trained_with_lite0(finished_run, tmp_path / "r"))
    evaluation = evaluate(run.path, n=SAMPLE_COUNT, features="lite0", save_in_run=True, show_progress=False)
    assert evaluation.as_json()["trained_with"] == "lite0"
    assert json.loads((run.evaluation / "figures.json").read_text())["trained_with"] == "lite0"
    sentence = "the generator was trained with the features lite0, so its metrics by them are too good"
    write_report(run)
    assert sentence in run.report.read_text()


def test_files_were_trained_with_nothing(tmp_path: Path):
    assert notes(write_digits(tmp_path / "x.npz"), "lite0") == []
