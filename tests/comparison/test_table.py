import pytest

from dcgan.comparison.statistics import spread_over_seeds
from dcgan.comparison.table import COLUMN_TITLES, Outcome, _verdicts
from dcgan.evaluation.flattery import describe_flattery
from dcgan.reporting.series import DISTANCE, KERNEL_DISTANCE

SETTINGS = {
    "unit": "steps", "amount": 5, "data": "x", "image_size": 64, "n": 110, "features": "lite0", "split": "test",
    "reference": 1_400, "too_few": "",
}  # fmt: skip


def test_the_real_pictures_are_named_and_too_few_are_called_so():
    text = Outcome(SETTINGS, {}, {}, {}, ()).as_markdown()
    assert "110 samples, features lite0, against 1,400 pictures of the test split; mean" in text
    settings = SETTINGS | {"split": "all", "reference": 40, "too_few": "too few to judge: 40 real pictures"}
    text = Outcome(settings, {}, {}, {}, ()).as_markdown()
    assert "against 40 pictures of all splits; mean" in text
    assert "- too few to judge: 40 real pictures" in text


def test_the_table_has_a_row_for_each_preset():
    row = {"step": spread_over_seeds([5.0]), "seconds": spread_over_seeds([61.0])}
    settings = SETTINGS | {"data": "mnist", "image_size": 28, "features": "judge"}
    text = Outcome(settings, {"a": {"0": {}}}, {"a": row}, {}, ()).as_markdown()
    assert "| a | 1 | 5 | 61 |" in text


def test_a_run_that_ended_by_itself_has_a_line():
    settings = SETTINGS
    outcome = Outcome(settings, {}, {}, {}, (), ended={"match": {"0": "at step 350"}})
    assert "- match, seed 0, ended by itself at step 350" in outcome.as_markdown()
    assert outcome.as_json()["ended"] == {"match": {"0": "at step 350"}}


def test_a_preset_that_was_trained_with_the_features_that_judge_it_has_a_line():
    settings = SETTINGS
    sentence = describe_flattery("lite0", "lite0")
    outcome = Outcome(settings, {}, {}, {}, (), {"match": sentence})
    assert "- match: the generator was trained with the features lite0, so its metrics by them" in outcome.as_markdown()
    assert outcome.as_json()["flattery"] == {"match": sentence}
    assert describe_flattery("lite0", None) == describe_flattery("random", "lite0") == ""


@pytest.mark.parametrize(
    ("names", "title"),
    [([DISTANCE, KERNEL_DISTANCE], "Fréchet distance"), ([KERNEL_DISTANCE], "kernel distance")],
)
def test_presets_are_compared_by_the_kernel_distance_where_there_is_no_other(names: list[str], title: str):
    table = {
        preset: {name: spread_over_seeds([level + i / 10 for i in range(4)]) for name in names}
        for preset, level in (("a", 1.0), ("b", 5.0))
    }
    verdicts = _verdicts(table)
    assert verdicts[0].text.startswith(f"a is better than b: {title} 1.15 against 5.15")
    settings = SETTINGS
    text = Outcome(settings, {"a": {}, "b": {}}, table, {}, verdicts).as_markdown()
    assert [COLUMN_TITLES[name] in text for name in (DISTANCE, KERNEL_DISTANCE)] == [
        title == "Fréchet distance",
        title != "Fréchet distance",
    ]
