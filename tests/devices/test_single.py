import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dcgan.devices.connect import Devices, connect_devices
from dcgan.devices.fabric import connect_fabric
from dcgan.devices.single import SingleDevice
from dcgan.presets import configure
from dcgan.training.checkpoint import collect_tensors
from dcgan.training.state import State, set_up
from dcgan.training.step import train_step
from tests.conftest import SMALL


def trained(preset: str, on: Devices) -> State:
    state = set_up(configure(preset, **SMALL), fabric=on)
    for _ in range(3):
        train_step(state)
    return state


@pytest.mark.parametrize("preset", ["dcgan", "wgan-gp", "r3gan"])
def test_it_trains_as_fabric_does_to_the_bit(preset: str):
    config = configure(preset, **SMALL)
    ours, theirs = trained(preset, connect_devices(config)), trained(preset, connect_fabric(config, "cpu"))
    assert isinstance(ours.fabric, SingleDevice)
    assert not isinstance(theirs.fabric, SingleDevice)
    mine, others = collect_tensors(ours.parts()), collect_tensors(theirs.parts())
    assert mine.keys() == others.keys()
    assert all(torch.equal(tensor, others[name]) for name, tensor in mine.items())
    assert torch.equal(ours.totals, theirs.totals)


def test_fabric_comes_in_where_it_has_something_to_do():
    assert connect_devices(configure("dcgan", device="cpu")).world_size == 1
    assert not isinstance(connect_devices(configure("dcgan", device="cpu", precision="bf16")), SingleDevice)


def test_a_training_imports_no_compiler(tmp_path: Path):
    """It would take longer than all else between torch and the first step."""
    words = ["train", *(f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()), "--steps=2"]
    code = (
        "import sys; from dcgan import cli; assert cli.run(sys.argv[1:]) == 0; "
        "print([name for name in ('torch._dynamo', 'lightning_fabric', 'sympy') if name in sys.modules])"
    )
    run = [sys.executable, "-c", code, *words, f"--out={tmp_path / 'r'}"]
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout.splitlines()[-1] == "[]"
