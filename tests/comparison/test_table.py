from dcgan.comparison.statistics import spread_over_seeds
from dcgan.comparison.table import Outcome


def test_the_table_has_a_row_for_each_preset():
    row = {"step": spread_over_seeds([5.0]), "seconds": spread_over_seeds([61.0])}
    settings = {"unit": "steps", "amount": 5, "data": "mnist", "image_size": 28, "n": 110, "features": "judge"}
    text = Outcome(settings, {"a": {"0": {}}}, {"a": row}, {}, ()).as_markdown()
    assert "| a | 1 | 5 | 61 |" in text
