"""The progress of a comparison: one bar over all runs, each of which may be trained in another process."""

import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tqdm import tqdm

from dcgan.system.console import standard_error
from dcgan.training.callbacks import StepEvent
from dcgan.training.progress_bar import FILE_INTERVAL_S, TERMINAL_INTERVAL_S

BAR_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {n:.2f}/{total} runs [{elapsed}<{remaining}{postfix}]"


class ComparisonProgress:
    """A progress bar that counts runs.

    Args:
        name: of the comparison.
        run_count: runs in all.
    """

    def __init__(self, name: str, run_count: int) -> None:
        self._fractions: dict[str, float] = {}
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

    def show(self, run_name: str, fraction: float) -> None:
        """Move the bar.

        Args:
            run_name: of the run that got further.
            fraction: how much of it is done, 1 for all of it.
        """
        is_listed = run_name in self._fractions
        self._fractions[run_name] = fraction
        self._bar.n = sum(self._fractions.values())
        if not is_listed or fraction == 1:
            unfinished = [name for name, done in self._fractions.items() if done < 1]
            self._bar.set_postfix_str(", ".join(unfinished), refresh=False)
            self._bar.refresh()
        self._bar.update(0)  # draws the bar again if enough time has passed


class RunProgress:
    """The progress of one run, as a callback of its trainings.

    Args:
        part_count: parts of the run; all are the same length.
        show: takes the fraction of the run that is done.
    """

    def __init__(self, part_count: int, show: Callable[[float], None]) -> None:
        self._part_count, self._show, self._part = part_count, show, 1

    def start_part(self, part: int) -> None:
        """Note that the run is now trained from its start to the end of its part number `part`, from 1."""
        self._part = part
        self._show((part - 1) / self._part_count)

    def on_step(self, event: StepEvent) -> None:
        """Report a step of the training."""
        if event.planned_images:
            trained = event.images_seen / event.planned_images * self._part / self._part_count
            self._show(min(trained, 0.99))  # the evaluation comes after the last part
