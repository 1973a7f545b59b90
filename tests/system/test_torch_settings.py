"""The settings that a program chose for all of torch change no bit of what the package computes, and stay its own."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dcgan
from dcgan.evaluation import measure
from dcgan.exporting.hub import write_hub_folder
from dcgan.run.folder import RunFolder
from dcgan.sampling.invert import invert_image
from dcgan.studio.allowed_paths import DataRoots
from dcgan.studio.drawing_queue import DrawingQueue
from dcgan.system import torch_settings
from dcgan.system.torch_settings import isolate_iteration, isolate_torch_settings, undo_changed_settings
from tests.conftest import SMALL

Settings = Callable[[], AbstractContextManager[object]]


def current_settings() -> tuple[object, ...]:
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
    return torch.get_default_dtype(), torch.get_default_device(), *modes


def reset_settings() -> None:
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    torch.set_autocast_enabled("cpu", False)


@pytest.fixture(autouse=True)
def _leave_no_settings() -> Iterator[None]:
    yield
    reset_settings()


def change_settings() -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.set_autocast_enabled("cpu", True)


@contextmanager
def set_by(function: Callable[[Any], object], value: object) -> Iterator[None]:
    function(value)
    try:
        yield
    finally:
        reset_settings()


CHANGES: dict[str, Settings] = {
    "float64": lambda: set_by(torch.set_default_dtype, torch.float64),
    "bfloat16": lambda: set_by(torch.set_default_dtype, torch.bfloat16),
    "no gradients": lambda: set_by(torch.set_grad_enabled, False),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "another device": lambda: set_by(torch.set_default_device, "meta"),
    "a block of another device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "everything": lambda: set_by(lambda _: change_settings(), None),
}
each_change = pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))


@pytest.fixture(autouse=True)
def _small_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "MAX_REFERENCE_IMAGES", 100)


def saved_state(run: RunFolder) -> bytes:
    return (run.checkpoint / "state.safetensors").read_bytes()


def use_everything(folder: Path) -> dict[str, object]:
    """Train, resume, load, draw, invert, save and evaluate, and return what came out."""
    pictures = np.random.default_rng(0).random((200, 28, 28))
    run = dcgan.train("dcgan", out=folder / "r", data=pictures, steps=4, **SMALL, show_progress=False)
    dcgan.resume(run, steps=6, show_progress=False)
    model = dcgan.load(run)
    pixels = model.sample(70, directions={1: 2.0}, method="activations")
    inversion = invert_image(model, pixels[0])
    write_hub_folder(model, folder / "hub")
    evaluation = dcgan.evaluate(run, n=50, features="random", copies=False, show_progress=False)
    return {
        "trained": saved_state(run),
        "pixels": pixels.tobytes(),
        "frames": [model.walk(3, 4).tobytes(), model.along(1, 4).tobytes()],
        "latents": model.latents(3, truncation=0.5).numpy().tobytes(),
        "inversion": (inversion.z.numpy().tobytes(), inversion.error),
        "hub": (folder / "hub" / "model.safetensors").read_bytes(),
        "classes": dcgan.load("mnist-cgan").sample(5).tobytes(),
        "metrics": evaluation.metrics,
    }


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(measure, "MAX_REFERENCE_IMAGES", 100)
        return use_everything(tmp_path_factory.mktemp("expected"))


@each_change
def test_settings_of_the_program_change_no_bit_and_stay(tmp_path: Path, change: Settings, expected: dict[str, object]):
    with change():
        before = current_settings()
        results = use_everything(tmp_path)
        assert current_settings() == before
    assert results == expected


@each_change
def test_a_stream_draws_the_same_and_leaves_the_settings_between_its_batches(change: Settings):
    expected = dcgan.load("mnist-cgan").sample(70)
    with change():
        before = current_settings()
        stream = dcgan.load("mnist-cgan").stream(70)
        batches = []
        for batch in stream.batches:
            assert current_settings() == before
            batches.append(batch)
        labels = stream.labels(9, 2)
    assert np.array_equal(np.concatenate(batches), expected)
    assert labels is not None
    assert labels.tolist() == [9, 0]


class Changer:
    """A callback that changes all settings in every method."""

    def on_start(self, _: object) -> None:
        change_settings()

    on_step = on_log = on_snapshot = on_end = on_start

    def should_stop(self) -> bool:
        change_settings()
        return False


def test_a_callback_changes_no_bit_of_the_training(tmp_path: Path):
    runs = [
        dcgan.train("dcgan", out=tmp_path / str(len(callbacks)), steps=4, callbacks=callbacks, **SMALL)
        for callbacks in ([], [Changer()])
    ]
    assert saved_state(runs[0]) == saved_state(runs[1])
    assert current_settings() == (torch.float32, torch.device("cpu"), True, False, False)


def test_what_a_block_changes_is_undone():
    before = current_settings()
    with isolate_torch_settings():
        change_settings()
        undo_changed_settings()
        assert current_settings() == before
        change_settings()
    assert current_settings() == before


def test_an_iteration_computes_apart_from_the_program_that_reads_it():
    with torch.no_grad():
        for is_enabled in isolate_iteration(torch.is_grad_enabled() for _ in range(2)):
            assert is_enabled
            assert not torch.is_grad_enabled()


def test_the_default_dtype_is_restored_after_the_last_of_several_threads():
    torch.set_default_dtype(torch.float64)
    ends, found = threading.Event(), []

    def compute() -> None:
        with isolate_torch_settings():
            ends.wait(60)
            found.append(torch.get_default_dtype())

    with isolate_torch_settings():
        thread = threading.Thread(target=compute)
        thread.start()
        while not isolates_two_blocks():
            time.sleep(0.01)
    ends.set()
    thread.join()
    assert found == [torch.float32]
    assert torch.get_default_dtype() == torch.float64


def isolates_two_blocks() -> bool:
    return torch_settings._default_dtype._block_count == 2


def test_the_studio_of_a_notebook_draws_whatever_the_default_dtype_is(finished_run: RunFolder):
    torch.set_default_dtype(torch.float64)
    queue = DrawingQueue(DataRoots(()))
    try:
        latents = asyncio.run(queue.run(lambda models: models.latents(finished_run.path, 0, 1, None)))
        drawn = asyncio.run(queue.run(lambda models: models.draw(finished_run.path, latents, None)))
    finally:
        queue.close()
    assert len(drawn) == 28 * 28
