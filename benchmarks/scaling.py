"""What a second process brings: one process with one thread against two with one thread each, at the same batch.

    python -m benchmarks.scaling [--presets dcgan r3gan] [--batch-size 128] [--pairs 5] [--steps 20]

On CPU, over gloo. Prints JSON: images a second of both in turn, the efficiency (their ratio over 2) pair by pair and
its median, the bytes reduced a step, and the milliseconds that reducing them takes alone.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, here and in the new processes

import torch
from lightning_fabric import Fabric

from dcgan.config import Config
from dcgan.devices.connect import max_over_ranks, mean_over_ranks
from dcgan.devices.processes import run_on_devices
from dcgan.presets import configure
from dcgan.training.state import set_up
from dcgan.training.step import train_step


def timed(fabric: Fabric, work: Callable[[], object], times: int) -> float:
    """Seconds of a piece of work that all processes begin together."""
    for _ in range(3):
        work()
    max_over_ranks(fabric, 0)
    begin = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - begin) / times


def measured(fabric: Fabric, tell: Callable[[str], None], *, config: Config, steps: int) -> str:
    """What one or two processes find, as JSON."""
    torch.set_num_threads(1)
    state = set_up(config, fabric=fabric)
    weights = [p.numel() for p in (*state.discriminator.parameters(), *state.generator.parameters())]
    gradient = torch.zeros(sum(weights))
    found = {
        "images_per_second": config.batch_size * config.n_critic / timed(fabric, lambda: train_step(state), steps),
        "bytes": gradient.nbytes,
        "reduce_ms": 1e3 * timed(fabric, lambda: mean_over_ranks(fabric, gradient), steps),
    }
    return json.dumps(found)


def compared(preset: str, batch_size: int, pairs: int, steps: int) -> dict[str, Any]:
    """One preset's figures."""
    found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for pair in range(pairs):
        for devices in (1, 2) if pair % 2 else (2, 1):
            config = configure(preset, device="cpu", devices=devices, batch_size=batch_size)
            text = run_on_devices(config, partial(measured, config=config, steps=steps), own=[])
            found[devices].append(json.loads(text))
        print(f"{preset}: pair {pair + 1} of {pairs}", file=sys.stderr)
    rates = {devices: [line["images_per_second"] for line in lines] for devices, lines in found.items()}
    ratios = [two / one / 2 for one, two in zip(rates[1], rates[2], strict=True)]
    return {
        "images_per_second": rates,
        "efficiency": ratios,
        "median_efficiency": statistics.median(ratios),
        "bytes_per_update": found[2][0]["bytes"],
        "reduce_ms": statistics.median(line["reduce_ms"] for line in found[2]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="+", default=["dcgan", "r3gan"])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    about = {"torch": torch.__version__, "threads": 1, "batch_size": args.batch_size, "steps": args.steps}
    found = {preset: compared(preset, args.batch_size, args.pairs, args.steps) for preset in args.presets}
    print(json.dumps(about | found, indent=2))


if __name__ == "__main__":
    main()
