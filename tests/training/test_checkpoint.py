import json
from pathlib import Path

import pytest
import torch
from torch import nn

from dcgan.errors import UserError
from dcgan.training import checkpoint


def parts() -> dict[str, nn.Module | torch.optim.Optimizer]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1, fused=True)
    return {"network": network, "optimizer": optimizer}


def save(folder: Path, parts: dict) -> None:
    checkpoint.save_checkpoint(folder, checkpoint.collect_tensors(parts), {"step": 1})


def restore(folder: Path, parts: dict) -> dict:
    found = checkpoint.read_checkpoint(folder, {"step": 0})
    assert checkpoint.restore_tensors(folder, parts) == {}
    return found


def step(parts: dict) -> torch.Tensor:
    loss = parts["network"](torch.ones(2, 3, 5, 5)).square().sum()
    parts["optimizer"].zero_grad()
    loss.backward()
    parts["optimizer"].step()
    return parts["network"][0].weight.detach().clone()


def test_a_restored_state_goes_on_to_the_same_weights(tmp_path: Path):
    first, second = parts(), parts()
    step(first)
    save(tmp_path / "c", first)
    expected = step(first)
    step(second)
    step(second)
    assert restore(tmp_path / "c", second)["step"] == 1
    assert torch.equal(step(second), expected)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    first = parts()
    step(first)
    save(tmp_path / "c", first)
    return tmp_path / "c"


def test_a_state_is_safetensors_and_json(folder: Path):
    assert sorted(f.name for f in folder.iterdir()) == ["state.json", "state.safetensors"]


@pytest.mark.parametrize("at", [0, 9, 200, -1])
def test_a_flipped_byte_is_noticed(folder: Path, at: int):
    path = folder / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="checksum"):
        restore(folder, parts())


def test_a_cut_state_is_noticed(folder: Path):
    path = folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="checksum"):
        restore(folder, parts())


def test_the_state_of_another_network_is_refused(folder: Path):
    other = {"network": nn.Conv2d(3, 5, 3)}
    with pytest.raises(UserError, match="does not fit"):
        restore(folder, other)


def test_the_state_of_a_newer_version_is_refused(folder: Path):
    path = folder / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    with pytest.raises(UserError, match="newer"):
        restore(folder, parts())


def test_no_state_is_said(tmp_path: Path):
    with pytest.raises(UserError, match="no state"):
        restore(tmp_path / "none", parts())


@pytest.mark.parametrize("change", [{"step": "many"}, {"step": [1]}])
def test_counters_of_another_kind_are_refused(folder: Path, change: dict):
    path = folder / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match="damaged"):
        restore(folder, parts())


def test_missing_counters_are_refused(folder: Path):
    with pytest.raises(UserError, match="damaged"):
        checkpoint.read_checkpoint(folder, {"step": 0, "totals": [0.0]})
