import csv
import inspect
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcgan
from dcgan.cache import cache_folder
from dcgan.cli.main import run as run_command
from dcgan.data.open import open_images
from dcgan.errors import UserError
from dcgan.evaluation import floor as floor_module
from dcgan.evaluation import grids, measure
from dcgan.evaluation.measure import evaluate
from dcgan.images import save_png
from dcgan.metrics import fidelity, jackknife
from dcgan.metrics.judge import network
from dcgan.metrics.judge.network import save_judge
from dcgan.metrics.judge.training import initialize_judge
from dcgan.metrics.results import EQUALITY_LEVEL
from dcgan.run.folder import RunFolder
from tests.conftest import SMALL, Run
from tests.evaluation.helpers import SAMPLE_COUNT, write_copies, write_digits, write_noise
from tests.metrics.helpers import JUDGE_ORIGIN

pytestmark = pytest.mark.usefixtures("small_reference", "without_report")
DISTANCES = "frechet_inception_distance", "kernel_inception_distance_mean"


def test_a_run_is_evaluated_with_everything_that_a_metric_depends_on(finished_run: RunFolder):
    evaluation = evaluate(finished_run.path, n=320, infinite=True)
    assert (evaluation.data, evaluation.split, evaluation.features) == ("mnist", "test", "judge")
    assert (evaluation.n, evaluation.reference_count) == (320, 400)
    assert evaluation.seeds == (0, 1, 2, 3, 4)
    assert evaluation.metrics.keys() == {
        "frechet_inception_distance",
        "frechet_inception_distance_infinite",
        "kernel_inception_distance_mean",
        "precision",
        "recall",
        "density",
        "coverage",
        "inception_score_mean",
        "class_entropy",
    }
    assert all(e.low <= e.mean <= e.high and len(e.values) == 5 for e in evaluation.metrics.values())
    assert all(e.real_against_real is not None for e in evaluation.metrics.values())
    assert next(iter(evaluation.metrics)) == "kernel_inception_distance_mean"  # it leads where there are few pictures
    distance = evaluation.metrics["frechet_inception_distance"]
    assert (distance.n_fake, distance.n_real, distance.k, distance.method) == (320, 400, None, "pictures")
    assert (distance.floor.n, distance.floor.n_real, len(distance.floor.values)) == (320, 400, 2)
    assert (evaluation.metrics["recall"].k, evaluation.metrics["class_entropy"].method) == (5, "sets")
    assert evaluation.equality.p_value <= EQUALITY_LEVEL
    assert distance.low > 5 * distance.real_against_real  # after seven steps a generator draws no digits
    assert sum(evaluation.class_shares.values()) == pytest.approx(1)
    json.dumps(evaluation.as_json())


def test_evaluate_is_a_public_function_of_the_package(finished_run: RunFolder):
    """With the signature of the command's flags: `dcgan.evaluate` also accepts a loaded model."""
    assert dcgan.evaluate is evaluate
    evaluation = dcgan.evaluate(dcgan.load(finished_run), n=SAMPLE_COUNT)
    assert evaluation.metrics == evaluate(finished_run.path, n=SAMPLE_COUNT).metrics
    assert inspect.signature(dcgan.evaluate).parameters["show_progress"].default is True


def test_the_progress_bar_can_be_switched_off(finished_run: RunFolder, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    evaluate(finished_run.path, n=SAMPLE_COUNT, show_progress=False)
    assert capsys.readouterr() == ("", "")
    evaluate(finished_run.path, n=SAMPLE_COUNT)
    shown = capsys.readouterr().err
    assert "evaluate" in shown
    assert "search for copies: 100%" in shown  # the bar knows its end


def test_a_second_evaluation_is_the_same_and_extracts_no_real_picture_again(
    finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    first = evaluate(finished_run.path, n=SAMPLE_COUNT)
    entries = sorted(path.name for path in cache_folder().iterdir())
    counts: list[int] = []
    judge_images = network.judge_images

    def count_and_judge(judge: network.Judge, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        counts.append(len(pixels))
        return judge_images(judge, pixels)

    monkeypatch.setattr(network, "judge_images", count_and_judge)
    second = evaluate(finished_run.path, n=SAMPLE_COUNT)
    assert second.metrics == first.metrics
    assert sum(counts) == 5 * SAMPLE_COUNT
    assert sorted(path.name for path in cache_folder().iterdir()) == entries


def test_the_batch_size_does_not_matter(finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    expected = evaluate(finished_run.path, n=SAMPLE_COUNT)
    monkeypatch.setattr("dcgan.evaluation.samples.EVALUATION_BATCH_SIZE", 64)
    monkeypatch.setattr(network, "JUDGE_BATCH_SIZE", 30)
    for name, estimate in evaluate(finished_run.path, n=SAMPLE_COUNT).metrics.items():
        # another kernel's rounding may move one picture across the border of a ball, or to another class
        one_picture = 0 if name in DISTANCES else 1 / SAMPLE_COUNT
        assert estimate.mean == pytest.approx(expected.metrics[name].mean, rel=1e-3, abs=1e-6 + one_picture), name


def test_real_digits_are_as_near_as_the_floor(tmp_path: Path):
    """The samples of another project, which are real digits: every metric is near the floor, and all labels agree."""
    samples = write_digits(tmp_path / "s.npz", labels=True)
    evaluation = evaluate(str(samples), data="mnist", split="train")
    assert (evaluation.n, evaluation.seeds) == (550, ())
    assert "5 disjoint parts" in evaluation.interval_method
    assert evaluation.equality.p_value > EQUALITY_LEVEL
    for name in ("precision", "recall", "coverage", "inception_score_mean", "class_entropy"):
        estimate = evaluation.metrics[name]
        assert estimate.mean == pytest.approx(estimate.real_against_real, rel=0.06), name
    assert evaluation.metrics["label_agreement"].mean > 0.98
    assert evaluation.metrics["frechet_inception_distance"].mean < 2


def test_the_interval_of_files_is_around_the_metric_of_all_samples(tmp_path: Path):
    samples = write_digits(tmp_path / "s.npz")
    estimate = evaluate(str(samples), data="mnist").metrics["frechet_inception_distance"]
    assert estimate.values == (estimate.mean,)
    assert (estimate.n_fake, estimate.n_real) == (550, 550)
    assert estimate.low < estimate.mean < estimate.high


@pytest.mark.parametrize("n", [49, 50, 51, 56, 61, 64])
def test_samples_of_files_are_divided_into_parts_for_metrics_of_classes(tmp_path: Path, n: int):
    """If there are ten for each part; the parts differ by one sample at most."""
    samples = write_digits(tmp_path / "s.npz", n)
    evaluation = evaluate(str(samples), data="mnist", copies=False, show_progress=False)
    assert ("inception_score_mean" in evaluation.metrics) == (n >= 50)
    if n >= 50:
        assert len(evaluation.metrics["class_entropy"].values) == 5


def test_copies_of_training_digits_are_recognized(tmp_path: Path):
    verdict = evaluate(str(write_copies(tmp_path / "s.npz")), data="mnist").copies
    assert verdict.verdict == "copies"
    assert verdict.near_share > 0.95
    held_out = evaluate(str(write_digits(tmp_path / "h.npz")), data="mnist").copies
    assert held_out.near_share < 0.2
    assert (held_out.searched, held_out.trained_on, held_out.unseen_source) == (1100, 60_000, "held-out pictures")
    assert evaluate(str(tmp_path / "s.npz"), data="mnist", copies=False).copies is None


def test_a_conditional_model_is_measured_by_its_requested_classes(tmp_path: Path):
    run = dcgan.train("cgan", out=tmp_path / "r", steps=1, **SMALL)
    agreement = evaluate(run.path, n=SAMPLE_COUNT).metrics["label_agreement"]
    assert 0 <= agreement.mean < 0.5
    assert agreement.real_against_real > 0.98


def test_the_modes_of_stacked_digits_are_counted(tmp_path: Path):
    stacks = open_images("stacked-mnist", "test")
    np.savez(tmp_path / "s.npz", arr_0=stacks.pixels[:500].permute(0, 2, 3, 1).numpy())
    evaluation = evaluate(str(tmp_path / "s.npz"), data="stacked-mnist")
    labels = stacks.labels[:500]
    assert evaluation.metrics["modes_covered"].mean == pytest.approx(len(labels.unique()), abs=8)
    shares = torch.bincount(labels, minlength=1000).double() / 500
    kl = float((shares[shares > 0] * (shares[shares > 0] * 1000).log()).sum())
    assert evaluation.metrics["kl_to_uniform"].mean == pytest.approx(kl, abs=0.03)
    assert any("0.9990 of it is the estimator's own bias at n = 500" in note for note in evaluation.notes)


def test_other_data_are_measured_with_lite0_features_at_the_size_of_the_model(tmp_path: Path):
    data = write_noise(tmp_path / "d.npz", (300, 18, 22, 3))
    run = dcgan.train("dcgan64", out=tmp_path / "r", steps=1, data=str(data), **SMALL | {"image_size": 20})
    evaluation = evaluate(run.path, n=SAMPLE_COUNT)
    assert (evaluation.features, evaluation.class_shares) == ("lite0", {})
    assert any("ImageNet" in note and "Apache License 2.0" in note for note in evaluation.notes)
    assert "inception_score_mean" not in evaluation.metrics


def test_a_small_set_has_a_floor_and_a_verdict_on_copies_by_cross_splitting(finished_run: RunFolder, tmp_path: Path):
    data = write_digits(tmp_path / "d.npz", 210)
    evaluation = evaluate(finished_run.path, data=str(data), n=SAMPLE_COUNT, features="judge")
    assert (evaluation.split, evaluation.reference_count, evaluation.too_few) == ("all", 210, "")
    assert any("pictures, too few to judge by" in note for note in evaluation.notes)
    floor = evaluation.metrics["kernel_inception_distance_mean"].floor
    assert (len(floor.values), floor.n, floor.n_real) == (20, 105, 105)
    assert abs(floor.mean) < 0.01
    assert evaluation.metrics["recall"].floor is None
    neighbors = "precision, recall, density and coverage say little with 130 samples: compare the kernel distance"
    assert any(note.startswith(neighbors) for note in evaluation.notes)
    assert (evaluation.copies.unseen, evaluation.copies.unseen_source) == (200, "cross-splitting")
    assert any("random halves of the real pictures" in note for note in evaluation.notes)


def test_few_pictures_are_measured_and_said_to_be_too_few(finished_run: RunFolder, tmp_path: Path):
    data = write_digits(tmp_path / "d.npz", 20)
    evaluation = evaluate(finished_run.path, data=str(data), n=60, features="judge")
    assert evaluation.too_few == "too few to judge: 20 real pictures, and at least 50 are needed"
    assert list(evaluation.metrics)[:2] == ["kernel_inception_distance_mean", "frechet_distance_2_components"]
    assert evaluation.copies.verdict == "cannot say"
    assert "too few to judge" in evaluation.as_table()
    assert any("it needs 128 pictures of each side, and there are 20" in note for note in evaluation.notes)


@pytest.mark.parametrize("count", [3, 4])
def test_as_few_pictures_as_can_be_are_measured(tmp_path: Path, count: int):
    """Halves of two pictures have a distance; of three pictures, each half is one."""
    data, samples = (
        write_noise(tmp_path / "d.npz", (count, 16, 16, 1)),
        write_noise(tmp_path / "s.npz", (12, 16, 16, 1)),
    )
    options = {"features": "random", "neighbours": tmp_path / "n.png", "show_progress": False}
    evaluation = evaluate(str(samples), data=str(data), sheets=tmp_path / "sheets", **options)
    assert (evaluation.split, evaluation.reference_count) == ("all", count)
    floor = evaluation.metrics["kernel_inception_distance_mean"].floor
    assert (floor is None) == (count == 3)
    assert any(note.startswith("no real against real: there are too few") for note in evaluation.notes) == (count == 3)
    assert any("random halves of the real pictures" in note for note in evaluation.notes) == (count == 4)
    if floor is not None:
        assert (len(floor.values), floor.n, floor.n_real) == (20, 2, 2)
    columns = 1 + len(open_images(str(data)))  # a sample, and all training pictures
    for path in (tmp_path / "n.png", tmp_path / "sheets" / "neighbours.png"):
        with Image.open(path) as grid:
            assert grid.size == (2 + columns * 18, 2 + 8 * 18)


def test_fewer_other_real_pictures_than_a_metric_needs_are_no_floor(tmp_path: Path):
    data, samples = write_training_digits(tmp_path / "d", 2), write_digits(tmp_path / "s.npz", 60)
    evaluation = evaluate(str(samples), data=data, features="judge", copies=False, show_progress=False)
    assert all(estimate.floor is None for estimate in evaluation.metrics.values())
    assert any(note.startswith("no real against real: there are too few") for note in evaluation.notes)


def test_a_path_that_cannot_be_written_is_refused_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(measure, "run_evaluation", lambda *args, **options: pytest.fail("it is computed"))
    monkeypatch.setattr(measure, "nearest_grid", lambda task: pytest.fail("it is computed"))
    samples = write_digits(tmp_path / "s.npz", 60)
    for option in ({"sheets": samples}, {"sheets": samples / "a"}, {"neighbours": samples / "n.png"}):
        with pytest.raises(UserError, match=r"^cannot write .*: (File exists|Not a directory)$"):
            evaluate(str(samples), data="mnist", show_progress=False, **option)


def test_the_neighbor_of_precision_and_recall_can_be_chosen(finished_run: RunFolder):
    third = evaluate(finished_run.path, n=SAMPLE_COUNT, k=3, copies=False)
    fifth = evaluate(finished_run.path, n=SAMPLE_COUNT, copies=False)
    assert (third.neighbor_k, third.metrics["density"].k, fifth.metrics["density"].k) == (3, 3, 5)
    assert third.metrics["coverage"].real_against_real != fifth.metrics["coverage"].real_against_real


def test_more_samples_than_other_real_pictures_have_the_floor_of_the_kernel_distance(
    finished_run: RunFolder, tmp_path: Path
):
    data = write_training_digits(tmp_path / "d", 150)
    evaluation = evaluate(finished_run.path, data=data, n=200, features="judge")
    floors = {name: e.floor for name, e in evaluation.metrics.items() if e.floor is not None}
    assert floors.keys() == {"kernel_inception_distance_mean"}
    assert floors["kernel_inception_distance_mean"].n == 150
    assert any("is the kernel distance only, of 150 other real pictures" in note for note in evaluation.notes)


def test_what_is_to_be_looked_at_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grids, "MAX_FLOOR_IMAGES", 1100)
    evaluate(str(write_copies(tmp_path / "s.npz")), data="mnist", sheets=tmp_path / "sheets")
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == [
        "classes.png", "copies.png", "nearest.csv", "neighbours.png", "reals.png", "rows.json",
    ]  # fmt: skip
    sheet = np.asarray(Image.open(tmp_path / "sheets" / "copies.png"))
    assert sheet.shape == (8 + 4 * 36, 8 + 4 * 92)
    for top in range(8, 152, 36):
        for left in range(8, 376, 92):
            triple = sheet[top : top + 28, left : left + 84]
            assert np.array_equal(triple[:, :28], triple[:, 28:56])
            assert not triple[:, 56:].any()
    with (tmp_path / "sheets" / "nearest.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 550
    assert sum(float(row["closeness"]) < 1 for row in rows) > 500
    assert all(row["training_picture"].startswith("#") for row in rows)


def test_pictures_that_are_all_equal_have_metrics_and_a_line_that_says_so(finished_run: RunFolder, tmp_path: Path):
    equal = open_images("mnist", "test").pixels[:1].expand(130, -1, -1, -1).permute(0, 2, 3, 1).numpy()
    np.savez(tmp_path / "equal.npz", arr_0=equal)
    evaluation = evaluate(tmp_path / "equal.npz", data="mnist", show_progress=False)
    assert "all 130 samples have equal features: no metric says anything about variety" in evaluation.notes
    assert evaluation.metrics["recall"].mean == 0
    assert all(np.isfinite([e.mean, e.low, e.high]).all() for e in evaluation.metrics.values())


def write_training_digits(path: Path, train_count: int) -> str:
    """Write digits as data with a test split: `train_count` for training, and 130 for the test."""
    images = open_images("mnist", "test").pixels
    for split, rows in (("train", range(train_count)), ("test", range(train_count, train_count + 130))):
        (path / split).mkdir(parents=True)
        for row in rows:
            save_png(images[row].permute(1, 2, 0).numpy(), path / split / f"{row}.png")
    return str(path)


def test_a_pool_for_one_set_gives_a_floor_of_disjoint_pictures(finished_run: RunFolder, tmp_path: Path):
    data = write_training_digits(tmp_path / "d", 250)
    pool_size = len(open_images(data, "train"))
    evaluation = evaluate(finished_run.path, data=data, n=140, features="judge")
    assert 140 <= pool_size < 280
    assert any(
        f"real against real is of one set of 140 pictures, because there are {pool_size}" in note
        for note in evaluation.notes
    )
    assert evaluation.metrics["precision"].real_against_real is not None


def test_intervals_contain_nothing_that_is_impossible(finished_run: RunFolder):
    metrics = evaluate(finished_run.path, n=SAMPLE_COUNT).metrics
    for name in ("precision", "recall", "coverage"):
        assert 0 <= metrics[name].low <= metrics[name].mean <= metrics[name].high <= 1, name
    assert metrics["frechet_inception_distance"].low >= 0


def test_the_real_side_is_computed_once(finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    counts: dict[str, int] = {}
    for module, name in (
        (fidelity, "gaussian_statistics"),
        (jackknife, "kernel_sums"),
        (jackknife, "neighborhoods"),
        (jackknife, "density_neighborhoods"),
    ):
        function = getattr(module, name)

        def count(features: torch.Tensor, *args: object, name: str = name, function: Callable = function) -> object:
            counts[name] = counts.get(name, 0) + (len(features) == 400)
            return function(features, *args)

        monkeypatch.setattr(module, name, count)
    evaluate(finished_run.path, n=SAMPLE_COUNT)
    assert counts == dict.fromkeys(counts, 1)
    assert len(counts) == 4


def test_larger_pictures_are_measured_at_their_full_size(tmp_path: Path):
    data = write_noise(tmp_path / "d.npz", (2400, 36, 36, 1))
    samples = write_noise(tmp_path / "s.npz", (510, 36, 36, 1))
    evaluation = evaluate(str(samples), data=str(data), features="random")
    assert evaluation.features == "random (full size)"
    assert any("on random features of version 0.1.0 are not comparable" in note for note in evaluation.notes)


def test_a_judge_of_the_user_can_be_the_extractor(tmp_path: Path, finished_run: RunFolder):
    save_judge(initialize_judge((1, 28, 28), 10, 0).eval(), tmp_path / "j", JUDGE_ORIGIN)
    evaluation = evaluate(finished_run.path, n=SAMPLE_COUNT, features=str(tmp_path / "j"))
    assert evaluation.features == f"judge:{tmp_path / 'j'}"


def test_samples_of_another_size_are_converted_if_requested(tmp_path: Path):
    samples = write_noise(tmp_path / "big.npz", (550, 32, 30, 3))
    evaluation = evaluate(str(samples), data="mnist", features="judge", resize=True)
    assert evaluation.metrics["frechet_inception_distance"].mean > 1


def test_the_floor_is_read_from_the_cache(finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    first = evaluate(finished_run.path, n=SAMPLE_COUNT)
    monkeypatch.setattr(floor_module, "floor_sets", lambda pool, n, count: pytest.fail("it is in the cache"))
    floor = evaluate(finished_run.path, n=SAMPLE_COUNT).metrics["precision"].floor
    assert floor == first.metrics["precision"].floor


def test_the_command(finished_run: RunFolder, tmp_path: Path, cli: Run, capsys: pytest.CaptureFixture[str]):
    data = write_digits(tmp_path / "d.npz")
    words = ["evaluate", str(finished_run.model), "--n", str(SAMPLE_COUNT), "--data", str(data)]
    words += ["--split", "all", "--features", "judge"]
    table = cli(*words)
    assert table.returncode == 0, table.stderr
    assert "Fréchet distance ↓" in table.stdout
    assert "Warning" not in table.stderr
    capsys.readouterr()
    assert run_command([*words, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["features"] == "judge"
    assert content["metrics"]["frechet_inception_distance"]["mean"] > 0
