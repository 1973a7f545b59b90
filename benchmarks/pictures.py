"""The pictures of the studio in the README: `python -m benchmarks.pictures RUNS [--out docs/images]`.

RUNS is a folder with at least one finished run, whose name is given with --run. Needs a Chromium of the system's.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

STROKE = ((85, 70), (140, 45), (185, 80), (140, 130), (190, 175), (145, 230), (85, 205))
"""A 3 on a board of 280 pixels."""
COLOURS = 128
DESKTOP, PHONE = (1100, 700), (390, 700)


def ready(selector: str) -> Callable[[Page], None]:
    return lambda page: void(page.wait_for_selector(selector))


def void(_: object) -> None:
    """Playwright gives back what it waited for."""


def draw(page: Page, stroke: Sequence[tuple[int, int]] = STROKE) -> None:
    """Draw a digit with the mouse on the page's board and wait for its latent."""
    page.wait_for_selector("canvas.board")
    box = page.locator("canvas.board").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"] / 280, box["y"] + y * box["width"] / 280) for x, y in stroke]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=6)
    page.mouse.up()
    page.click("text=Find the nearest")
    page.wait_for_selector("[data-found]")


def guess(page: Page) -> None:
    """Call every other picture real."""
    page.wait_for_selector(".quiz li")
    for i in range(20):
        page.click(f".quiz li >> nth={i} >> button >> nth={i % 2}")


def walk(page: Page) -> None:
    """Walk between the chosen samples."""
    page.wait_for_selector("[data-drawn]")
    page.click("text=Walk between the chosen")
    page.wait_for_selector("canvas.stage:not([hidden])")


Shot = tuple[str, str, tuple[int, int], str, Callable[[Page], None]]
SHOTS: tuple[Shot, ...] = (
    ("runs", "runs", DESKTOP, "light", ready("[data-run]")),
    ("watch", "watch/{run}", DESKTOP, "dark", ready("svg.chart")),
    ("play", "play/mnist-cgan?chosen=1,4", DESKTOP, "light", walk),
    ("draw", "draw/mnist-cgan", DESKTOP, "dark", draw),
    ("quiz", "quiz/mnist-cgan?seed=3", PHONE, "light", guess),
)
"""Name, address, size, colours and what to do there."""


@contextmanager
def studio(runs: Path) -> Iterator[str]:
    """A studio in a process of its own; its address."""
    words = [sys.executable, "-m", "dcgan", "studio", str(runs), "--port", "0", "--no-browser"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+", process.stderr.readline())
        assert found is not None
        try:
            yield found[0]
        finally:
            process.terminate()


def small(path: Path) -> None:
    """A few colours are enough for a page, and a quarter of the bytes."""
    with Image.open(path) as image:
        found = image.convert("RGB").quantize(COLOURS)
    found.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--run", required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    with studio(args.runs) as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, where, (width, height), scheme, work in SHOTS:
            context = chromium.new_context(
                viewport={"width": width, "height": height},
                locale="en-GB",
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page = context.new_page()
            page.goto(f"{address}#/{where.format(run=args.run)}")
            page.wait_for_selector("main h2")
            work(page)
            page.evaluate("scrollTo(0, 0)")
            page.wait_for_timeout(300)
            path = args.out / f"studio-{name}.png"
            page.screenshot(path=path)
            small(path)
            print(f"{path}: {path.stat().st_size:,} bytes")
            context.close()
        chromium.close()


if __name__ == "__main__":
    main()
