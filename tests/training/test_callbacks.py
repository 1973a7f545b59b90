import errno
import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import dcgan
from dcgan import UserError
from dcgan.run.folder import RunFolder
from dcgan.training import loop, restore, validate
from dcgan.training.callbacks import (
    Callbacks,
    EndEvent,
    EvaluateEvent,
    LogEvent,
    MessageEvent,
    SnapshotEvent,
    StartEvent,
    StepEvent,
)
from tests.conftest import SMALL, make_picture_folder

pytestmark = pytest.mark.usefixtures("without_report")
METRICS = {"loss_d", "loss_g", "d_real", "d_fake", "d_right", "grad_d", "grad_g"}


class Recorder:
    """A callback with every method."""

    def __init__(self, last_step: int | None = None) -> None:
        self.events: list[Any] = []
        self.last_step = last_step

    def on_start(self, event: StartEvent) -> None:
        self.events.append(event)

    on_step = on_log = on_evaluate = on_snapshot = on_message = on_end = on_start

    def should_stop(self) -> bool:
        return self.last_step is not None and self.of(StepEvent, count_pending=True) >= self.last_step

    def of(self, kind: type, *, count_pending: bool = False) -> Any:
        """Return the events of a kind; or how many steps there are with the one that is being done."""
        events = [event for event in self.events if type(event) is kind]
        return len(events) + 1 if count_pending else events

    def order(self) -> list[tuple[str, int]]:
        """Return the name and the step of each event that has a step."""
        names = {StartEvent: "start", StepEvent: "step", LogEvent: "log", EvaluateEvent: "evaluate"}
        names |= {SnapshotEvent: "snapshot", EndEvent: "end"}
        return [(names[type(event)], event.step) for event in self.events if type(event) in names]


def train(out: Path, steps: int, *callbacks: Any, **settings: Any) -> RunFolder:
    return dcgan.train("dcgan", out=out, steps=steps, callbacks=callbacks, **SMALL | settings)


def saved_step(folder: RunFolder) -> int:
    return int(json.loads((folder.checkpoint / "state.json").read_text())["step"])


@pytest.fixture
def distances(monkeypatch: pytest.MonkeyPatch, small_validation: None) -> None:
    values = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(validate, "sample_distance", lambda *_: next(values))


@pytest.mark.usefixtures("distances")
def test_every_event_arrives_in_order_when_a_run_is_trained(tmp_path: Path):
    recorder = Recorder()
    folder = train(tmp_path / "r", 7, recorder, evaluate_every=3)
    assert recorder.order() == [
        ("start", 0), ("snapshot", 0),
        ("step", 1),
        ("step", 2), ("log", 2),
        ("step", 3), ("evaluate", 3), ("snapshot", 3),
        ("step", 4), ("log", 4),
        ("step", 5),
        ("step", 6), ("log", 6), ("evaluate", 6), ("snapshot", 6),
        ("step", 7), ("evaluate", 7), ("log", 7), ("snapshot", 7),
        ("end", 7),
    ]  # fmt: skip
    (started,), (ended,) = recorder.of(StartEvent), recorder.of(EndEvent)
    assert started == StartEvent(folder, 0, 0, 7 * 16, "probability")
    assert ended == EndEvent(folder, 7, 7 * 16, "finished")
    assert recorder.of(StepEvent) == [StepEvent(step, 16 * step, 7 * 16) for step in range(1, 8)]
    assert [(e.distance, e.best_distance, e.best_step, e.is_best) for e in recorder.of(EvaluateEvent)] == [
        (3.0, 3.0, 3, True),
        (1.0, 1.0, 6, True),
        (2.0, 1.0, 6, False),
    ]
    assert all((e.features, e.split) == ("random", "validation") for e in recorder.of(EvaluateEvent))
    for event in recorder.of(SnapshotEvent):
        assert event == SnapshotEvent(
            event.step, 16 * event.step, folder.samples / f"{16 * event.step:08d}.png", folder.model
        )
        assert event.grid.is_file()


@pytest.mark.usefixtures("distances")
def test_every_event_arrives_in_order_when_a_run_is_resumed(tmp_path: Path):
    folder = train(tmp_path / "r", 4, evaluate_every=3)
    recorder = Recorder()
    dcgan.resume(folder, steps=6, callbacks=[recorder])
    assert recorder.order() == [
        ("start", 4),
        ("step", 5),
        ("step", 6), ("log", 6), ("evaluate", 6), ("snapshot", 6),
        ("end", 6),
    ]  # fmt: skip
    assert recorder.of(StartEvent) == [StartEvent(folder, 4, 64, 96, "probability")]
    assert recorder.of(EndEvent) == [EndEvent(folder, 6, 96, "finished")]
    (evaluation,) = recorder.of(EvaluateEvent)
    assert (evaluation.best_distance, evaluation.best_step) == (2.0, 6)


def test_a_log_event_holds_the_measurement_of_the_log(tmp_path: Path):
    recorder = Recorder()
    folder = train(tmp_path / "r", 5, recorder)
    measurements = list(folder.log.measurements())
    assert [event.step for event in recorder.of(LogEvent)] == [entry["step"] for entry in measurements] == [2, 4, 5]
    for event, entry in zip(recorder.of(LogEvent), measurements, strict=True):
        assert set(event.metrics) == METRICS
        assert event.metrics == {name: entry[name] for name in METRICS}
        assert event.images_seen == entry["images_seen"]
        assert event.seconds == pytest.approx(entry["seconds"], abs=1e-3)
        assert event.score_kind == "probability"


def test_every_callback_gets_the_same_events_in_the_order_of_the_list(tmp_path: Path):
    calls: list[tuple[int, Any]] = []

    class Numbered:
        def __init__(self, number: int) -> None:
            self.number = number

        def on_step(self, event: StepEvent) -> None:
            calls.append((self.number, event))

    train(tmp_path / "r", 2, Numbered(1), Numbered(2))
    assert [(number, event.step) for number, event in calls] == [(1, 1), (2, 1), (1, 2), (2, 2)]


def test_events_cannot_be_changed():
    event = StepEvent(1, 16, None)
    with pytest.raises(FrozenInstanceError):
        event.step = 2  # type: ignore[misc]


METHODS = ("on_start", "on_step", "on_log", "on_evaluate", "on_snapshot", "on_message", "on_end")


@pytest.mark.parametrize("name", METHODS)
def test_a_callback_with_a_single_method_gets_only_that_event(name: str):
    received: list[Any] = []
    callbacks = Callbacks([type("Single", (), {name: lambda self, event: received.append(event)})(), object()])
    for method in METHODS:
        getattr(callbacks, method)(method)
    assert received == [MessageEvent("on_message") if name == "on_message" else name]
    assert callbacks.should_stop() is False


def test_a_callback_needs_only_one_method(tmp_path: Path, finished_run: RunFolder):
    folder = train(tmp_path / "r", 7, SimpleNamespace(on_end=lambda event: None))
    name = "checkpoint/state.safetensors"
    assert (folder.path / name).read_bytes() == (finished_run.path / name).read_bytes()


def test_every_callback_is_asked_whether_to_stop():
    asked: list[int] = []

    class Asked:
        def __init__(self, number: int, answer: bool) -> None:
            self.number, self.answer = number, answer

        def should_stop(self) -> bool:
            asked.append(self.number)
            return self.answer

    assert Callbacks([Asked(1, False), Asked(2, True), Asked(3, False)]).should_stop() is True
    assert asked == [1, 2, 3]
    assert Callbacks([Asked(4, False)]).should_stop() is False
    assert Callbacks().should_stop() is False


@pytest.mark.parametrize("last_step", [1, 3, 4])
def test_a_callback_ends_a_run_which_is_saved_and_can_be_resumed(
    tmp_path: Path, finished_run: RunFolder, last_step: int
):
    recorder = Recorder(last_step)
    folder = train(tmp_path / "r", 7, recorder)  # it returns, and raises nothing
    assert recorder.of(EndEvent) == [EndEvent(folder, last_step, 16 * last_step, "stopped")]
    assert saved_step(folder) == last_step
    assert dcgan.load(folder).trained["step"] == last_step
    assert (folder.samples / f"{16 * last_step:08d}.png").is_file()
    dcgan.resume(folder)
    assert saved_step(folder) == 7
    name = "checkpoint/state.safetensors"
    assert (folder.path / name).read_bytes() == (finished_run.path / name).read_bytes()


def test_a_stop_at_the_last_step_is_an_ordinary_end(tmp_path: Path):
    recorder = Recorder(7)
    folder = train(tmp_path / "r", 7, recorder)
    assert recorder.of(EndEvent) == [EndEvent(folder, 7, 112, "finished")]
    with pytest.raises(UserError, match="finished"):
        dcgan.resume(folder)


@pytest.mark.usefixtures("distances")
def test_the_reason_of_an_end_by_patience(tmp_path: Path):
    recorder = Recorder()
    folder = train(tmp_path / "r", 50, recorder, evaluate_every=1, patience=1)
    assert recorder.of(EndEvent) == [EndEvent(folder, 3, 48, "out_of_patience")]


def test_a_signal_is_a_stop(tmp_path: Path):
    import signal

    class Signal:
        def on_step(self, event: StepEvent) -> None:
            if event.step == 2:
                signal.raise_signal(signal.SIGTERM)

    recorder = Recorder()
    with pytest.raises(loop.TrainingStopped):
        train(tmp_path / "r", 7, Signal(), recorder)
    assert recorder.of(EndEvent)[0].reason == "stopped"


@pytest.mark.parametrize("function", ["train_step", "save_snapshot"])
def test_an_error_ends_the_run_with_the_reason_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str):
    def fail(*arguments: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(loop, function, fail)
    recorder = Recorder()
    with pytest.raises(RuntimeError, match="broken"):
        train(tmp_path / "r", 7, recorder)
    assert recorder.order() == [("start", 0), *([("snapshot", 0)] if function == "train_step" else []), ("end", 0)]
    assert recorder.of(EndEvent) == [EndEvent(RunFolder(tmp_path / "r"), 0, 0, "failed")]


@pytest.mark.parametrize("method", ["on_start", "on_step", "on_log", "on_snapshot", "should_stop"])
def test_an_error_in_a_callback_ends_the_run_and_every_callback_knows(tmp_path: Path, method: str):
    def fail(*arguments: Any) -> None:
        raise RuntimeError("broken callback")

    recorder = Recorder()
    with pytest.raises(RuntimeError, match="broken callback"):
        train(tmp_path / "r", 7, recorder, type("Broken", (), {method: fail})())
    assert [event.reason for event in recorder.of(EndEvent)] == ["failed"]


def test_messages_about_the_data_arrive(tmp_path: Path):
    data = make_picture_folder(tmp_path / "data", 20)
    (data / "broken.png").write_bytes(b"x")
    recorder = Recorder()
    train(tmp_path / "r", 1, recorder, data=str(data))
    texts = [event.text for event in recorder.of(MessageEvent)]
    assert any("resized to 28x28" in text for text in texts)
    assert any("1 file cannot be used" in text for text in texts)


def test_messages_about_another_machine_and_a_recovery_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = train(tmp_path / "r", 2)
    monkeypatch.setattr(restore, "describe_arithmetic", lambda fabric: "another machine")
    find_fault = loop.find_fault
    monkeypatch.setattr(
        loop,
        "find_fault",
        lambda state, *, may_wait: (
            find_fault(state, may_wait=may_wait)
            or ("a weight" if state.progress.step == 4 and not state.progress.recoveries else "")
        ),
    )
    recorder = Recorder()
    dcgan.resume(folder, steps=5, callbacks=[recorder])
    first, second = (event.text for event in recorder.of(MessageEvent))
    assert "now on another machine" in first
    assert second.startswith("not-finite: a weight was not finite at step 4")
    steps = [event.step for event in recorder.of(StepEvent)]
    assert steps == [3, 4, 5]  # the step that failed is no event: the run went back to its snapshot at step 3


@pytest.mark.parametrize("call", ["train", "resume"])
def test_callbacks_on_new_processes_are_refused_and_torchrun_is_named(
    tmp_path: Path, finished_run: RunFolder, call: str
):
    functions: dict[str, Callable[[], RunFolder]] = {
        "train": lambda: train(tmp_path / "r", 1, Recorder(), devices=2),
        "resume": lambda: dcgan.resume(finished_run, steps=9, devices=2, callbacks=[Recorder()]),
    }
    message = "^--devices 2 with your own callbacks: start your script with torchrun --nproc-per-node 2 SCRIPT$"
    with pytest.raises(UserError, match=message):
        functions[call]()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("distances")
def test_without_progress_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    data = make_picture_folder(tmp_path / "data", 60)
    recorder = Recorder()
    folder = train(tmp_path / "r", 4, recorder, data=str(data), evaluate_every=2, show_progress=False)
    dcgan.resume(folder, steps=6, show_progress=False)
    assert capfd.readouterr() == ("", "")
    assert recorder.of(MessageEvent)  # callbacks still get what would be printed


@pytest.mark.parametrize(("step", "distance", "is_best"), [(700, 1.0, True), (700, 1.5, False), (1050, 1.0, False)])
def test_an_evaluation_is_the_best_by_its_step_and_its_distance(step: int, distance: float, is_best: bool):
    # After a recovery, a step can be evaluated a second time.
    event = EvaluateEvent(step, 64 * step, distance, "metric", "lite2", "train", best_distance=1.0, best_step=700)
    assert event.is_best == is_best


class FailsAtTheEnd:
    """A callback whose `on_end` fails."""

    def __init__(self, text: str) -> None:
        self.text = text

    def on_end(self, event: EndEvent) -> None:
        raise ValueError(self.text)


def test_a_callback_that_fails_at_the_end_silences_no_other(tmp_path: Path):
    recorder = Recorder()
    with pytest.raises(ValueError, match="first") as caught:
        train(tmp_path / "r", 2, FailsAtTheEnd("first"), recorder, FailsAtTheEnd("second"))
    assert [event.reason for event in recorder.of(EndEvent)] == ["finished"]
    assert caught.value.__notes__ == ["on_end of a callback failed too: ValueError('second')"]


def test_a_callback_that_fails_at_the_end_costs_neither_curves_nor_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    written = []
    monkeypatch.setattr(loop, "draw_curves", lambda entries, path, kind: written.append(path.name))
    monkeypatch.setattr(loop, "write_report", lambda folder: written.append(folder.report.name))
    with pytest.raises(ValueError, match="first"):
        train(tmp_path / "r", 2, FailsAtTheEnd("first"))
    assert written == ["curves.png", "report.html"]


def test_a_report_that_cannot_be_written_is_a_failure_for_callbacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(folder: RunFolder) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder.report))

    monkeypatch.setattr(loop, "write_report", fail)
    recorder = Recorder()
    with pytest.raises(UserError, match="No space left on device"):
        train(tmp_path / "r", 2, recorder)
    assert [event.reason for event in recorder.of(EndEvent)] == ["failed"]


@pytest.mark.parametrize("error", [RuntimeError("the training failed"), KeyboardInterrupt()])
def test_a_callback_that_fails_at_the_end_hides_no_error_of_the_training(tmp_path: Path, error: BaseException):
    class Fails:
        def on_step(self, _: StepEvent) -> None:
            raise error

    recorder = Recorder()
    with pytest.raises(type(error)) as caught:
        train(tmp_path / "r", 2, Fails(), FailsAtTheEnd("at the end"), recorder)
    assert caught.value is error
    assert caught.value.__notes__ == ["on_end of a callback failed too: ValueError('at the end')"]
    assert [event.reason for event in recorder.of(EndEvent)] == ["failed"]
