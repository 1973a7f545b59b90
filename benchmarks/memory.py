"""The memory that a training says it will hold at most, beside what it then held.

    OMP_NUM_THREADS=2 python -m benchmarks.memory [--steps 20] [--presets fast dcgan64] [--sizes 28 64]

Each row is a `dcgan train` in a process of its own, with the preset's own batch, up to the report at its end. What it
held is the peak that the system counted for it (Linux). The pictures are noise, of which the content does not change
the memory: 2,000 in color from 48 pixels on, MNIST at 28.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

CASES = {
    "dcgan": (28,),
    "wgan-gp": (28,),
    "r3gan": (28, 64),
    "fast": (28, 64, 128),
    "dcgan64": (64,),
    "match": (64, 128),
}
"""The sizes that each preset is measured at."""
PICTURE_COUNT = 2_000
TRAIN = """
import atexit, sys
from dcgan.cli.main import main
from dcgan.system.resources import peak_memory
atexit.register(lambda: print(peak_memory()))
main(sys.argv[1:])
"""
"""The process says itself what it held: what the system tells its parent includes memory of the parent."""
UNITS = {"MB": 1e6, "GB": 1e9}
STATED = re.compile(r"memory: about ([\d.]+) (MB|GB) at most")


def train(preset: str, data: str, size: int, steps: int, out: Path) -> tuple[float, float]:
    """Train, and return the stated and the measured peak in megabytes."""
    words = ["train", "--preset", preset, "--data", data, "--image-size", str(size), "--steps", str(steps)]
    command = [sys.executable, "-c", TRAIN, *words, "--device", "cpu", "--out", str(out)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    match = STATED.search(process.stderr)
    if process.returncode or match is None:
        raise SystemExit(process.stderr)
    return float(match[1]) * UNITS[match[2]] / 1e6, int(process.stdout.split()[-1]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--presets", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--sizes", nargs="+", type=int)
    args = parser.parse_args()
    print("| preset | size | stated | held | stated / held |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for preset in args.presets:
            for size in CASES[preset]:
                if args.sizes and size not in args.sizes:
                    continue
                noise = Path(folder, f"{size}.npy")
                if size > 28 and not noise.exists():
                    np.save(noise, np.random.default_rng(0).integers(0, 256, (PICTURE_COUNT, size, size, 3), np.uint8))
                data = str(noise) if size > 28 else "mnist"
                stated, held = train(preset, data, size, args.steps, Path(folder, f"{preset}-{size}"))
                print(f"| `{preset}` | {size} | {stated:,.0f} MB | {held:,.0f} MB | {stated / held:.2f} |", flush=True)


if __name__ == "__main__":
    main()
