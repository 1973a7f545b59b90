"""The base of all generators: saved as `config.json`, `model.safetensors` and a card, and loaded without a pickle."""

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

from dcgan.cache import expand_user
from dcgan.errors import UserError
from dcgan.files import error_reason, read_json, sha256, to_json_text
from dcgan.models.blocks import SkipInitialization
from dcgan.system.torch_settings import isolate_torch_settings

MODEL_CARD_TEMPLATE = """---
{{ card_data }}
---
# A generator of pictures, {{ size }}

{% if trained -%}
Trained with dcgan on `{{ trained.data }}`, preset `{{ trained.preset }}`: {{ trained.step }} steps,
{{ trained.images_seen }} images seen.{% if trained.averaged %}
The weights are an average over the end of training.{% endif %}{% if trained.features %}
It was trained to match the features `{{ trained.features }}`, so metrics by these features are too good.{% endif %}

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
MAX_ARGUMENT = 65_536
"""The largest latent, number of channels, side or number of classes of a saved generator."""
MAX_PICTURE_VALUES = 2**20
"""The largest number of values in a picture of a saved generator. Ours have up to a quarter of that."""
HUB_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token")
"""Arguments of `from_pretrained` that are meant for the Hub, not for the constructor."""
WEIGHTED_LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)
SAFETENSORS_TYPES = {torch.float32: "F32", torch.int64: "I64"}
FULL_PRECISION = {"F16": "F32"}
"""The type that a tensor of half precision is loaded as. A file with half precision has half the size, and its samples
differ by a level or two of 255."""


class SavedGenerator(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="dcgan",
    license="unknown",  # of the weights, which only their owner can say
    pipeline_tag="unconditional-image-generation",
    tags=["gan", "unconditional-image-generation"],
    model_card_template=MODEL_CARD_TEMPLATE,
):
    """A generator with the Hub's `save_pretrained`, `from_pretrained` and `push_to_hub`.

    A subclass names its `family`, takes only JSON values in its constructor, and sets `z_dim` and `picture_shape`. If
    it draws classes, it also sets `classes`, and its `forward` takes labels int64 (N,) after the latents.
    """

    family: str = ""
    """Name of the family in `families.FAMILIES`."""
    z_dim: int
    """Length of the latent z."""
    picture_shape: tuple[int, int, int]
    """(C, H, W) of the pictures."""
    classes: int = 0
    """Number of classes; 0 if it takes no labels."""
    groups: int = 0
    """Number of groups that the first numbers of z choose from, see `grouped_generator`."""
    trained: dict[str, Any] | None = None
    """How it was trained: data, preset, step, images_seen, command, the features that it was trained to match, and the
    names of the classes. None if that is not known."""

    @property
    def description(self) -> dict[str, Any]:
        """The family and the constructor's arguments by name, from which a generator of this kind can be built."""
        arguments: dict[str, Any] = self._hub_mixin_config or {}  # type: ignore[assignment]
        return {"family": self.family, **arguments}

    def first_layer_weight(self) -> Tensor:
        """Return the matrix from z to the first features, (features, z_dim), without the part for labels.

        Raises:
            UserError: the first layer is neither linear nor a transposed convolution.
        """
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                return layer.weight[:, : self.z_dim].detach().cpu()
            if isinstance(layer, nn.ConvTranspose2d):
                return layer.weight[: self.z_dim].flatten(1).T.detach().cpu()
        raise UserError(f"{type(self).__name__} has no linear first layer")

    def middle_layer(self) -> nn.Module | None:
        """Return the layer in the middle of the network, whose inputs are features halfway to a picture.

        Without another definition it is in the middle of all layers, which fits if they are made in the order in which
        they compute. A network of a single layer has none.
        """
        layers = [layer for layer in self.modules() if isinstance(layer, WEIGHTED_LAYERS)]
        return layers[len(layers) // 2] if len(layers) > 1 else None

    def generate_model_card(self, *args: Any, **kwargs: Any) -> Any:
        """Return the card, which says what the generator draws and how it was trained."""
        channels, height, width = self.picture_shape
        size = f"{height}x{width}, {channels} channel{'s' * (channels > 1)}"
        return super().generate_model_card(*args, size=size, classes=self.classes, trained=self.trained, **kwargs)

    def save_pretrained(self, save_directory: str | Path, **arguments: Any) -> Any:
        """Save the generator as the mixin does; `~` is the home folder."""
        return super().save_pretrained(expand_user(save_directory), **arguments)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **arguments: Any) -> Self:
        """Load a generator as the mixin does; `~` is the home folder."""
        return super().from_pretrained(os.path.expanduser(pretrained_model_name_or_path), **arguments)

    def _save_pretrained(self, save_directory: Path) -> None:
        super()._save_pretrained(save_directory)
        checksum = sha256(save_directory / "model.safetensors")
        content = {**self.description, "sha256": checksum, "trained": self.trained}
        (save_directory / "config.json").write_text(to_json_text(content), encoding="utf-8")

    @classmethod
    @isolate_torch_settings()
    def _from_pretrained(cls, *, model_id: str, map_location: str = "cpu", **arguments: Any) -> Self:
        """Load from a local folder or the Hub: only safetensors, and only if every tensor has the expected shape.

        No memory is used before that is known. The mixin's own method would also load a pickle, load only the tensors
        that fit, and print to standard output.
        """
        arguments.pop("strict", None)
        hub_options = {name: arguments.pop(name) for name in HUB_OPTIONS if name in arguments}
        if os.path.isdir(model_id):
            path = Path(model_id) / "model.safetensors"
        else:
            path = Path(hf_hub_download(model_id, filename="model.safetensors", **hub_options))
        if not path.is_file():
            raise UserError(f"there is no {path}: give the folder of a saved model, or a Hub id")
        generator = cls._build_without_memory(arguments, path.with_name("config.json"))
        _check_content(path, generator)
        tensors = load_file(path, device=map_location).items()
        generator.load_state_dict({name: _copy_in_full_precision(tensor) for name, tensor in tensors}, assign=True)
        return generator.eval()

    @classmethod
    def _build_without_memory(cls, arguments: dict[str, Any], config_path: Path) -> Self:
        try:
            _check_arguments(arguments)
            with torch.device("meta"), SkipInitialization():
                generator = cls(**arguments)
            if math.prod(generator.picture_shape) > MAX_PICTURE_VALUES:
                raise ValueError(generator.picture_shape)
        except (TypeError, ValueError, RuntimeError):
            raise UserError(f"{config_path} is damaged: it describes no {cls.family} generator") from None
        return generator


def _copy_in_full_precision(tensor: Tensor) -> Tensor:
    """Return a tensor of a file in memory of torch's own.

    In the mapped file it is aligned to 8 bytes only, where kernels may round differently than at torch's 64. On
    Windows, a training could also not replace a model whose file is still mapped.
    """
    return tensor.float() if tensor.dtype == torch.half else tensor.clone()


def _check_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse absurd numbers: a file from elsewhere must not use more memory or time than pictures need."""
    for value in arguments.values():
        if isinstance(value, dict):
            _check_arguments(value)
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and not 0 <= number <= MAX_ARGUMENT:
                raise ValueError(number)


def _check_content(path: Path, generator: nn.Module) -> None:
    """Compare the file's header with the generator, and its checksum with config.json, before a tensor is read."""
    expected = {name: (SAFETENSORS_TYPES[t.dtype], tuple(t.shape)) for name, t in generator.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            headers = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            types = {name: FULL_PRECISION.get(h.get_dtype(), h.get_dtype()) for name, h in headers.items()}
            actual = {name: (types[name], tuple(header.get_shape())) for name, header in headers.items()}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged: {error_reason(error)}") from None
    if actual != expected:
        name = sorted(set(actual.items()) ^ set(expected.items()))[0][0]
        raise UserError(f"{path} does not fit its config.json: {name} is {actual.get(name)}, not {expected.get(name)}")
    checksum = sha256(path)
    if read_json(path.with_name("config.json")).get("sha256", checksum) != checksum:
        raise UserError(f"{path} is damaged: its checksum is not the one in config.json")
