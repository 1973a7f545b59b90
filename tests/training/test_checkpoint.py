import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import dcgan
from dcgan.errors import UserError
from dcgan.training import checkpoint, snapshot
from dcgan.training.checkpoint import Part
from dcgan.training.progress import CheckpointRecord
from tests.conftest import SMALL

pytestmark = pytest.mark.usefixtures("without_report")


def make_parts() -> dict[str, Part]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1, fused=True)
    return {"network": network, "optimizer": optimizer}


def save(folder: Path, parts: dict[str, Part]) -> None:
    checkpoint.save_checkpoint(folder, checkpoint.collect_tensors(parts), CheckpointRecord(step=1))


def restore(folder: Path, parts: dict[str, Part]) -> CheckpointRecord:
    record = checkpoint.read_checkpoint(folder)
    assert checkpoint.restore_tensors(folder, parts) == {}
    return record


def train_step(parts: dict[str, Any]) -> torch.Tensor:
    loss = parts["network"](torch.ones(2, 3, 5, 5)).square().sum()
    parts["optimizer"].zero_grad()
    loss.backward()
    parts["optimizer"].step()
    return parts["network"][0].weight.detach().clone()


def change_record(folder: Path, *, removed: str = "", **values: Any) -> None:
    """Change a record and make its checksum match again."""
    path = folder / "state.json"
    content = json.loads(path.read_text()) | values
    for name in ("checksum", removed):
        content.pop(name, None)
    path.write_text(json.dumps(content | {"checksum": checkpoint._checksum(content)}))


def test_a_restored_checkpoint_continues_to_the_same_weights(tmp_path: Path):
    first, second = make_parts(), make_parts()
    train_step(first)
    save(tmp_path / "c", first)
    expected = train_step(first)
    train_step(second)
    train_step(second)
    assert restore(tmp_path / "c", second).step == 1
    assert torch.equal(train_step(second), expected)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    parts = make_parts()
    train_step(parts)
    save(tmp_path / "c", parts)
    return tmp_path / "c"


def test_a_checkpoint_is_safetensors_and_json(folder: Path):
    assert sorted(f.name for f in folder.iterdir()) == ["state.json", "state.safetensors"]


@pytest.mark.parametrize("position", [0, 9, 200, -1])
def test_a_flipped_bit_is_noticed(folder: Path, position: int):
    path = folder / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="checksum"):
        restore(folder, make_parts())


def test_a_truncated_file_is_noticed(folder: Path):
    path = folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match="checksum"):
        restore(folder, make_parts())


def test_the_checkpoint_of_another_network_is_refused(folder: Path):
    other = {"network": nn.Conv2d(3, 5, 3)}
    with pytest.raises(UserError, match="does not fit"):
        restore(folder, other)


def test_the_checkpoint_of_a_newer_version_is_refused(folder: Path):
    path = folder / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 99}))
    with pytest.raises(UserError, match="newer"):
        restore(folder, make_parts())


def test_a_missing_checkpoint_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="there is no checkpoint"):
        restore(tmp_path / "none", make_parts())


@pytest.mark.parametrize("change", [{"step": "many"}, {"step": [1]}])
def test_a_changed_record_is_refused(folder: Path, change: dict):
    path = folder / "state.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match="damaged"):
        restore(folder, make_parts())


@pytest.mark.parametrize("change", [{"step": "many"}, {"step": [1]}])
def test_a_field_of_another_type_is_refused(folder: Path, change: dict):
    change_record(folder, **change)
    with pytest.raises(UserError, match=r"state\.json is damaged: step is "):
        restore(folder, make_parts())


@pytest.mark.parametrize("name", ["step", "totals"])
def test_a_missing_field_is_refused(folder: Path, name: str):
    change_record(folder, removed=name)
    with pytest.raises(UserError, match=f"damaged: {name} is None"):
        checkpoint.read_checkpoint(folder)


def test_tensors_that_belong_to_no_part_are_returned(tmp_path: Path):
    parts = make_parts()
    tensors = checkpoint.collect_tensors(parts) | {"healthy/network/x": torch.ones(2)}
    checkpoint.save_checkpoint(tmp_path / "c", tensors, CheckpointRecord())
    others = checkpoint.restore_tensors(tmp_path / "c", parts)
    assert others.keys() == {"healthy/network/x"}
    assert torch.equal(others["healthy/network/x"], torch.ones(2))


def test_a_reader_does_not_complete_an_interrupted_write(tmp_path: Path):
    # The trainer has moved the old checkpoint out of the way and is about to give the new one its name.
    parts = make_parts()
    train_step(parts)
    save(tmp_path / "c", parts)
    (tmp_path / "c").rename(tmp_path / ".c.old")
    assert restore(tmp_path / "c", make_parts()).step == 1
    assert [path.name for path in tmp_path.iterdir()] == [".c.old"]


def test_a_run_whose_discriminator_had_no_biases_is_refused(tmp_path: Path):
    """As an earlier version built it without normalization."""
    settings = SMALL | {"network": "dcgan64", "d_norm": "none", "image_size": 16}
    run = dcgan.train("dcgan", out=tmp_path / "run", steps=1, **settings)
    tensors, record = load_file(run.checkpoint / "state.safetensors"), checkpoint.read_checkpoint(run.checkpoint)
    kept = {k: t for k, t in tensors.items() if not (k.startswith("discriminator/") and k.endswith(".bias"))}
    checkpoint.save_checkpoint(run.checkpoint, kept, record)
    with pytest.raises(UserError, match="an earlier version began it, whose discriminator had no biases"):
        dcgan.resume(run, steps=2)


def test_a_discriminator_of_ones_own_that_has_got_a_bias_is_no_earlier_version(tmp_path: Path):
    def make(has_bias: bool) -> nn.Module:
        return nn.Sequential(nn.Conv2d(1, 1, 28, bias=has_bias), nn.Flatten())

    run = dcgan.train("dcgan", out=tmp_path / "run", steps=1, discriminator=make(False), **SMALL)
    with pytest.raises(UserError, match="does not fit this run"):
        dcgan.resume(run, steps=2, discriminator=make(True))


@pytest.mark.usefixtures("small_validation")
@pytest.mark.parametrize("save_every", [3, 5])
def test_a_run_that_is_killed_after_its_last_checkpoint_lacks_no_line_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_every: int
):
    logs: list[str] = []
    log = tmp_path / "r" / "metrics.jsonl"

    def save_checkpoint(*arguments: Any) -> None:
        checkpoint.save_checkpoint(*arguments)
        logs.append(log.read_text())

    monkeypatch.setattr(snapshot, "save_checkpoint", save_checkpoint)
    settings = SMALL | {"save_every": save_every, "evaluate_every": 3}
    run = dcgan.train("dcgan", out=tmp_path / "r", steps=5, **settings)
    assert logs[-1] == log.read_text()
    assert [entry["step"] for entry in run.log.entries() if entry.get("event") == "measured"] == [3, 5]
    dcgan.resume(run, steps=6)
    assert [entry["step"] for entry in run.log.entries() if entry.get("event") == "measured"] == [3, 6]
    assert [entry["step"] for entry in run.log.measurements()] == [2, 4, 6]
