"""Measure how fast the studio answers one visitor, what it answers to many, and what it costs while idle.

    python -m benchmarks.studio [--package DIR] [--idle-seconds 15]

Prints JSON, with the load of the machine. The studio runs as a process of its own, over a folder of 30 runs; the
metrics log of one of them has 20,000 lines, and another one draws 64x64 pictures. `--package` names the `src` of
another version, to compare two versions on one machine. The pages are pages of a real Chromium. Trainings that a
measurement starts are killed.
"""

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Browser, BrowserContext, TimeoutError, sync_playwright

from benchmarks.pictures import run_studio_process
from dcgan.models import upsample
from dcgan.models.store import save_generator

RUN_COUNT = 30
LOG_LINES = 20_000
START_COUNT = 16
INVALID_VALUES = 2**18 - 16
"""Numbers in the invalid body, with four bytes for each: 1 MB."""
TAB_COUNT = 6
"""How many connections a browser opens to one host."""
TAB_TIMEOUT_MS = 10_000
REPEATS = 20
REQUEST_TIMEOUT_S = 120
SLIDER_MOVES = 20
PAINTS = 7
BURST_REQUESTS, OPEN_CONNECTIONS = 200, 500
LARGE_RUN, LARGE_SHAPE = "large", (3, 64, 64)
MOVE_SLIDER = """(value) => new Promise((resolve) => {
    const slider = document.querySelector(".with-ends input[type=range]");
    const start = performance.now();
    const onDrawn = (_, observer) => (observer.disconnect(), resolve(performance.now() - start));
    const options = { attributes: true, attributeFilter: ["data-drawn"] };
    new MutationObserver(onDrawn).observe(document.querySelector("[data-drawn]"), options);
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
})"""
"""Returns the milliseconds from the move of a slider to the drawn samples."""
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
DAMAGED_BODIES = {"NaN": b'{"pixels": [NaN]}', "lone surrogate": b'{"pixels": ["\\ud800"]}'}


class Client:
    """Requests to the studio over one kept connection."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=REQUEST_TIMEOUT_S)

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes, float]:
        """Return the status, the body and the seconds of an answer."""
        headers = {"content-type": "application/json"}
        start = time.perf_counter()
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        return response.status, content, time.perf_counter() - start


def make_runs(folder: Path, package_root: Path | None) -> None:
    """Train a small run for a few steps, copy it, and write a long metrics log into one of the copies."""
    settings = {"preset": "dcgan", "steps": 4, "log-every": 2, "g-width": 4, "d-width": 2, "z-dim": 8, "batch-size": 16}
    flags = [f"--{name}={value}" for name, value in settings.items()]
    environment = {**os.environ, **({"PYTHONPATH": str(package_root)} if package_root else {})}
    command = [sys.executable, "-m", "dcgan", "train", *flags, "--out", str(folder / "run-0")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment)
    for i in range(1, RUN_COUNT - 1):
        shutil.copytree(folder / "run-0", folder / f"run-{i}")
    entry = {"seconds": 1.0, "loss_d": 0.69, "loss_g": 0.81, "d_real": 0.52, "d_fake": 0.47, "images_s": 1034.5}
    shutil.copytree(folder / "run-0", folder / LARGE_RUN)
    save_generator(upsample.Generator(picture_shape=LARGE_SHAPE), folder / LARGE_RUN / "model", {})
    with (folder / "run-0" / "metrics.jsonl").open("w") as log:
        log.writelines(
            json.dumps({"step": i, "images_seen": 16 * i, **entry, "lr_g": 2e-4, "lr_d": 2e-4}) + "\n"
            for i in range(LOG_LINES)
        )


def measure_first_paint(browser: Browser, address: str) -> float:
    """Return the milliseconds until a browser without a cache paints the first page, the median of several."""
    times: list[float] = []
    for _ in range(PAINTS):
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("[data-run]")
        times.append(page.evaluate(FIRST_PAINT))
        page.close()
    return round(statistics.median(times), 1)


def measure_slider(browser: Browser, address: str, run: str) -> float:
    """Return the milliseconds from the move of a slider to sixteen new samples, the median of several moves."""
    page = browser.new_page()
    page.goto(f"{address}#/play/{run}")
    page.wait_for_selector("[data-drawn]", timeout=REQUEST_TIMEOUT_S * 1000)
    times: list[float] = [page.evaluate(MOVE_SLIDER, 3 * i / SLIDER_MOVES) for i in range(1, SLIDER_MOVES + 1)]
    page.close()
    return round(statistics.median(times), 1)


def measure_first_curve(browser: Browser, server: psutil.Process, runs: Path, address: str) -> dict[str, float]:
    """Return the seconds of the phases from the click on the start button to the first curve."""
    page = browser.new_page()
    page.goto(address)
    page.select_option("form select", "vanilla")
    page.fill("form input[type=number]", "60")
    click_time = time.time()
    page.click("form button.main")
    page.wait_for_selector("svg.chart", timeout=REQUEST_TIMEOUT_S * 1000)
    curve_time, name = time.time(), "vanilla-mnist-1"
    kill_trainings(server)
    page.close()
    training_time = (runs / ".studio" / name / "status.json").stat().st_mtime
    lines = (runs / name / "metrics.jsonl").read_text().splitlines()
    first = next(entry for entry in map(json.loads, lines) if entry["step"] == 1)
    return {
        "click_to_training_s": round(training_time - click_time, 2),
        "first_step_s": first["seconds"],
        "first_step_to_curve_s": round(curve_time - training_time - first["seconds"], 2),
    }


def measure_burst(address: str) -> dict[str, Any]:
    """Send many requests for samples at once."""
    body = json.dumps({"z": [[0.1] * 8] * 16}).encode()
    path = "/api/models/run-1/draw"
    with ThreadPoolExecutor(BURST_REQUESTS) as threads:
        answers = list(threads.map(lambda _: Client(address).request("POST", path, body), range(BURST_REQUESTS)))
    counts = Counter(status for status, _, _ in answers)
    return {"answers": dict(counts), "longest_s": round(max(seconds for _, _, seconds in answers), 2)}


def measure_page_beside_connections(browser: Browser, address: str) -> float:
    """Return the seconds until a page shows the runs while many connections are open and say nothing."""
    place = urlsplit(address)
    with ExitStack() as connections:
        for _ in range(OPEN_CONNECTIONS):
            connections.enter_context(socket.create_connection((place.hostname, place.port), timeout=REQUEST_TIMEOUT_S))
        page, start = browser.new_page(), time.perf_counter()
        page.goto(address)
        page.wait_for_selector("[data-run]")
        seconds = time.perf_counter() - start
        page.close()
        return round(seconds, 2)


@contextmanager
def open_tabs(context: BrowserContext, address: str, count: int) -> Iterator[None]:
    """Open pages that watch the run with the long metrics log, and wait until each shows its curves."""
    pages = [context.new_page() for _ in range(count)]
    for page in pages:
        page.goto(f"{address}#/watch/run-0")
        page.wait_for_selector("svg.chart", timeout=REQUEST_TIMEOUT_S * 1000)
    yield
    for page in pages:
        page.close()


def measure_seventh_tab(context: BrowserContext, address: str) -> float | None:
    """Return the seconds until one more tab shows the runs, or None if it does not within ten seconds."""
    with open_tabs(context, address, TAB_COUNT):
        page, start = context.new_page(), time.perf_counter()
        try:
            page.goto(address, timeout=TAB_TIMEOUT_MS)
            page.wait_for_selector("[data-run]", timeout=TAB_TIMEOUT_MS)
        except TimeoutError:
            return None
        finally:
            page.close()
        return time.perf_counter() - start


def measure_idle_cpu(
    context: BrowserContext, address: str, server: psutil.Process, tabs: int, window_s: float
) -> float:
    """Return the share of one core that the studio uses while tabs watch a run that does not change."""
    with open_tabs(context, address, tabs):
        time.sleep(2)
        before, start = server.cpu_times(), time.perf_counter()
        context.pages[0].wait_for_timeout(1000 * window_s)
        after = server.cpu_times()
        seconds: float = after.user + after.system - before.user - before.system
        return seconds / (time.perf_counter() - start)


def measure_longest_wait(address: str, work: Callable[[], None]) -> float:
    """Return the longest time that another request waits for its answer while `work` runs."""
    waits, has_ended = [0.0], threading.Event()

    def request_repeatedly() -> None:
        client = Client(address)
        while not has_ended.is_set():
            waits.append(client.request("GET", "/studio.css")[2])

    thread = threading.Thread(target=request_repeatedly)
    thread.start()
    work()
    has_ended.set()
    thread.join()
    return max(waits)


def measure_invalid_body(address: str) -> dict[str, Any]:
    body = b'{"pixels":[' + b",".join([b"999"] * INVALID_VALUES) + b"]}"
    answers: list[tuple[int, bytes, float]] = []
    path = "/api/models/run-1/invert"
    Client(address).request("GET", "/api/models/run-1")  # the model is loaded
    longest_wait = measure_longest_wait(address, lambda: answers.append(Client(address).request("POST", path, body)))
    ((status, content, seconds),) = answers
    return {
        "body_bytes": len(body),
        "status": status,
        "answer_bytes": len(content),
        "seconds": round(seconds, 3),
        "longest_wait_of_others_s": round(longest_wait, 3),
        **{name: Client(address).request("POST", path, b)[0] for name, b in DAMAGED_BODIES.items()},
    }


def measure_starts(address: str, server: psutil.Process) -> dict[str, Any]:
    """Send many starts at once, and kill what they started."""
    body = json.dumps({"preset": "vanilla", "data": "mnist", "minutes": 60}).encode()
    with ThreadPoolExecutor(START_COUNT) as threads:
        answers = list(threads.map(lambda _: Client(address).request("POST", "/api/runs", body), range(START_COUNT)))
    names = [json.loads(content)["name"] for status, content, _ in answers if status == http.HTTPStatus.CREATED]
    kill_trainings(server)
    return {"sent": START_COUNT, "accepted": len(names), "names": len(set(names))}


def kill_trainings(server: psutil.Process) -> None:
    """Kill the processes that the studio has started."""
    for child in server.children(recursive=True):
        child.kill()


def median_ms(address: str, path: str) -> float:
    client = Client(address)
    return round(1000 * statistics.median(client.request("GET", path)[2] for _ in range(REPEATS)), 2)


def measure(folder: Path, package_root: Path | None, idle_s: float) -> dict[str, Any]:
    make_runs(folder, package_root)
    with sync_playwright() as playwright, run_studio_process(folder, package_root) as (process, address):
        server = psutil.Process(process.pid)
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = chromium.new_context()
        seventh_tab_s = measure_seventh_tab(context, address)
        return {
            "load": [round(value, 1) for value in os.getloadavg()],
            "first_paint_ms": measure_first_paint(chromium, address),
            "slider_ms": {name: measure_slider(chromium, address, name) for name in ("run-1", LARGE_RUN)},
            "burst": measure_burst(address),
            "page_beside_connections_s": measure_page_beside_connections(chromium, address),
            "kept_connection_ms": median_ms(address, "/api/runs/none"),
            "list_of_runs_ms": median_ms(address, "/api/runs"),
            "idle_share_of_a_core": {
                tabs: round(measure_idle_cpu(context, address, server, tabs, idle_s), 4) for tabs in (1, 3)
            },
            "seventh_tab_s": seventh_tab_s and round(seventh_tab_s, 2),
            "invalid_body": measure_invalid_body(address),
            "first_curve": measure_first_curve(chromium, server, folder, address),
            "starts": measure_starts(address, server),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, help="folder that holds the package to measure, by default this one's")
    parser.add_argument("--idle-seconds", type=float, default=15.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), args.package, args.idle_seconds), indent=2))


if __name__ == "__main__":
    main()
