"""The state of a run: everything needed to go on as if it had never stopped. Safetensors and JSON, no pickle."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from dcgan.errors import UserError
from dcgan.files import FORMAT_VERSION, atomic_folder, read_json, recover_interrupted_folder, sha256

Part = nn.Module | Optimizer


def save_checkpoint(folder: Path, tensors: Mapping[str, Tensor], counters: Mapping[str, Any]) -> None:
    """Write tensors (see `tensors`) and counters; `folder` is replaced when all of it is on the disk."""
    with atomic_folder(folder) as aside:
        try:
            save_file(dict(tensors), aside / "state.safetensors")
        except SafetensorError as error:  # a full disk, say
            raise UserError(f"cannot write {folder}: {error}") from None
        content = {"format_version": FORMAT_VERSION, "sha256": sha256(aside / "state.safetensors"), **counters}
        content["checksum"] = _checksum(content)
        (aside / "state.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_checkpoint(folder: Path, like: Mapping[str, Any]) -> dict[str, Any]:
    """The counters of a saved state, after its tensors were held against their checksum.

    Args:
        folder: what `save` wrote.
        like: an example of each counter: its name and kind are expected.

    Raises:
        UserError: there is no state, or it is damaged.
    """
    recover_interrupted_folder(folder)
    path = folder / "state.safetensors"
    if not path.is_file():
        raise UserError(f"there is no state in {folder} to go on from")
    found = read_json(folder / "state.json")
    damaged = f"{folder / 'state.json'} is damaged"
    if found.pop("checksum", None) != _checksum(found):
        raise UserError(f"{damaged}: its checksum is not its own")
    if not all(_alike(found.get(name), value) for name, value in like.items()):
        raise UserError(f"{damaged}: it does not say how far the run was")
    if found.get("sha256") != sha256(path):
        raise UserError(f"{path} is damaged: its checksum is not the one in state.json")
    return found


def restore_tensors(folder: Path, parts: Mapping[str, Part]) -> dict[str, Tensor]:
    """Put the tensors of a saved state back into the parts; return those that belong to none of them.

    Args:
        folder: what `save` wrote and `read` has found whole.
        parts: of the same shapes as those that were saved.

    Raises:
        UserError: the tensors do not fit the parts.
    """
    path = folder / "state.safetensors"
    try:
        saved = load(path.read_bytes())  # not mapped: the file is replaced while its tensors live on
        load_tensors(parts, saved)
    except (SafetensorError, RuntimeError, LookupError, ValueError) as error:
        raise UserError(f"{path} does not fit this run: {' '.join(str(error).split())[:200]}") from None
    return {name: tensor for name, tensor in saved.items() if name.partition("/")[0] not in parts}


def collect_tensors(parts: Mapping[str, Part]) -> dict[str, Tensor]:
    """The tensors of every part, by PART/NAME. They are the parts' own: what trains on changes them."""
    return {f"{name}/{key}": value for name, part in parts.items() for key, value in _tensors(part).items()}


def load_tensors(parts: Mapping[str, Part], saved: Mapping[str, Tensor]) -> None:
    """Fill the parts with tensors as `tensors` names them."""
    for name, part in parts.items():
        _put_back(part, {k.removeprefix(f"{name}/"): v for k, v in saved.items() if k.startswith(f"{name}/")})


def _checksum(content: Mapping[str, Any]) -> str:
    """Of what a JSON object says, in whatever order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _tensors(part: Part) -> dict[str, Tensor]:
    if isinstance(part, nn.Module):
        return {name: tensor.contiguous() for name, tensor in part.state_dict().items()}
    states = part.state_dict()["state"]
    return {f"{i}/{key}": value.contiguous() for i, state in states.items() for key, value in state.items()}


def _put_back(part: Part, tensors: dict[str, Tensor]) -> None:
    if isinstance(part, nn.Module):
        part.load_state_dict(tensors)
        return
    weights = [weight for group in part.param_groups for weight in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        index, key = path.split("/")
        weight = weights[int(index)]
        # A moment must lie in memory as its weight does (channels_last): fused Adam walks both as flat arrays.
        moment = torch.empty_like(weight).copy_(tensor) if tensor.shape == weight.shape else tensor.clone()
        states.setdefault(int(index), {})[key] = moment
    part.load_state_dict({"state": states, "param_groups": part.state_dict()["param_groups"]})


def _alike(value: object, example: object) -> bool:
    """Whether a counter from a file can stand where `example` does. None, for not yet known, and a number can."""
    if isinstance(example, list):
        return isinstance(value, list) and len(value) == len(example) and all(isinstance(v, float) for v in value)
    if isinstance(example, dict):
        return isinstance(value, dict) and all(_alike(value.get(name), kind) for name, kind in example.items())
    if isinstance(example, str):
        return value is None or isinstance(value, str)
    return isinstance(value, int | float) or (value is None and not isinstance(example, float))
