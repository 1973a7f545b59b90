"""Trained generators that come with the package, each a folder as a run's `model/`: small, measured, with a card.

Made by `python -m benchmarks.shipped`.
"""

import os
from pathlib import Path

SHIPPED_NAMES = ("mnist", "mnist-dcgan", "mnist-cgan")


def shipped_model_folder(source: str | os.PathLike[str]) -> Path | None:
    """The folder of the model that comes under this name; None where `source` means something else.

    A run or a model of the user's own in a folder of that name goes first: `dcgan train --out mnist` and then
    `dcgan sample mnist` are about the same thing. Any other folder (one of pictures, say) is `./mnist`.
    """
    mine = Path(source)
    if str(source) not in SHIPPED_NAMES or any(
        (mine / name).exists() for name in ("config.json", "model", ".model.old")
    ):
        return None
    return folder_of_shipped(str(source))


def folder_of_shipped(name: str) -> Path:
    """Where the model of one of `NAMES` lies."""
    return Path(__file__).parent / "weights" / name
