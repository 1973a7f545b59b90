"""Commands that are used before anything is trained: `summary`, `data check`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from dcgan.cli.result import Result
from dcgan.config import Config, join_specs
from dcgan.errors import UserError


@dataclass(frozen=True)
class Summary:
    """Show every layer's shape with the size formula filled in, its parameters and its multiply-adds."""

    config: Annotated[Config, arg(name="")]
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.models.describe import describe_networks
        from dcgan.training.losses import find_objective

        return describe_networks(self.config, has_discriminator=find_objective(self.config.loss).has_discriminator)


@dataclass(frozen=True)
class DataCheck:
    """Examine a set of pictures: what is in it, what is broken, what to train. Usage: `dcgan data check SPEC`."""

    spec: Annotated[Positional[tuple[str, ...]], arg(metavar="SPEC")]
    """The pictures, as for `dcgan train --data`: a folder, a file such as a .zip, a name; several are joined."""
    out: Path | None = None
    """The contact sheet, a .png; by default runs/NAME-contact.png."""
    value_range: tuple[float, float] | None = None
    """The values that become black and white in pictures of 16 or 32 bits or of floats, as for `dcgan train`."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        from dcgan.system.preparation import show_preparations
        from dcgan.training.advise import advice_text, check_data

        if not self.spec:
            raise UserError("SPEC is missing; see dcgan data check --help")
        with show_preparations(True):
            content = check_data(join_specs(self.spec), self.out, self.value_range)
        return content, advice_text(content)
