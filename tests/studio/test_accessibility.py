"""Every page under axe, light and dark, and the sizes of what is pressed."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from dcgan.run.folder import RunFolder
from dcgan.training.health import Diagnosis
from tests.studio.conftest import Server

AXE = "axe-core@4.14.1"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
MIN_TARGET_PX = 24
READY = {
    "runs": "[data-run=small]",
    "watch/small": "svg.chart",
    "play/small?chosen=0,1": "[data-drawn]",
    "draw/small": "canvas.board",
    "compare/small?to=other": "[data-compared]",
    "quiz/small": ".quiz li",
    "learn": "[data-figures]",
    "lesson/optimum": "[data-figures]",
    "lesson/difficulties": ".lesson table",
}
"""What is on each page once it is there."""
SMALL_TARGETS = f"""() => {{
    const isInText = (e) => e.tagName === "A" && getComputedStyle(e).display === "inline";
    const boxes = [...document.querySelectorAll("button, a, input, select, textarea, summary")]
        .filter((e) => e.checkVisibility() && !isInText(e))
        .map((e) => [e, (e.type === "checkbox" ? e.closest("label") : e).getBoundingClientRect()]);
    const names = boxes
        .filter(([, box]) => Math.min(box.width, box.height) < {MIN_TARGET_PX} - 0.01)
        .map(([e, box]) => `${{e.outerHTML.slice(0, 200)}}: ${{box.width}} x ${{box.height}}`);
    return [boxes.length, names];
}}"""
"""Returns how many targets a page has, and which are smaller than 24 by 24 CSS pixels. Links within a text may be."""


@pytest.fixture(scope="module")
def server(finished_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    runs = tmp_path_factory.mktemp("studio")
    for name in ("small", "other"):
        shutil.copytree(finished_run.path, runs / name)
    position = {"step": 7, "images_seen": 112}
    finding = Diagnosis("mode-collapse", "diversity fell from 0.90 to 0.10", "a lower --lr").as_json()
    RunFolder(runs / "small").log.append({"event": "health", **position, **finding})
    server = Server(runs)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the script of axe, which npm downloads."""
    npm = shutil.which("npm")
    if npm is None:
        (pytest.fail if os.environ.get("DCGAN_CI") else pytest.skip)("no npm: install Node.js")
    folder = tmp_path_factory.mktemp("axe")
    command = [npm, "pack", AXE, "--silent", "--ignore-scripts", "--prefer-offline"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    with tarfile.open(folder / f"{AXE.replace('@', '-')}.tgz") as archive:
        script = archive.extractfile("package/axe.min.js").read()
    assert hashlib.sha256(script).hexdigest() == AXE_SHA256
    return script.decode()


def _violations(page: Page) -> list[str]:
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [f"{found['id']}: {node['html']}" for found in result["violations"] for node in found["nodes"]]


@pytest.mark.parametrize("name", READY)
def test_a_page_has_no_violation_in_light_and_dark_and_large_targets(name: str, page: Page, server: Server, axe: str):
    page.goto(f"{server.address}#/{name}")
    page.wait_for_selector(READY[name], state="attached")
    page.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))")
    page.evaluate(axe)
    widths = (390, 1280) if name.startswith("watch") else (390,)
    for width in widths:
        page.set_viewport_size({"width": width, "height": 844})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert _violations(page) == [], (width, scheme)
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        count, small = page.evaluate(SMALL_TARGETS)
        assert count >= 8  # those of the frame
        assert small == [], width
