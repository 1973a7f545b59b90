"""Images a second on a GPU: presets over batches, and the share of the matrix rate that is measured there.

    python -m benchmarks.gpu [--presets dcgan dcgan64 r3gan] [--batches 128 512 2048 8192] [--precision bf16]

Prints JSON with the device's name; without a GPU, that nothing was measured and why. The floating-point operations of a
step are counted by torch while it is made (products of matrices and convolutions, double backward included).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from dcgan.presets import configure
from dcgan.training.state import State, set_up
from dcgan.training.step import train_step

WARM, SIDE = 10, 8192
TYPES = {"32": torch.float32, "bf16": torch.bfloat16}


def seconds(work: Callable[[], object], times: int, repeats: int = 3) -> float:
    """The median time that one of `times` pieces of work takes, the device's queue emptied before and after."""
    found = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(times):
            work()
        torch.cuda.synchronize()
        found.append((time.perf_counter() - begin) / times)
    return statistics.median(found)


def matrix_rate(precision: str) -> float:
    """Floating-point operations a second of a large product of matrices."""
    a, b = (torch.randn(SIDE, SIDE, device="cuda", dtype=TYPES[precision]) for _ in range(2))
    out = torch.empty_like(a)
    torch.mm(a, b, out=out)
    return 2 * SIDE**3 / seconds(lambda: torch.mm(a, b, out=out), 20)


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts floating-point operations. torch's own FlopCounterMode cannot see through the penalties' autograd.grad."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.total += count(*args, **(kwargs or {}), out_val=out)
        return out


def operations(state: State) -> int:
    """Floating-point operations of one step."""
    counter = Counter()
    with counter:
        train_step(state)
    return int(counter.total)


def measured(preset: str, batch_size: int, precision: str, steps: int, rate: float) -> dict[str, Any]:
    """One line of the table."""
    line: dict[str, Any] = {"preset": preset, "batch_size": batch_size}
    try:
        state = set_up(configure(preset, device="cuda", batch_size=batch_size, precision=precision))
        for _ in range(WARM):
            train_step(state)
        flop, step = operations(state), seconds(lambda: train_step(state), steps)
    except torch.OutOfMemoryError:
        return line | {"images_per_second": None, "why": "out of memory"}
    images = batch_size * state.config.n_critic
    return line | {
        "images_per_second": images / step,
        "step_ms": 1e3 * step,
        "gflop_per_step": flop / 1e9,
        "share_of_matrix_rate": flop / step / rate,
        "memory_gib": torch.cuda.max_memory_allocated() / 2**30,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="+", default=["dcgan", "dcgan64", "r3gan"])
    parser.add_argument("--batches", nargs="+", type=int, default=[128, 512, 2048, 8192])
    parser.add_argument("--precision", choices=list(TYPES), default="32")
    parser.add_argument("--steps", type=int, default=50)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print(json.dumps({"measured": False, "why": "there is no CUDA device here"}))
        return
    rate, lines = matrix_rate(args.precision), []
    for preset in args.presets:
        for batch_size in args.batches:
            torch.cuda.reset_peak_memory_stats()
            lines.append(measured(preset, batch_size, args.precision, args.steps, rate))
    about = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "precision": args.precision}
    print(json.dumps({"measured": True, **about, "matrix_tflops": rate / 1e12, "lines": lines}, indent=2))


if __name__ == "__main__":
    main()
