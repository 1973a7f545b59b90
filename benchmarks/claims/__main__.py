"""Measure the claims of the study's document and write the page about them.

    python -m benchmarks.claims toy sizes formulae       # seconds
    python -m benchmarks.claims gradients                # minutes
    python -m benchmarks.claims saturation --seeds 0 --steps 1000    # the same, as long as the study's D wins
    python -m benchmarks.claims stability --folder DIR   # hours; the same command again continues
    dcgan compare --out DIR ... && python -m benchmarks.claims compared --folder DIR [DIR ...]
    python -m benchmarks.claims page                     # docs/claims.md from the stored results

Each part stores its results in docs/claims.json, with its command, versions and duration, and writes the page again.
"""

import argparse
import datetime
import json
import os
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import dcgan
from benchmarks.claims import checks, comparisons, gradients, page, stability, toy

RESULTS_PATH, PAGE_PATH = Path("docs/claims.json"), Path("docs/claims.md")
Results = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "page"], metavar="PART")
    parser.add_argument("--folder", type=Path, nargs="+", default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--presets", nargs="+", default=["vanilla", "dcgan"])
    args = parser.parse_args()
    for part in args.parts:
        if part != "page":
            start = time.monotonic()
            store_results(part, PARTS[part](args), time.monotonic() - start)
    PAGE_PATH.write_text(page.render_page(read_results()), encoding="utf-8")


PARTS: dict[str, Callable[[argparse.Namespace], Results]] = {
    "toy": lambda args: toy.measure_toy(args.seeds),
    "sizes": lambda args: checks.measure_layer_sizes(),
    "formulae": lambda args: checks.measure_losses(),
    "gradients": lambda args: gradients.measure_gradients(args.presets, args.seeds, args.steps),
    "saturation": lambda args: gradients.measure_gradients(["dcgan"], args.seeds, args.steps),
    "stability": lambda args: stability.measure_stability(args.folder[0], args.seeds, args.images),
    "compared": lambda args: comparisons.summarize_comparisons(args.folder),
}


def read_results() -> Results:
    """Return the stored results of all parts."""
    return json.loads(RESULTS_PATH.read_text(encoding="utf-8")) if RESULTS_PATH.exists() else {}


def store_results(part: str, results: Results, duration_s: float) -> None:
    """Store the results of a part, with everything that one needs to measure them again."""
    about = {
        "command": shlex.join(["python", "-m", "benchmarks.claims", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seconds": round(duration_s, 1),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {"dcgan": dcgan.__version__, "torch": torch.__version__},
    }
    content = read_results() | {part: {"about": about, **results}}
    RESULTS_PATH.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
