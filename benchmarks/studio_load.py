"""Measure how much two hundred simultaneous requests for samples slow down the training beside the studio.

    python -m benchmarks.studio_load [--rounds 5] [--window 20] [--model mnist-cgan] [--preset dcgan]

Prints JSON. A training and a studio run as processes of their own. Quiet windows and loaded ones take turns. In a
loaded window, 200 requests for 16 digits each are sent at the same time, and the next 200 a second after the last
answer, as the studio's "busy" answer asks. The client has the lowest priority, because it is not what is measured. The
slowdown of a round is 1 - (the training's images per second when loaded) / (the same when quiet).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.pictures import run_studio
from dcgan.models.shipped import SHIPPED_NAMES
from dcgan.run.folder import RunFolder

REQUESTS_PER_BURST = 200
IMAGES_PER_REQUEST = 16
RETRY_AFTER_S = 1.0
"""The studio asks those whom it refuses to come back after this time."""
WARM_UP_S = 10.0
REQUEST_TIMEOUT_S = 600
LOWEST_PRIORITY = 19
OK_STATUS = 200


@dataclass(frozen=True)
class Answer:
    """The HTTP status of one request, and the seconds until it was answered."""

    status: int
    seconds: float


@dataclass(frozen=True)
class Round:
    """The training's images per second in a quiet and in a loaded window, and the answers of the studio."""

    quiet: float
    loaded: float
    answers: list[Answer]


def send_request(url: str, body: bytes) -> Answer:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, body, headers, method="POST")
    start = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT_S) as response:
            response.read()
            return Answer(int(response.status), time.perf_counter() - start)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, time.perf_counter() - start)


def send_bursts(url: str, body: bytes, end: float) -> list[Answer]:
    """Send bursts of simultaneous requests until `time.perf_counter()` is `end`."""
    answers: list[Answer] = []
    with ThreadPoolExecutor(REQUESTS_PER_BURST) as threads:
        while time.perf_counter() < end:
            answers += threads.map(lambda _: send_request(url, body), range(REQUESTS_PER_BURST))
            time.sleep(max(0.0, min(RETRY_AFTER_S, end - time.perf_counter())))
    return answers


def images_seen(run: RunFolder) -> int:
    return int(list(run.log.measurements())[-1]["images_seen"])


def measure_speed(run: RunFolder, window_s: float) -> float:
    """Return the training's images per second over a window from now. Its log has a measurement for every step."""
    images_before, start = images_seen(run), time.perf_counter()
    time.sleep(window_s)
    return (images_seen(run) - images_before) / (time.perf_counter() - start)


def request_body(model_url: str) -> bytes:
    """Return the body of a request for `IMAGES_PER_REQUEST` images, of every class in turn if the model has classes."""
    with urllib.request.urlopen(model_url, timeout=REQUEST_TIMEOUT_S) as response:
        model = json.load(response)
    class_count = len(model["classes"])
    labels = [i % class_count for i in range(IMAGES_PER_REQUEST)] if class_count else None
    return json.dumps({"z": [[0.1] * model["z_dim"]] * IMAGES_PER_REQUEST, "labels": labels}).encode()


def measure_loaded_speed(run: RunFolder, window_s: float, model_url: str) -> tuple[float, list[Answer]]:
    """Return the training's images per second while requests are sent, and the answers to them."""
    body, end = request_body(model_url), time.perf_counter() + window_s
    answers: list[Answer] = []
    client = threading.Thread(target=lambda: answers.extend(send_bursts(f"{model_url}/draw", body, end)))
    client.start()
    speed = measure_speed(run, window_s)
    client.join()
    return speed, answers


def measure_rounds(args: argparse.Namespace, runs: Path) -> list[Round]:
    run = RunFolder(runs / "training")
    arguments = ["train", "--preset", args.preset, "--minutes", "60", "--log-every", "1", "--out", str(run.path)]
    with subprocess.Popen([sys.executable, "-m", "dcgan", *arguments], stderr=subprocess.DEVNULL) as training:
        try:
            with run_studio(runs) as address:
                os.nice(LOWEST_PRIORITY)  # of this client only: its child processes have started already
                while not (run.log.path.exists() and list(run.log.measurements())):
                    time.sleep(0.5)
                time.sleep(WARM_UP_S)
                model_url = f"{address}api/models/{args.model}"
                return [
                    Round(measure_speed(run, args.window), *measure_loaded_speed(run, args.window, model_url))
                    for _ in range(args.rounds)
                ]
        finally:
            training.terminate()


def summarize(rounds: list[Round]) -> dict[str, Any]:
    answer_seconds = [a.seconds for r in rounds for a in r.answers if a.status == OK_STATUS]
    return {
        "cores": os.cpu_count(),
        "quiet_images_s": [round(r.quiet, 1) for r in rounds],
        "loaded_images_s": [round(r.loaded, 1) for r in rounds],
        "median_slowdown": round(statistics.median(1 - r.loaded / r.quiet for r in rounds), 4),
        "answers": [dict(Counter(answer.status for answer in r.answers)) for r in rounds],
        "median_answer_s": round(statistics.median(answer_seconds), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--window", type=float, default=20.0)
    parser.add_argument("--model", choices=SHIPPED_NAMES, default="mnist-cgan")
    parser.add_argument("--preset", default="dcgan")
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(summarize(measure_rounds(parser.parse_args(), Path(folder))), indent=2))


if __name__ == "__main__":
    main()
