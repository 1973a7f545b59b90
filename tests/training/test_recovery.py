import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import dcgan
from dcgan import UserError
from dcgan.run.folder import RunFolder
from dcgan.training import recovery, start, step
from dcgan.training.state import State
from tests.conftest import SMALL

pytestmark = pytest.mark.usefixtures("without_report")
NAN = float("nan")
STEP = 7
"""The step that goes wrong; the healthy state before it is that of step 6."""


def is_bad(state: State, *, always: bool) -> bool:
    """Before a recovery only, as if the lower learning rate had helped; or at every attempt."""
    return state.step == STEP - 1 and (always or state.lr_scale == 1)


def in_data(monkeypatch: pytest.MonkeyPatch, *, always: bool = False) -> None:
    real = step.next_reals

    def reals(state: State):
        images, given = real(state)
        return (images * NAN if is_bad(state, always=always) else images), given

    monkeypatch.setattr(step, "next_reals", reals)


def in_gradient(network: str) -> Callable[..., None]:
    def inject(monkeypatch: pytest.MonkeyPatch, *, always: bool = False) -> None:
        real = start.setup

        def setup(*arguments):
            state = real(*arguments)
            weight = next(getattr(state, network).parameters())
            weight.register_hook(lambda grad: grad * NAN if is_bad(state, always=always) else grad)
            return state

        monkeypatch.setattr(start, "set_up", setup)

    return inject


def in_optimizer(monkeypatch: pytest.MonkeyPatch, *, always: bool = False) -> None:
    real = start.update

    def update(state: State) -> None:
        if is_bad(state, always=always):
            next(iter(state.optimizer_g.state.values()))["exp_avg"].fill_(NAN)
        real(state)

    monkeypatch.setattr(start, "train_step", update)


INJECTED = {
    "the discriminator's loss": in_data,
    "the discriminator's gradient": in_gradient("discriminator"),
    "the generator's gradient": in_gradient("generator"),
    "the generator's loss": in_optimizer,  # whose poisoned moments make a weight, and that the next loss, not finite
}


def train(out: Path, steps: int, **settings) -> RunFolder:
    return dcgan.train("dcgan", out=out, steps=steps, **{**SMALL, **settings})


@pytest.mark.parametrize("what", INJECTED)
def test_what_is_not_finite_takes_the_run_back_and_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], what: str
):
    INJECTED[what](monkeypatch)
    folder = train(tmp_path / "r", 9)
    events = [e for e in folder.log.events() if e["event"] == "recovery"]
    failed = STEP if what != "the generator's loss" else STEP + 1
    assert len(events) == 1
    evidence, advice = events[0].pop("evidence"), events[0].pop("advice")
    if what == "the generator's loss":  # D scores the broken generator's fakes first
        what = "the discriminator's loss"
    assert evidence == f"{what} was not finite at step {failed}"
    assert "--lr" in advice
    at = {"step": 6, "images_seen": 96, "failed_step": failed}
    assert events[0] == {"event": "recovery", "diagnosis": "not-finite", "lr_scale": 0.5, "in_a_row": 1, **at}
    assert "step 6 with 0.5 times the learning rate" in capsys.readouterr().err
    assert [line["step"] for line in folder.log.measurements()] == [2, 4, 6, 8, 9]
    assert all(t.isfinite().all() for t in load_file(folder.checkpoint / "state.safetensors").values())
    saved = json.loads((folder.checkpoint / "state.json").read_text())
    assert (saved["recoveries"], saved["lr_scale"], saved["in_a_row"]) == (1, 0.5, 0)


@pytest.mark.parametrize("what", [w for w, inject in INJECTED.items() if inject is not in_optimizer])
def test_what_is_not_finite_never_reaches_a_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str):
    INJECTED[what](monkeypatch)
    real, seen = start.update, []

    def update(state: State) -> None:
        def weights() -> list[torch.Tensor]:
            return [p.detach().clone() for n in (state.generator, state.discriminator) for p in n.parameters()]

        before = weights()
        real(state)
        assert all(p.isfinite().all() for p in (*weights(), *state.ema.network.parameters()))
        if state.fault:
            moved = [not torch.equal(a, b) for a, b in zip(before, weights(), strict=True)]
            seen.append((any(moved[: len(list(state.generator.parameters()))]), any(moved)))

    monkeypatch.setattr(start, "train_step", update)
    train(tmp_path / "r", 8)
    # A fault of the discriminator's leaves both as they were; one of the generator's comes after D's own good step.
    assert seen == [(False, what.startswith("the generator"))]


@pytest.mark.parametrize("what", ["the discriminator's gradient", "the generator's loss"])
def test_three_in_a_row_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str):
    INJECTED[what](monkeypatch, always=True)
    with pytest.raises(UserError, match=r"not finite at step \d: 3 such events in a row.*lower --lr"):
        train(tmp_path / "r", 10)
    folder = RunFolder(tmp_path / "r")
    events = [e for e in folder.log.events() if e["event"] == "recovery"]
    assert [(e["in_a_row"], e["lr_scale"]) for e in events] == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert json.loads((folder.checkpoint / "state.json").read_text())["step"] == 6
    assert dcgan.load(folder).trained["step"] == 6


def test_events_that_are_not_in_a_row_do_not_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, failed = step.next_reals, set()

    def reals(state: State):
        images, given = real(state)
        if state.step in {4, 7, 10, 13} - failed:  # one in every interval of three steps
            failed.add(state.step)
            images = images * NAN
        return images, given

    monkeypatch.setattr(step, "next_reals", reals)
    folder = train(tmp_path / "r", 16)
    events = [e for e in folder.log.events() if e["event"] == "recovery"]
    assert [e["in_a_row"] for e in events] == [1, 1, 1, 1]
    assert events[-1]["lr_scale"] == 1 / 16


def test_a_run_with_a_recovery_goes_on_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    in_data(monkeypatch)
    whole, part = train(tmp_path / "whole", 9), train(tmp_path / "part", 5)
    for steps in (6, 8, 9):  # before the healthy state, at it, and after the recovery
        dcgan.resume(part, steps=steps)
    name = "state.safetensors"
    assert (part.checkpoint / name).read_bytes() == (whole.checkpoint / name).read_bytes()
    logs = [[{k: v for k, v in e.items() if k != "seconds"} for e in folder.log.entries()] for folder in (whole, part)]
    assert logs[0] == logs[1]
    assert "recovery" in [e.get("event") for e in logs[0]]


def test_a_state_that_was_saved_between_two_beats_holds_the_healthy_one_too(tmp_path: Path):
    on, off = train(tmp_path / "on", 6), train(tmp_path / "off", 7)
    names = [set(load_file(folder.checkpoint / "state.safetensors")) for folder in (on, off)]
    assert names[1] == names[0] | {f"healthy/{name}" for name in names[0]}


def test_on_a_gpu_no_step_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Until the beat of the log, the device alone knows; nothing moves meanwhile."""
    real = recovery.find_fault

    class Elsewhere:
        type = "cuda"

    def cause(state: State, *, look: bool) -> str:
        with monkeypatch.context() as patched:
            patched.setattr(type(state.fabric), "device", Elsewhere, raising=False)
            return real(state, look=look)

    monkeypatch.setattr(start, "find_fault", cause)
    in_data(monkeypatch)
    folder = train(tmp_path / "r", 10)
    events = [e for e in folder.log.events() if e["event"] == "recovery"]
    assert [(e["step"], e["failed_step"]) for e in events] == [(6, 8)]
