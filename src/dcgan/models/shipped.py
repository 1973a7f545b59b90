"""Trained generators that come with the package: small, measured, each a saved model with a card.

They are made by `python -m benchmarks.shipped`.
"""

import os
from pathlib import Path

SHIPPED_NAMES = ("mnist", "mnist-dcgan", "mnist-cgan")
"""The names under which they are loaded."""


def find_shipped_model(source: str | os.PathLike[str]) -> Path | None:
    """Return the folder of the model that `source` names, or None if `source` means something else.

    A run or a saved model in a folder of that name has priority: `dcgan train --out mnist` and then
    `dcgan sample mnist` mean the same run. Any other folder, such as one of pictures, is reached as `./mnist`.
    """
    folder = Path(source)
    is_users = any((folder / name).exists() for name in ("config.json", "model", ".model.old"))
    return None if is_users or str(source) not in SHIPPED_NAMES else shipped_folder(str(source))


def shipped_folder(name: str) -> Path:
    """Return the folder of the model with one of the `SHIPPED_NAMES`."""
    return Path(__file__).parent / "weights" / name
