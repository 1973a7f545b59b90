"""Measure images per second on a GPU: presets over batch sizes, and their share of the rate of a matrix product there.

    python -m benchmarks.gpu [--presets dcgan dcgan64 r3gan] [--batches 128 512 2048 8192] [--precision bf16]
    python -m benchmarks.gpu --presets match --data SETS/icons --image-size 128 --batches 32 64 128

Prints JSON with the name of the device; without a GPU, it prints that nothing was measured and why. torch counts the
floating-point operations of a step while the step is done: matrix products and convolutions, double backward included.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.timing import seconds_per_call
from dcgan.presets import configure
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from dcgan.training.step import train_step

WARM_UP_STEPS = 10
MATRIX_SIDE = 8192
"""Rows and columns of the matrices whose product gives the rate of the device."""
MATRIX_PRODUCTS = 20
"""Products in one timing of that rate."""
REPEATS = 3
"""Timings of each measurement. Their median is the result."""
DTYPES = {"32": torch.float32, "bf16": torch.bfloat16}


def gpu_seconds_per_call(call: Callable[[], object], count: int) -> float:
    """Return the mean time of `count` calls, with all work in the queue of the device: the median of several."""

    def call_all() -> None:
        for _ in range(count):
            call()
        torch.cuda.synchronize()

    timings = []
    for _ in range(REPEATS):
        torch.cuda.synchronize()
        timings.append(seconds_per_call(call_all, 1) / count)
    return statistics.median(timings)


def measure_matrix_rate(precision: str) -> float:
    """Return the floating-point operations per second of a product of large matrices."""
    a, b = (torch.randn(MATRIX_SIDE, MATRIX_SIDE, device="cuda", dtype=DTYPES[precision]) for _ in range(2))
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)
    return 2 * MATRIX_SIDE**3 / gpu_seconds_per_call(lambda: torch.mm(a, b, out=out), MATRIX_PRODUCTS)


class OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts floating-point operations. torch's own FlopCounterMode misses those of the penalties' autograd.grad."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def count_operations(state: State) -> int:
    """Do one step and return its floating-point operations. A recorded step would show none."""
    counter, recorder = OperationCounter(), state.recorder
    state.recorder = None
    with counter:
        train_step(state)
    state.recorder = recorder
    return int(counter.total)


def measure_preset(settings: dict[str, Any], steps: int, matrix_rate: float, *, records: bool) -> dict[str, Any]:
    """Return one line of the table, for the settings of a training. `records`: see `dcgan.training.recording`."""
    line = dict(settings)
    try:
        state = set_up(configure(device="cuda", **settings))
        if not records:
            state.recorder = None
        for _ in range(WARM_UP_STEPS):
            train_step(state)
        operations, step_s = count_operations(state), gpu_seconds_per_call(lambda: train_step(state), steps)
    except torch.OutOfMemoryError:
        return line | {"images_per_second": None, "why": "out of memory"}
    images = state.config.batch_size * state.config.n_critic
    return line | {
        "images_per_second": images / step_s,
        "step_ms": 1e3 * step_s,
        "gflop_per_step": operations / 1e9,
        "share_of_matrix_rate": operations / step_s / matrix_rate,
        "memory_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["dcgan", "dcgan64", "r3gan"])
    parser.add_argument("--batches", nargs="+", type=int, default=[128, 512, 2048, 8192])
    parser.add_argument("--precision", choices=list(DTYPES), default="32")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--image-size", help="by default that of the preset with these data")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--no-recording", action="store_true", help="start every kernel from Python")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print(json.dumps({"measured": False, "why": "there is no CUDA device here"}))
        return
    matrix_rate, lines = measure_matrix_rate(args.precision), []
    for preset in args.presets:
        for batch_size in args.batches:
            torch.cuda.reset_peak_memory_stats()
            settings = {"preset": preset, "batch_size": batch_size, "precision": args.precision}
            settings |= {"data": args.data} | ({"image_size": args.image_size} if args.image_size else {})
            lines.append(measure_preset(settings, args.steps, matrix_rate, records=not args.no_recording))
    machine = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "precision": args.precision}
    print(json.dumps({"measured": True, **machine, "matrix_tflops": matrix_rate / 1e12, "lines": lines}, indent=2))


if __name__ == "__main__":
    main()
