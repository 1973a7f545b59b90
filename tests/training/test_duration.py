import pytest

from dcgan.presets import configure
from dcgan.training.duration import DurationPlan
from dcgan.training.progress import Progress


def plan_after(plan: DurationPlan, progress: Progress, step_seconds: list[float], batch_size: int = 100) -> int | None:
    """Return the plan after steps of these durations, or the first one that is known."""
    planned = None
    for seconds in step_seconds:
        progress.step += 1
        progress.images_seen += batch_size
        progress.seconds += seconds
        planned = planned or plan.planned_images(progress)
    return planned


def test_the_speed_is_known_after_five_seconds():
    progress = Progress()
    plan = DurationPlan(configure("dcgan", minutes=10), progress, is_recorded=False)
    assert plan_after(plan, progress, [1.0] * 5) is None
    assert plan_after(plan, progress, [1.0]) == 100 * 600


def test_of_a_short_duration_a_tenth_is_measured():
    progress = Progress()
    plan = DurationPlan(configure("dcgan", minutes=0.1), progress, is_recorded=False)
    assert plan_after(plan, progress, [0.5, 0.25, 0.5]) == pytest.approx(6 / 0.375 * 100)


@pytest.mark.parametrize(("settings", "is_recorded"), [({"compile": True}, False), ({}, True)])
def test_the_time_to_compile_and_record_is_no_part_of_the_speed(settings: dict, is_recorded: bool):
    progress = Progress()
    config = configure("dcgan", minutes=1, r1=0.1, penalty_every=4, **settings)
    plan = DurationPlan(config, progress, is_recorded=is_recorded)
    assert plan_after(plan, progress, [30.0, 20.0, 1.0, 1.0, 15.0, *[1.0] * 5]) == 100 * 60


def test_a_resumed_run_is_planned_by_the_speed_of_this_machine():
    progress = Progress(step=1000, images_seen=100_000, seconds=100)  # a hundredth of a second a step
    plan = DurationPlan(configure("dcgan", minutes=10), progress, is_recorded=False)
    assert plan_after(plan, progress, [2.0] * 5) == 100_000 + 50 * 500
