"""The studio in a frame below a cell of a notebook."""

import threading
from html import escape
from importlib.util import find_spec
from os import PathLike
from pathlib import Path

from dcgan.cache import expand_user
from dcgan.errors import UserError
from dcgan.system.install import check_installed

HOST = "127.0.0.1"
FRAME_ANCESTORS = "http://localhost:* http://127.0.0.1:*"
"""The pages that may show this studio: those of this machine, where the notebook's own page comes from."""
FRAME = """\
<iframe data-address="{address}" title="dcgan studio"
  style="width: 100%; height: {height}px; border: 1px solid #8888"></iframe>
<p>If the frame stays empty, open
<a href="{address}" target="_blank" rel="noopener">the studio on a page of its own</a>.</p>
<script>
  // A cookie is only sent to the host of the page around the frame. The frame has no address until the right one is
  // known: of frames whose address was changed while the first page was loading, a few stayed empty.
  for (const frame of document.querySelectorAll('iframe[title="dcgan studio"]:not([src])')) {{
    const address = frame.dataset.address;
    frame.src = location.hostname === "localhost" ? address.replace("//127.0.0.1:", "//localhost:") : address;
  }}
</script>"""

_addresses: dict[Path, str] = {}
"""The studios of this process by their folders of runs."""


def show_studio(runs: str | PathLike[str] = "runs", *, height: int = 800) -> None:
    """Show the studio below this cell of a notebook.

    It runs in this process and ends with it; trainings that it started go on. It needs a token, which the frame has,
    and only pages of this machine may show it in a frame. Another call shows the same studio again. If the kernel of
    the notebook is on another machine than the browser, use `dcgan studio` there: it prints how to reach it.

    Args:
        runs: the folder that holds the runs.
        height: of the frame, in pixels.

    Raises:
        UserError: `runs` is no folder, this is no notebook, or a package that the studio needs is missing.
    """
    check_installed("the studio", ("fastapi", "uvicorn"), "studio")
    if find_spec("IPython") is None or not _is_notebook():
        raise UserError("show_studio shows the studio in a notebook; elsewhere use the command dcgan studio")
    from IPython.display import HTML, display

    folder = expand_user(runs).resolve()
    if folder not in _addresses:
        _addresses[folder] = _start(folder)
    frame = FRAME.format(address=escape(_addresses[folder]), height=height)
    display(HTML(frame))  # type: ignore[no-untyped-call]


def _is_notebook() -> bool:
    from IPython.core.getipython import get_ipython

    return get_ipython() is not None


def _start(runs: Path) -> str:
    """Start a studio in a thread of its own, and return its address."""
    from dcgan.studio.serve import create_protected_app, listen, make_server

    listener = listen(HOST, 0)
    try:
        app, address = create_protected_app(
            runs, HOST, listener.getsockname(), always_token=True, frame_ancestors=FRAME_ANCESTORS
        )
    except UserError:
        listener.close()
        raise
    server = make_server(app)
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="dcgan studio", daemon=True).start()
    return address
