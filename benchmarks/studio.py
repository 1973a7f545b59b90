"""What two hundred requests at once for samples cost the training beside them.

    python -m benchmarks.studio [--rounds 5] [--window 20] [--model mnist-cgan] [--preset dcgan]

Prints JSON. A training and a studio run as processes of their own. Quiet windows and loaded ones take turns; in a
loaded one 200 requests for 16 digits each come at once, and the next 200 a second after the last was answered, as the
"busy" answer asks. The client has the lowest priority: it is not what is measured. A round's slowdown is 1 - the
training's images a second when loaded / when quiet.
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
from pathlib import Path
from typing import Any

from benchmarks.pictures import studio
from dcgan.files import read_json
from dcgan.models import shipped
from dcgan.run.folder import RunFolder

AT_ONCE = 200
PICTURES = 16
PAUSE = 1.0
"""Seconds after which the studio asks those whom it refused to come back."""
WARM_UP = 10.0


def ask(address: str, model: str, body: bytes) -> tuple[int, float]:
    """The status of one request, and the seconds until it was answered."""
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{address}api/models/{model}/draw", body, headers, method="POST")
    begin = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            answer.read()
            return int(answer.status), time.perf_counter() - begin
    except urllib.error.HTTPError as error:
        with error:
            return error.code, time.perf_counter() - begin


def burst(address: str, model: str, body: bytes, until: float) -> list[tuple[int, float]]:
    """Two hundred at once, again and again until then."""
    found: list[tuple[int, float]] = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        while time.perf_counter() < until:
            found += threads.map(lambda _: ask(address, model, body), range(AT_ONCE))
            time.sleep(max(0.0, min(PAUSE, until - time.perf_counter())))
    return found


def seen(run: RunFolder) -> int:
    return int(list(run.log.measurements())[-1]["images_seen"])


def rate(run: RunFolder, window: float) -> float:
    """Images a second over a window from now; the log has a line a step."""
    before, begin = seen(run), time.perf_counter()
    time.sleep(window)
    return (seen(run) - before) / (time.perf_counter() - begin)


def loaded(run: RunFolder, window: float, address: str, model: str) -> tuple[float, list[tuple[int, float]]]:
    """The same while requests come."""
    config = read_json(shipped.shipped_folder(model) / "config.json")
    labels = [i % config["classes"] for i in range(PICTURES)] if config.get("classes") else None
    body = json.dumps({"z": [[0.1] * config["z_dim"]] * PICTURES, "labels": labels}).encode()
    answers: list[tuple[int, float]] = []
    until = time.perf_counter() + window
    client = threading.Thread(target=lambda: answers.extend(burst(address, model, body, until)))
    client.start()
    found = rate(run, window)
    client.join()
    return found, answers


def measure(args: argparse.Namespace, runs: Path) -> dict[str, Any]:
    run = RunFolder(runs / "beside")
    words = ["train", "--preset", args.preset, "--minutes", "60", "--log-every", "1", "--out", str(run.path)]
    with subprocess.Popen([sys.executable, "-m", "dcgan", *words], stderr=subprocess.DEVNULL) as training:
        try:
            with studio(runs) as address:
                os.nice(19)  # the client; its children have begun
                while not (run.log.path.exists() and list(run.log.measurements())):
                    time.sleep(0.5)
                time.sleep(WARM_UP)
                pairs = [
                    (rate(run, args.window), *loaded(run, args.window, address, args.model)) for _ in range(args.rounds)
                ]
        finally:
            training.terminate()
    answers = [answer for _, _, some in pairs for answer in some]
    return {
        "cores": os.cpu_count(),
        "quiet_images_s": [round(quiet, 1) for quiet, _, _ in pairs],
        "loaded_images_s": [round(busy, 1) for _, busy, _ in pairs],
        "median_slowdown": round(statistics.median(1 - busy / quiet for quiet, busy, _ in pairs), 4),
        "answers": [dict(Counter(status for status, _ in some)) for _, _, some in pairs],
        "median_answer_s": round(statistics.median(seconds for status, seconds in answers if status == 200), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--window", type=float, default=20.0)
    parser.add_argument("--model", choices=shipped.SHIPPED_NAMES, default="mnist-cgan")
    parser.add_argument("--preset", default="dcgan")
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(measure(parser.parse_args(), Path(place)), indent=2))


if __name__ == "__main__":
    main()
