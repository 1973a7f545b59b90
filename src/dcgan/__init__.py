"""Train a GAN on small images: on a CPU, from one command, and understand it.

Everything public is reached from here and loaded only when it is used, so that `import dcgan` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

if TYPE_CHECKING:
    from dcgan.comparison.comparison import compare
    from dcgan.config import Config
    from dcgan.errors import UserError
    from dcgan.evaluation.measure import evaluate
    from dcgan.models.dcgan import Discriminator, Generator
    from dcgan.presets import PRESETS
    from dcgan.sampling.model import Model, load
    from dcgan.studio.show import show_studio
    from dcgan.training.losses import Objective
    from dcgan.training.start import resume, train

_HOME = {
    "Config": "config",
    "PRESETS": "presets",
    "UserError": "errors",
    "Objective": "training.losses",
    "Discriminator": "models.dcgan",
    "Generator": "models.dcgan",
    "Model": "sampling.model",
    "compare": "comparison.comparison",
    "evaluate": "evaluation.measure",
    "load": "sampling.model",
    "resume": "training.start",
    "show_studio": "studio.show",
    "train": "training.start",
}
__all__ = [
    "PRESETS",
    "Config",
    "Discriminator",
    "Generator",
    "Model",
    "Objective",
    "UserError",
    "compare",
    "evaluate",
    "load",
    "resume",
    "show_studio",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'dcgan' has no attribute {name!r}")
    return getattr(import_module(f"dcgan.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
