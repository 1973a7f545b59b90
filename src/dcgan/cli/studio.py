"""The command `studio`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, UseAppendAction, arg

from dcgan.system.console import write_output
from dcgan.system.install import check_installed


@dataclass(frozen=True)
class Studio:
    """Open the studio: a web page on this machine to watch trainings and play with models."""

    runs: Annotated[Positional[Path], arg(metavar="RUNS")] = Path("runs")
    """The folder that holds the runs."""
    host: str = "127.0.0.1"
    """Address that the studio listens on; by default only this machine can reach it. Any other address needs the token
    that is printed."""
    port: int = 7860
    """Port that the studio listens on; 0 uses a free one."""
    token: FlagCreatePairsOff[bool] = False
    """Ask for the token on this machine too, whose other users could open the page otherwise."""
    data_root: UseAppendAction[tuple[Path, ...]] = ()
    """Folder below which the pages may read data, repeatable; by default the current folder. Sets that have a name,
    such as `mnist`, need none."""
    no_browser: FlagCreatePairsOff[bool] = False
    """Do not open a browser."""
    json: FlagCreatePairsOff[bool] = False
    """Print one JSON object with the address on standard output as soon as the studio can be opened."""

    def __call__(self) -> None:
        check_installed("the studio", ("fastapi", "uvicorn"), "studio")
        from dcgan.studio.allowed_paths import DataRoots
        from dcgan.studio.serve import serve

        data_roots = DataRoots(self.data_root) if self.data_root else None
        serve(
            self.runs,
            self.host,
            self.port,
            opens_browser=not self.no_browser,
            data_roots=data_roots,
            always_token=self.token,
            on_ready=self._announce,
        )

    def _announce(self, address: str) -> None:
        if self.json:
            with write_output():
                print(json.dumps({"address": address}))
