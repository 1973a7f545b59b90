"""Take the pictures of the studio that the README shows: `python -m benchmarks.pictures RUNS --run NAME`.

RUNS is a folder with at least one finished run, and --run names that run. A Chromium of the system is needed. The
pictures are written into docs/images, or into the folder that --out names.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

BOARD_SIDE = 280
"""Pixels of a side of the board in the coordinates of a stroke."""
STROKE = ((85, 70), (140, 45), (185, 80), (140, 130), (190, 175), (145, 230), (85, 205))
"""The corners of a 3."""
POINTS_PER_LINE = 6
"""Mouse events between two corners of a stroke."""
QUIZ_PICTURES = 20
COLOR_COUNT = 128
"""Colors of a picture. So few are enough for a page, and need a quarter of the bytes."""
SETTLE_MS = 300
"""Time for the page to finish its transitions before the picture is taken."""
DESKTOP: ViewportSize = {"width": 1100, "height": 700}
PHONE: ViewportSize = {"width": 390, "height": 700}


def wait_for(selector: str) -> Callable[[Page], None]:
    """Return an action that waits until an element is on the page."""

    def wait(page: Page) -> None:
        page.wait_for_selector(selector)

    return wait


def draw_digit(page: Page, stroke: Sequence[tuple[int, int]] = STROKE) -> None:
    """Draw a digit with the mouse on the board of the page, and wait for its latent."""
    page.wait_for_selector("canvas.board")
    box = page.locator("canvas.board").bounding_box()
    assert box is not None
    scale = box["width"] / BOARD_SIDE
    corners = [(box["x"] + x * scale, box["y"] + y * scale) for x, y in stroke]
    page.mouse.move(*corners[0])
    page.mouse.down()
    for corner in corners[1:]:
        page.mouse.move(*corner, steps=POINTS_PER_LINE)
    page.mouse.up()
    page.click("text=Find the nearest")
    page.wait_for_selector("[data-found]")


def answer_quiz(page: Page) -> None:
    """Call every other picture real."""
    page.wait_for_selector(".quiz li")
    for i in range(QUIZ_PICTURES):
        page.click(f".quiz li >> nth={i} >> button >> nth={i % 2}")


def start_walk(page: Page) -> None:
    """Walk between the chosen samples."""
    page.wait_for_selector("[data-drawn]")
    page.click("text=Walk between the chosen")
    page.wait_for_selector("canvas.stage:not([hidden])")


@dataclass(frozen=True)
class Shot:
    """One picture of the studio.

    Attributes:
        name: the file is `studio-NAME.png`.
        route: what follows `#/` in the address.
        viewport: the size of the window.
        is_dark: whether the colors are dark.
        act: what is done on the page before the picture is taken.
    """

    name: str
    route: str
    viewport: ViewportSize
    is_dark: bool
    act: Callable[[Page], None]


SHOTS = (
    Shot("runs", "runs", DESKTOP, is_dark=False, act=wait_for("[data-run]")),
    Shot("watch", "watch/{run}", DESKTOP, is_dark=True, act=wait_for("svg.chart")),
    Shot("play", "play/mnist-cgan?chosen=1,4", DESKTOP, is_dark=False, act=start_walk),
    Shot("draw", "draw/mnist-cgan", DESKTOP, is_dark=True, act=draw_digit),
    Shot("quiz", "quiz/mnist-cgan?seed=3", PHONE, is_dark=False, act=answer_quiz),
)


@contextmanager
def run_studio(runs: Path) -> Iterator[str]:
    """Run a studio in a process of its own, and yield its address."""
    with run_studio_process(runs) as (_, address):
        yield address


@contextmanager
def run_studio_process(runs: Path, package_root: Path | None = None) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run a studio, and yield its process and its address.

    Args:
        runs: the folder of runs.
        package_root: the folder that holds the package `dcgan` to run, by default this one's.
    """
    command = [sys.executable, "-m", "dcgan", "studio", str(runs), "--port", "0", "--no-browser"]
    environment = {**os.environ, "PYTHONPATH": str(package_root)} if package_root else None
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        address = re.search(r"http://\S+", process.stderr.readline())
        assert address is not None
        try:
            yield process, address[0]
        finally:
            process.terminate()


def take_shot(shot: Shot, browser: Browser, address: str, run: str, path: Path) -> None:
    """Open the page in a new window, act on it, and write its picture."""
    context = browser.new_context(
        viewport=shot.viewport, locale="en-GB", color_scheme="dark" if shot.is_dark else "light"
    )
    page = context.new_page()
    page.goto(f"{address}#/{shot.route.format(run=run)}")
    page.wait_for_selector("main h2")
    shot.act(page)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=path)
    context.close()


def reduce_colors(path: Path) -> None:
    """Write a picture again with `COLOR_COUNT` colors."""
    with Image.open(path) as image:
        reduced = image.convert("RGB").quantize(COLOR_COUNT)
    reduced.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--run", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    with run_studio(args.runs) as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for shot in SHOTS:
            path = args.out / f"studio-{shot.name}.png"
            take_shot(shot, chromium, address, args.run, path)
            reduce_colors(path)
            print(f"{path}: {path.stat().st_size:,} bytes")
        chromium.close()


if __name__ == "__main__":
    main()
