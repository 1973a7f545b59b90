"""The studio's pages in a real browser. The server is a process of its own."""

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Page

from benchmarks.pictures import draw_digit
from dcgan.metrics.judge import network as judge
from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_holder
from dcgan.training.checkpoint import read_checkpoint
from dcgan.training.health import Diagnosis
from tests.studio.conftest import Server, wait_for


@pytest.fixture(scope="module")
def server(finished_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    runs = tmp_path_factory.mktemp("studio")
    shutil.copytree(finished_run.path, runs / "small")
    shutil.copytree(finished_run.path, runs / "damaged")
    (runs / "damaged" / "config.json").write_text("{")
    server = Server(runs)
    yield server
    server.stop()


def _draw_count(page: Page) -> int:
    """Return how many times the page has drawn its samples."""
    return int(page.get_attribute("[data-drawn]", "data-drawn") or 0)


def _canvas_urls(page: Page, selector: str) -> list[str]:
    """Return what each canvas shows, as a data URL."""
    return page.evaluate(f"[...document.querySelectorAll('{selector}')].map(c => c.toDataURL())")


def _pixels(page: Page, canvas: str) -> np.ndarray:
    """Return what a canvas shows, gray, (H, W)."""
    url = page.evaluate(f"document.querySelector('{canvas}').toDataURL()")
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("L")).astype(int)


def _page_width(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")


CUT_OFF = """() => [...document.querySelectorAll('main :is(label, select, h3, p, dd, li)')].filter((element) => {
    const frame = element.closest('.panel, main').getBoundingClientRect();
    return !element.closest('.scroll') && element.getBoundingClientRect().right > frame.right + 1;
}).map((element) => element.outerHTML)"""
"""Returns what reaches out of its panel, or out of the page."""


def test_a_run_with_a_long_name_fits_on_every_page(page: Page, server: Server):
    name = "train-a_folder_of_photographs_of_buildings-1"
    shutil.copytree(server.runs / "small", server.runs / name)
    ready = {f"watch/small?with={name}": "polyline.other-1", f"play/{name}": "[data-drawn]"}
    ready |= {f"draw/{name}": "canvas.board", f"compare/{name}?to={name}": "[data-compared]", f"quiz/{name}": ".quiz"}
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto(server.address)
    for address, selector in ready.items():
        page.goto(f"{server.address}#/{address}")
        page.wait_for_selector(selector, state="attached")
        for width in (1200, 360):
            page.set_viewport_size({"width": width, "height": 800})
            assert (_page_width(page), page.evaluate(CUT_OFF)) == (width, []), address
    shutil.rmtree(server.runs / name)


def test_the_runs_are_listed_and_a_broken_one_says_why(page: Page, server: Server):
    page.goto(server.address)
    page.wait_for_selector("[data-run=small] >> text=done")
    assert "config.json is damaged" in page.inner_text("[data-run=damaged]")
    assert page.locator("[data-run=damaged] button").count() == 0
    assert page.input_value("form select") == ""  # the data decide
    assert _page_width(page) <= 390  # nothing is wider than a phone's screen


@pytest.mark.parametrize("name", ["runs", "watch/small", "play/small", "draw/small", "quiz/small"])
def test_every_page_fits_a_phone_names_its_elements_and_has_korean_texts(name: str, page: Page, server: Server):
    page.goto(f"{server.address}#/{name}")
    page.wait_for_selector("main h2")
    page.wait_for_load_state()
    assert _page_width(page) <= 390
    unnamed = """[...document.querySelectorAll('button, input, select, a, img, canvas[role]')].filter(e =>
      !(e.textContent || e.ariaLabel || e.alt || e.labels?.length))"""
    assert page.evaluate(f"{unnamed}.map(e => e.outerHTML)") == []
    english = page.inner_text("main h2")
    page.click("text=한국어")
    wait_for(lambda: page.inner_text("main h2") != english)
    assert page.get_attribute("html", "lang") == "ko"
    assert _page_width(page) <= 390


def test_problems_and_metrics_are_shown_in_words(page: Page, server: Server):
    log, position = RunFolder(server.runs / "small").log, {"step": 7, "images_seen": 112}
    log.append({"event": "health", **position, **Diagnosis("collapse", "all pictures alike", "--r1 0.1").as_json()})
    log.append({"event": "measured", **position, "figure": 2.5})
    page.goto(f"{server.address}#/watch/small")
    page.wait_for_selector("text=Step 7: collapse: all pictures alike: try --r1 0.1")
    assert page.inner_text("dt:text-is('figure') + dd") == "2.5"


@pytest.fixture
def charted(finished_run: RunFolder, server: Server) -> Iterator[str]:
    """Return the name of a run that has measured its losses and its Fréchet distance at every 1,000 images."""
    shutil.copytree(finished_run.path, server.runs / "charted")
    log = RunFolder(server.runs / "charted").log
    for i in range(1, 31):
        position = {"step": 1000 + i, "images_seen": 100_000 + 1000 * i}
        log.append(
            {**position, "seconds": 1.0 * i, "loss_d": 1.0, "loss_g": 10.0 ** (i % 3), "d_real": 0.5, "d_fake": 0.5}
        )
        log.append({"event": "measured", **position, "frechet_inception_distance": 100.0 / i, "features": "random"})
    yield "charted"
    shutil.rmtree(server.runs / "charted")


def test_curves_show_values_where_the_visitor_points(page: Page, server: Server, charted: str):
    page.goto(f"{server.address}#/watch/{charted}")
    quality = page.locator(".chart-box", has_text="Quality while training: Fréchet distance")
    quality.wait_for()
    assert quality.locator(".legend").inner_text() == "Fréchet distance 3.333"  # the last one
    plot = quality.locator("svg")
    plot.focus()
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    assert quality.locator(".legend").inner_text().split() == ["Fréchet", "distance", "3.571", "128,000", "images"]
    page.keyboard.press("Home")
    assert "101,000 images" in quality.locator(".legend").inner_text()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 20)
    assert "130,000 images" in quality.locator(".legend").inner_text()
    page.mouse.move(0, 0)
    assert "images" not in quality.locator(".legend").inner_text()
    ticks = quality.locator("svg text[text-anchor=middle]").all_text_contents()
    assert ticks == ["110k", "120k", "130k"]


def test_curves_are_smoothed_and_drawn_on_a_logarithmic_axis(page: Page, server: Server, charted: str):
    page.goto(f"{server.address}#/watch/{charted}")
    losses = page.locator(".chart-box", has_text="Losses")
    losses.wait_for()
    heights = "line => line.getAttribute('points').split(' ').slice(-12).map(p => Number(p.split(',')[1]))"
    rough = losses.locator("polyline.series-2").evaluate(heights)
    page.get_by_label("Smooth").check()
    smooth = losses.locator("polyline.series-2:not(.faint)").evaluate(heights)
    assert np.ptp(smooth) < np.ptp(rough) / 2
    page.get_by_label("Smooth").uncheck()
    page.get_by_label("Log scale").check()
    spread = np.unique(losses.locator("polyline.series-2").evaluate(heights))
    assert len(spread) == 3  # 1, 10 and 100 are equally far from each other
    assert np.diff(spread)[0] == pytest.approx(np.diff(spread)[1], abs=0.2)
    assert {"1", "10", "100"} <= set(losses.locator("svg text").all_text_contents())


def test_a_run_gets_a_note_and_a_name_and_is_deleted_after_a_second_question(
    page: Page, server: Server, finished_run: RunFolder
):
    shutil.copytree(finished_run.path, server.runs / "managed")
    page.goto(f"{server.address}#/watch/managed")
    page.click("summary:text('Note, rename, delete')")
    page.fill("textarea", "too <b>dark</b>")
    page.click("button:text-is('Save the note')")
    page.wait_for_selector("p.note:text-is('too <b>dark</b>')")
    page.fill(".manage input", "a/b")
    page.click("button:text-is('Rename')")
    page.wait_for_selector(".manage .bad:text('letters, digits')")
    page.fill(".manage input", "renamed")
    page.click("button:text-is('Rename')")
    page.wait_for_url("**/#/watch/renamed")
    page.click("summary:text('Note, rename, delete')")
    page.click("button:text-is('Delete …')")
    page.click("button:text-is('Keep it')")
    assert (server.runs / "renamed" / "note.txt").is_file()
    page.click("button:text-is('Delete …')")
    page.click("button:text-is('Delete for ever')")
    page.wait_for_url("**/#/runs")
    assert not (server.runs / "renamed").exists()


def test_play_with_the_keyboard_only(page: Page, server: Server):
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
    draw_count = _draw_count(page)
    page.keyboard.press("End")
    wait_for(lambda: _draw_count(page) > draw_count)
    assert page.evaluate("document.querySelector('.sample canvas').toDataURL()") != before
    assert "moves=0%2C3" in page.url
    samples = _canvas_urls(page, ".sample canvas")
    page.reload()
    page.wait_for_selector("[data-drawn]")
    assert _canvas_urls(page, ".sample canvas") == samples


def test_draw_and_continue_on_the_page_play(page: Page, server: Server):
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
    text = page.inner_text(".result")
    assert re.search(r"Found. The difference from your picture is [\d.]+ of 255", text)
    nearest = _pixels(page, "figure:nth-child(2) canvas")
    page.click("text=Continue from this picture")
    page.wait_for_selector("[data-drawn]")
    assert "from your drawing" in page.get_attribute(".sample >> nth=0", "aria-label")
    assert np.abs(_pixels(page, ".sample canvas") - nearest).max() <= 1  # the same latent in another batch


def _judged_digits(images: list[np.ndarray]) -> list[int]:
    """Return which digits an independent judge sees in pictures (H, W)."""
    pixels = torch.from_numpy(np.stack(images)).to(torch.uint8)[:, None]
    _, scores = judge.judge_images(judge.load_shipped_judge(), pixels)
    return scores.argmax(1).tolist()


def test_choosing_the_class_seven_draws_sevens(page: Page, server: Server):
    page.goto(f"{server.address}#/play/mnist-cgan?n=32")
    page.wait_for_selector("[data-drawn]")
    assert _draw_count(page) == 1
    page.select_option("fieldset select", label="7")
    wait_for(lambda: _draw_count(page) > 1)
    assert "label=7" in page.url
    samples = [_pixels(page, f".sample:nth-child({i + 1}) canvas") for i in range(32)]
    assert _judged_digits(samples).count(7) >= 29


THREE = [(85, 70), (115, 48), (150, 45), (178, 62), (180, 95), (160, 120), (130, 130)]
THREE += [(165, 140), (188, 165), (185, 200), (160, 225), (120, 230), (85, 212)]


def test_drawing_a_three_finds_a_three(page: Page, server: Server):
    page.goto(f"{server.address}#/draw/mnist-cgan")
    draw_digit(page, THREE)
    assert "Class 3." in page.inner_text(".result")
    assert _judged_digits([_pixels(page, "figure:nth-child(2) canvas")]) == [3]


def test_a_visitor_without_runs_finds_the_shipped_models(page: Page, server: Server):
    page.goto(server.address)
    page.click(".ready >> text=mnist-cgan")
    page.wait_for_selector("[data-drawn]")
    assert page.input_value("main select >> nth=0") == "mnist-cgan"
    page.click("nav >> text=Watch")  # it shows runs, and a shipped model is no run
    page.wait_for_selector("[data-grid]")
    assert page.input_value("main select") == "small"


def test_real_or_fake(page: Page, server: Server):
    page.goto(f"{server.address}#/quiz/small?seed=3")
    page.wait_for_selector(".quiz li")
    assert page.locator(".quiz li").count() == 20
    for i in range(20):
        page.click(f".quiz li >> nth={i} >> button >> nth=0")
    text = page.inner_text(".result")
    right_count = int(re.search(r"You were right (\d+) times of 20 \(95% interval \d+% to \d+%\)", text)[1])
    assert page.locator(".quiz li.right").count() == right_count
    assert re.search(r"The discriminator: \d+ of 20", text)
    page.reload()  # the address holds the guesses
    wait_for(lambda: page.locator(".result").count() and page.inner_text(".result") == text)


def test_real_or_fake_with_the_keyboard_only_in_two_languages(page: Page, server: Server):
    page.goto(f"{server.address}#/quiz/small")
    page.wait_for_selector(".quiz li")
    page.focus(".score button")
    for i in range(20):
        for key in ("Tab", "Tab", "Enter") if i % 2 else ("Tab", "Enter", "Tab"):  # fake, or real
            page.keyboard.press(key)
        if i == 9:
            pictures = _canvas_urls(page, ".quiz canvas")
            page.click("text=한국어")
            page.wait_for_selector("text=10장 남음")
            assert _canvas_urls(page, ".quiz canvas") == pictures
            page.focus(".quiz li:nth-child(10) button >> nth=1")
    assert re.search(r"20번 중 \d+번 맞혔습니다", page.inner_text(".result"))
    page.keyboard.press("Enter")  # the button for the next quiz has the focus
    page.wait_for_selector("text=20장 남음")


def _count_requests(page: Page, part: str) -> list[str]:
    """Return a list that grows with each request whose URL has `part` in it."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url) if part in request.url else None)
    return urls


def _sends_nothing(page: Page, urls: list[str]) -> bool:
    """Return whether nothing is added to a list of requests for three times as long as a page waits between two."""
    count = len(urls)
    page.wait_for_timeout(3000)
    return len(urls) == count


def test_a_seventh_tab_loads_beside_six_that_watch(page: Page, server: Server):
    """A browser opens six connections to a host. Nothing may keep one of them open."""
    tabs = [page, *(page.context.new_page() for _ in range(6))]
    for tab in tabs:
        tab.goto(f"{server.address}#/watch/small", timeout=60_000)
        tab.wait_for_selector("svg.chart", timeout=60_000)
    tabs[-1].click("nav >> text=Runs")
    tabs[-1].wait_for_selector("[data-run=small]")
    for tab in tabs[1:]:
        tab.close()


def test_a_page_that_was_left_asks_for_nothing(page: Page, server: Server):
    urls = _count_requests(page, "api/runs/small")
    page.goto(f"{server.address}#/watch/small")
    page.wait_for_selector("svg.chart")
    wait_for(lambda: not page.wait_for_timeout(100) and len(urls) > 2)
    for _ in range(3):  # leave the page before its list of runs has come, too
        page.evaluate("location.hash = '#/play/small'")
        page.evaluate("location.hash = '#/watch/small'")
        page.evaluate("location.hash = '#/quiz/small'")
    page.wait_for_selector(".quiz li")
    assert _sends_nothing(page, urls)


def test_a_hidden_page_asks_for_nothing(page: Page, server: Server):
    page.goto(f"{server.address}#/watch/small")
    page.wait_for_selector("svg.chart")
    urls = _count_requests(page, "api/runs/small")
    set_hidden = "hidden => Object.defineProperty(document, 'hidden', {value: hidden, configurable: true})"
    page.evaluate(set_hidden, True)
    page.wait_for_timeout(1500)
    assert _sends_nothing(page, urls)
    page.evaluate(set_hidden, False)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    wait_for(lambda: not page.wait_for_timeout(100) and urls)


def test_a_run_that_does_not_change_is_not_sent_again(page: Page, server: Server):
    statuses: list[int] = []
    page.on("response", lambda r: statuses.append(r.status) if r.url.endswith("api/runs/small") else None)
    page.goto(f"{server.address}#/watch/small")
    wait_for(lambda: not page.wait_for_timeout(100) and len(statuses) >= 4)
    assert (statuses[0], set(statuses[1:])) == (200, {304})


@pytest.mark.parametrize("change", ["delete", "rename"])
def test_a_run_that_goes_while_it_is_watched_is_said_to_be_gone(page: Page, server: Server, change: str):
    run = server.runs / "passing"
    shutil.copytree(server.runs / "small", run)
    page.goto(f"{server.address}#/watch/passing")
    page.wait_for_selector("svg.chart")
    shutil.rmtree(run) if change == "delete" else run.rename(server.runs / "renamed")
    page.wait_for_selector("text=There is no run passing. It may have been deleted or renamed.")
    assert page.locator("svg.chart, [data-grid] img.grid").count() == 0
    assert _sends_nothing(page, _count_requests(page, "api/"))
    shutil.rmtree(server.runs / "renamed", ignore_errors=True)


def test_a_run_that_never_was_is_said_not_to_be_there(page: Page, server: Server):
    page.goto(f"{server.address}#/watch/nothing")
    page.wait_for_selector("text=There is no run nothing.")
    assert _sends_nothing(page, _count_requests(page, "api/"))
    page.select_option("main select", "small")
    page.wait_for_selector("svg.chart")
    assert page.locator("text=There is no run").count() == 0


def test_a_start_that_fails_says_why_until_it_is_dismissed(page: Page, server: Server):
    page.goto(server.address)
    page.wait_for_selector("form")
    page.fill("form input[type=text]", "/etc")
    page.click("form button.main")
    page.wait_for_selector("form >> text=--data-root")
    page.fill("form input[type=text]", "no such data")
    assert page.locator("form >> text=--data-root").count() == 0  # the message leaves with its cause
    page.click("form button.main")
    page.wait_for_selector("form [role=status] >> text=there is no data 'no such data'")  # on the same page
    assert _page_width(page) <= 390
    page.wait_for_selector(".failure >> text=no such data")
    page.click(".failure button")
    wait_for(lambda: not page.wait_for_timeout(100) and page.locator(".failure").count() == 0)


def test_cards_are_refreshed_while_one_of_them_is_used(page: Page, server: Server):
    page.goto(server.address)
    page.click("[data-run=small] summary")
    page.fill("[data-run=small] input", "77")
    log = RunFolder(server.runs / "small").log
    last = list(log.measurements())[-1]
    log.append({**last, "step": 4321, "images_seen": last["images_seen"] + 16})
    page.wait_for_selector("[data-run=small] dd:text-is('4,321')")
    assert page.input_value("[data-run=small] input") == "77"
    assert page.evaluate("document.activeElement.closest('[data-run]').dataset.run") == "small"


def test_clearing_and_a_refused_upload_leave_no_old_result(page: Page, server: Server):
    page.goto(f"{server.address}#/draw/small")
    draw_digit(page)
    for clear in (
        lambda: page.click("text=Clear"),
        lambda: page.set_input_files("input[type=file]", {"name": "x.png", "mimeType": "image/png", "buffer": b"x"}),
    ):
        clear()
        wait_for(lambda: page.inner_text(".result") in ("", "This file is not a picture."))
        assert page.locator("text=Continue from this picture").is_hidden()
        assert _canvas_urls(page, "figure:nth-child(2) canvas") == page.evaluate(
            "(() => { const c = document.createElement('canvas'); c.width = c.height = 28; return [c.toDataURL()] })()"
        )
        draw_digit(page)


def test_an_address_of_nothing_shows_an_error_or_a_page(page: Page, server: Server):
    for name in ("play/nothing", "play/%E0%A4", "quiz/%"):
        page.goto(f"{server.address}#/{name}")
        page.reload()
        page.wait_for_selector("main h2, main .bad")


def test_a_training_is_started_watched_left_alone_and_stopped(page: Page, server: Server):
    page.goto(server.address)
    page.wait_for_selector("form")
    page.select_option("form select", "vanilla")
    page.fill("form input[type=number]", "60")
    page.click("form button.main")
    page.wait_for_selector("[data-grid]", timeout=120_000)
    folder = RunFolder(server.runs / "vanilla-mnist-1")
    holder = lock_holder(folder.path)
    assert holder is not None
    try:
        server.stop()  # in the middle of the training; the page waits
        progress = page.inner_text("[aria-live=off]")
        assert lock_holder(folder.path) == holder
        server.start()
        wait_for(lambda: page.inner_text("[aria-live=off]") != progress)
        page.wait_for_selector("svg.chart")
        page.click("text=Stop")
        page.wait_for_selector("[data-state=stopped]", timeout=120_000)
    finally:
        if lock_holder(folder.path) == holder:
            os.kill(holder.process_id, signal.SIGKILL)
    assert read_checkpoint(folder.checkpoint).step > 0
    assert lock_holder(folder.path) is None


def test_two_hundred_requests_at_once_are_answered_or_refused(server: Server):
    body = json.dumps({"z": [[0.1] * 8] * 16}).encode()
    request = urllib.request.Request(
        f"{server.address}api/models/small/draw", body, {"content-type": "application/json"}, method="POST"
    )

    def send(_: int) -> int:
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                assert len(response.read()) == 16 * 784
                return int(response.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    assert send(0) == 200
    before_mib = _memory_mib(server.process.pid)
    with ThreadPoolExecutor(200) as threads:
        statuses = list(threads.map(send, range(200)))
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 32  # as many as may wait
    assert send(0) == 200
    assert _memory_mib(server.process.pid) - before_mib < 100


def test_five_hundred_connections_that_say_nothing_shut_nobody_out(page: Page, server: Server):
    place = urlsplit(server.address)
    with ExitStack() as connections:
        for _ in range(500):
            connections.enter_context(socket.create_connection((place.hostname, place.port)))
        page.goto(server.address)
        page.wait_for_selector("[data-run=small]")


def _memory_mib(process_id: int) -> float:
    """Return the resident memory of a process in MiB; 0 if the system does not say it."""
    status = Path(f"/proc/{process_id}/status")
    return int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1]) / 1024 if status.exists() else 0.0
