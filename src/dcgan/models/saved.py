"""Generators that outlive their run: a folder with `config.json`, `model.safetensors` and a card. No pickle."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from dcgan.errors import UserError
from dcgan.files import FORMAT_VERSION, read_json, sha256
from dcgan.models.blocks import SkipInitialization

CARD = """---
{{ card_data }}
---
# A generator of pictures, {{ size }}

{% if trained -%}
Trained with dcgan on `{{ trained.data }}`, preset `{{ trained.preset }}`: {{ trained.step }} steps,
{{ trained.images_seen }} images seen.{% if trained.averaged %}
The weights are an average over the end of training.{% endif %}

{% if trained.command -%}
To train it again:

```
{{ trained.command }}
```
{%- endif -%}
{%- else -%}
Saved with dcgan.
{%- endif %}

To use it:

```python
import dcgan
images = dcgan.load("this folder, or its Hub id").sample(n=16, seed=0)  # uint8 (N, H, W, C)
```
{% if classes %}
It draws {{ classes }} classes: `sample(n=16, label=0)` draws the first.
{% endif %}"""


LARGEST = 65_536
"""Latents, channels, pixels of a side or classes of a saved generator."""
LARGEST_PICTURE = 2**20
"""Values in one of its pictures: ours have up to a quarter of that."""


class SavedGenerator(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="dcgan",
    license="mit",
    pipeline_tag="unconditional-image-generation",
    tags=["gan", "unconditional-image-generation"],
    model_card_template=CARD,
):
    """A generator with the Hub's `save_pretrained`, `from_pretrained` and `push_to_hub`.

    Subclasses name their `family`, take only JSON values in their constructor, and set `z_dim`, `picture_shape` and,
    if they can be told what to draw, `classes`: their forward then takes labels, int64 (N,), after the latents.
    """

    family: str
    z_dim: int
    picture_shape: tuple[int, int, int]
    """(C, H, W) of what it draws."""
    classes: int = 0
    """How many classes can be asked for; 0 if it takes no labels."""
    groups: int = 0
    """How many groups of look-alikes the first numbers of z choose from: see `models.groups`."""
    trained: dict[str, Any] | None = None
    """Where a saved generator comes from: data, preset, step, images_seen, command, and the classes' names."""

    @property
    def described(self) -> dict[str, Any]:
        """The family, and the arguments by name: what it takes to build another one."""
        arguments: dict[str, Any] = self._hub_mixin_config or {}  # type: ignore[assignment]
        return {"family": self.family, **arguments}

    def _save_pretrained(self, save_directory: Path) -> None:
        super()._save_pretrained(save_directory)
        content = {
            "format_version": FORMAT_VERSION,
            **self.described,
            "sha256": sha256(save_directory / "model.safetensors"),
            "trained": self.trained,
        }
        (save_directory / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def generate_model_card(self, *args: Any, **kwargs: Any) -> Any:
        """The card, with what the generator draws and how it was trained."""
        channels, height, width = self.picture_shape
        size = f"{height}x{width}, {channels} channel{'s' * (channels > 1)}"
        return super().generate_model_card(*args, size=size, classes=self.classes, trained=self.trained, **kwargs)

    def first_weight(self) -> Tensor:
        """The matrix that takes z to the first features, (features, z_dim); a class's share is left out."""
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                return layer.weight[:, : self.z_dim].detach().cpu()
            if isinstance(layer, nn.ConvTranspose2d):
                return layer.weight[: self.z_dim].flatten(1).T.detach().cpu()
        raise UserError(f"{type(self).__name__} has no linear first layer")

    @classmethod
    def _from_pretrained(cls, *, model_id: str, map_location: str = "cpu", **arguments: Any) -> Self:
        """Load from a local folder or the Hub: safetensors only, every shape as expected.

        No memory is taken before that is known. The mixin's own way would fall back to a pickle, load what fits and
        print to standard output.
        """
        arguments.pop("strict", None)
        names = ("revision", "cache_dir", "force_download", "local_files_only", "token")
        hub = {name: arguments.pop(name) for name in names if name in arguments}
        if os.path.isdir(model_id):
            path = Path(model_id) / "model.safetensors"
        else:
            path = Path(hf_hub_download(model_id, filename="model.safetensors", **hub))
        if not path.is_file():
            raise UserError(f"there is no {path}: give the folder of a saved model, or a Hub id")
        try:
            _check_bounded(arguments)
            with torch.device("meta"), SkipInitialization():
                network = cls(**arguments)
            if math.prod(network.picture_shape) > LARGEST_PICTURE:
                raise ValueError(network.picture_shape)
        except (TypeError, ValueError, RuntimeError):
            raise UserError(
                f"{path.with_name('config.json')} is damaged: it describes no {cls.family} generator"
            ) from None
        _check_content(path, network)
        tensors = load_file(path, device=map_location)
        network.load_state_dict({k: t.float() if t.dtype == torch.half else t for k, t in tensors.items()}, assign=True)
        return network.eval()


def _check_bounded(sizes: Mapping[str, Any]) -> None:
    """Refuse sizes that nobody has: a file from elsewhere must not take more memory or time than a picture needs."""
    for value in sizes.values():
        if isinstance(value, dict):
            _check_bounded(value)
        for size in value if isinstance(value, list) else [value]:
            if isinstance(size, int) and not 0 <= size <= LARGEST:
                raise ValueError(size)


KINDS = {torch.float32: "F32", torch.int64: "I64"}
HALF = {"F16": "F32"}
"""A file may hold half precision: half the size, and samples within a level or two of 255."""


def _check_content(path: Path, network: nn.Module) -> None:
    """Hold the file's header against the network, and its checksum against config.json, before a tensor is read."""
    expected = {k: (KINDS[t.dtype], tuple(t.shape)) for k, t in network.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            kinds = {name: HALF.get(part.get_dtype(), part.get_dtype()) for name, part in slices.items()}
            found = {name: (kinds[name], tuple(part.get_shape())) for name, part in slices.items()}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    if found != expected:
        name = sorted(set(found.items()) ^ set(expected.items()))[0][0]
        raise UserError(f"{path} does not fit its config.json: {name} is {found.get(name)}, not {expected.get(name)}")
    if read_json(path.with_name("config.json")).get("sha256", checksum := sha256(path)) != checksum:
        raise UserError(f"{path} is damaged: its checksum is not the one in config.json")
