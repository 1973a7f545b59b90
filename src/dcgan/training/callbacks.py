"""Callbacks: objects that are told what happens during a training, and may ask it to stop.

A callback is any object with at least one of these methods:

    on_start(event: StartEvent)        training begins or resumes; the run folder exists
    on_step(event: StepEvent)          after every step
    on_log(event: LogEvent)            a measurement was written to the metrics log
    on_evaluate(event: EvaluateEvent)  the averaged generator was evaluated (`evaluate_every`)
    on_snapshot(event: SnapshotEvent)  a grid and a checkpoint were written
    on_message(event: MessageEvent)    something that the user should read, such as a diagnosis
    on_end(event: EndEvent)            training has ended, for whatever reason
    should_stop() -> bool              asked after every step; True saves the run and ends the training

Messages on the pictures and the settings come before `on_start`.
On several devices only the first process has callbacks.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dcgan.config import ScoreKind
from dcgan.errors import UserError
from dcgan.lazy import LazyModule
from dcgan.run.folder import RunFolder

if TYPE_CHECKING:
    from dcgan.system import torch_settings
else:  # it imports torch, which the studio does not need to read what a training reports
    torch_settings = LazyModule("dcgan.system.torch_settings")

EndReason = Literal["finished", "out_of_patience", "copies", "stopped", "failed"]


@dataclass(frozen=True)
class StartEvent:
    """Training begins, or resumes after `images_seen` images.

    Attributes:
        run: the run folder.
        step: steps done so far.
        images_seen: real images shown to the discriminator so far.
        planned_images: images after which training ends; None until a duration in minutes has been measured.
        score_kind: what the discriminator's scores are.
    """

    run: RunFolder
    step: int
    images_seen: int
    planned_images: int | None
    score_kind: ScoreKind


@dataclass(frozen=True)
class StepEvent:
    """One step was done."""

    step: int
    images_seen: int
    planned_images: int | None


@dataclass(frozen=True)
class LogEvent:
    """A measurement was written to the metrics log.

    Attributes:
        step: steps done so far.
        images_seen: real images seen so far.
        seconds: training time so far.
        metrics: means since the last measurement: `loss_g` and `grad_g`, and with a discriminator `loss_d`, `d_real`,
            `d_fake`, `d_right` and `grad_d`.
        score_kind: what `d_real` and `d_fake` are.
    """

    step: int
    images_seen: int
    seconds: float
    metrics: Mapping[str, float]
    score_kind: ScoreKind


@dataclass(frozen=True)
class EvaluateEvent:
    """The averaged generator was evaluated while it trains.

    Attributes:
        step: steps done so far.
        images_seen: real images seen so far.
        distance: the distance between samples and real pictures.
        metric: its name in the metrics log: `frechet_inception_distance`, or `kernel_inception_distance_mean` for a
            generator that matches features of a frozen network.
        features: name of the feature extractor.
        split: part of the data that the real pictures come from.
        best_distance: the distance of the model that the run keeps: the least one so far, unless copies are found now;
            None if there is none.
        best_step: the step at which that was measured.
        copies: whether the samples are copies of training pictures: `copies`, `no sign of copying` or `cannot say`;
            None if there are too few training pictures.
        near_training: the share of samples that are nearer to a training picture than 95% of other pictures are, or
            None.
    """

    step: int
    images_seen: int
    distance: float
    metric: str
    features: str
    split: str
    best_distance: float | None
    best_step: int | None
    copies: str | None = None
    near_training: float | None = None

    @property
    def is_best(self) -> bool:
        """Whether this evaluation is the best of the run so far."""
        return (self.best_step, self.best_distance) == (self.step, self.distance)


@dataclass(frozen=True)
class SnapshotEvent:
    """A snapshot was written: the grid of fixed latents, the model and the checkpoint.

    Attributes:
        step: steps done so far.
        images_seen: real images seen so far.
        grid: path of the grid, a PNG.
        model: folder of the model.
    """

    step: int
    images_seen: int
    grid: Path
    model: Path


@dataclass(frozen=True)
class MessageEvent:
    """One line of text that the user should read."""

    text: str


@dataclass(frozen=True)
class EndEvent:
    """Training has ended.

    Attributes:
        run: the run folder.
        step: steps done.
        images_seen: real images seen.
        reason: `finished`, `out_of_patience`, `copies` (an evaluation found that the samples are copies of training
            pictures), `stopped` (a signal or a callback asked for it), or `failed` (an error was raised).
    """

    run: RunFolder
    step: int
    images_seen: int
    reason: EndReason


class Callbacks:
    """Passes events on to a list of callbacks, in their order."""

    def __init__(self, callbacks: Iterable[Any] = ()) -> None:
        self._callbacks = list(callbacks)

    def add(self, callbacks: Iterable[Any]) -> None:
        """Add callbacks after the others."""
        self._callbacks += callbacks

    def _notify(self, method: str, event: object) -> None:
        for handler in self._handlers(method):
            handler(event)
            torch_settings.undo_changed_settings()

    def _handlers(self, method: str) -> list[Callable[..., Any]]:
        """Return this method of each callback that has it."""
        return [handler for c in self._callbacks if (handler := getattr(c, method, None)) is not None]

    def on_start(self, event: StartEvent) -> None:
        """Tell every callback that training begins or resumes."""
        self._notify("on_start", event)

    def on_step(self, event: StepEvent) -> None:
        """Tell every callback that a step was done."""
        self._notify("on_step", event)

    def on_log(self, event: LogEvent) -> None:
        """Tell every callback that a measurement was logged."""
        self._notify("on_log", event)

    def on_evaluate(self, event: EvaluateEvent) -> None:
        """Tell every callback that the generator was evaluated."""
        self._notify("on_evaluate", event)

    def on_snapshot(self, event: SnapshotEvent) -> None:
        """Tell every callback that a snapshot was written."""
        self._notify("on_snapshot", event)

    def on_message(self, text: str) -> None:
        """Pass one line of text on to every callback."""
        self._notify("on_message", MessageEvent(text))

    def on_end(self, event: EndEvent, failure: BaseException | None = None) -> None:
        """Tell every callback that training has ended, also if one of them fails: each may have something to close.

        The first error is raised. If the training itself failed, its error is what the user must read, and those of
        callbacks become notes of it.

        Args:
            event: how training has ended.
            failure: the error that ended it.
        """
        errors: list[Exception] = []
        for handler in self._handlers("on_end"):
            try:
                handler(event)
            except Exception as error:  # of the user's own code
                errors.append(error)
        first = failure or (errors.pop(0) if errors else None)
        for other in errors:
            assert first is not None
            first.add_note(f"on_end of a callback failed too: {other!r}")
        if first is not None and failure is None:
            raise first

    def should_stop(self) -> bool:
        """Return whether any callback asks the training to stop. Every callback is asked."""
        answers = [handler() for handler in self._handlers("should_stop")]
        if answers:
            torch_settings.undo_changed_settings()
        return any(answers)


METHODS = tuple(name for name in vars(Callbacks) if name.startswith("on_") or name == "should_stop")
"""What a callback may have."""


def check_callbacks(callbacks: object) -> None:
    """Refuse what is no list of callbacks, such as a class instead of an object of it: it would be told nothing.

    Raises:
        UserError: it says which one.
    """
    if not isinstance(callbacks, Sequence):  # an iterator would be empty after this
        raise UserError(f"callbacks must be a list of objects, not {type(callbacks).__name__}: [callback]")
    for i, callback in enumerate(callbacks):
        if isinstance(callback, type):
            raise UserError(f"callbacks[{i}] is the class {callback.__name__}: call it")
        if not any(callable(getattr(callback, method, None)) for method in METHODS):
            raise UserError(
                f"callbacks[{i}], of {type(callback).__name__}, has none of the methods {', '.join(METHODS)}"
            )
