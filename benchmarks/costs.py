"""What each preset costs at each size: memory, images a second, the size of the saved model, the time of 64 samples.

    OMP_NUM_THREADS=2 python -m benchmarks.costs [--steps 40] [--presets fast dcgan64] [--sizes 28 64]

Each row is a `dcgan train` in a process of its own, with the preset's own batch, up to the report at its end. `stated`
is the memory that the training says it will hold at most, `held` the peak that the system counted for it (Linux). The
images a second are those of the second half of the steps. 64 samples are drawn by `dcgan sample` in another process;
its time includes Python, torch and the file. The pictures are noise, of which the content changes none of this: 2,000
in color from 48 pixels on, MNIST at 28.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import command_seconds
from dcgan.run.folder import RunFolder

CASES = {
    "dcgan": (28,),
    "wgan-gp": (28,),
    "r3gan": (28, 64),
    "fast": (28, 64, 128),
    "dcgan64": (64,),
    "match": (32, 64, 128),
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
    """Train for an even number of steps, and return the stated and the measured peak in bytes."""
    words = ["train", "--preset", preset, "--data", data, "--image-size", str(size), "--steps", str(steps)]
    words += ["--log-every", str(steps // 2), "--device", "cpu", "--out", str(out)]
    process = subprocess.run([sys.executable, "-c", TRAIN, *words], capture_output=True, text=True, check=False)
    match = STATED.search(process.stderr)
    if process.returncode or match is None:
        raise SystemExit(process.stderr)
    return float(match[1]) * UNITS[match[2]], int(process.stdout.split()[-1])


def images_per_second(run: Path) -> float:
    """Return the images a second between the last two measurements of a run."""
    before, after = list(RunFolder(run).log.measurements())[-2:]
    images, seconds = (float(after[name]) - float(before[name]) for name in ("images_seen", "seconds"))
    return images / seconds


def model_bytes(run: Path) -> int:
    """Return how many bytes the saved model has."""
    return sum(file.stat().st_size for file in RunFolder(run).model.iterdir())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40, help="an even number")
    parser.add_argument("--presets", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--sizes", nargs="+", type=int)
    args = parser.parse_args()
    if args.steps < 2 or args.steps % 2:
        parser.error("--steps must be even")
    print("| preset | size | memory stated | held | stated / held | images a second | model | 64 samples |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for preset in args.presets:
            for size in CASES[preset]:
                if args.sizes and size not in args.sizes:
                    continue
                noise, run = Path(folder, f"{size}.npy"), Path(folder, f"{preset}-{size}")
                if size > 28 and not noise.exists():
                    np.save(noise, np.random.default_rng(0).integers(0, 256, (PICTURE_COUNT, size, size, 3), np.uint8))
                stated, held = train(preset, str(noise) if size > 28 else "mnist", size, args.steps, run)
                samples = str(Path(folder, "samples.png"))
                seconds = command_seconds("-m", "dcgan", "sample", str(run), "--n", "64", "--out", samples)
                cells = (
                    f"`{preset}`",
                    size,
                    f"{stated / 1e6:,.0f} MB",
                    f"{held / 1e6:,.0f} MB",
                    f"{stated / held:.2f}",
                )
                measured = (f"{images_per_second(run):,.0f}", f"{model_bytes(run) / 1e6:.1f} MB", f"{seconds:.1f} s")
                print(f"| {' | '.join(map(str, (*cells, *measured)))} |", flush=True)
    print(f"\n{torch.get_num_threads()} threads, torch {torch.__version__}")


if __name__ == "__main__":
    main()
