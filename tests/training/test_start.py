import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import dcgan
from dcgan import UserError
from dcgan.cli.main import run as main
from dcgan.data.open import open_images
from dcgan.devices.processes import TrainingStopped
from dcgan.files import read_json
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.run.log import EARLY_EVENT
from dcgan.sampling.output import write_sample_stream
from dcgan.training import loop, start
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from tests.conftest import SMALL


def entries_without_seconds(folder: RunFolder) -> list[dict]:
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in folder.log.entries()]


def tensor_bytes(folder: RunFolder) -> bytes:
    return (folder.checkpoint / "state.safetensors").read_bytes() + (folder.model / "model.safetensors").read_bytes()


def test_the_run_folder(finished_run: RunFolder):
    assert sorted(p.name for p in finished_run.path.iterdir()) == [
        ".lock", "checkpoint", "config.json", "curves.png", "metrics.jsonl", "model", "reals.png", "report.html",
        "samples",
    ]  # fmt: skip
    assert sorted(p.name for p in finished_run.samples.iterdir()) == [f"{16 * s:08d}.png" for s in (0, 3, 6, 7)]
    assert [entry["step"] for entry in finished_run.log.measurements()] == [2, 4, 6, 7]
    last = list(finished_run.log.measurements())[-1]
    means = {"loss_d", "loss_g", "d_real", "d_fake", "d_right", "grad_d", "grad_g"}
    assert set(last) == {"step", "images_seen", "seconds", *means}
    assert [event["step"] for event in finished_run.log.events()] == [0, 1, 3, 6]
    assert last["images_seen"] == 7 * 16
    assert last["seconds"] > 0
    assert 0 < last["d_real"] < 1


PRESETS = {name: {**SMALL, "ema": 100, "save_every": 50} for name in dcgan.PRESETS}
PRESETS["dcgan64"]["image_size"] = 28
# The rate follows the length that was first planned; test_validate.py has what measuring leaves behind.
PRESETS["match"] |= {"z_dim": 24, "lr_end": 1.0, "evaluate_every": 0}
del PRESETS["match"]["d_width"]  # it has no discriminator
PRESETS["r3gan"]["burn_in"] = 100  # its end is between the stop and the end of the run


@pytest.mark.usefixtures("without_report")
@pytest.mark.parametrize("change", [{}, {"conditional": True}, {"d_lr": 1e-3, "g_norm": "spectral"}])
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_resumes_as_if_it_had_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str, change: dict
):
    digits = open_images("mnist", "test")  # with 40 pictures, five steps pass an epoch's end, whose batch is shorter
    few = replace(digits, pixels=digits.pixels[:40], labels=digits.labels[:40])
    monkeypatch.setattr("dcgan.training.set_up.open_images", lambda *arguments, **options: few)
    if preset in ("r3gan", "match"):
        change = {name: value for name, value in change.items() if name != "g_norm"}
    if preset == "match":
        change.pop("d_lr", None)
    settings = PRESETS[preset] | change
    whole = dcgan.train(preset, out=tmp_path / "whole", steps=5, **settings)
    part = dcgan.train(preset, out=tmp_path / "part", steps=2, **settings)
    resumed = dcgan.resume(part, steps=5)
    assert tensor_bytes(resumed) == tensor_bytes(whole)
    assert entries_without_seconds(resumed) == entries_without_seconds(whole)


def test_the_grid_of_a_conditional_run_can_be_drawn_again_from_its_model(tmp_path: Path):
    folder = dcgan.train("dcgan", out=tmp_path / "r", steps=2, conditional=True, **SMALL)
    model = dcgan.load(folder)
    assert model.classes == tuple("0123456789")
    write_sample_stream(model.stream(80, seed=0), tmp_path / "a.png", rows=10)
    assert (tmp_path / "a.png").read_bytes() == max(folder.samples.iterdir()).read_bytes()
    assert "10 classes" in (folder.model / "README.md").read_text()


def test_a_generator_starts_from_a_saved_one(finished_run: RunFolder, tmp_path: Path):
    config = configure("dcgan", init=str(finished_run.path), **SMALL)
    state, saved = set_up(config), dcgan.load(finished_run).generator
    for network in (state.generator, state.ema.network):
        for weight, expected in zip(network.parameters(), saved.parameters(), strict=True):
            assert torch.equal(weight, expected)
    without_init = set_up(configure("dcgan", **SMALL))
    for weight, expected in zip(state.discriminator.parameters(), without_init.discriminator.parameters(), strict=True):
        assert torch.equal(weight, expected)


def test_the_commands_of_an_extended_run_whose_rates_fell_train_it_again(tmp_path: Path):
    run = dcgan.train("dcgan", out=tmp_path / "r", lr_end=0.1, **SMALL, steps=2)
    dcgan.resume(run, steps=4)
    stated = read_json(run.config_path)["command"]
    assert dcgan.load(run).trained["command"] == stated
    first, second = stated.replace("RUN", str(tmp_path / "again")).split(" && ")
    assert second == f"dcgan resume {tmp_path / 'again'} --steps 4"
    for command in (first, second):
        assert main(shlex.split(command)[1:]) == 0
    assert tensor_bytes(RunFolder(tmp_path / "again")) == tensor_bytes(run)


def test_a_model_in_a_folder_is_not_named_as_one_of_the_package(finished_run: RunFolder, tmp_path: Path):
    shutil.copytree(finished_run.model, tmp_path / "mnist")
    state = set_up(configure("dcgan", init=str(tmp_path / "mnist"), **SMALL))
    assert state.config.init == "./mnist"


def test_an_initial_model_with_more_groups_than_numbers_in_z_says_which_z_fits():
    with pytest.raises(UserError, match=r"--init mnist has 128 groups, .* give --z-dim 192, as it has, not 100"):
        set_up(configure("fast", init="mnist", z_dim=100, device="cpu"))


def test_a_run_that_started_from_a_model_resumes_without_it(finished_run: RunFolder, tmp_path: Path):
    shutil.copytree(finished_run.model, tmp_path / "start")
    settings = {**SMALL, "init": str(tmp_path / "start")}
    whole = dcgan.train("dcgan", out=tmp_path / "whole", steps=4, **settings)
    part = dcgan.train("dcgan", out=tmp_path / "part", steps=2, **settings)
    shutil.rmtree(tmp_path / "start")
    resumed = dcgan.resume(part, steps=4)
    assert tensor_bytes(resumed) == tensor_bytes(whole)
    assert resumed.config().init == "start"  # the path would name the user


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"g_width": 8}, r"gen.0.0.weight is \(8, 16, 3, 3\) there and \(8, 32, 3, 3\) here; .*--preset dcgan$"),
        ({"conditional": True}, "does not fit this generator"),
        ({"network": "dcgan64"}, "does not fit this generator"),
        ({"init": "nowhere"}, "there is no nowhere"),
        ({"data": "stacked-mnist"}, "does not fit: it draws gray pictures, and these are RGB"),
    ],
)
def test_an_initial_model_that_does_not_fit_is_refused(
    finished_run: RunFolder, tmp_path: Path, settings: dict, message: str
):
    with pytest.raises(UserError, match=message):
        dcgan.train("dcgan", out=tmp_path / "r", steps=1, **{**SMALL, "init": str(finished_run.path), **settings})
    assert list(tmp_path.iterdir()) == []


def test_arguments_that_do_not_exist_are_refused(finished_run: RunFolder):
    for misspelt in ({"step": 100}, {"epoch": 5}, {"minute": 1}):
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            dcgan.resume(finished_run, **misspelt)


class CustomGenerator(torch.nn.Module):
    z_dim = 5

    def __init__(self, size: int = 28) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.size = torch.nn.Linear(5, size * size), size

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.layer(z).tanh().view(-1, 1, self.size, self.size)


class CustomDiscriminator(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer = torch.nn.Linear(784, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1))


def make_custom_loss() -> dcgan.Objective:
    return dcgan.Objective(lambda real, fake: (fake - real).exp().mean(), lambda fake: -fake.mean())


def test_custom_parts_are_trained_by_the_same_loop(tmp_path: Path):
    def make_parts() -> dict:
        return {"generator": CustomGenerator(), "discriminator": CustomDiscriminator(), "loss": make_custom_loss()}

    settings = {**SMALL, "r1": 0.1, "save_every": 2}
    parts = make_parts()
    before = parts["generator"].layer.weight.clone()
    whole = dcgan.train(out=tmp_path / "whole", steps=4, **parts, **settings)
    assert not torch.equal(parts["generator"].layer.weight, before)  # trained in place
    part = dcgan.train(out=tmp_path / "part", steps=3, **make_parts(), **settings)
    resumed = dcgan.resume(part, steps=4, **make_parts())
    assert tensor_bytes(resumed) == tensor_bytes(whole)
    assert whole.config().z_dim == 5
    content = json.loads((whole.path / "config.json").read_text())
    assert content["own"] == ["generator", "discriminator", "loss"]
    assert "command" not in content


def test_a_model_of_a_custom_class_cannot_be_loaded_and_the_message_says_why(tmp_path: Path):
    from safetensors.torch import load_model

    folder = dcgan.train(out=tmp_path / "r", steps=2, generator=CustomGenerator(), **{**SMALL, "ema": 0})
    class_name = "tests.training.test_start.CustomGenerator"
    with pytest.raises(UserError, match=rf"your own class {class_name}: create one and load them"):
        dcgan.load(folder)
    generator = CustomGenerator()
    load_model(generator, folder.model / "model.safetensors")
    with pytest.raises(UserError, match=r"continue it with dcgan.resume\('.*r', generator=...\)"):
        dcgan.resume(folder, steps=4)
    with pytest.raises(UserError, match="your own generator"):
        dcgan.train(str(folder.path / "config.json"))


def test_a_known_network_with_a_custom_loss_can_be_loaded(tmp_path: Path):
    folder = dcgan.train(out=tmp_path / "r", steps=2, loss=make_custom_loss(), **SMALL)
    model = dcgan.load(folder)
    assert model.sample(2).shape == (2, 28, 28, 1)
    assert model.trained["command"] is None
    assert "train it again" not in (folder.model / "README.md").read_text()
    with pytest.raises(UserError, match=r"loss=..."):
        dcgan.resume(folder, steps=4)


def test_a_run_without_custom_parts_is_resumed_without_any(finished_run: RunFolder):
    with pytest.raises(UserError, match=r"no parts of your own: continue it with dcgan.resume\('[^,]*'\)"):
        dcgan.resume(finished_run, steps=9, generator=CustomGenerator())


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"generator": CustomGenerator(20)}, r"draws \(1, 20, 20\), the pictures are \(1, 28, 28\)"),
        (
            {"discriminator": torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 3))},
            r"scores \(2, 1\), not \(2, 3\)",
        ),
    ],
)
def test_custom_parts_that_do_not_fit_are_refused(tmp_path: Path, parts: dict, message: str):
    with pytest.raises(UserError, match=message):
        dcgan.train(out=tmp_path / "r", steps=1, **parts, **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_pictures_are_resized_for_the_network(tmp_path: Path):
    folder = dcgan.train("dcgan64", out=tmp_path / "r", steps=1, **{**SMALL, "image_size": 32})
    assert dcgan.load(folder).sample(1).shape == (1, 32, 32, 1)


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_resumed_run_equals_one_that_never_stopped(finished_run: RunFolder, tmp_path: Path, stop: int):
    part = dcgan.train("dcgan", out=tmp_path / "part", steps=stop, **SMALL)
    whole = dcgan.resume(part, steps=7)
    assert tensor_bytes(whole) == tensor_bytes(finished_run)
    assert entries_without_seconds(whole) == entries_without_seconds(finished_run)
    assert whole.config() == finished_run.config()


def test_the_same_settings_give_the_same_run_and_another_seed_another_run(finished_run: RunFolder, tmp_path: Path):
    repeated = dcgan.train("dcgan", out=tmp_path / "repeated", steps=7, **SMALL)
    other = dcgan.train("dcgan", out=tmp_path / "other", steps=7, seed=1, **SMALL)
    assert tensor_bytes(repeated) == tensor_bytes(finished_run)
    assert tensor_bytes(other) != tensor_bytes(finished_run)


def test_the_config_of_a_run_reproduces_it(finished_run: RunFolder, tmp_path: Path):
    repeated = dcgan.train(str(finished_run.path / "config.json"), out=tmp_path / "repeated")
    assert tensor_bytes(repeated) == tensor_bytes(finished_run)


def test_a_finished_run_is_not_resumed(finished_run: RunFolder):
    with pytest.raises(UserError, match=r"finished at step 7.*--steps"):
        dcgan.resume(finished_run)
    with pytest.raises(UserError, match="finished"):
        dcgan.resume(finished_run, steps=7)


@pytest.mark.parametrize(
    ("duration", "images_seen"),
    [({"images": 33}, 48), ({"epochs": 0.001}, 64), ({"steps": 2}, 32), ({"steps": 1, "n_critic": 3}, 48)],
)
def test_every_duration(tmp_path: Path, duration: dict, images_seen: int):
    folder = dcgan.train("dcgan", out=tmp_path / "r", **SMALL, **duration)
    assert list(folder.log.measurements())[-1]["images_seen"] == images_seen


@pytest.mark.usefixtures("clock")
def test_a_duration_in_minutes_does_not_change_after_the_speed_was_measured(tmp_path: Path):
    folder = dcgan.train("dcgan", out=tmp_path / "r", minutes=0.005, **SMALL)
    state = json.loads((folder.checkpoint / "state.json").read_text())
    assert state["planned"] == state["images_seen"] == 30 * 16  # steps of a hundredth of a second each
    assert state["seconds"] == pytest.approx(0.3)
    with pytest.raises(UserError, match="finished"):
        dcgan.resume(folder)


def test_nothing_is_written_when_a_setting_cannot_work(tmp_path: Path):
    for settings in ({"image_size": 30}, {"data": "mnits"}, {"lr": -1.0}, {"gp": 10.0}, {"loss": "wasserstein"}):
        with pytest.raises(UserError):
            dcgan.train("dcgan", out=tmp_path / "r", **settings)
    assert list(tmp_path.iterdir()) == []


def test_a_duration_must_be_given(tmp_path: Path):
    with pytest.raises(UserError, match="how long"):
        start.train_config(dcgan.Config(), tmp_path / "r")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_run_and_the_message_says_how_to_continue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    train_step, steps = loop.train_step, []

    def interrupted_step(state: State) -> None:
        train_step(state)
        steps.append(state.progress.step)
        if state.progress.step == 4:
            signal.raise_signal(number)

    monkeypatch.setattr(loop, "train_step", interrupted_step)
    handler = signal.getsignal(number)
    with pytest.raises(TrainingStopped, match="dcgan resume") as stop:
        dcgan.train("dcgan", out=tmp_path / "r", steps=7, **SMALL)
    assert stop.value.exit_status == 128 + number
    assert steps == [1, 2, 3, 4]
    monkeypatch.setattr(loop, "train_step", train_step)
    assert (tmp_path / "r" / "curves.png").exists()
    assert dcgan.load(tmp_path / "r").trained["step"] == 4
    assert signal.getsignal(number) is handler
    resumed = dcgan.resume(tmp_path / "r")
    assert list(resumed.log.measurements())[-1]["step"] == 7


def test_ctrl_c_while_the_networks_are_compiled_says_how_to_continue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It reaches the compiler too, a process of its own, and the step fails."""

    def interrupted_compilation(state: State) -> None:
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("C++ compile error")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", interrupted_compilation)
        patch.setattr("dcgan.training.set_up._compile", lambda *arguments: None)
        with pytest.raises(
            TrainingStopped, match=r"^stopped while the networks were compiled; continue with: dcgan resume"
        ):
            dcgan.train("dcgan", out=tmp_path / "r", steps=2, compile=True, **SMALL)
        patch.setattr(loop, "train_step", lambda state: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            dcgan.resume(tmp_path / "r")
    monkeypatch.setattr("dcgan.training.set_up._compile", lambda *arguments: None)
    assert list(dcgan.resume(tmp_path / "r").log.measurements())[-1]["step"] == 2


def test_training_works_outside_the_main_thread(tmp_path: Path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        folder = pool.submit(dcgan.train, "dcgan", out=tmp_path / "r", steps=1, **SMALL).result()
    assert folder.model.exists()


def test_a_damaged_checkpoint_is_refused(finished_run: RunFolder, tmp_path: Path):
    shutil.copytree(finished_run.path, tmp_path / "r")
    (tmp_path / "r" / "checkpoint" / "state.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="damaged"):
        dcgan.resume(tmp_path / "r", steps=9)
    assert (tmp_path / "r" / "metrics.jsonl").read_text() == finished_run.log.path.read_text()


@pytest.mark.parametrize("preset", ["dcgan", "cgan", "wgan-gp", "r3gan"])
def test_training_in_bf16(tmp_path: Path, preset: str):
    folder = dcgan.train(preset, out=tmp_path / "r", steps=2, precision="bf16", **SMALL)
    assert dcgan.load(folder).sample(1).shape == (1, 28, 28, 1)


TRAIN_WITHIN_A_LIMIT = """
import resource, sys
from pathlib import Path
import torch
import dcgan.training.start
from dcgan.cli.main import main
used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
limit = used + 1500 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
main(sys.argv[1:])
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say what a process uses")
def test_too_little_memory_is_one_line(tmp_path: Path):
    words = ["train", "--preset", "dcgan", "--batch-size", "65536", "--steps", "2", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-c", TRAIN_WITHIN_A_LIMIT, *words, "--device", "cpu"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert process.returncode == 2
    *_, line = process.stderr.strip().splitlines()
    assert re.fullmatch(
        r"dcgan: (steps with 60,000 pictures of 28x28 need .* GB of memory, .*B are free"
        r"|there is not enough memory \(.*B more were needed, this process can have .* GB in all\)): lower "
        "--batch-size, --image-size, --g-width or --d-width",
        line,
    )
    assert "Traceback" not in process.stderr


def test_the_first_steps_are_logged_at_powers_of_two_and_change_no_measurement(tmp_path: Path):
    often = dcgan.train("dcgan", out=tmp_path / "often", steps=16, **SMALL | {"log_every": 8})
    rare = dcgan.train("dcgan", out=tmp_path / "rare", steps=16, **SMALL | {"log_every": 16})
    early = [[entry["step"] for entry in run.log.events() if entry["event"] == EARLY_EVENT] for run in (often, rare)]
    assert early == [[1, 2, 4], [1, 2, 4, 8]]
    (measured,) = (entry for entry in often.log.measurements() if entry["step"] == 8)
    (mean,) = (entry for entry in rare.log.events() if entry["event"] == EARLY_EVENT and entry["step"] == 8)
    names = measured.keys() - {"seconds"}
    assert {name: mean[name] for name in names} == {name: measured[name] for name in names}
