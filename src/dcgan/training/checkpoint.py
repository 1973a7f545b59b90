"""The checkpoint of a run: tensors as safetensors and a record as JSON, without pickle.

A checkpoint holds everything that is needed to continue a run as if it had never stopped. Its two files are written
as a whole or not at all, and each has a checksum.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from dcgan.errors import UserError
from dcgan.files import atomic_folder, read_atomic_folder, read_json, sha256, to_json_text
from dcgan.system.tensor_files import refuse_unwritable
from dcgan.training.progress import CheckpointRecord, record_from_json, record_to_json

Part = nn.Module | Optimizer
"""Something with tensors that a checkpoint holds."""
TENSORS_NAME, RECORD_NAME = "state.safetensors", "state.json"


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensor], record: CheckpointRecord) -> None:
    """Write tensors (see `collect_tensors`) and a record; `folder` is replaced once all of it is on the disk.

    Raises:
        UserError: the disk is full, for example.
    """
    with refuse_unwritable(folder), atomic_folder(folder) as temporary:
        save_file(without_sharing(tensors), temporary / TENSORS_NAME)
        content = {"sha256": sha256(temporary / TENSORS_NAME), **record_to_json(record)}
        text = json.loads(to_json_text(content))
        text["checksum"] = _checksum(text)
        (temporary / RECORD_NAME).write_text(to_json_text(text), encoding="utf-8")


def without_sharing(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by name, with a copy of each that shares its memory with an earlier one.

    A network may use one layer twice, and a file holds no tensor twice.
    """
    seen, separate = set[int](), {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        separate[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return separate


def read_checkpoint(folder: Path) -> CheckpointRecord:
    """Read the record of a checkpoint after comparing its tensors with their checksum. Nothing is changed.

    Args:
        folder: what `save_checkpoint` wrote.

    Raises:
        UserError: there is no checkpoint, or it is damaged.
    """
    return read_atomic_folder(folder, _read_record)


def _read_record(folder: Path) -> CheckpointRecord:
    path, record_path = folder / TENSORS_NAME, folder / RECORD_NAME
    if not path.is_file():
        raise UserError(f"there is no checkpoint in {folder} to continue from")
    content = read_json(record_path)
    if content.pop("checksum", None) != _checksum(content):
        raise UserError(f"{record_path} is damaged: its checksum does not match its content")
    if content.get("sha256") != sha256(path):
        raise UserError(f"{path} is damaged: its checksum is not the one in {RECORD_NAME}")
    return record_from_json(content, record_path)


def restore_tensors(folder: Path, parts: Mapping[str, Part]) -> dict[str, Tensor]:
    """Load the tensors of a checkpoint into the parts; return those that belong to none of them.

    Args:
        folder: what `save_checkpoint` wrote and `read_checkpoint` has checked.
        parts: of the same shapes as those that were saved.

    Raises:
        UserError: the tensors do not fit the parts.
    """
    try:
        # Not memory-mapped: the file is replaced while its tensors are still in use.
        saved = load(read_atomic_folder(folder, lambda current: (current / TENSORS_NAME).read_bytes()))
        load_tensors(parts, saved)
    except (SafetensorError, RuntimeError, LookupError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{folder / TENSORS_NAME} does not fit this run: {reason}") from None
    return {name: tensor for name, tensor in saved.items() if name.partition("/")[0] not in parts}


def read_tensor_names(folder: Path) -> set[str]:
    """Return the names of the tensors of a checkpoint."""

    def read(current: Path) -> set[str]:
        with safe_open(current / TENSORS_NAME, "pt") as tensors:
            return set(tensors.keys())

    return read_atomic_folder(folder, read)


def collect_tensors(parts: Mapping[str, Part]) -> dict[str, Tensor]:
    """Return the tensors of every part by PART/NAME. They are not copied: further training changes them."""
    return {f"{name}/{key}": tensor for name, part in parts.items() for key, tensor in _tensors_of(part).items()}


def load_tensors(parts: Mapping[str, Part], saved: Mapping[str, Tensor]) -> None:
    """Load tensors, named as by `collect_tensors`, into the parts."""
    for name, part in parts.items():
        prefix = f"{name}/"
        _load_into(part, {k.removeprefix(prefix): v for k, v in saved.items() if k.startswith(prefix)})


def _checksum(content: Mapping[str, Any]) -> str:
    """Return a hash of what a JSON object says, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _tensors_of(part: Part) -> dict[str, Tensor]:
    if isinstance(part, nn.Module):
        return {name: tensor.contiguous() for name, tensor in part.state_dict().items()}
    states = part.state_dict()["state"]
    return {f"{i}/{key}": value.contiguous() for i, state in states.items() for key, value in state.items()}


def _load_into(part: Part, tensors: dict[str, Tensor]) -> None:
    if isinstance(part, nn.Module):
        part.load_state_dict(tensors)
        return
    weights = [weight for group in part.param_groups for weight in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        index, key = path.split("/")
        weight = weights[int(index)]
        # A moment must have the memory layout of its weight (channels_last): fused Adam reads both as flat arrays.
        moment = torch.empty_like(weight).copy_(tensor) if tensor.shape == weight.shape else tensor.clone()
        states.setdefault(int(index), {})[key] = moment
    part.load_state_dict({"state": states, "param_groups": part.state_dict()["param_groups"]})
