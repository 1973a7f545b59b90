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
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from dcgan.training.step import train_step
from tests.conftest import SMALL


def train_three_steps(preset: str, fabric: Devices) -> State:
    state = set_up(configure(preset, **SMALL), fabric=fabric)
    for _ in range(3):
        train_step(state)
    return state


@pytest.mark.parametrize("preset", ["dcgan", "wgan-gp", "r3gan"])
def test_a_single_device_trains_as_fabric_does_to_the_bit(preset: str):
    config = configure(preset, **SMALL)
    single = train_three_steps(preset, connect_devices(config))
    with_fabric = train_three_steps(preset, connect_fabric(config, "cpu"))
    assert isinstance(single.fabric, SingleDevice)
    assert not isinstance(with_fabric.fabric, SingleDevice)
    tensors, expected = collect_tensors(single.saved_parts()), collect_tensors(with_fabric.saved_parts())
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors.items())
    assert torch.equal(single.sums.totals, with_fabric.sums.totals)


def test_fabric_is_used_where_it_has_something_to_do():
    assert connect_devices(configure("dcgan", device="cpu")).world_size == 1
    assert not isinstance(connect_devices(configure("dcgan", device="cpu", precision="bf16")), SingleDevice)


@pytest.mark.slow
def test_a_training_imports_no_compiler(tmp_path: Path):
    """Importing it would take longer than everything else up to the first step. An older torchvision does it itself."""
    words = ["train", *(f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()), "--steps=2"]
    slow = "('torch._dynamo', 'lightning_fabric', 'sympy')"
    code = (
        f"import sys, torch, torchvision; slow = [name for name in {slow} if name not in sys.modules]; "
        "from dcgan.cli.main import run; assert run(sys.argv[1:]) == 0; "
        "print([name for name in slow if name in sys.modules])"
    )
    run = [sys.executable, "-c", code, *words, f"--out={tmp_path / 'r'}"]
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout.splitlines()[-1] == "[]"
