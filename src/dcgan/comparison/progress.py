"""The progress of a comparison: one bar over all runs."""

import os
from types import TracebackType
from typing import Any

from tqdm import tqdm

from dcgan.system.console import standard_error
from dcgan.training.callbacks import StepEvent
from dcgan.training.progress_bar import FILE_INTERVAL_S, TERMINAL_INTERVAL_S

BAR_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n:.2f}/{total} runs [{elapsed}<{remaining}{postfix}]"


class ComparisonProgress:
    """A progress bar that counts runs. It is also a callback of the trainings, which move it within a run.

    Args:
        name: of the comparison.
        run_count: runs in all.
        part_count: parts of each run; all are the same length.
    """

    def __init__(self, name: str, run_count: int, part_count: int) -> None:
        self._part_count = part_count
        self._finished_runs, self._part = 0, 1
        self._bar: tqdm[Any] = tqdm(
            total=run_count,
            desc=name,
            bar_format=BAR_FORMAT,
            mininterval=TERMINAL_INTERVAL_S if os.isatty(2) else FILE_INTERVAL_S,
            file=standard_error(),
        )

    def __enter__(self) -> "ComparisonProgress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.close()

    def start_part(self, run_name: str, part: int) -> None:
        """Show which run is trained, and that its part number `part`, from 1, starts."""
        self._part = part
        self._bar.set_postfix_str(run_name)

    def set_part_fraction(self, fraction: float) -> None:
        """Move the bar.

        Args:
            fraction: how much of the training from the start of the run to the end of the current part is done.
        """
        self._bar.n = self._finished_runs + fraction * self._part / self._part_count
        self._bar.update(0)  # draws the bar again if enough time has passed

    def end_run(self) -> None:
        """Count the run as finished."""
        self._finished_runs += 1
        self._bar.n = self._finished_runs
        self._bar.refresh()

    def on_step(self, event: StepEvent) -> None:
        """Move the bar after a step of the training."""
        if event.planned_images:
            self.set_part_fraction(event.images_seen / event.planned_images)
