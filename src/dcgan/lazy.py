"""Modules that are imported when they are first used, so that the command line can list what needs them at once."""

from importlib import import_module
from typing import Any


class LazyModule:
    """Stands for a module that is slow to import, until one of its names is used.

    `import torch` takes more than a second. With `torch = LazyModule("torch")` the tables of objectives and
    augmentations, whose names `dcgan train --help` prints, can be read without it.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)
