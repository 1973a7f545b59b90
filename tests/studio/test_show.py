"""The studio in a notebook, in a frame on a page of this machine."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import IPython.core.getipython
import IPython.display
import pytest
from playwright.sync_api import Browser

import dcgan
from dcgan import UserError
from dcgan.studio import show


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """The folder of a server on this machine, as that of a notebook, and its port."""
    folder = tmp_path / "notebook"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What cells show."""
    shown: list[str] = []
    monkeypatch.setattr(IPython.core.getipython, "get_ipython", lambda: object())
    monkeypatch.setattr(IPython.display, "display", lambda output: shown.append(output.data))
    monkeypatch.setattr(show, "_addresses", {})
    return shown


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_notebook_shows_the_studio_in_a_frame(
    browser: Browser, runs: Path, notebook: tuple[Path, int], shown: list[str], host: str
):
    dcgan.show_studio(runs, height=500)
    folder, port = notebook
    (folder / "page.html").write_text(f"<!DOCTYPE html><body>{shown[0]}</body>")
    page = browser.new_page()
    page.goto(f"http://{host}:{port}/page.html")
    frame = page.frame_locator("iframe")
    frame.locator("[data-run=small]").first.wait_for()
    frame.locator("[data-run=small] a").first.click()  # the pages are answered too, by the cookie
    frame.locator("svg.chart").first.wait_for()
    box = page.locator("iframe").bounding_box()
    assert box is not None
    assert box["height"] == pytest.approx(502, abs=3)
    page.close()


def test_another_call_shows_the_same_studio(runs: Path, shown: list[str]):
    dcgan.show_studio(runs)
    dcgan.show_studio(str(runs))
    assert shown[0] == shown[1]
    assert "?token=" in shown[0]


def test_what_cannot_be_shown_is_one_line(tmp_path: Path, shown: list[str], monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is no folder"):
        dcgan.show_studio(tmp_path / "file")
    nothing: Any = None
    monkeypatch.setattr(IPython.core.getipython, "get_ipython", lambda: nothing)
    with pytest.raises(UserError, match="elsewhere use the command dcgan studio"):
        dcgan.show_studio(tmp_path)
    assert shown == []
