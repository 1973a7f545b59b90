"""The studio's pages in a real browser, the server in a process of its own."""

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page

from benchmarks.pictures import draw
from dcgan.metrics import judge
from dcgan.run import lock
from dcgan.run.folder import RunFolder
from dcgan.training import checkpoint
from dcgan.training.health import Diagnosis


def _heed_ctrl_c() -> None:
    """A process started in the background of a script ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Server:
    """`dcgan studio` on a port of its own; it can be stopped and started again."""

    def __init__(self, runs: Path) -> None:
        self.runs, self.port = runs, 0
        self.start()

    def start(self) -> None:
        words = [sys.executable, "-m", "dcgan", "studio", str(self.runs), "--port", str(self.port), "--no-browser"]
        self.process = subprocess.Popen(
            words, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, preexec_fn=_heed_ctrl_c
        )
        assert self.process.stderr is not None
        self.address = re.search(r"http://\S+", self.process.stderr.readline())[0]
        self.port = int(self.address.rsplit(":", 1)[1].strip("/"))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=120)
        assert self.process.returncode == 130


@pytest.fixture(scope="module")
def server(finished_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    runs = tmp_path_factory.mktemp("studio")
    shutil.copytree(finished_run.path, runs / "small")
    shutil.copytree(finished_run.path, runs / "torn")
    (runs / "torn" / "config.json").write_text("{")
    found = Server(runs)
    yield found
    found.stop()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A phone, in English. What the page fetches comes from the server; it makes no error."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, locale="en-GB")
    context.set_default_timeout(120_000)  # other jobs on the machine may be in the way
    found = context.new_page()
    errors: list[str] = []
    found.on("pageerror", lambda error: errors.append(str(error)))
    found.on("request", lambda request: None if _is_ours(request.url, server) else errors.append(request.url))
    yield found
    context.close()
    assert errors == []


def _is_ours(url: str, server: Server) -> bool:
    return url.startswith((server.address, "data:", "blob:"))


def _wait(happens: Callable[[], object], seconds: float = 120) -> None:
    """Not by Playwright's `wait_for_function`: the page's policy forbids it to evaluate a text."""
    until = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.1)


def _drawn(page: Page) -> int:
    return int(page.get_attribute("[data-drawn]", "data-drawn") or 0)


def _pixels(page: Page, canvas: str) -> np.ndarray:
    """What a canvas shows, gray, (H, W)."""
    url = page.evaluate(f"document.querySelector('{canvas}').toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("L")).astype(int)


def test_the_runs_are_listed_and_a_broken_one_says_so(page: Page, server: Server):
    page.goto(server.address)
    page.wait_for_selector("[data-run=small] >> text=done")
    assert "config.json is damaged" in page.inner_text("[data-run=torn]")
    assert page.locator("[data-run=torn] button").count() == 0
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390  # nothing hangs over a phone's edge


@pytest.mark.parametrize("name", ["runs", "watch/small", "play/small", "draw/small", "quiz/small"])
def test_every_page_fits_a_phone_has_names_for_what_is_on_it_and_speaks_korean(name: str, page: Page, server: Server):
    page.goto(f"{server.address}#/{name}")
    page.wait_for_selector("main h2")
    page.wait_for_load_state()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    nameless = """[...document.querySelectorAll('button, input, select, a, img, canvas[role]')].filter(e =>
      !(e.textContent || e.ariaLabel || e.alt || e.labels?.length))"""
    assert page.evaluate(f"{nameless}.map(e => e.outerHTML)") == []
    english = page.inner_text("main h2")
    page.click("text=한국어")
    _wait(lambda: page.inner_text("main h2") != english)
    assert page.get_attribute("html", "lang") == "ko"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_what_went_wrong_and_what_was_measured_is_said_in_words(page: Page, server: Server):
    folder, at = RunFolder(server.runs / "small"), {"step": 7, "images_seen": 112}
    folder.append({"event": "health", **at, **Diagnosis("collapse", "all pictures alike", "--r1 0.1").as_json()})
    folder.append({"event": "measured", **at, "figure": 2.5})
    page.goto(f"{server.address}#/watch/small")
    page.wait_for_selector("text=Step 7: collapse: all pictures alike: try --r1 0.1")
    assert "2.500" in page.inner_text("dt:text-is('figure') + dd")


def test_play_by_keyboard_alone(page: Page, server: Server):
    page.goto(server.address)
    page.wait_for_selector("[data-run=small]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # Play
    page.wait_for_selector("[data-drawn]")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.ariaLabel") == "Direction 2":
            break
    before = page.evaluate("document.querySelector('.sample canvas').toDataURL()")
    drawn = _drawn(page)
    page.keyboard.press("End")
    _wait(lambda: _drawn(page) > drawn)
    assert page.evaluate("document.querySelector('.sample canvas').toDataURL()") != before
    assert "moves=0%2C3" in page.url
    shown = page.evaluate("[...document.querySelectorAll('.sample canvas')].map(c => c.toDataURL())")
    page.reload()
    page.wait_for_selector("[data-drawn]")
    assert page.evaluate("[...document.querySelectorAll('.sample canvas')].map(c => c.toDataURL())") == shown


def test_draw_and_walk_on(page: Page, server: Server):
    page.goto(f"{server.address}#/draw/small")
    page.wait_for_selector("canvas.board")
    page.click("text=Find the nearest")
    page.wait_for_selector("text=Draw something first.")
    box = page.locator("canvas.board").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 110, box["y"] + 180, steps=5)
    page.mouse.up()
    page.click("text=Find the nearest")
    page.wait_for_selector("[data-found]")
    assert re.search(r"Found: [\d.]+ of 255 from yours", page.inner_text(".result"))
    found = _pixels(page, "figure:nth-child(2) canvas")
    page.click("text=Walk on from it")
    page.wait_for_selector("[data-drawn]")
    assert "from your drawing" in page.get_attribute(".sample >> nth=0", "aria-label")
    assert np.abs(_pixels(page, ".sample canvas") - found).max() <= 1  # the same latent in another batch


def _read(pictures: list[np.ndarray]) -> list[int]:
    """What an independent judge takes pictures (H, W) of digits for."""
    _, scores = judge.judge_images(
        judge.load_shipped_judge(), torch.from_numpy(np.stack(pictures)).to(torch.uint8)[:, None]
    )
    return scores.argmax(1).tolist()


def test_whoever_picks_sevens_gets_sevens(page: Page, server: Server):
    page.goto(f"{server.address}#/play/mnist-cgan?n=32")
    page.wait_for_selector("[data-drawn]")
    assert _drawn(page) == 1
    page.select_option("fieldset select", label="7")
    _wait(lambda: _drawn(page) > 1)
    assert "label=7" in page.url
    shown = [_pixels(page, f".sample:nth-child({i + 1}) canvas") for i in range(32)]
    assert _read(shown).count(7) >= 29


THREE = [(85, 70), (115, 48), (150, 45), (178, 62), (180, 95), (160, 120), (130, 130)]
THREE += [(165, 140), (188, 165), (185, 200), (160, 225), (120, 230), (85, 212)]


def test_whoever_draws_a_three_gets_a_three(page: Page, server: Server):
    page.goto(f"{server.address}#/draw/mnist-cgan")
    draw(page, THREE)
    assert "Class 3." in page.inner_text(".result")
    assert _read([_pixels(page, "figure:nth-child(2) canvas")]) == [3]


def test_a_visitor_without_runs_finds_the_shipped_models(page: Page, server: Server):
    page.goto(server.address)
    page.click(".ready >> text=mnist-cgan")
    page.wait_for_selector("[data-drawn]")
    assert page.input_value("main select >> nth=0") == "mnist-cgan"
    page.click("nav >> text=Watch")  # which shows runs, and this is none
    page.wait_for_selector("[data-grid]")
    assert page.input_value("main select") == "small"


def test_real_or_fake(page: Page, server: Server):
    page.goto(f"{server.address}#/quiz/small?seed=3")
    page.wait_for_selector(".quiz li")
    assert page.locator(".quiz li").count() == 20
    for i in range(20):
        page.click(f".quiz li >> nth={i} >> button >> nth=0")
    said = page.inner_text(".result")
    right = int(re.search(r"You were right (\d+) times of 20 \(95% interval \d+% to \d+%\)", said)[1])
    assert page.locator(".quiz li.right").count() == right
    assert re.search(r"The discriminator: \d+ of 20", said)
    page.reload()  # the address holds what was guessed
    _wait(lambda: page.locator(".result").count() and page.inner_text(".result") == said)


def test_real_or_fake_by_keyboard_alone_in_two_languages(page: Page, server: Server):
    page.goto(f"{server.address}#/quiz/small")
    page.wait_for_selector(".quiz li")
    page.focus(".score button")
    for i in range(20):
        for key in ("Tab", "Tab", "Enter") if i % 2 else ("Tab", "Enter", "Tab"):  # fake, or real
            page.keyboard.press(key)
        if i == 9:
            pictures = page.evaluate("[...document.querySelectorAll('.quiz canvas')].map(c => c.toDataURL())")
            page.click("text=한국어")
            page.wait_for_selector("text=10장 남음")
            assert page.evaluate("[...document.querySelectorAll('.quiz canvas')].map(c => c.toDataURL())") == pictures
            page.focus(".quiz li:nth-child(10) button >> nth=1")
    assert re.search(r"20번 중 \d+번 맞혔습니다", page.inner_text(".result"))
    page.keyboard.press("Enter")  # the focus is where one goes on
    page.wait_for_selector("text=20장 남음")


def test_an_address_that_leads_nowhere_says_so(page: Page, server: Server):
    for name in ("play/nothing", "play/%E0%A4", "quiz/%"):
        page.goto(f"{server.address}#/{name}")
        page.reload()
        page.wait_for_selector("main h2, main .bad")


def test_a_training_is_started_watched_left_alone_and_stopped(page: Page, server: Server):
    page.goto(server.address)
    page.wait_for_selector("form")
    page.select_option("form select", "vanilla")
    page.fill("form input[type=number]", "60")
    page.click("form button")
    page.wait_for_selector("[data-grid]", timeout=120_000)
    first = page.get_attribute("[data-grid]", "data-grid")
    folder = RunFolder(server.runs / "vanilla-mnist-1")
    process = lock.lock_holder(folder.path)
    assert process is not None
    try:
        server.stop()  # in the middle of the training; the page waits
        assert lock.lock_holder(folder.path) == process
        server.start()
        _wait(lambda: page.get_attribute("[data-grid]", "data-grid") != first, 150)
        page.wait_for_selector("svg.chart")
        page.click("text=Stop")
        page.wait_for_selector("[data-state=stopped]", timeout=120_000)
    finally:
        if lock.lock_holder(folder.path) == process:
            os.kill(process, signal.SIGKILL)
    assert checkpoint.read_checkpoint(folder.checkpoint, {"step": 0})["step"] > 0
    assert lock.lock_holder(folder.path) is None


def test_two_hundred_requests_at_once_are_answered_or_refused_cleanly(server: Server):
    body = json.dumps({"z": [[0.1] * 8] * 16}).encode()
    request = urllib.request.Request(
        f"{server.address}api/models/small/draw", body, {"content-type": "application/json"}, method="POST"
    )

    def ask(_: int) -> int:
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                assert len(answer.read()) == 16 * 784
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    assert ask(0) == 200
    before = _memory(server.process.pid)
    with ThreadPoolExecutor(200) as threads:
        statuses = list(threads.map(ask, range(200)))
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 32  # as many as may wait
    assert ask(0) == 200
    assert _memory(server.process.pid) - before < 100


def _memory(process: int) -> float:
    """What a process holds, in MiB; 0 where the system does not say."""
    status = Path(f"/proc/{process}/status")
    return int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1]) / 1024 if status.exists() else 0.0
