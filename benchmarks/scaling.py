"""Compare one process with one thread and two processes with one thread each, at the same batch, on the CPU over gloo.

    python -m benchmarks.scaling [--presets dcgan r3gan] [--batch-size 128] [--pairs 5] [--steps 20]

Prints JSON: the images per second of both in turn, the efficiency (their ratio, divided by 2) of each pair and its
median, the bytes that are reduced in a step, and the milliseconds that only reducing them takes.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, here and in the new processes

import torch

from benchmarks.timing import seconds_per_call
from dcgan.config import Config
from dcgan.devices.connect import Devices, barrier, mean_over_ranks
from dcgan.devices.processes import run_on_devices
from dcgan.presets import configure
from dcgan.training.set_up import set_up
from dcgan.training.step import train_step

WARM_UP_CALLS = 3


def seconds_per_call_together(fabric: Devices, call: Callable[[], object], count: int) -> float:
    """Return the mean time of `count` calls that all processes begin together."""
    for _ in range(WARM_UP_CALLS):
        call()
    barrier(fabric)
    return seconds_per_call(call, count)


def measure_rank(fabric: Devices, announce: Callable[[str], None], *, config: Config, steps: int) -> str:
    """Return what this process measures, as JSON. It is a `RankTask`, so it must return a text."""
    torch.set_num_threads(1)
    state = set_up(config, fabric=fabric)
    parameters = (*state.adversary[0].parameters(), *state.generator.parameters())
    gradient = torch.zeros(sum(p.numel() for p in parameters))
    step_s = seconds_per_call_together(fabric, lambda: train_step(state), steps)
    reduce_s = seconds_per_call_together(fabric, lambda: mean_over_ranks(fabric, gradient), steps)
    images = config.batch_size * config.n_critic
    return json.dumps({"images_per_second": images / step_s, "bytes": gradient.nbytes, "reduce_ms": 1e3 * reduce_s})


def compare_preset(preset: str, batch_size: int, pairs: int, steps: int) -> dict[str, Any]:
    """Return the measurements of one preset."""
    results: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    for pair in range(pairs):
        for devices in (1, 2) if pair % 2 else (2, 1):
            config = configure(preset, device="cpu", devices=devices, batch_size=batch_size)
            text = run_on_devices(config, partial(measure_rank, config=config, steps=steps), custom_names=[])
            results[devices].append(json.loads(text))
        print(f"{preset}: pair {pair + 1} of {pairs}", file=sys.stderr)
    rates = {
        devices: [result["images_per_second"] for result in device_results]
        for devices, device_results in results.items()
    }
    efficiencies = [two / one / 2 for one, two in zip(rates[1], rates[2], strict=True)]
    return {
        "images_per_second": rates,
        "efficiency": efficiencies,
        "median_efficiency": statistics.median(efficiencies),
        "bytes_per_update": results[2][0]["bytes"],
        "reduce_ms": statistics.median(result["reduce_ms"] for result in results[2]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["dcgan", "r3gan"])
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    conditions = {"torch": torch.__version__, "threads": 1, "batch_size": args.batch_size, "steps": args.steps}
    results = {preset: compare_preset(preset, args.batch_size, args.pairs, args.steps) for preset in args.presets}
    print(json.dumps(conditions | results, indent=2))


if __name__ == "__main__":
    main()
