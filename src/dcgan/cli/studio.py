"""The command `studio`."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from dcgan.cli.result import Result
from dcgan.errors import UserError


@dataclass(frozen=True)
class Studio:
    """See a GAN learn and play with it, on a web page on this machine."""

    runs: Annotated[Positional[Path], arg(metavar="RUNS")] = Path("runs")
    """The folder that holds the runs."""
    host: str = "127.0.0.1"
    """Who can reach it: by default this machine only. Any other address asks for the token that is printed."""
    port: int = 7860
    """Where; 0 takes a free one."""
    no_browser: FlagCreatePairsOff[bool] = False
    """Open no browser."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object instead of text."""

    def __call__(self) -> Result:
        missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
        if missing:
            raise UserError(f"the studio needs {' and '.join(missing)}: pip install 'dcgan[studio]'")
        from dcgan.studio.serve import serve

        address = serve(self.runs, self.host, self.port, opens_browser=not self.no_browser)
        return {"address": address}, "the studio has ended; trainings that it started go on"
