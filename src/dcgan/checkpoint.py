"""The state of a run: everything needed to go on as if it had never stopped. Safetensors and JSON, no pickle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from dcgan.config import FORMAT_VERSION, UserError, read_json
from dcgan.files import recover_folder, sha256, whole_folder

Part = nn.Module | Optimizer


def save(folder: Path, parts: Mapping[str, Part], counters: Mapping[str, Any]) -> None:
    """Write the tensors of every part and the counters; `folder` is replaced when all of it is on the disk."""
    tensors = {f"{name}/{key}": value for name, part in parts.items() for key, value in _tensors(part).items()}
    with whole_folder(folder) as aside:
        try:
            save_file(tensors, aside / "state.safetensors")
        except SafetensorError as error:  # a full disk, say
            raise UserError(f"cannot write {folder}: {error}") from None
        content = {"format_version": FORMAT_VERSION, "sha256": sha256(aside / "state.safetensors"), **counters}
        (aside / "state.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def restore(folder: Path, parts: Mapping[str, Part], *, counters: Mapping[str, Any]) -> dict[str, Any]:
    """Put a saved state back into the parts and return its counters.

    Args:
        folder: what `save` wrote.
        parts: of the same shapes as those that were saved.
        counters: such as were saved: their names and kinds are expected.

    Raises:
        UserError: there is no state, or it is damaged or does not fit the parts.
    """
    recover_folder(folder)
    path = folder / "state.safetensors"
    if not path.is_file():
        raise UserError(f"there is no state in {folder} to go on from")
    found = read_json(folder / "state.json")
    if not all(_alike(found.get(name), value) for name, value in counters.items()):
        raise UserError(f"{folder / 'state.json'} is damaged: it does not say how far the run was")
    if found.get("sha256") != sha256(path):
        raise UserError(f"{path} is damaged: its checksum is not the one in state.json")
    try:
        tensors = load(path.read_bytes())
        for name, part in parts.items():
            _put_back(part, {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")})
    except (SafetensorError, RuntimeError, LookupError, ValueError) as error:
        raise UserError(f"{path} does not fit this run: {' '.join(str(error).split())[:200]}") from None
    return found


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
        moment = torch.empty_like(weight).copy_(tensor) if tensor.shape == weight.shape else tensor
        states.setdefault(int(index), {})[key] = moment
    part.load_state_dict({"state": states, "param_groups": part.state_dict()["param_groups"]})


def _alike(value: object, example: object) -> bool:
    """Whether a counter from a file can stand where `example` does. None, for not yet known, and a number can."""
    if isinstance(example, list):
        return isinstance(value, list) and len(value) == len(example) and all(isinstance(v, float) for v in value)
    if isinstance(example, str):
        return value is None or isinstance(value, str)
    return isinstance(value, int | float) or (value is None and not isinstance(example, float))
