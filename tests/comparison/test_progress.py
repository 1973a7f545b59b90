import pytest

from dcgan.comparison.progress import ComparisonProgress, RunProgress
from dcgan.training.callbacks import StepEvent


def test_the_bar_counts_what_is_done_of_all_runs(capsys: pytest.CaptureFixture[str]):
    with ComparisonProgress("c", run_count=2) as progress:
        progress.show("vanilla-0", 0.25)
        assert progress._bar.n == pytest.approx(0.25)
        progress.show("vanilla-1", 0.5)
        assert progress._bar.n == pytest.approx(0.75)
        assert progress._bar.postfix == "vanilla-0, vanilla-1"
        progress.show("vanilla-0", 1)
        assert progress._bar.postfix == "vanilla-1"
        progress.show("vanilla-1", 1)
    err = capsys.readouterr().err
    assert "2.00/2 runs" in err
    assert "vanilla-1" in err


def test_the_parts_of_a_run_are_fractions_of_it():
    fractions: list[float] = []
    progress = RunProgress(4, fractions.append)
    progress.start_part(2)
    progress.on_step(StepEvent(step=9, images_seen=50, planned_images=100))  # half of what two of four parts are
    progress.on_step(StepEvent(step=9, images_seen=90, planned_images=None))  # a duration that is not measured yet
    progress.start_part(4)
    progress.on_step(StepEvent(step=9, images_seen=100, planned_images=100))  # it is still to be evaluated
    assert fractions == pytest.approx([0.25, 0.25, 0.75, 0.99])
