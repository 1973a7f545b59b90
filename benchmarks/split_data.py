"""Pictures that are drawn when they are read, divided among processes: what does each hold, and how long does it take?

    python -m benchmarks.split_data [--pictures 1000000] [--processes 4] [--steps 50]

Starts torchrun with this module as the script. Prints JSON: for each process the pictures that it drew and holds, the
bytes of their pixels, its largest resident memory, and the seconds until training began and in training.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

SIZE = 28
SETTINGS: dict[str, Any] = {
    "preset": "dcgan",
    "device": "cpu",
    "batch_size": 256,
    "g_width": 16,
    "d_width": 8,
    "z_dim": 16,
}


class Blobs(Dataset[npt.NDArray[np.uint8]]):
    """Pictures (28, 28) uint8 of one bright spot each, drawn from the index. Nothing is stored."""

    def __init__(self, count: int) -> None:
        self.count, self.drawn = count, 0
        self.axis = np.arange(SIZE, dtype=np.float32)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> npt.NDArray[np.uint8]:
        self.drawn += 1
        # Multiples of an irrational number modulo 1, as the digits of one index: no two pictures are equal.
        x, y, width = (index * np.array([0.7548776662, 0.5698402910, 0.6180339887])) % 1 * (SIZE, SIZE, 4) + (0, 0, 1)
        row, column = (np.exp(-(((self.axis - center) / width) ** 2)) for center in (y, x))
        return (255 * np.outer(row, column)).astype(np.uint8)


def measure_process(count: int, steps: int, folder: Path) -> None:
    """Train as one of several processes, and write what this one needed."""
    import dcgan
    from dcgan.training import loop, start

    pictures, begin = Blobs(count), time.monotonic()
    result: dict[str, Any] = {}
    fit = loop.fit

    def measured_fit(state: Any, *others: Any) -> None:
        result.update(
            drawn=pictures.drawn,
            trains_on=len(state.data),
            all_train_on=state.picture_count,
            pixel_bytes=state.data.pixels.nbytes,
            seconds_until_training=time.monotonic() - begin,
        )
        fit(state, *others)

    with patch.object(start, "fit", measured_fit):
        dcgan.train(data=pictures, split_data=True, steps=steps, out=folder / "run", **SETTINGS)
    result["seconds"] = time.monotonic() - begin
    result["max_resident_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(result))


def measure(count: int, processes: int, steps: int) -> dict[str, Any]:
    """Return what each process needed, in the order of their ranks."""
    with tempfile.TemporaryDirectory() as folder:
        words = [f"--pictures={count}", f"--steps={steps}", f"--out={folder}"]
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "DCGAN_CACHE": f"{folder}/cache"}
        subprocess.run([*launcher, "-m", "benchmarks.split_data", *words], check=True, env=environment)
        ranks = [json.loads(Path(folder, f"{rank}.json").read_text()) for rank in range(processes)]
        settings = json.loads(Path(folder, "run", "config.json").read_text())["settings"]
    return {"pictures": count, "steps": steps, "batch_size": settings["batch_size"], "processes": ranks}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.out:
        measure_process(args.pictures, args.steps, args.out)
    else:
        print(json.dumps(measure(args.pictures, args.processes, args.steps), indent=2))


if __name__ == "__main__":
    main()
