"""A trained generator as a Space: a folder with ONNX and a Gradio page, which needs neither this package nor torch."""

import json
from pathlib import Path
from typing import Any

from dcgan.errors import UserError
from dcgan.exporting.onnx import check_export_extra, export_onnx
from dcgan.files import atomic_folder, printable, write_reason
from dcgan.sampling.model import Model
from dcgan.system.torch_settings import isolate_torch_settings
from dcgan.templates import read_package_text

SPACE_DIRECTIONS = 4
"""Directions of latent space that the page has a slider for."""
REQUIREMENTS = ("gradio>=5", "numpy>=2.0", "onnxruntime>=1.20", "pillow>=10.3")
README = """---
title: {title}
sdk: gradio
app_file: app.py
pinned: false
---
{description}

The page draws with ONNX Runtime. Sample i of a seed is the one that `dcgan sample` draws, within 1 of 255.

To start it here:

```
pip install -r requirements.txt
python app.py
```

To put it on the Hugging Face Hub, after `hf auth login`:

```
hf repo create USER/NAME --repo-type space --space-sdk gradio
hf upload USER/NAME . --repo-type space
```

The licence of the pictures that the generator was trained on is not known to the program that wrote this file.
"""


@isolate_torch_settings()
def write_space_folder(model: Model, out: Path) -> int:
    """Write a folder that is a Space: `app.py`, `model.onnx`, `settings.json`, `requirements.txt` and `README.md`.

    Returns:
        Its size in bytes.

    Raises:
        UserError: the extra `export` is not installed, the first layer is not linear, or `out` cannot be written.
    """
    check_export_extra()
    settings = describe_space(model)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(out) as temporary:
            export_onnx(model, temporary / "model.onnx")
            texts = {
                "app.py": read_package_text("dcgan.exporting", "static", "space_app.py.txt"),
                "settings.json": json.dumps(settings, indent=2) + "\n",
                "requirements.txt": "\n".join(REQUIREMENTS) + "\n",
                "README.md": README.format(title=json.dumps(settings["title"]), description=settings["description"]),
            }
            for name, text in texts.items():
                (temporary / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {out}: {write_reason(error)}") from None
    return sum(path.stat().st_size for path in out.iterdir())


def describe_space(model: Model) -> dict[str, Any]:
    """Return what the page needs to know of a generator, as JSON types."""
    trained, (channels, height, width) = model.trained, model.generator.picture_shape
    data, preset = (printable(str(trained.get(name, "unknown"))) for name in ("data", "preset"))
    return {
        "title": f"dcgan: {data}",
        "description": f"A generator of {height}x{width} pictures, trained on {data} with the preset {preset}.",
        "z_dim": model.generator.z_dim,
        "classes": list(model.classes),
        "shape": [channels, height, width],
        "directions": model.directions().strongest(SPACE_DIRECTIONS).vectors.tolist(),
    }
