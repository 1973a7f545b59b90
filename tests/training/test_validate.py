import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import dcgan
from dcgan.data.open import ImageSet, open_images
from dcgan.errors import UserError
from dcgan.reporting.series import distance_chart
from dcgan.run.folder import RunFolder
from dcgan.training import validate
from tests.conftest import SMALL, Clock

pytestmark = pytest.mark.usefixtures("without_report", "small_validation")
DISTANCE = "frechet_inception_distance"
EVALUATED = {**SMALL, "evaluate_every": 2}


def evaluations(folder: RunFolder) -> list[dict]:
    return [event for event in folder.log.events() if event["event"] == "measured"]


def set_distances(monkeypatch: pytest.MonkeyPatch, values: list[float]) -> None:
    """Let the evaluations find these distances."""
    distances = iter(values)
    monkeypatch.setattr(validate, "sample_distance", lambda *_: next(distances))


def origin(folder: RunFolder) -> dict:
    return json.loads((folder.model / "config.json").read_text())["trained"]


def saved_record(folder: RunFolder) -> dict:
    record = json.loads((folder.checkpoint / "state.json").read_text())
    return {name: value for name, value in record.items() if name not in ("seconds", "checksum", "first_plan")}


def tensor_bytes(folder: RunFolder) -> dict[str, bytes]:
    files = (folder.checkpoint / "state.safetensors", folder.model / "model.safetensors")
    return {f"{file.name}/{name}": t.numpy().tobytes() for file in files for name, t in load_file(file).items()}


def test_evaluations_are_logged_with_everything_that_they_depend_on(tmp_path: Path):
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=5, **EVALUATED)
    assert [event["step"] for event in evaluations(folder)] == [2, 4, 5]  # the last step is always evaluated
    for event in evaluations(folder):
        assert (event["features"], event["split"], event["n"]) == ("random", "validation", 130)
        assert event[DISTANCE] > 0
        # After a few steps a generator draws noise, which is near to nothing.
        assert (event["copies"], event["near_training"]) == ("cannot say", 0)
        assert event["near_training_expected"] == pytest.approx(0.05, abs=0.01)
        assert event["near_training_searched"] == 300


@pytest.fixture
def draw_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    """Give the settings of a run whose samples are training pictures, as those of one that has memorized them."""
    data = open_images("mnist").pixels[:800]
    np.save(tmp_path / "d.npy", data.permute(0, 2, 3, 1).numpy())
    training, noise = open_images(str(tmp_path / "d.npy")).pixels, torch.randint(0, 256, (400, 1, 28, 28)).byte()
    monkeypatch.setattr(validate, "MAX_WATCHED", 1000)

    def settings(first_copies: int, confirmed: bool = True) -> dict:
        def draw(state, network, start, stop):
            is_confirming = start > 0
            copies = state.progress.step >= first_copies and (confirmed or not is_confirming)
            return iter([(training if copies else noise)[start:stop]])

        monkeypatch.setattr(validate, "_draw_samples", draw)
        return EVALUATED | {"data": str(tmp_path / "d.npy"), "save_every": 3}

    return settings


def test_copies_end_a_run_and_are_not_kept(tmp_path: Path, draw_copies: Callable[..., dict], capsys):
    settings = draw_copies(first_copies=6)
    folder = dcgan.train("dcgan", out=tmp_path / "r", show_progress=True, steps=20, **settings)
    assert [(event["step"], event["copies"]) for event in evaluations(folder)] == [
        *((2, "cannot say"), (4, "cannot say"), (6, "copies"))
    ]
    assert evaluations(folder)[-1]["near_training"] > 0.95
    assert origin(folder)["step"] in (2, 4)
    error = capsys.readouterr().err
    assert "of the samples look like copies of training pictures" in error
    assert "step 6: the samples become copies of training pictures: " in error
    assert f"Training ends here; {folder.model} is that of step {origin(folder)['step']}" in error
    with pytest.raises(UserError, match=r"is finished: its samples were copies of training pictures at step 6"):
        dcgan.resume(folder, steps=30)


def test_a_run_that_copies_at_once_keeps_its_last_snapshot(tmp_path: Path, draw_copies: Callable[..., dict], capsys):
    settings = draw_copies(first_copies=0) | {"evaluate_every": 5}
    folder = dcgan.train("dcgan", out=tmp_path / "r", show_progress=True, steps=20, **settings)
    assert (saved_record(folder)["step"], origin(folder)["step"]) == (5, 3)
    assert "is that of the last snapshot" in capsys.readouterr().err


def test_a_run_that_copies_before_its_first_snapshot_keeps_what_it_has(
    tmp_path: Path, draw_copies: Callable[..., dict], capsys
):
    settings = draw_copies(first_copies=0) | {"save_every": 100}
    folder = dcgan.train("dcgan", out=tmp_path / "r", show_progress=True, steps=20, **settings)
    assert (saved_record(folder)["step"], origin(folder)["step"]) == (2, 2)
    assert origin(folder)["measured"]["copies"] == "copies"
    assert "is of this step, since there is no earlier one" in capsys.readouterr().err


def test_a_last_step_whose_samples_are_copies_is_not_kept(tmp_path: Path, draw_copies: Callable[..., dict]):
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=5, **draw_copies(first_copies=5))
    assert evaluations(folder)[-1]["copies"] == "copies"
    assert origin(folder)["step"] in (2, 4)


def test_what_other_samples_do_not_confirm_is_chance(tmp_path: Path, draw_copies: Callable[..., dict]):
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=4, **draw_copies(first_copies=0, confirmed=False))
    assert [event["copies"] for event in evaluations(folder)] == ["cannot say", "cannot say"]


@pytest.fixture
def draw_some_copies(draw_copies: Callable[..., dict], monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    """The same with samples some of which are training pictures, and with distances, both by step."""

    def settings(copies: dict[int, float], distances: dict[int, float]) -> dict:
        settings = draw_copies(first_copies=0)
        draw_all = validate._draw_samples

        def draw(state, network, start, stop):
            [training] = draw_all(state, network, start, stop)
            is_copy = torch.arange(len(training)) < copies[state.progress.step] * len(training)
            noise = torch.randint(0, 256, training.shape).byte()
            return iter([torch.where(is_copy[:, None, None, None], training, noise)])

        monkeypatch.setattr(validate, "_draw_samples", draw)
        monkeypatch.setattr(validate, "sample_distance", lambda state, *_: distances[state.progress.step])
        return settings

    return settings


COPYING = ({2: 0, 4: 0, 6: 0.09, 8: 0.09, 10: 1}, {2: 3, 4: 2, 6: 1.5, 8: 1, 10: 0.5})
"""Shares of copies and distances by step. 5% are near without copies."""


def test_what_was_kept_while_the_samples_became_copies_is_given_up(
    tmp_path: Path, draw_some_copies: Callable[..., dict], capsys
):
    settings = draw_some_copies(*COPYING)
    clean = dcgan.train("dcgan", out=tmp_path / "s", steps=4, **settings)
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=8, **settings)
    assert evaluations(folder)[-1]["copies"] == "no sign of copying"
    assert origin(folder)["step"] == 8
    dcgan.resume(folder, steps=20, show_progress=True)
    assert (origin(folder)["step"], saved_record(folder)["best_step"], saved_record(folder)["best"]) == (4, 4, 2)
    assert (folder.model / "model.safetensors").read_bytes() == (clean.model / "model.safetensors").read_bytes()
    assert f"Training ends here; {folder.model} is that of step 4" in capsys.readouterr().err


def test_a_run_that_is_killed_when_copies_are_found_ends_in_the_same_way(
    tmp_path: Path, draw_some_copies: Callable[..., dict]
):
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=8, **draw_some_copies(*COPYING))
    shutil.copytree(folder.checkpoint, tmp_path / "before")
    dcgan.resume(folder, steps=20)
    ended = saved_record(folder), tensor_bytes(folder)
    shutil.rmtree(folder.checkpoint)
    shutil.copytree(tmp_path / "before", folder.checkpoint)
    dcgan.resume(folder, steps=20)
    assert (saved_record(folder), tensor_bytes(folder)) == ended


def test_a_later_model_without_excess_is_remembered_beside_a_better_one(
    tmp_path: Path, draw_some_copies: Callable[..., dict]
):
    settings = draw_some_copies({2: 0.09, 4: 0, 6: 0, 8: 0, 10: 1}, {2: 1, 4: 1.5, 6: 1.2, 8: 1.4, 10: 0.5})
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=8, **settings)
    assert origin(folder)["step"] == 2
    dcgan.resume(folder, steps=20)
    assert (origin(folder)["step"], saved_record(folder)["best"]) == (6, 1.2)


def test_an_extended_run_forgets_the_model_of_its_first_end(tmp_path: Path, draw_some_copies: Callable[..., dict]):
    shares, distances = COPYING
    settings = draw_some_copies(shares | {5: 0}, distances | {5: 0.1})
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=5, **settings)
    assert origin(folder)["step"] == 5
    dcgan.resume(folder, steps=20)
    assert (origin(folder)["step"], saved_record(folder)["best_step"]) == (4, 4)


def test_copies_at_a_last_step_that_is_not_regular_end_the_run_too(
    tmp_path: Path, draw_some_copies: Callable[..., dict]
):
    settings = draw_some_copies({2: 0, 4: 0.09, 5: 1}, {2: 3, 4: 2, 5: 1})
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=5, **settings)
    assert (origin(folder)["step"], saved_record(folder)["best_step"], saved_record(folder)["best"]) == (2, 2, 3)


def noise(count: int, deviation: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, deviation, (count, 28, 28))


def ramps(count: int, seed: int) -> np.ndarray:
    """Return pictures that become brighter in one direction each."""
    angles = np.random.default_rng(seed).uniform(0, 2 * np.pi, (count, 1, 1))
    y, x = np.mgrid[-1:1:28j, -1:1:28j]
    return 70 * (np.cos(angles) * x + np.sin(angles) * y)


def blurred(values: np.ndarray) -> np.ndarray:
    return (values + np.roll(values, 1, 1) + np.roll(values, 1, 2) + np.roll(values, (1, 1), (1, 2))) / 2


NOISE, NOISY_RAMPS = noise(400, 50, 0), ramps(400, 0) + noise(400, 40, 1)


@pytest.mark.parametrize(
    ("train", "samples", "are_copies"),
    [
        (NOISE, noise(500, 50, 2), False),
        (NOISE, noise(500, 20, 2), False),
        (NOISE, noise(500, 2, 2), False),
        (NOISE, noise(500, 20, 2) + 40, False),
        (NOISE, blurred(noise(500, 50, 2)), False),
        (NOISY_RAMPS, ramps(500, 2), False),
        (NOISE, NOISE[:300], True),
        (NOISE, 0.4 * NOISE[:300], True),
        (NOISE, 0.4 * NOISE[:300] - 30, True),
        (NOISE, np.repeat(NOISE[:1], 300, 0), True),
        (NOISE, blurred(NOISE[:300]), True),
        (NOISY_RAMPS, blurred(NOISY_RAMPS[:300]) / 2, True),
        (NOISY_RAMPS, np.concatenate([NOISY_RAMPS[:150], ramps(350, 2)]), True),
    ],
)
def test_smooth_samples_are_no_copies_but_smooth_copies_are(train: np.ndarray, samples: np.ndarray, are_copies: bool):
    """A sample without the fine structure of the data is nearer to all pictures than these are to each other."""
    pixels, drawn = (torch.from_numpy((128 + v).clip(0, 255).astype(np.uint8))[:, None] for v in (train, samples))
    watch = validate.prepare_copy_watch(ImageSet("noise", pixels, None, ()))
    assert watch is not None
    verdict = watch.judge(drawn.split(200))
    assert (verdict.verdict == "copies") == are_copies


def test_a_verdict_of_smooth_samples_says_how_they_were_compared():
    pixels, drawn = (
        torch.from_numpy((128 + v).clip(0, 255).astype(np.uint8))[:, None] for v in (NOISE, blurred(noise(500, 50, 2)))
    )
    watch = validate.prepare_copy_watch(ImageSet("noise", pixels, None, ()))
    assert watch is not None
    verdict = watch.judge([drawn])
    assert (
        "of unseen pictures with as much coarse and fine structure as the samples have; of those as" in verdict.reason
    )
    assert verdict.near_share < 0.2


def test_few_training_pictures_are_not_searched():
    few = ImageSet("few", torch.zeros(99, 1, 28, 28, dtype=torch.uint8), None, ())
    assert validate.prepare_copy_watch(few) is None


def test_the_best_model_is_kept_and_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    set_distances(monkeypatch, [3.0, 1.0, 2.0, 1.5])
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=7, **EVALUATED)
    assert origin(folder)["step"] == 4
    measured = {DISTANCE: 1.0, "features": "random", "split": "validation", "n": 130}
    assert measured.items() <= origin(folder)["measured"].items()  # beside it stands what the search for copies says
    record = saved_record(folder)
    assert (record["best"], record["best_step"], record["stale"]) == (1.0, 4, 1)
    shorter = dcgan.train("dcgan", out=tmp_path / "s", steps=4, **SMALL)
    assert (folder.model / "model.safetensors").read_bytes() == (shorter.model / "model.safetensors").read_bytes()


def test_the_last_step_is_evaluated_and_forgotten_if_the_run_is_extended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """It may be the best model; the run continues as if it had never stopped there."""
    set_distances(monkeypatch, [3.0, 2.0, 1.0, 2.5])
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=5, **EVALUATED)
    assert (origin(folder)["step"], origin(folder)["measured"][DISTANCE]) == (5, 1.0)
    assert (saved_record(folder)["best"], saved_record(folder)["best_step"]) == (2.0, 4)
    capsys.readouterr()
    dcgan.resume(folder, steps=6)
    assert [event["step"] for event in evaluations(folder)] == [2, 4, 6]
    assert "is of step 5, which is evaluated only as the last one of a run" in capsys.readouterr().err


def test_deleted_pictures_and_a_deleted_model_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    set_distances(monkeypatch, [1.0, 2.0])
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=2, **EVALUATED)
    shutil.rmtree(folder.samples)
    shutil.rmtree(folder.model)
    dcgan.resume(folder, steps=4)
    assert origin(folder)["step"] == 4  # worse, but the only one
    assert len(list(folder.samples.iterdir())) == 2


def test_a_generator_that_matches_features_is_measured_with_others(tmp_path: Path):
    digits = open_images("mnist").pixels[:100].permute(0, 2, 3, 1).numpy()
    np.savez(tmp_path / "d.npz", arr_0=digits * np.array([1, 0, 1], np.uint8))
    settings = {"data": str(tmp_path / "d.npz"), "image_size": 16, "g_width": 4, "groups": 2, "z_dim": 24}
    folder = dcgan.train("match", out=tmp_path / "r", **settings, batch_size=8, steps=2, evaluate_every=2)
    [event] = evaluations(folder)
    assert (event["features"], event["split"], event["n"]) == ("lite2", "validation", 16)
    assert origin(folder)["measured"]["kernel_inception_distance_mean"] == event["kernel_inception_distance_mean"]
    assert distance_chart(folder.log.events()).title == "Kernel distance (KID) while training"


def test_a_distance_on_other_features_is_not_the_best_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Version 0.1.0 measured pictures above 32 pixels on features of shrunken pictures: those distances are smaller."""
    set_distances(monkeypatch, [0.001, 0.001, 3.0, 2.0, 4.0, 5.0])
    settings = EVALUATED | {"image_size": 36}
    folder = dcgan.train("dcgan64", out=tmp_path / "r", steps=3, **settings)
    assert origin(folder)["measured"]["features"] == "random (full size)"
    config_path = folder.model / "config.json"
    config_path.write_text(config_path.read_text().replace("random (full size)", "random"))
    messages: list[str] = []
    dcgan.resume(folder, steps=9, callbacks=[SimpleNamespace(on_message=lambda event: messages.append(event.text))])
    assert (origin(folder)["step"], origin(folder)["measured"][DISTANCE]) == (6, 2.0)
    assert [message for message in messages if "measured with features random, and this version" in message]


def test_patience_ends_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    set_distances(monkeypatch, [3.0, 1.0, 2.0, 1.0, 0.5])
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=50, patience=2, **EVALUATED)
    assert saved_record(folder)["step"] == 8  # a distance that equals the best one is not better
    assert origin(folder)["step"] == 4
    with pytest.raises(UserError, match=r"finished: --patience ended it at step 8.* dcgan train --init .* a new run"):
        dcgan.resume(folder, steps=60)


def test_evaluating_does_not_change_the_training(tmp_path: Path, finished_run: RunFolder):
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=7, **EVALUATED)
    tensors, expected = (load_file(f.checkpoint / "state.safetensors") for f in (folder, finished_run))
    assert all(tensors[name].equal(expected[name]) for name in expected)


@pytest.mark.parametrize("stop", [3, *(pytest.param(stop, marks=pytest.mark.slow) for stop in (1, 4))])
def test_a_resumed_run_is_evaluated_as_one_that_never_stopped(tmp_path: Path, stop: int):
    settings = {**EVALUATED, "lr": 3e-3, "save_every": 3}
    whole = dcgan.train("dcgan", out=tmp_path / "whole", steps=9, **settings)
    part = dcgan.train("dcgan", out=tmp_path / "part", steps=stop, **settings)
    resumed = dcgan.resume(part, steps=9)
    assert tensor_bytes(resumed) == tensor_bytes(whole)
    assert saved_record(resumed) == saved_record(whole)
    assert [{**entry, "seconds": 0} for entry in resumed.log.entries()] == [
        {**entry, "seconds": 0} for entry in whole.log.entries()
    ]
    # The commands of the origins differ: each has the duration that was first asked for.
    assert origin(resumed)["step"] == origin(whole)["step"]


def test_the_time_of_evaluations_is_not_training_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock):
    def evaluate_slowly(*_: object) -> float:
        clock.now += 100
        return 1.0

    monkeypatch.setattr(validate, "sample_distance", evaluate_slowly)
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=4, **EVALUATED)
    assert json.loads((folder.checkpoint / "state.json").read_text())["seconds"] == pytest.approx(0.04)
    assert clock.now > 200


def test_a_small_set_is_evaluated_against_its_training_part(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(256, size=(90, 28, 28, 1), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", arr_0=pixels)
    folder = dcgan.train("dcgan", out=tmp_path / "r", data=str(tmp_path / "d.npz"), steps=2, **EVALUATED)
    assert evaluations(folder)[0]["split"] == "train"


def test_patience_without_evaluations_is_refused():
    with pytest.raises(UserError, match="give --evaluate-every too"):
        dcgan.Config(patience=3)


def test_without_the_setting_nothing_is_evaluated(finished_run: RunFolder):
    assert evaluations(finished_run) == []
    assert finished_run.config().evaluate_every == 0
