"""Generators that outlive their run: a folder with `config.json`, `model.safetensors` and a card. No pickle."""

import json
from pathlib import Path
from typing import Any, Self

import torch
from huggingface_hub import PyTorchModelHubMixin
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from dcgan.config import FORMAT_VERSION, UserError

CARD = """---
{{ card_data }}
---
# A generator of pictures, {{ size }}

{% if trained -%}
Trained with dcgan on `{{ trained.data }}`, preset `{{ trained.preset }}`: {{ trained.step }} steps,
{{ trained.images_seen }} images seen. The weights are the average over the end of training.

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
    trained: dict[str, Any] | None = None
    """Where a saved generator comes from: data, preset, step, images_seen, command, and the classes' names."""

    def _save_pretrained(self, save_directory: Path) -> None:
        super()._save_pretrained(save_directory)
        arguments: dict[str, Any] = self._hub_mixin_config or {}  # type: ignore[assignment]
        content = {"format_version": FORMAT_VERSION, "family": self.family, **arguments, "trained": self.trained}
        (save_directory / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def generate_model_card(self, *args: Any, **kwargs: Any) -> Any:
        """The card, with what the generator draws and how it was trained."""
        channels, height, width = self.picture_shape
        size = f"{height}x{width}, {channels} channel{'s' * (channels > 1)}"
        return super().generate_model_card(*args, size=size, classes=self.classes, trained=self.trained, **kwargs)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, map_location: str = "cpu", **arguments: Any) -> Self:
        """Load from a local folder: safetensors only, every shape as expected, no memory taken before that is known.

        The mixin's own way would fall back to a pickle, load what fits and print to standard output.
        """
        for hub_argument in ("revision", "cache_dir", "force_download", "local_files_only", "token", "strict"):
            arguments.pop(hub_argument, None)
        path = Path(model_id) / "model.safetensors"
        if not path.is_file():
            raise UserError(f"there is no {path}: give a model folder, or use dcgan.load for a Hub id")
        try:
            with torch.device("meta"):
                network = cls(**arguments)
        except (TypeError, ValueError, RuntimeError):
            raise UserError(
                f"{path.with_name('config.json')} is damaged: it describes no {cls.family} generator"
            ) from None
        _check_shapes(path, network)
        network.load_state_dict(load_file(path, device=map_location), assign=True)
        return network.eval()


def first_weight(network: SavedGenerator) -> Tensor:
    """The matrix that takes z to the generator's first features, (features, z_dim); a class's share is left out."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            return layer.weight[:, : network.z_dim].detach().cpu()
        if isinstance(layer, nn.ConvTranspose2d):
            return layer.weight[: network.z_dim].flatten(1).T.detach().cpu()
    raise UserError(f"{type(network).__name__} has no linear first layer")


def _check_shapes(path: Path, network: nn.Module) -> None:
    """Hold the file's header against the network before any tensor is read."""
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    if found != expected:
        name = sorted(set(found.items()) ^ set(expected.items()))[0][0]
        raise UserError(f"{path} does not fit its config.json: {name} is {found.get(name)}, not {expected.get(name)}")
