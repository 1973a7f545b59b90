"""A run on one page: an HTML file that takes nothing from anywhere else and can be sent, printed and kept."""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from dcgan.files import atomic_file
from dcgan.reporting.charts import HEIGHT, LEFT, RIGHT, TOP, WIDTH
from dcgan.reporting.gather import ReportPage, gather, is_run
from dcgan.run.folder import RunFolder, open_run

FRAME = {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "top": TOP}
"""Where a chart's axes lie."""


@dataclass(frozen=True)
class WrittenReport:
    """A report.

    Attributes:
        path: the file.
        size: in bytes.
        faults: what of the run could not be shown, and why.
    """

    path: Path
    size: int
    faults: tuple[str, ...]


def write_run_report(path: Path) -> WrittenReport:
    """Write a run's report, as `dcgan report` does.

    Raises:
        UserError: there is no run at `path`.
    """
    if not is_run(path):
        open_run(path)  # says what is there instead
    return write_report(RunFolder(path))


def write_report(folder: RunFolder) -> WrittenReport:
    """Write `report.html` from what is in the folder; nothing is measured or drawn anew."""
    page = gather(folder)
    text = render_page(page)
    with atomic_file(folder.report) as aside:
        aside.write_text(text, encoding="utf-8")
    return WrittenReport(folder.report, len(text.encode()), page.faults)


def render_page(page: ReportPage) -> str:
    """The page as HTML. Everything that comes from the run is escaped, and no script runs but ours."""
    style, script = _own("page.css"), _own("page.js")
    # Should anything get into the page all the same, the browser neither runs nor fetches it.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return _template().render(page=page, frame=FRAME, policy=policy, style=Markup(style), script=Markup(script))


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_own("page.html"))


def _own(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")
