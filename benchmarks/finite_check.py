"""Measure what it costs to check every loss and gradient for infinity and NaN.

    python -m benchmarks.finite_check --pairs 60

Steps of the preset `dcgan` with the check and without it take turns. Prints the median processor time of a step for
each, and the median of the ratios pair by pair.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from unittest.mock import patch

from torch import Tensor
from torch.optim import Optimizer

from dcgan.presets import configure
from dcgan.training import step
from dcgan.training.set_up import set_up
from dcgan.training.state import State

OptimizerStep = Callable[[State, Optimizer, Tensor, int], Tensor]
WARM_UP_PAIRS = 3


def step_without_check(state: State, optimizer: Optimizer, loss: Tensor, fault_number: int) -> Tensor:
    """Do what `_step_if_finite` does, without the check."""
    optimizer.step()
    return loss.detach()


def time_step(state: State, optimizer_step: OptimizerStep) -> float:
    """Return the processor time of one training step in seconds."""
    with patch.object(step, "_step_if_finite", optimizer_step):
        start = time.process_time()
        step.train_step(state)
        return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=60)
    pairs = parser.parse_args().pairs
    state = set_up(configure("dcgan", device="cpu"))
    variants: dict[str, OptimizerStep] = {"with check": step._step_if_finite, "without check": step_without_check}
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for i in range(WARM_UP_PAIRS + pairs):
        for name in variants if i % 2 else reversed(variants):
            step_seconds = time_step(state, variants[name])
            if i >= WARM_UP_PAIRS:
                seconds[name].append(step_seconds)
    for name in variants:
        print(f"{name}: {1e3 * statistics.median(seconds[name]):.2f} ms of processor time a step")
    ratios = [checked / plain for checked, plain in zip(*seconds.values(), strict=True)]
    print(f"ratio: {statistics.median(ratios):.4f}, {pairs} pairs")


if __name__ == "__main__":
    main()
