import pytest

from dcgan.comparison.progress import ComparisonProgress
from dcgan.training.callbacks import StepEvent


def test_the_bar_counts_the_parts_of_the_runs(capsys: pytest.CaptureFixture[str]):
    with ComparisonProgress("c", run_count=2, part_count=4) as progress:
        progress.start_part("vanilla-0", 2)
        progress.set_part_fraction(0.5)  # half of what two of four parts are
        assert progress._bar.n == pytest.approx(0.25)
        progress.on_step(StepEvent(step=9, images_seen=90, planned_images=100))
        assert progress._bar.n == pytest.approx(0.45)
        progress.on_step(StepEvent(step=9, images_seen=90, planned_images=None))  # a duration that is not measured yet
        assert progress._bar.n == pytest.approx(0.45)
        progress.end_run()
        progress.start_part("vanilla-1", 1)
        progress.set_part_fraction(1)
        assert progress._bar.n == pytest.approx(1.25)
        progress.end_run()
    err = capsys.readouterr().err
    assert "2.00/2 runs" in err
    assert "vanilla-1" in err
