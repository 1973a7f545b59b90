import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dcgan.alone import Alone
from dcgan.checkpoint import tensors
from dcgan.config import configure
from dcgan.devices import Devices, connect
from dcgan.fabric import fabric
from dcgan.state import State, setup
from dcgan.step import update
from tests.conftest import SMALL


def trained(preset: str, on: Devices) -> State:
    state = setup(configure(preset, **SMALL), fabric=on)
    for _ in range(3):
        update(state)
    return state


@pytest.mark.parametrize("preset", ["dcgan", "wgan-gp", "r3gan"])
def test_it_trains_as_fabric_does_to_the_bit(preset: str):
    config = configure(preset, **SMALL)
    ours, theirs = trained(preset, connect(config)), trained(preset, fabric(config, "cpu"))
    assert isinstance(ours.fabric, Alone)
    assert not isinstance(theirs.fabric, Alone)
    mine, others = tensors(ours.parts()), tensors(theirs.parts())
    assert mine.keys() == others.keys()
    assert all(torch.equal(tensor, others[name]) for name, tensor in mine.items())
    assert torch.equal(ours.totals, theirs.totals)


def test_fabric_comes_in_where_it_has_something_to_do():
    assert connect(configure("dcgan", device="cpu")).world_size == 1
    assert not isinstance(connect(configure("dcgan", device="cpu", precision="bf16")), Alone)


def test_a_training_imports_no_compiler(tmp_path: Path):
    """It would take longer than all else between torch and the first step."""
    words = ["train", *(f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()), "--steps=2"]
    code = (
        "import sys; from dcgan import cli; assert cli.run(sys.argv[1:]) == 0; "
        "print([name for name in ('torch._dynamo', 'lightning_fabric', 'sympy') if name in sys.modules])"
    )
    run = [sys.executable, "-c", code, *words, f"--out={tmp_path / 'r'}"]
    assert subprocess.run(run, check=True, capture_output=True, text=True).stdout.splitlines()[-1] == "[]"
