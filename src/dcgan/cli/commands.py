"""The commands of `dcgan`, one frozen dataclass each: its fields are the flags, calling it does the work.

Whatever needs torch is imported inside a call, so that `--help` answers at once.
"""

from collections.abc import Callable
from typing import Any

from dcgan.cli.evaluate import Compare, Evaluate, Report
from dcgan.cli.export import Export, Invert
from dcgan.cli.inspect import DataCheck, Summary
from dcgan.cli.sample import Interpolate, Sample
from dcgan.cli.studio import Studio
from dcgan.cli.train import Resume, Train, VerifyResume

COMMANDS: dict[str, Callable[..., Any]] = {
    "train": Train,
    "resume": Resume,
    "verify-resume": VerifyResume,
    "sample": Sample,
    "interpolate": Interpolate,
    "evaluate": Evaluate,
    "invert": Invert,
    "compare": Compare,
    "report": Report,
    "export": Export,
    "studio": Studio,
    "summary": Summary,
    "data": DataCheck,
}
__all__ = ["COMMANDS", "WITH_SETTINGS", "DataCheck", "Summary", "VerifyResume"]

WITH_SETTINGS = (Train, Summary, VerifyResume)
"""Commands with every setting as a flag."""
