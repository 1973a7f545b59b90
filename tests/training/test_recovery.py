import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import dcgan
from dcgan import UserError
from dcgan.run.folder import RunFolder
from dcgan.training import loop, start, step
from dcgan.training.history import History
from dcgan.training.progress import Progress
from dcgan.training.recovery import HealthyState, Position, roll_back
from dcgan.training.state import State, StepSums
from tests.conftest import SMALL

pytestmark = pytest.mark.usefixtures("without_report")
NAN = float("nan")
FAULTY_STEP = 7
"""The step that fails; the healthy state before it is that of step 6."""
Injection = Callable[..., None]


def is_faulty(state: State, *, always: bool) -> bool:
    """Return whether this step fails: until the first recovery, as if the lower learning rate had helped, or always."""
    return state.progress.step == FAULTY_STEP - 1 and (always or state.progress.lr_scale == 1)


def inject_into_data(monkeypatch: pytest.MonkeyPatch, *, always: bool = False) -> None:
    next_reals = step.next_reals

    def faulty_reals(state: State) -> Any:
        images, condition = next_reals(state)
        return (images * NAN if is_faulty(state, always=always) else images), condition

    monkeypatch.setattr(step, "next_reals", faulty_reals)


def inject_into_gradient_of(network: str) -> Injection:
    def inject(monkeypatch: pytest.MonkeyPatch, *, always: bool = False) -> None:
        set_up = start.set_up

        def set_up_faulty(*arguments: Any, **options: Any) -> State:
            state = set_up(*arguments, **options)
            weight = next(getattr(state, network).parameters())
            weight.register_hook(lambda grad: grad * NAN if is_faulty(state, always=always) else grad)
            return state

        monkeypatch.setattr(start, "set_up", set_up_faulty)

    return inject


def inject_into_optimizer(monkeypatch: pytest.MonkeyPatch, *, always: bool = False) -> None:
    train_step = loop.train_step

    def faulty_step(state: State) -> None:
        if is_faulty(state, always=always):
            next(iter(state.optimizer_g.state.values()))["exp_avg"].fill_(NAN)
        train_step(state)

    monkeypatch.setattr(loop, "train_step", faulty_step)


INJECTIONS: dict[str, Injection] = {
    "the discriminator's loss": inject_into_data,
    "the discriminator's gradient": inject_into_gradient_of("discriminator"),
    "the generator's gradient": inject_into_gradient_of("generator"),
    # The moments make a weight not finite, and the weight makes the next loss not finite.
    "the generator's loss": inject_into_optimizer,
}


def train(out: Path, steps: int, **settings: Any) -> RunFolder:
    return dcgan.train("dcgan", out=out, steps=steps, **{**SMALL, **settings})


def recoveries(folder: RunFolder) -> list[dict]:
    return [event for event in folder.log.events() if event["event"] == "recovery"]


def saved_record(folder: RunFolder) -> dict:
    return json.loads((folder.checkpoint / "state.json").read_text())


@pytest.mark.parametrize("fault", INJECTIONS)
def test_after_a_fault_the_run_goes_back_and_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: str
):
    INJECTIONS[fault](monkeypatch)
    folder = train(tmp_path / "r", 9)
    events = recoveries(folder)
    failed_step = FAULTY_STEP if fault != "the generator's loss" else FAULTY_STEP + 1
    assert len(events) == 1
    evidence, advice = events[0].pop("evidence"), events[0].pop("advice")
    if fault == "the generator's loss":  # D scores the broken generator's fakes first
        fault = "the discriminator's loss"
    assert evidence == f"{fault} was not finite at step {failed_step}"
    assert "--lr" in advice
    position = {"step": 6, "images_seen": 96, "failed_step": failed_step}
    assert events[0] == {"event": "recovery", "diagnosis": "not-finite", "lr_scale": 0.5, "in_a_row": 1, **position}
    assert "step 6 with 0.5 times the learning rate" in capsys.readouterr().err
    assert [entry["step"] for entry in folder.log.measurements()] == [2, 4, 6, 8, 9]
    assert all(t.isfinite().all() for t in load_file(folder.checkpoint / "state.safetensors").values())
    record = saved_record(folder)
    assert (record["recoveries"], record["lr_scale"], record["in_a_row"]) == (1, 0.5, 0)


@pytest.mark.parametrize(
    ("best_step", "kept", "since_best"),
    [(4, [4, 6], 2), (7, [4, 6, 7], 0)],  # the best evaluation is before the healthy state, or was lost after it
)
def test_what_evaluations_counted_goes_back_with_the_state(best_step: int, kept: list[int], since_best: int):
    healthy = HealthyState({}, Position(6, 96, 2, [0.0] * 8, evaluations_since_best=2))
    progress = Progress(step=9, images_seen=144, best_step=best_step, best_distance=1.0, evaluations_since_best=5)
    sums = StepSums(torch.zeros(8), torch.zeros(()))
    state: Any = SimpleNamespace(progress=progress, sums=sums, recorder=None, saved_parts=dict)
    history = History(None, [{"event": "measured", "step": step} for step in (4, 6, 7, 8)])
    roll_back(state, history, healthy, "a weight")
    assert progress.evaluations_since_best == since_best
    assert (progress.step, progress.best_step) == (6, best_step)
    assert [entry["step"] for entry in history.entries if entry["event"] == "measured"] == kept
    assert history.entries[-1]["event"] == "recovery"
    assert healthy.position.entries == len(history.entries)


@pytest.mark.parametrize("fault", [name for name, inject in INJECTIONS.items() if inject is not inject_into_optimizer])
def test_a_fault_never_reaches_a_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str):
    INJECTIONS[fault](monkeypatch)
    train_step, changes = loop.train_step, []

    def checked_step(state: State) -> None:
        def weights() -> list[torch.Tensor]:
            return [p.detach().clone() for n in (state.generator, state.discriminator) for p in n.parameters()]

        before = weights()
        train_step(state)
        assert all(p.isfinite().all() for p in (*weights(), *state.ema.network.parameters()))
        if state.sums.fault:
            has_changed = [not torch.equal(a, b) for a, b in zip(before, weights(), strict=True)]
            changes.append((any(has_changed[: len(list(state.generator.parameters()))]), any(has_changed)))

    monkeypatch.setattr(loop, "train_step", checked_step)
    train(tmp_path / "r", 8)
    # A fault in the discriminator's update leaves both networks as they were. One in the generator's comes after a
    # valid update of the discriminator.
    assert changes == [(False, fault.startswith("the generator"))]


@pytest.mark.parametrize("fault", ["the discriminator's gradient", "the generator's loss"])
def test_three_recoveries_in_a_row_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str):
    INJECTIONS[fault](monkeypatch, always=True)
    with pytest.raises(UserError, match=r"not finite at step \d: 3 such events in a row.*lower --lr"):
        train(tmp_path / "r", 10)
    folder = RunFolder(tmp_path / "r")
    assert [(e["in_a_row"], e["lr_scale"]) for e in recoveries(folder)] == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert saved_record(folder)["step"] == 6
    assert dcgan.load(folder).trained["step"] == 6


def test_recoveries_that_are_not_in_a_row_do_not_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    next_reals, failed = step.next_reals, set()

    def faulty_reals(state: State) -> Any:
        images, condition = next_reals(state)
        if state.progress.step in {4, 7, 10, 13} - failed:  # one in each interval of three steps
            failed.add(state.progress.step)
            images = images * NAN
        return images, condition

    monkeypatch.setattr(step, "next_reals", faulty_reals)
    folder = train(tmp_path / "r", 16)
    events = recoveries(folder)
    assert [e["in_a_row"] for e in events] == [1, 1, 1, 1]
    assert events[-1]["lr_scale"] == 1 / 16


def test_a_run_with_a_recovery_resumes_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    inject_into_data(monkeypatch)
    whole, part = train(tmp_path / "whole", 9), train(tmp_path / "part", 5)
    for steps in (6, 8, 9):  # before the healthy state, at it, and after the recovery
        dcgan.resume(part, steps=steps)
    name = "state.safetensors"
    assert (part.checkpoint / name).read_bytes() == (whole.checkpoint / name).read_bytes()
    logs = [[{k: v for k, v in e.items() if k != "seconds"} for e in folder.log.entries()] for folder in (whole, part)]
    assert logs[0] == logs[1]
    assert "recovery" in [e.get("event") for e in logs[0]]


def test_a_checkpoint_between_two_snapshots_also_holds_the_healthy_state(tmp_path: Path):
    at_snapshot, between = train(tmp_path / "at", 6), train(tmp_path / "between", 7)
    names = [set(load_file(folder.checkpoint / "state.safetensors")) for folder in (at_snapshot, between)]
    assert names[1] == names[0] | {f"healthy/{name}" for name in names[0]}


def test_on_a_gpu_no_step_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Until the next measurement only the device knows of the fault, and nothing changes."""
    find_fault = loop.find_fault

    class CudaDevice:
        type = "cuda"

    def find_fault_on_gpu(state: State, *, may_wait: bool) -> str:
        with monkeypatch.context() as patched:
            patched.setattr(type(state.fabric), "device", CudaDevice, raising=False)
            return find_fault(state, may_wait=may_wait)

    monkeypatch.setattr(loop, "find_fault", find_fault_on_gpu)
    inject_into_data(monkeypatch)
    folder = train(tmp_path / "r", 10)
    assert [(e["step"], e["failed_step"]) for e in recoveries(folder)] == [(6, 8)]
