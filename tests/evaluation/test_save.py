import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from torch import Tensor

from dcgan.cli.main import run as run_command
from dcgan.evaluation import grids, measure
from dcgan.evaluation.measure import evaluate
from dcgan.metrics.features import EXTRACTORS, FeatureExtractor
from dcgan.run.folder import RunFolder
from tests.conftest import make_picture_folder
from tests.evaluation.helpers import SAMPLE_COUNT

pytestmark = pytest.mark.usefixtures("small_reference")


@pytest.fixture
def run(finished_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A copy of a run; nearest pictures are searched among 1,100."""
    monkeypatch.setattr(grids, "MAX_FLOOR_IMAGES", 1100)
    return RunFolder(Path(shutil.copytree(finished_run.path, tmp_path / "r")))


def test_the_evaluation_of_a_run_is_saved_in_it_and_shown_in_its_report(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
):
    assert run_command(["evaluate", str(run.path), "--n", str(SAMPLE_COUNT), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    saved = json.loads((run.evaluation / "figures.json").read_text())
    rows = [str(i) for i in range(10)]
    names = {"rows": rows, "group_rows": []}
    assert saved == {"format_version": 1, "step": 7, "images_seen": 112, **names, **printed, "source": "r"}
    for name, size in (("neighbours", (182, 242)), ("classes", (242, 302))):
        with Image.open(run.evaluation / f"{name}.png") as grid:
            assert grid.size == size
    assert f"{SAMPLE_COUNT} samples against 400 pictures of the test split of mnist" in run.report.read_text()


def test_the_step_is_that_of_the_model_that_was_evaluated(run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    record = (run.model / "config.json").read_text()

    def train_on(*args: object) -> object:
        (run.model / "config.json").write_text(record.replace('"step": 7', '"step": 9'))
        return save_evaluation(*args)

    assert '"step": 7' in record
    save_evaluation = measure.save_evaluation
    monkeypatch.setattr(measure, "save_evaluation", train_on)
    evaluate(run.path, n=SAMPLE_COUNT, save_in_run=True)
    assert json.loads((run.evaluation / "figures.json").read_text())["step"] == 7


def test_a_run_that_cannot_be_written_to_is_evaluated_nevertheless(run: RunFolder, capsys: pytest.CaptureFixture[str]):
    (run.path / ".evaluation.new").touch()  # prevents the folder, as a read-only disk would
    assert evaluate(run.path, n=SAMPLE_COUNT, save_in_run=True).n == SAMPLE_COUNT
    assert "the evaluation is not saved in " in capsys.readouterr().err
    assert not run.evaluation.exists()
    evaluate(run.path, n=SAMPLE_COUNT, save_in_run=True, show_progress=False)
    assert capsys.readouterr() == ("", "")


def test_an_extractor_that_is_added_at_run_time_works_from_the_command_to_the_report(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def open_row_means(device: str, is_stacked: bool) -> FeatureExtractor:
        def extract(pixels: Tensor) -> tuple[Tensor, None]:
            return pixels.float().mean((1, 3)).to(device).cpu(), None  # (N, H)

        return FeatureExtractor("row-means", 28, extract, image_shape=(1, 28, 28))

    monkeypatch.setitem(EXTRACTORS, "row-means", open_row_means)
    words = ["evaluate", str(run.path), "--features", "row-means", "--n", str(SAMPLE_COUNT), "--json"]
    assert run_command(words) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["features"] == "row-means"
    assert content["metrics"]["frechet_inception_distance"]["mean"] > 0
    assert content["classes"] == {}
    assert json.loads((run.evaluation / "figures.json").read_text())["features"] == "row-means"
    assert "features row-means" in run.report.read_text()


def test_pictures_of_a_class_named_model_are_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Their metrics were lost, because nothing can be saved in a folder of pictures as in a run."""
    make_picture_folder(tmp_path / "p" / "model", 20)
    make_picture_folder(tmp_path / "p" / "other", 20)
    words = [
        "--data",
        str(tmp_path / "p"),
        "--split",
        "all",
        "--features",
        "random",
        "--skip-copies",
        "--json",
        "--resize",
    ]
    assert run_command(["evaluate", str(tmp_path / "p"), *words]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 40
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["model", "other"]
