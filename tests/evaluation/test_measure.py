import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import dcgan
from dcgan.cache import cache_folder
from dcgan.cli.main import run as command
from dcgan.data.open import open_images
from dcgan.evaluation import measure, sheets
from dcgan.evaluation import samples as samples_module
from dcgan.evaluation.measure import evaluate
from dcgan.metrics import judge as judges
from dcgan.metrics.features import open_extractor
from dcgan.run.folder import RunFolder
from tests.conftest import SMALL, Run

N = 110
"""Samples: a few more than the least."""


@pytest.fixture(autouse=True)
def _few_reals(monkeypatch: pytest.MonkeyPatch, shared_cache: Path) -> None:
    monkeypatch.setattr(measure, "MAX_REFERENCE", 400)
    monkeypatch.setenv("DCGAN_CACHE", str(shared_cache))


def digits(path: Path, count: int = 550, start: int = 0, labels: bool = False) -> Path:
    """Real test digits as another project's samples."""
    test = open_images("mnist", "test")
    rows = slice(start, start + count)
    more = {"arr_1": test.labels[rows].numpy()} if labels else {}
    np.savez(path, arr_0=test.pixels[rows].permute(0, 2, 3, 1).numpy(), **more)
    return path


def test_a_run_is_measured_with_all_that_a_figure_depends_on(finished_run: RunFolder):
    found = evaluate(finished_run.path, n=N, infinite=True)
    assert (found.data, found.split, found.features, found.n, found.reference) == ("mnist", "test", "judge", N, 400)
    assert found.seeds == (0, 1, 2, 3, 4)
    assert found.metrics.keys() == {
        "frechet_inception_distance",
        "frechet_inception_distance_infinite",
        "kernel_inception_distance_mean",
        "precision",
        "recall",
        "density",
        "coverage",
        "train_held_out_distance_ratio",
        "inception_score_mean",
        "class_entropy",
    }
    assert all(f.low <= f.mean <= f.high and len(f.each) == 5 for f in found.metrics.values())
    assert all(f.real_against_real is not None for f in found.metrics.values())
    distance = found.metrics["frechet_inception_distance"]
    assert distance.low > 5 * distance.real_against_real  # seven steps draw no digits
    assert sum(found.classes.values()) == pytest.approx(1)
    json.dumps(found.as_json())


def test_the_same_again_is_the_same_and_sees_no_real_picture_again(
    finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    first = evaluate(finished_run.path, n=N)
    entries = sorted(path.name for path in cache_folder().iterdir())
    seen: list[int] = []
    look = judges.judge_images
    monkeypatch.setattr(judges, "judge_images", lambda judge, pixels: seen.append(len(pixels)) or look(judge, pixels))
    again = evaluate(finished_run.path, n=N)
    assert again.metrics == first.metrics
    assert sum(seen) == 5 * N
    assert sorted(path.name for path in cache_folder().iterdir()) == entries


def test_pieces_do_not_matter(finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    whole = evaluate(finished_run.path, n=N)
    monkeypatch.setattr("dcgan.candidates.TOGETHER", 64)
    monkeypatch.setattr(judges, "CHUNK", 30)
    for name, found in evaluate(finished_run.path, n=N).metrics.items():
        assert found.mean == pytest.approx(whole.metrics[name].mean, rel=1e-3, abs=1e-6), name


def test_real_digits_are_as_near_as_the_floor(tmp_path: Path):
    """Another project's samples, which are real ones: near the floor in everything, and all agree with their label."""
    found = evaluate(str(digits(tmp_path / "s.npz", labels=True)), data="mnist", split="train")
    assert (found.n, found.seeds) == (550, ())
    assert "5 disjoint parts" in found.intervals
    for name in ("precision", "recall", "coverage", "inception_score_mean", "class_entropy"):
        floor = found.metrics[name].real_against_real
        assert found.metrics[name].mean == pytest.approx(floor, rel=0.06), name
    assert found.metrics["label_agreement"].mean > 0.98
    assert found.metrics["frechet_inception_distance"].mean < 2


def test_parts_of_samples_are_an_interval_around_the_whole(tmp_path: Path):
    found = evaluate(str(digits(tmp_path / "s.npz")), data="mnist").metrics["frechet_inception_distance"]
    assert found.mean < min(found.each)  # fewer samples are farther: the parts' mean is not the figure
    assert found.low < found.mean < found.high


def test_copies_of_training_digits_are_found(tmp_path: Path):
    train = open_images("mnist").pixels
    from dcgan.metrics.reference import random_rows

    copies = train[random_rows(len(train), 1100)[:550]].permute(0, 2, 3, 1).numpy()
    np.savez(tmp_path / "s.npz", arr_0=copies)
    ratio = evaluate(str(tmp_path / "s.npz"), data="mnist").metrics["train_held_out_distance_ratio"]
    assert ratio.mean < 0.4 < 0.8 < ratio.real_against_real


def test_nearest_training_pictures_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of samples that are copies of training digits each is followed by itself."""
    monkeypatch.setattr(measure, "MAX_FLOOR_POOL", 1100)
    monkeypatch.setattr(sheets, "MAX_FLOOR_POOL", 1100)
    from dcgan.metrics.reference import random_rows

    train = open_images("mnist").pixels
    copies = train[random_rows(len(train), 1100)[:550]].permute(0, 2, 3, 1).numpy()
    np.savez(tmp_path / "s.npz", arr_0=copies)
    evaluate(str(tmp_path / "s.npz"), data="mnist", neighbours=tmp_path / "n.png")
    sheet = np.asarray(Image.open(tmp_path / "n.png"))
    assert sheet.shape == (2 + 8 * 30, 2 + 6 * 30)
    for top in range(2, 242, 30):
        assert np.array_equal(sheet[top : top + 28, 2:30], sheet[top : top + 28, 32:60])
        assert not np.array_equal(sheet[top : top + 28, 2:30], sheet[top : top + 28, 62:90])


def test_a_conditional_model_draws_what_it_is_asked_for_or_not(tmp_path: Path):
    run = dcgan.train("cgan", out=tmp_path / "r", steps=1, **SMALL)
    found = evaluate(run.path, n=N)
    assert 0 <= found.metrics["label_agreement"].mean < 0.5
    assert found.metrics["label_agreement"].real_against_real > 0.98


def test_stacked_digits_are_counted(tmp_path: Path):
    stacks = open_images("stacked-mnist", "test").pixels[:500]
    np.savez(tmp_path / "s.npz", arr_0=stacks.permute(0, 2, 3, 1).numpy())
    found = evaluate(str(tmp_path / "s.npz"), data="stacked-mnist")
    truth = open_images("stacked-mnist", "test").labels[:500]
    assert found.metrics["modes_covered"].mean == pytest.approx(len(truth.unique()), abs=8)
    shares = torch.bincount(truth, minlength=1000).double() / 500
    kl = float((shares[shares > 0] * (shares[shares > 0] * 1000).log()).sum())
    assert found.metrics["kl_to_uniform"].mean == pytest.approx(kl, abs=0.03)
    assert any("0.9990 of it is the estimator's own bias at n = 500" in note for note in found.notes)


def test_training_on_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[tuple[int, int]] = []

    def learnt(fakes: torch.Tensor, labels: torch.Tensor, real: torch.Tensor, answers: torch.Tensor, *rest, seed: int):
        asked.append((len(fakes), len(labels)))
        assert len(real) == len(answers) in (10_000, 70_000)
        return 0.5 + 0.01 * seed

    monkeypatch.setattr("dcgan.metrics.modes.train_on_fakes", learnt)
    monkeypatch.setattr("dcgan.measures.LEARNT_FROM", 700)
    run = dcgan.train("cgan", out=tmp_path / "r", steps=1, **SMALL)
    found = evaluate(run.path, n=N, train_on_fakes=True).metrics["train_on_fakes_accuracy"]
    assert asked == 6 * [(700, 700)]  # more than the N of the other figures; the last are the real ones
    assert found.mean == pytest.approx(0.52)
    assert found.real_against_real == 0.5
    asked.clear()
    evaluate(run.path, n=N, split="all", train_on_fakes=True)
    assert asked == 5 * [(700, 700)]  # no real against real: all of the data is what samples are held against
    parts = digits(tmp_path / "s.npz", labels=True)
    asked.clear()
    whole = evaluate(str(parts), data="mnist", train_on_fakes=True).metrics["train_on_fakes_accuracy"]
    assert whole.mean == 0.5
    assert asked[:6] == [(550, 550)] + 5 * [(110, 110)]


def test_other_data_is_seen_by_random_features_at_the_model_s_own_size(tmp_path: Path):
    source = np.random.default_rng(0)
    np.savez(tmp_path / "d.npz", arr_0=source.integers(256, size=(2400, 18, 22, 3), dtype=np.uint8))
    run = dcgan.train(
        "dcgan64", out=tmp_path / "r", steps=1, data=str(tmp_path / "d.npz"), **SMALL | {"image_size": 20}
    )
    found = evaluate(run.path, n=N)
    assert (found.features, found.reference, found.classes) == ("random", 120, {})
    assert "inception_score_mean" not in found.metrics


def test_a_set_that_is_too_small_for_a_floor_says_so(finished_run: RunFolder, tmp_path: Path):
    digits(tmp_path / "d.npz", 210)
    found = evaluate(finished_run.path, data=str(tmp_path / "d.npz"), split="train", n=N, features="judge")
    assert all(f.real_against_real is None for f in found.metrics.values())
    assert found.notes == ("no real against real: that needs 110 more real pictures, 11 are there",)
    assert "-" in found.as_table().splitlines()[4].split()


def test_a_judge_of_one_s_own_measures(tmp_path: Path, finished_run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    judges.save_judge(
        judges._new((1, 28, 28), 10, 0).eval(),
        tmp_path / "j",
        {"data": "mnist", "accuracy": 0.1, "train_pictures": 1, "test_pictures": 1, "seed": 0, "command": "c"},
    )
    found = evaluate(finished_run.path, n=N, features=str(tmp_path / "j"))
    assert found.features == f"judge:{tmp_path / 'j'}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no nowhere"),
        (["s.npz"], "give --data"),
        (["s.npz", "--data", "mnits"], "did you mean 'mnist'"),
        (["s.npz", "--data", "mnist", "--features", "jugde"], "did you mean 'judge'"),
        (["s.npz", "--data", "mnist", "--n", "99"], "64 features need at least 100"),
        (["s.npz", "--data", "mnist", "--n", "0"], "at least 1"),
        (["s.npz", "--data", "mnist", "--n", "450"], "5 parts of at least 100, 500 in all"),
        (["s.npz", "--data", "mnist", "--seeds", "4"], "from 5 to 20 seeds"),
        (["s.npz", "--data", "mnist", "--split", "some"], "--split"),
        (["s.npz", "--data", "mnist", "--train-on-fakes"], "needs classes"),
        (["big.npz", "--data", "mnist"], "has pictures of 32x30 RGB, mnist has 28x28 gray: add --resize"),
        (["big.npz", "--data", "mnist", "--features", "judge"], "the features judge read 28x28 gray: add --resize"),
        (
            ["s.npz", "--data", "few.npz"],
            "the test part of few.npz: 64 features need at least 100 pictures, not 15: take --split all",
        ),
        (["torn.npz", "--data", "mnist"], "torn.npz is damaged"),
        (["empty", "--data", "mnist"], "empty"),
        (["s.npz", "--data", "mnist", "--neighbours", "n.gif"], "cannot write n.gif"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
):
    monkeypatch.chdir(tmp_path)
    digits(tmp_path / "s.npz")
    source = np.random.default_rng(0)
    np.savez("big.npz", arr_0=source.integers(256, size=(550, 32, 30, 3), dtype=np.uint8))
    np.savez("few.npz", arr_0=source.integers(256, size=(300, 28, 28, 1), dtype=np.uint8))
    Path("torn.npz").write_bytes(Path("s.npz").read_bytes()[:5000])
    Path("empty").mkdir()
    assert message in refused("evaluate", *words)


def test_samples_of_another_size_are_converted_when_asked(tmp_path: Path):
    source = np.random.default_rng(0)
    np.savez(tmp_path / "big.npz", arr_0=source.integers(256, size=(550, 32, 30, 3), dtype=np.uint8))
    found = evaluate(str(tmp_path / "big.npz"), data="mnist", features="judge", resize=True)
    assert found.metrics["frechet_inception_distance"].mean > 1


def test_the_command(finished_run: RunFolder, tmp_path: Path, cli: Run, capsys: pytest.CaptureFixture[str]):
    words = ["evaluate", str(finished_run.model), "--n", str(N), "--data", str(digits(tmp_path / "d.npz"))]
    words += ["--split", "all", "--features", "judge"]
    table = cli(*words)
    assert table.returncode == 0, table.stderr
    assert "Fréchet distance ↓" in table.stdout
    assert "Warning" not in table.stderr
    capsys.readouterr()
    assert command([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["features"] == "judge"
    assert found["metrics"]["frechet_inception_distance"]["mean"] > 0


def test_an_evaluation_of_a_run_is_kept_in_it_and_in_its_report(
    finished_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sheets, "MAX_FLOOR_POOL", 1100)
    folder = RunFolder(tmp_path / "r")
    shutil.copytree(finished_run.path, folder.path)
    assert command(["evaluate", str(folder.path), "--n", str(N), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    kept = json.loads((folder.evaluation / "figures.json").read_text())
    assert kept == {"format_version": 1, "step": 7, "images_seen": 112, "rows": [str(i) for i in range(10)], **found}
    for name, size in (("neighbours", (182, 242)), ("classes", (242, 302))):
        with Image.open(folder.evaluation / f"{name}.png") as sheet:
            assert sheet.size == size
    assert f"{N} samples against 400 pictures of the test part of mnist" in folder.report.read_text()


def test_a_run_that_cannot_be_written_to_is_evaluated_all_the_same(
    finished_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sheets, "MAX_FLOOR_POOL", 1100)
    shutil.copytree(finished_run.path, tmp_path / "r")
    (tmp_path / "r" / ".evaluation.new").touch()  # stands in the way of the folder, as a read-only disk would
    assert evaluate(tmp_path / "r", n=N, keep=True).n == N
    assert "does not keep the figures: " in capsys.readouterr().err
    assert not (tmp_path / "r" / "evaluation").exists()


def test_a_row_shows_one_class(tmp_path: Path):
    """Of real digits, whose classes are known."""
    samples = samples_module.open_samples(str(digits(tmp_path / "s.npz", labels=True)))
    sheet, names = sheets.class_sheet(samples, open_extractor("judge"))
    assert names == tuple(map(str, range(10)))
    asked = replace(samples, classes=())
    judged, _ = sheets.class_sheet(asked, open_extractor("judge"))
    assert sheet.shape == judged.shape == (302, 242, 1)
    assert (sheet == judged).mean() > 0.95  # of unrelated digits it is 0.77; one other verdict moves its row
    assert sheets.class_sheet(asked, open_extractor("random"))[1] == ()
