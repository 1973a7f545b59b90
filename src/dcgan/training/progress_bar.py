"""The progress bar of a training, and the lines that a training prints. It is a callback like any other."""

import os
from typing import Any

from tqdm import tqdm

from dcgan.files import printable
from dcgan.reporting.series import MEASURE_TITLES
from dcgan.system.console import standard_error
from dcgan.training.callbacks import EndEvent, EvaluateEvent, LogEvent, MessageEvent, StartEvent, StepEvent

TERMINAL_INTERVAL_S, FILE_INTERVAL_S = 0.5, 10.0
"""Time between two updates of the bar: short on a terminal, long in a log file, where every update is a line."""


class ProgressBar:
    """Shows on standard error how many images have been seen, the losses and scores, and every message."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def on_start(self, event: StartEvent) -> None:
        """Show the bar."""
        self._bar = tqdm(
            total=event.planned_images,
            initial=event.images_seen,
            desc=event.run.path.name,
            unit="img",
            unit_scale=True,
            mininterval=TERMINAL_INTERVAL_S if os.isatty(2) else FILE_INTERVAL_S,
            file=standard_error(),
        )

    def on_step(self, event: StepEvent) -> None:
        """Move the bar. A recovery moves it back."""
        if self._bar is not None:
            self._bar.total = event.planned_images
            self._bar.update(event.images_seen - self._bar.n)

    def on_log(self, event: LogEvent) -> None:
        """Show the losses and scores beside the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(summarize_measurement(event), refresh=False)

    def on_evaluate(self, event: EvaluateEvent) -> None:
        """Print the distance, and the best one so far."""
        best = "the best so far" if event.is_best else "no best yet"
        if event.best_distance is not None and not event.is_best:
            best = f"{event.best_distance:.4g} at step {event.best_step:,}"
        title = MEASURE_TITLES[event.metric]
        text = f"step {event.step:,}: {title} {event.distance:.4g} ({event.features}, {event.split}), {best}"
        if event.copies == "copies":
            text += f"; {event.near_training:.0%} of the samples look like copies of training pictures"
        tqdm.write(text, file=standard_error())

    def on_message(self, event: MessageEvent) -> None:
        """Print the message above the bar."""
        tqdm.write(printable(event.text), file=standard_error())

    def on_end(self, event: EndEvent) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


def summarize_measurement(event: LogEvent) -> str:
    """Return the losses and scores of a measurement on one line, with the distance from 1/2 for probabilities."""
    m = event.metrics
    if event.score_kind == "none":
        return f"Loss_G {m['loss_g']:.3f}"
    d_real, d_fake = m["d_real"], m["d_fake"]
    text = f"Loss_D {m['loss_d']:.3f}, Loss_G {m['loss_g']:.3f}, D(x) {d_real:.3f}, D(G(z)) {d_fake:.3f}"
    if event.score_kind == "probability":
        text += f", from 1/2 {d_real - 0.5:+.3f} {d_fake - 0.5:+.3f}"
    return text
