"""The commands of `dcgan`. Each is a frozen dataclass: its fields are the flags, and calling it runs the command.

What needs torch is imported when a command is called, so that `--help` answers at once.
"""

from collections.abc import Callable
from typing import Any

from dcgan.cli.evaluate import Compare, Evaluate, Report
from dcgan.cli.export import Export, Invert
from dcgan.cli.inspect import DataCheck, Summary
from dcgan.cli.sample import Directions, Film, Interpolate, Sample
from dcgan.cli.studio import Studio
from dcgan.cli.train import Resume, Train, VerifyResume

COMMANDS: dict[str, Callable[..., Any]] = {
    "train": Train,
    "resume": Resume,
    "verify-resume": VerifyResume,
    "sample": Sample,
    "interpolate": Interpolate,
    "film": Film,
    "directions": Directions,
    "evaluate": Evaluate,
    "invert": Invert,
    "compare": Compare,
    "report": Report,
    "export": Export,
    "studio": Studio,
    "summary": Summary,
    "data": DataCheck,
}
WITH_SETTINGS = (Train, Summary, VerifyResume)
"""The commands that have every setting as a flag."""
