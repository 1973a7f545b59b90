"""The report of a run: one HTML file that fetches nothing, and that can be sent, printed and archived."""

import base64
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dcgan.errors import UserError
from dcgan.files import atomic_file
from dcgan.reporting.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH
from dcgan.reporting.curves import draw_curves
from dcgan.reporting.gather import ReportPage, gather_report, has_run_files
from dcgan.run.folder import RunFolder, open_run
from dcgan.templates import load_template, read_package_text

PACKAGE = "dcgan.reporting"
CHART_FRAME = {
    "width": WIDTH,
    "height": HEIGHT,
    "left": LEFT,
    "right": WIDTH - RIGHT,
    "top": TOP,
    "bottom": HEIGHT - BOTTOM,
}
"""The size of a chart and the edges of its axes, in units of the SVG."""


@dataclass(frozen=True)
class WrittenReport:
    """A report that was written.

    Attributes:
        path: the file.
        size: in bytes.
        faults: what of the run cannot be shown, and why.
    """

    path: Path
    size: int
    faults: tuple[str, ...]


def write_run_report(path: Path) -> WrittenReport:
    """Write the report of the run in the folder `path`, as `dcgan report` does, and its curves if they are gone.

    A run that was killed after its last checkpoint is finished, and has neither.

    Raises:
        UserError: there is no run at `path`.
    """
    if not has_run_files(path):
        open_run(path)  # raises the error that says what is there instead
    folder = RunFolder(path)
    measurements = list(folder.log.measurements())
    if measurements and not folder.curves.exists():
        with suppress(UserError):  # the settings cannot be read; the report says so
            draw_curves(measurements, folder.curves, folder.score_kind())
    return write_report(folder)


def write_report(folder: RunFolder) -> WrittenReport:
    """Write `report.html` from the files of the run; nothing is measured or drawn again."""
    page = gather_report(folder)
    text = render_page(page)
    with atomic_file(folder.report) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return WrittenReport(folder.report, len(text.encode()), page.faults)


def render_page(page: ReportPage) -> str:
    """Return the page as HTML. Everything that comes from the run is escaped, and only our own script runs."""
    style, script = (read_package_text(PACKAGE, name) for name in ("page.css", "page.js"))
    # If anything got into the page in spite of the escaping, the browser would neither run nor fetch it.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    template = load_template(PACKAGE, "page.html")
    return template.render(page=page, frame=CHART_FRAME, policy=policy, style=style, script=script)
