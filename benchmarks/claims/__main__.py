"""Measure the claims of the study's document and write the page about them.

    python -m benchmarks.claims toy sizes formulae       # seconds
    python -m benchmarks.claims gradients                # minutes
    python -m benchmarks.claims stability --folder DIR   # hours; the same again goes on
    dcgan compare --out DIR ... && python -m benchmarks.claims compared --folder DIR [DIR ...]
    python -m benchmarks.claims page                     # docs/claims.md from what is stored

Every part stores what it found in docs/claims.json, with its command, versions and time, and writes the page anew.
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
from benchmarks.claims import checks, compared, gradients, page, stability, toy

STORED, PAGE = Path("docs/claims.json"), Path("docs/claims.md")
Found = dict[str, Any]


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
            begin = time.monotonic()
            store(part, PARTS[part](args), time.monotonic() - begin)
    PAGE.write_text(page.written(stored()), encoding="utf-8")


PARTS: dict[str, Callable[[argparse.Namespace], Found]] = {
    "toy": lambda args: toy.measured(args.seeds),
    "sizes": lambda args: checks.sizes(),
    "formulae": lambda args: checks.formulae(),
    "gradients": lambda args: gradients.measured(args.presets, args.seeds, args.steps),
    "stability": lambda args: stability.measured(args.folder[0], args.seeds, args.images),
    "compared": lambda args: compared.measured(args.folder),
}


def stored() -> Found:
    """What was found so far."""
    return json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else {}


def store(part: str, found: Found, seconds: float) -> None:
    """Add what a part found, with what one needs to find it again."""
    about = {
        "command": shlex.join(["python", "-m", "benchmarks.claims", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seconds": round(seconds, 1),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {"dcgan": dcgan.__version__, "torch": torch.__version__},
    }
    content = stored() | {part: {"about": about, **found}}
    STORED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
