"""The progress bar of a training, and the lines that a training prints. It is a callback like any other."""

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from dcgan.config import Config
from dcgan.files import printable
from dcgan.images import GRID_GAP, draw_on_white
from dcgan.reporting.series import MEASURE_TITLES
from dcgan.run.folder import RunFolder
from dcgan.sampling.output import GRID_COLUMNS
from dcgan.system.console import standard_error
from dcgan.system.terminal_picture import show_picture
from dcgan.training.callbacks import (
    EndEvent,
    EvaluateEvent,
    LogEvent,
    MessageEvent,
    SnapshotEvent,
    StartEvent,
    StepEvent,
)

TERMINAL_INTERVAL_S, FILE_INTERVAL_S = 0.5, 10.0
"""Time between two updates of the bar: short on a terminal, long in a log file, where every update is a line."""
TERMINAL_SAMPLES = 4
"""Samples that are drawn on a terminal, side by side."""


class ProgressBar:
    """Shows on standard error how many images have been seen, the losses and scores, and every message.

    It says where the first pictures of a new run are, and draws some of them on a terminal.
    """

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._new_run: tuple[RunFolder, float] | None = None
        """A run without pictures yet, and when it began."""

    def on_start(self, event: StartEvent) -> None:
        """Show the bar."""
        self._new_run = (event.run, time.monotonic()) if event.step == 0 else None
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

    def on_snapshot(self, event: SnapshotEvent) -> None:
        """Say where the first pictures of a trained generator are, and draw some of them on a terminal."""
        if event.step == 0 or self._new_run is None:
            return
        (run, start), self._new_run = self._new_run, None
        text = f"step {event.step:,}, after {time.monotonic() - start:.0f} s: the first pictures are in {event.grid}"
        tqdm.write(printable(text), file=standard_error())
        with suppress(OSError), tqdm.external_write_mode(file=standard_error()):
            show_picture(first_samples(event.grid, run.config()), standard_error())

    def on_message(self, event: MessageEvent) -> None:
        """Print the message above the bar."""
        tqdm.write(printable(event.text), file=standard_error())

    def on_end(self, event: EndEvent) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


def first_samples(grid: Path, config: Config) -> Image.Image:
    """Return some samples of a grid side by side, as RGB.

    Args:
        grid: path of the grid, a PNG.
        config: the settings of its run. With classes, the rows of a grid are classes, and samples of several are shown.
    """
    with Image.open(grid) as image:
        side = (image.width - GRID_GAP) // GRID_COLUMNS - GRID_GAP
        height, width = config.size or (side, side)
        rows = (image.height - GRID_GAP) // (height + GRID_GAP)
        row = Image.new(image.mode, (TERMINAL_SAMPLES * (width + GRID_GAP) + GRID_GAP, height + 2 * GRID_GAP))
        for i in range(TERMINAL_SAMPLES):
            line, column = (i % rows, i // rows) if config.conditional else (0, i)
            left, top = GRID_GAP + column * (width + GRID_GAP), GRID_GAP + line * (height + GRID_GAP)
            sample = image.crop((left, top, left + width, top + height))
            row.paste(sample, (GRID_GAP + i * (width + GRID_GAP), GRID_GAP))
        return draw_on_white(row.convert("RGBA"))


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
