"""The model card of an exported generator: what it was trained on, how good it is, its limits, how to use it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dcgan.data.splits import split_words
from dcgan.errors import UserError
from dcgan.files import printable, read_json
from dcgan.metrics.results import describe_copies, describe_equality, metric_title
from dcgan.run.folder import RunFolder
from dcgan.sampling.model import Model

UNKNOWN_LICENSE = "unknown"
LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,59}")
"""How the Hub writes licenses, such as `cc-by-4.0`."""
SAMPLES_FILE = "samples.png"
CARD = """---
library_name: dcgan
license: {license}
pipeline_tag: unconditional-image-generation
tags:
- gan
- unconditional-image-generation
---
# A generator of {size} pictures, trained on {data}

![Samples]({samples})

The pictures above are the first samples of seed 0. None of them was chosen.

## Data and training

{training}

## Figures

{figures}

## Limits

{limits}

## How to use it

```python
import dcgan

model = dcgan.load({name})  # or the folder with these files
images = model.sample(n=16, seed=0)  # uint8 (N, H, W, C)
```

{usage}

## License

{license_text}
"""


def check_license(license_name: str) -> str:
    """Return a license as the Hub writes it.

    Raises:
        UserError: it is not written so.
    """
    lower = license_name.lower()
    if not LICENSE.fullmatch(lower):
        raise UserError(
            f"--license must be a license as the Hub writes it, such as mit, cc-by-4.0 or other, not "
            f"{printable(license_name)!r}"
        )
    return lower


def make_card(model: Model, hub_name: str | None = None, license_name: str | None = None) -> str:
    """Return the text of `README.md`, Markdown with the Hub's metadata.

    Args:
        model: the generator. The figures are those of the evaluation in its run, if it has measured these weights.
        hub_name: `USER/NAME`, if it is known.
        license_name: see `check_license`; None if nobody has said it.
    """
    _, height, width = model.generator.picture_shape
    figures = _read_figures(model)
    return CARD.format(
        license=license_name or UNKNOWN_LICENSE,
        size=f"{height}x{width}",
        data=_as_code(model.trained.get("data", "unknown pictures")),
        samples=SAMPLES_FILE,
        training=_describe_training(model),
        figures=_describe_figures(figures),
        limits="\n".join(f"- {line}" for line in _list_limits(model, figures)),
        name=json.dumps(hub_name or "USER/NAME"),
        usage=_describe_usage(model),
        license_text=_describe_license(license_name),
    )


def _read_figures(model: Model) -> Mapping[str, Any]:
    """Return the evaluation of a model that is in a run; nothing if there is none, or if it is of other weights."""
    source = Path(model.source)
    # The folder above is the run's only if the model is where a run has it.
    folders = [source, *([source.parent] if RunFolder(source.parent).model == source else [])]
    for folder in folders:
        try:
            figures = read_json(RunFolder(folder).evaluation / "figures.json")
        except UserError:
            continue
        if figures.get("step") == model.trained.get("step") and isinstance(figures.get("metrics"), dict):
            return figures
    return {}


def _describe_training(model: Model) -> str:
    trained = model.trained
    if not trained:
        return "The file does not say what it was trained on."
    lines = [
        f"- Data: {_as_code(trained.get('data', 'unknown'))}",
        f"- Preset: {_as_code(trained.get('preset', 'unknown'))}",
        f"- Length: {trained.get('step', 'unknown')} steps, {trained.get('images_seen', 'unknown')} images seen",
    ]
    if model.classes:
        lines.append(f"- Classes ({len(model.classes)}): {_list_classes(model.classes)}")
    if trained.get("command"):
        lines += ["", "To train it again:", "", "```", printable(str(trained["command"])), "```"]
    return "\n".join(lines)


def _list_classes(classes: tuple[str, ...], most: int = 20) -> str:
    rest = f" and {len(classes) - most} more" if len(classes) > most else ""
    return ", ".join(map(_as_code, classes[:most])) + rest


def _describe_figures(figures: Mapping[str, Any]) -> str:
    """Return the table of metrics with their intervals."""
    if not figures:
        return "Nothing was measured: `dcgan evaluate` measures a model."
    rows = [
        f"| {metric_title(name)} | {metric['mean']:.4g} | {metric['low']:.4g} to {metric['high']:.4g} | "
        f"{_number(metric.get('real_against_real'))} |"
        for name, metric in figures["metrics"].items()
    ]
    return "\n".join(
        [
            f"{figures['n']:,} samples against {figures['reference']:,} pictures of {split_words(figures['split'])} of "
            f"{_as_code(figures['data'])}, features {_as_code(figures['features'])}:",
            "",
            "| metric | estimate | 95% interval | real against real |",
            "|---|---|---|---|",
            *rows,
        ]
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _list_limits(model: Model, figures: Mapping[str, Any]) -> list[str]:
    channels, height, width = model.generator.picture_shape
    lines = [
        f"It draws {height}x{width} pictures with {channels} channel{'s' * (channels > 1)}, and nothing but what its "
        "training pictures show, with their errors and their bias.",
        "It cannot be told in words what to draw."
        + ("" if model.classes else " It has no classes: samples are chosen by the seed only."),
        f"{describe_copies(figures['copies'])}."
        if figures.get("copies")
        else "Whether its samples are copies of training pictures was not measured.",
    ]
    if figures.get("equality"):
        lines.append(f"{describe_equality(figures['equality'])}.")
    if features := model.trained.get("features"):
        lines.append(f"It was trained to match the features {_as_code(features)}: metrics by these are too good.")
    return [line[0].upper() + line[1:] for line in lines]


def _describe_usage(model: Model) -> str:
    kind = type(model.generator)
    classes = "`model.sample(n=16, label=0)` draws the first class. " if model.classes else ""
    return (
        f"{classes}`{kind.__module__}.{kind.__name__}.from_pretrained` loads the network alone: a torch module that "
        f"makes pictures in [-1, 1] of latents (N, {model.generator.z_dim})."
    )


def _describe_license(license_name: str | None) -> str:
    if license_name is None:
        return (
            "License unknown: nobody has said under which license this model may be used. The pictures that it was "
            "trained on may have licenses of their own."
        )
    return f"`{license_name}`. The pictures that the model was trained on may have licenses of their own."


def _as_code(value: object) -> str:
    """Return a name as code of Markdown, which it cannot leave."""
    return f"`{printable(str(value)).replace('`', chr(39))}`"
