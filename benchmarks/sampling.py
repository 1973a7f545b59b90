"""Digits drawn with the command against the bare generator, and what one sample costs beyond importing torch.

    python -m benchmarks.sampling MODEL [--n 10000] [--repeats 5]

Prints JSON. The start-up is what a single sample takes (importing, loading, one block of 64); the bare forward is the
same network over the same latents with nothing before or after, at the fastest of three batch sizes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BATCHES = (64, 256, 1024)


def command_seconds(*words: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - begin


def bare_seconds(model: str, n: int) -> float:
    import torch

    import dcgan
    from dcgan.sampling import latents

    generator, found = dcgan.load(model).generator, []
    z = latents.draw_latents(0, n, generator.z_dim)
    for batch in BATCHES:
        with torch.no_grad():
            generator(z[:batch])
            begin = time.perf_counter()
            for start in range(0, n, batch):
                generator(z[start : start + batch])
        found.append(time.perf_counter() - begin)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    found: dict[str, list[float]] = {"torch_s": [], "one_s": [], "all_s": [], "bare_s": []}
    with tempfile.TemporaryDirectory() as place:
        sample = ["-m", "dcgan", "sample", args.model, "--out", str(Path(place) / "a.npz"), "--n"]
        for _ in range(args.repeats):
            found["torch_s"].append(command_seconds("-c", "import torch"))
            found["one_s"].append(command_seconds(*sample, "1"))
            found["all_s"].append(command_seconds(*sample, str(args.n)))
            found["bare_s"].append(bare_seconds(args.model, args.n))
    runs = list(zip(*found.values(), strict=True))
    figures = {
        "n": args.n,
        "median_one_beyond_torch_s": statistics.median(one - torch for torch, one, _, _ in runs),
        "median_ratio_to_bare": statistics.median((whole - one) / bare for _, one, whole, bare in runs),
    }
    print(json.dumps(figures | found, indent=2))


if __name__ == "__main__":
    main()
