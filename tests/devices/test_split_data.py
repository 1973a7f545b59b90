"""Two processes, each of which holds another part of the data."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from safetensors.torch import load_file

import dcgan
from dcgan import UserError
from dcgan.devices.processes import run_on_devices
from dcgan.presets import configure
from dcgan.run.folder import RunFolder
from dcgan.training import step
from dcgan.training.set_up import set_up
from tests.data.test_parts import write_shards
from tests.devices import split_crew
from tests.devices.test_devices import START_TIMEOUT_S, content
from tests.rounding import rounding_tolerance

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the folder with the results of `split_crew.work` in two processes. Tests only read it."""
    folder = tmp_path_factory.mktemp("crew")
    write_shards(folder / "shards", ["a", "b", "c"], count=27)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DCGAN_CACHE", str(folder / "cache"))
        run_on_devices(split_crew.config_of(folder, steps=1), partial(split_crew.work, folder=folder), custom_names=[])
        yield folder


def test_the_gradients_are_those_of_one_process_with_the_same_batch(results: Path, tmp_path: Path):
    saved = load_file(results / "gradients.safetensors")
    sizes = []
    for images_seen in split_crew.IMAGES_SEEN:
        reals = saved[f"{images_seen}/reals"]
        sizes.append(len(reals))
        config = split_crew.config_of(results, **split_crew.INDEPENDENT_UPDATES | {"batch_size": 32})
        whole = {"data": "mnist", "split_data": False, "devices": 1, "batch_size": len(reals)}
        state = set_up(configure("dcgan", **split_crew.INDEPENDENT_UPDATES | whole))
        assert config.seed == state.config.seed
        state.progress.images_seen = images_seen
        with patch.object(step, "next_reals", lambda state, reals=reals: (reals, ())):
            step.train_step(state)
        for part, network in (("g", state.generator), ("d", state.discriminator)):
            for i, parameter in enumerate(network.parameters()):
                atol = rounding_tolerance(parameter.grad)
                torch.testing.assert_close(saved[f"{images_seen}/{part}/{i}"], parameter.grad, rtol=1e-5, atol=atol)
    assert sizes[:2] == [32, 32]
    assert 0 < sizes[2] < 32


@pytest.mark.parametrize("preset", ["dcgan", "fast"])
def test_a_resumed_run_equals_one_that_was_not_interrupted(results: Path, preset: str):
    whole, part = RunFolder(results / f"{preset}-whole"), RunFolder(results / f"{preset}-part")
    assert content(part) == content(whole)
    record = json.loads((whole.checkpoint / "state.json").read_text())
    assert (record["step"], record["data_parts"]) == (7, 2)
    assert json.loads((whole.model / "config.json").read_text())["trained"]["data_parts"] == 2


def test_labels_and_measurements_work(results: Path, monkeypatch: pytest.MonkeyPatch):
    run = RunFolder(results / "fast-whole")
    model = dcgan.load(run)
    assert model.classes == ("0", "1", "2")
    monkeypatch.setenv("DCGAN_CACHE", str(results / "cache"))
    result = dcgan.evaluate(run, features="random", split="all", n=60, show_progress=False)
    assert any("divided among 2 processes: the real pictures are those of the first part" in n for n in result.notes)


@pytest.mark.parametrize("devices", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_another_number_of_processes_is_refused(results: Path, devices: int):
    message = (
        f"cannot be resumed on {devices} process(es)?: its data are divided among 2, and the order of the pictures"
    )
    with pytest.raises(UserError, match=message):
        dcgan.resume(results / "dcgan-whole", devices=devices, steps=9)


def test_one_process_has_nothing_to_divide(results: Path, refused):
    words = ["train", "--data", str(results / "shards"), "--split-data", "--steps", "1", "--device", "cpu"]
    assert "--split-data divides the data among processes, and there is one: give --devices" in refused(*words)


@pytest.mark.slow
def test_four_processes_hold_a_quarter_of_a_million_pictures_each():
    words = [sys.executable, "-m", "benchmarks.split_data", "--steps", "5"]
    output = subprocess.run(words, check=True, capture_output=True, text=True, timeout=3 * START_TIMEOUT_S).stdout
    processes = json.loads(output)["processes"]
    assert [process["drawn"] for process in processes] == [250_000] * 4
    assert all(process["pixel_bytes"] <= 250_000 * 28 * 28 for process in processes)
