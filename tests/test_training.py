import json
import shutil
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dcgan
from dcgan import UserError, training
from dcgan.config import configure
from dcgan.run import RunFolder
from tests.conftest import SMALL


def lines(folder: RunFolder) -> list[dict]:
    return [{k: v for k, v in line.items() if k != "seconds"} for line in folder.lines()]


def tensors(folder: RunFolder) -> bytes:
    return (folder.checkpoint / "state.safetensors").read_bytes() + (folder.model / "model.safetensors").read_bytes()


def test_the_run_folder(finished_run: RunFolder):
    assert sorted(p.name for p in finished_run.path.iterdir()) == [
        "checkpoint", "config.json", "curves.png", "metrics.jsonl", "model", "reals.png", "samples",
    ]  # fmt: skip
    assert sorted(p.name for p in finished_run.samples.iterdir()) == [f"{16 * s:08d}.png" for s in (0, 3, 6, 7)]
    assert [line["step"] for line in finished_run.lines()] == [2, 4, 6, 7]
    last = list(finished_run.lines())[-1]
    assert set(last) == {"step", "images_seen", "seconds", "loss_d", "loss_g", "d_real", "d_fake"}
    assert last["images_seen"] == 7 * 16
    assert last["seconds"] > 0
    assert 0 < last["d_real"] < 1


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_resumed_run_equals_one_that_never_stopped(finished_run: RunFolder, tmp_path: Path, stop: int):
    part = dcgan.train("dcgan", out=tmp_path / "part", steps=stop, **SMALL)
    whole = dcgan.resume(part, steps=7)
    assert tensors(whole) == tensors(finished_run)
    assert lines(whole) == lines(finished_run)
    assert whole.config() == finished_run.config()


def test_the_same_settings_give_the_same_run_and_another_seed_another(finished_run: RunFolder, tmp_path: Path):
    again = dcgan.train("dcgan", out=tmp_path / "again", steps=7, **SMALL)
    other = dcgan.train("dcgan", out=tmp_path / "other", steps=7, seed=1, **SMALL)
    assert tensors(again) == tensors(finished_run)
    assert tensors(other) != tensors(finished_run)


def test_a_runs_config_reproduces_it(finished_run: RunFolder, tmp_path: Path):
    again = dcgan.train(str(finished_run.path / "config.json"), out=tmp_path / "again")
    assert tensors(again) == tensors(finished_run)


def test_a_finished_run_says_so(finished_run: RunFolder):
    with pytest.raises(UserError, match=r"finished at step 7.*--steps"):
        dcgan.resume(finished_run)
    with pytest.raises(UserError, match="finished"):
        dcgan.resume(finished_run, steps=7)


@given(
    n=st.integers(1, 40), batch=st.integers(1, 50), steps=st.integers(1, 30), n_critic=st.integers(1, 3),
)  # fmt: skip
def test_a_length_in_steps_is_that_many_steps(n: int, batch: int, steps: int, n_critic: int):
    from dcgan.data.sampler import next_batch

    planned = training.planned_images(configure("dcgan", steps=steps, batch_size=batch, n_critic=n_critic), n)
    seen = done = 0
    while seen < planned:
        for _ in range(n_critic):
            seen += len(next_batch(n, batch, seen, 0))
        done += 1
    assert done == steps


@pytest.mark.parametrize(
    ("length", "seen"),
    [({"images": 33}, 48), ({"epochs": 0.001}, 64), ({"steps": 2}, 32), ({"steps": 1, "n_critic": 3}, 48)],
)
def test_every_length(tmp_path: Path, length: dict, seen: int):
    folder = dcgan.train("dcgan", out=tmp_path / "r", **SMALL, **length)
    assert list(folder.lines())[-1]["images_seen"] == seen


def test_a_length_in_minutes_is_kept_once_measured(tmp_path: Path):
    folder = dcgan.train("dcgan", out=tmp_path / "r", minutes=0.01, **SMALL)
    state = json.loads((folder.checkpoint / "state.json").read_text())
    assert state["planned"] <= state["images_seen"]
    assert 0.2 < state["seconds"] < 3
    with pytest.raises(UserError, match="finished"):
        dcgan.resume(folder)


def test_no_averaging_saves_the_generator_itself(tmp_path: Path):
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=2, **{**SMALL, "ema": 0})
    from safetensors.torch import load_file

    state, model = load_file(folder.checkpoint / "state.safetensors"), load_file(folder.model / "model.safetensors")
    assert torch.equal(model["gen.0.0.weight"], state["generator/gen.0.0.weight"])


def test_an_averaged_generator_has_batchnorm_statistics_of_its_own(finished_run: RunFolder):
    generator = dcgan.load(finished_run).generator
    z = torch.randn(2000, generator.z_dim)
    activations = generator.gen[0][0](z.view(-1, generator.z_dim, 1, 1))
    assert torch.allclose(generator.gen[0][1].running_mean, activations.mean(dim=(0, 2, 3)), atol=0.01)


def test_the_generators_update_leaves_no_gradient_in_the_discriminator(finished_run: RunFolder):
    state = training.setup(configure("dcgan", **SMALL))
    training.update(state)
    before = [p.grad.clone() for p in state.discriminator.parameters()]
    fake = state.generator(training._noise(state, 4, 9))
    training._update_generator(state, fake.detach(), fake, ())
    assert all(torch.equal(a, p.grad) for a, p in zip(before, state.discriminator.parameters(), strict=True))
    assert all(p.requires_grad for p in state.discriminator.parameters())


def test_a_loss_that_is_not_finite_stops_the_run_before_it_is_saved(tmp_path: Path):
    with pytest.raises(UserError, match="not finite"):
        dcgan.train("dcgan", out=tmp_path / "r", steps=20, **{**SMALL, "lr": 1e30})
    assert json.loads((tmp_path / "r" / "checkpoint" / "state.json").read_text())["step"] == 0


def test_nothing_is_written_when_a_setting_cannot_work(tmp_path: Path):
    for wrong in ({"image_size": 30}, {"data": "mnits"}, {"lr": -1.0}):
        with pytest.raises(UserError):
            dcgan.train("dcgan", out=tmp_path / "r", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_length_must_be_known(tmp_path: Path):
    with pytest.raises(UserError, match="how long"):
        training.train_config(dcgan.Config(), tmp_path / "r")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="no cuda device"):
        dcgan.train("dcgan", device="cuda")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int):
    update, steps = training.update, []

    def interrupted(state: training.State) -> None:
        update(state)
        steps.append(state.step)
        if state.step == 4:
            signal.raise_signal(number)

    monkeypatch.setattr(training, "update", interrupted)
    with pytest.raises(training.Stopped, match="dcgan resume") as stop:
        dcgan.train("dcgan", out=tmp_path / "r", steps=7, **SMALL)
    assert stop.value.status == 128 + number
    assert steps == [1, 2, 3, 4]
    monkeypatch.setattr(training, "update", update)
    assert (tmp_path / "r" / "curves.png").exists()
    assert dcgan.load(tmp_path / "r").trained["step"] == 4
    assert signal.getsignal(number) not in (None, training)
    resumed = dcgan.resume(tmp_path / "r")
    assert list(resumed.lines())[-1]["step"] == 7


def test_training_works_outside_the_main_thread(tmp_path: Path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        folder = pool.submit(dcgan.train, "dcgan", out=tmp_path / "r", steps=1, **SMALL).result()
    assert folder.model.exists()


def test_a_damaged_state_is_refused(finished_run: RunFolder, tmp_path: Path):
    shutil.copytree(finished_run.path, tmp_path / "r")
    (tmp_path / "r" / "checkpoint" / "state.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="damaged"):
        dcgan.resume(tmp_path / "r", steps=9)
    assert (tmp_path / "r" / "metrics.jsonl").read_text() == finished_run.log.read_text()


def test_bf16(tmp_path: Path):
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=2, precision="bf16", **SMALL)
    assert dcgan.load(folder).sample(1).shape == (1, 28, 28, 1)
