"""How many images a duration in minutes is."""

from dcgan.config import Config
from dcgan.training.progress import Progress

MIN_MEASUREMENT_S, MEASUREMENT_SHARE = 5.0, 0.1
"""The speed is known after this much training time, or this share of the time that is left."""


class DurationPlan:
    """Turns a duration in minutes into a number of images, from the speed of this process.

    Only the time that is left counts: a run may have begun on another machine. The first steps are no part of the
    speed, because networks are compiled and steps are recorded in them, which takes up to minutes.

    Args:
        config: the settings of the run.
        progress: its progress where this process begins.
        is_recorded: whether steps are recorded and replayed.
    """

    def __init__(self, config: Config, progress: Progress, *, is_recorded: bool) -> None:
        # Steps with penalties, which may be rare, are compiled separately.
        warm_up_steps = config.penalty_every + 1 if config.compile or is_recorded else 1
        self._seconds_left = 60 * (config.minutes or 0) - progress.seconds
        self._first_images = progress.images_seen
        self._warm_step = progress.step + warm_up_steps
        self._warm_images, self._warm_seconds = progress.images_seen, progress.seconds

    def planned_images(self, progress: Progress) -> int | None:
        """Return the images after which training ends, given the progress after a step; None during the first steps."""
        if progress.step <= self._warm_step:
            self._warm_images, self._warm_seconds = progress.images_seen, progress.seconds
            return None
        measured_s = progress.seconds - self._warm_seconds
        if measured_s < min(MIN_MEASUREMENT_S, self._seconds_left * MEASUREMENT_SHARE):
            return None
        images_per_second = (progress.images_seen - self._warm_images) / measured_s
        return max(progress.images_seen, round(self._first_images + images_per_second * self._seconds_left))
