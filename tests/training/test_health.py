from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dcgan
from dcgan.data.open import open_images
from dcgan.training import health
from dcgan.training.diversity import describe_real_pictures, mean_distance, measure_pictures, pairwise_distances

pytestmark = pytest.mark.usefixtures("without_report")

MEASUREMENT = {"loss_d": 0.6, "loss_g": 0.9, "d_real": 0.6, "d_fake": 0.4, "d_right": 0.7, "grad_d": 1.0, "grad_g": 1.0}


def measurements(count: int, *, interval: int = 50, **values: float) -> list[dict]:
    """Return a log of `count` equal measurements, one every `interval` steps."""
    steps = [(i + 1) * interval for i in range(count)]
    return [MEASUREMENT | {"step": step, "images_seen": 128 * step, "seconds": 1.0} | values for step in steps]


def pictures(
    nearness: list[float], diversity: list[float] | None = None, *, interval: int = 500, **values: object
) -> list[dict]:
    """Return a log that holds only events `pictures`, one every `interval` steps."""
    pairs = zip(nearness, diversity or [0.5] * len(nearness), strict=True)
    return [
        {"event": "pictures", "step": i * interval, "images_seen": 128 * i * interval, "is_all": False}
        | {"nearness": n, "diversity": d}
        | values
        for i, (n, d) in enumerate(pairs)
    ]


def names(entries: list[dict]) -> list[str]:
    return [diagnosis.name for diagnosis in health.diagnose(entries)]


STUDY = {
    "nearness": [2.48, 2.41, 2.4, 2.19, 1.53, 1.2, 1.19, 1.15, 1.13, 1.12, 1.16, 1.15, 1.14],
    "diversity": [0.006, 0.049, 0.048, 0.19, 0.63, 0.8, 0.9, 0.94, 0.96, 0.97, 0.97, 0.97, 0.98],
}
"""The measures of the study's run, every 500 steps. It drew one single shape until step 1,500."""


@pytest.mark.parametrize("count", range(1, 14))
def test_the_studys_run_is_healthy_at_every_moment(count: int):
    events = pictures(STUDY["nearness"][:count], STUDY["diversity"][:count])
    assert names(measurements(10 * count, d_right=0.93) + events) == []


def test_an_empty_log_has_no_diagnosis():
    assert names([]) == []


@pytest.mark.parametrize(
    ("count", "interval", "is_diagnosed"), [(9, 50, False), (10, 50, True), (10, 2, False), (100, 2, True)]
)
def test_a_signal_must_last_for_measurements_and_steps(count: int, interval: int, is_diagnosed: bool):
    assert ("generator-too-strong" in names(measurements(count, interval=interval, d_right=0.05))) is is_diagnosed


def test_the_diagnosis_of_a_generator_that_is_too_strong_gives_its_evidence():
    (diagnosis,) = health.diagnose(measurements(12, d_right=0.05))
    assert diagnosis.as_json() == {
        "diagnosis": "generator-too-strong",
        "evidence": "D scores the real picture higher in only 5.0% of pairs; guessing gives 50%",
        "advice": diagnosis.advice,
    }
    assert "--d-lr" in str(diagnosis)


def test_a_discriminator_that_leaves_no_gradient_is_too_strong():
    early = measurements(5, d_right=1.0)
    late = [entry | {"step": entry["step"] + 250} for entry in measurements(10, d_right=1.0, grad_g=0.001)]
    (diagnosis,) = health.diagnose(early + late)
    assert diagnosis.name == "discriminator-too-strong"
    assert "G's gradient is 0.1% of what it was" in diagnosis.evidence
    assert names(early + [entry | {"d_right": 0.9} for entry in late]) == []  # the generator has converged
    assert names(measurements(15, d_right=1.0)) == []  # strong, but G learns from it, as from a Wasserstein critic


def test_a_discriminator_from_which_nothing_is_learned_is_too_strong():
    log, stuck = measurements(100, d_right=0.99), [2.5, 2.2, 2.19, 2.19, 2.18, 2.19, 2.18]
    assert names(log + pictures(stuck)) == ["discriminator-too-strong"]
    assert names(log + pictures(stuck, interval=100)) == []  # it is too early for a diagnosis
    assert names(log + pictures([*stuck[:-1], 2.0])) == []  # the pictures improve
    assert names(log + pictures([2.5, 1.2, 1.19, 1.19, 1.18, 1.19, 1.18])) == []  # the pictures are near to real ones


def test_a_collapse_is_a_fall_from_a_diversity_that_was_reached():
    nearness = [2.5, 1.5, 1.2, 1.1, 1.1]
    assert names(pictures(nearness, [0.01, 0.5, 0.9, 0.4, 0.3])) == ["mode-collapse"]
    assert names(pictures(nearness, [0.01, 0.5, 0.9, 0.4, 0.8])) == []  # one low value may be chance
    assert names(pictures(nearness, [1.3, 0.1, 0.2, 0.1, 0.1])) == []  # noise at the start does not count
    assert names(pictures(nearness, [0.01, 0.05, 0.2, 0.05, 0.05])) == []  # the pictures never varied


def test_a_judge_notices_that_classes_disappear():
    log = pictures([2.5, 1.5, 1.2, 1.1, 1.1], [0.5] * 5)
    for event, classes in zip(log, [[64, 0], [32, 32], [30, 34], [64, 0], [63, 1]], strict=True):
        event["classes"] = classes
    assert names(log) == []  # two classes can at most halve
    for event, classes in zip(log, [[0] * 10, [6] * 10, [7] * 10, [60, 4] + [0] * 8, [64] + [0] * 9], strict=True):
        event["classes"] = classes
    (diagnosis,) = health.diagnose(log)
    assert (diagnosis.name, diagnosis.evidence) == ("mode-collapse", "1.0 classes are drawn; there were 10.0")
    for event in log:
        event["diversity"] = 0.1  # the judge took noise for ten classes
    assert names(log) == []


def test_pictures_that_get_better_and_worse_in_turn_oscillate():
    assert names(pictures([2.5, 1.5, 1.1, 1.5, 1.1, 1.5])) == ["oscillation"]
    assert names(pictures([2.5, 1.5, 1.4, 1.5, 1.4, 1.5, 1.4])) == []  # the changes are too small
    assert names(pictures([2.5, *[1.2] * 6], [0.5, 0.5, 0.8, 0.5, 0.8, 0.5, 0.5])) == ["oscillation"]
    assert (
        names(pictures([2.5, *[1.2] * 6], [0.01, 0.02, 0.04, 0.02, 0.04, 0.02, 0.04])) == []
    )  # the diversity is almost 0


def test_copies_are_noticed_if_all_training_pictures_are_compared():
    assert names(pictures([2.5, 0.4], is_all=True)) == ["memorising"]
    assert names(pictures([2.5, 0.4])) == []
    assert names(pictures([2.5, 0.6], is_all=True)) == []


def test_nothing_learned_is_diagnosed_only_after_a_long_time():
    assert names(pictures([2.5] * 4)) == []
    assert names(pictures([2.5] * 5)) == ["nothing-learned"]
    assert names(pictures([2.5, 2.5, 2.4, 2.5, 2.5])) == []


@given(st.lists(st.floats(0.01, 10), max_size=12))
def test_a_series_turns_less_often_than_it_changes(values: list[float]):
    assert 0 <= health._count_turns(values) <= max(0, len(values) - 2)
    assert health._count_turns(sorted(values)) == 0


@given(st.integers(2, 9), st.integers(2, 9), st.integers(1, 5), st.integers(0, 99))
def test_distances_equal_those_of_numpy(n: int, m: int, p: int, seed: int):
    source = np.random.default_rng(seed)
    a, b = source.normal(size=(n, p)).astype(np.float32), source.normal(size=(m, p)).astype(np.float32)
    exact = np.linalg.norm(a[:, None].astype(float) - b[None], axis=-1)
    assert pairwise_distances(a, b) == pytest.approx(exact, abs=2e-3)
    pairs = [np.linalg.norm(a[i] - a[j]) for i in range(n) for j in range(i)]
    assert mean_distance(a) == pytest.approx(np.mean(pairs), abs=2e-3)


def test_other_real_pictures_have_a_diversity_and_a_nearness_of_one():
    pixels = open_images("mnist").pixels[:6000].flatten(1).numpy().astype(np.float32)
    reals = describe_real_pictures(pixels[:2048], None, len(pixels))
    others = measure_pictures(pixels[5000:5064], None, reals)
    assert others == pytest.approx({"diversity": 1, "nearness": 1}, abs=0.1)
    copies = measure_pictures(pixels[:64], None, reals)
    assert copies["nearness"] == 0
    repeated = measure_pictures(np.repeat(pixels[:1], 64, axis=0), None, reals)
    assert repeated["diversity"] == pytest.approx(0, abs=1e-3)


def test_one_picture_for_each_class_has_no_diversity_within_the_classes():
    digits = open_images("mnist")
    pixels, labels = digits.pixels[:500].flatten(1).numpy().astype(np.float32), digits.labels[:500].numpy()
    reals = describe_real_pictures(pixels, labels, 500)
    first = [int(np.flatnonzero(labels == label)[0]) for label in range(10)]
    images, requested = np.tile(pixels[first], (8, 1)), np.tile(np.arange(10), 8)
    assert measure_pictures(images, requested, reals)["diversity"] == pytest.approx(0, abs=1e-3)
    assert measure_pictures(images, None, reals)["diversity"] > 0.5


def test_a_set_of_equal_pictures_can_be_measured():
    equal = np.ones((5, 4), np.float32)
    assert measure_pictures(equal, None, describe_real_pictures(equal, None, 5)) == {"diversity": 0, "nearness": 0}


def test_pictures_that_are_there_twice_are_no_measure_of_a_copy():
    random = np.random.default_rng(0)
    once = random.normal(size=(60, 50)).astype(np.float32)
    twice = np.concatenate([once, once])
    noise = random.normal(size=(20, 50)).astype(np.float32)
    expected = measure_pictures(noise, None, describe_real_pictures(once, None, 60))["nearness"]
    assert measure_pictures(noise, None, describe_real_pictures(twice, None, 120))["nearness"] == pytest.approx(
        expected
    )
    assert expected > 0.9


SMALL = {"device": "cpu", "image_size": 16, "batch_size": 32, "log_every": 20, "save_every": 100}
DiagnosesOf = Callable[..., list[dict]]


@pytest.fixture
def diagnoses_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> DiagnosesOf:
    """Return a function that trains and returns the diagnoses. Each is once in the log and once on standard error."""

    def train(preset: str, **settings: object) -> list[dict]:
        folder = dcgan.train(preset, out=tmp_path / f"r{settings.get('seed', 0)}", **{**SMALL, **settings})
        events = [event for event in folder.log.events() if "diagnosis" in event]
        err = capsys.readouterr().err
        assert all(err.count(f": {event['diagnosis']}: ") == 1 for event in events)
        return events

    return train


def test_a_frozen_discriminator_is_diagnosed(diagnoses_of: DiagnosesOf):
    (event,) = diagnoses_of("vanilla", g_width=16, d_width=16, d_lr=1e-12, steps=220)
    assert (event["event"], event["diagnosis"]) == ("health", "generator-too-strong")
    assert event["step"] == 200


def save_forty_digits(folder: Path) -> str:
    path = folder / "digits.npz"
    np.savez(path, open_images("mnist").pixels[:40, 0, ..., None].numpy())
    return str(path)


LEAST_SQUARES = {"loss": "least-squares", "g_norm": "none", "lr": 5e-3, "d_lr": 2e-4, "ema": 1000, "batch_size": 64}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("discriminator-too-strong", {**LEAST_SQUARES, "steps": 400}),
        ("nothing-learned", {"lr": 1e-12, "d_lr": 2e-4, "batch_size": 256, "steps": 900}),
        ("oscillation or mode-collapse", {"loss": "hinge", "lr": 1e-2, "ema": 0, "batch_size": 64, "steps": 1200}),
        ("memorising", {"data": "forty digits", "lr": 1e-3, "steps": 4000}),
    ],
)
def test_a_run_that_must_fail_is_diagnosed(diagnoses_of: DiagnosesOf, tmp_path: Path, name: str, settings: dict):
    if settings.get("data"):
        settings = settings | {"data": save_forty_digits(tmp_path)}
    diagnoses = {event["diagnosis"] for event in diagnoses_of("vanilla", seed=2, **settings)}
    assert diagnoses & set(name.split(" or "))  # a learning rate that is far too high causes either of them


@pytest.mark.slow
def test_a_run_that_collapses_by_chance_is_diagnosed(diagnoses_of: DiagnosesOf):
    """At this rate some seeds collapse and some oscillate; the thresholds were set on seed 0, which oscillated.

    Which seeds collapse depends on the processor and the number of threads, because such trainings are chaotic.
    """
    settings = {"loss": "hinge", "lr": 1e-2, "ema": 0, "batch_size": 64, "steps": 600}
    events = [event for seed in (1, 2, 3) for event in diagnoses_of("vanilla", seed=seed, **settings)]
    assert "mode-collapse" in [event["diagnosis"] for event in events]


NETWORK = {"g_width": 16, "d_width": 16, "lr": 1e-3}
HEALTHY = {
    "vanilla": {"steps": 1500},
    "dcgan64": NETWORK | {"steps": 600},
    "wgan-gp": NETWORK | {"steps": 250},
    "cgan": NETWORK | {"steps": 500},
    "r3gan": {"g_width": 8, "d_width": 8, "lr": 1e-3, "burn_in": 5000, "steps": 300},
}


@pytest.mark.slow
@pytest.mark.parametrize("preset", HEALTHY)
def test_a_healthy_run_has_no_diagnosis(diagnoses_of: DiagnosesOf, preset: str):
    assert diagnoses_of(preset, seed=2, **HEALTHY[preset]) == []
