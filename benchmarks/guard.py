"""What it costs to hold every loss and gradient against infinity: a step with the guard and one without, in turn.

    python -m benchmarks.guard --pairs 60

Processor time of a step of the preset `dcgan`, medians, and the median of the ratios pair by pair.
"""

import argparse
import statistics
import time
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from dcgan.presets import configure
from dcgan.training import step
from dcgan.training.state import State, set_up


def plain(state: State, optimizer: Optimizer, loss: Tensor, number: int) -> Tensor:
    """What a step would be without the guard."""
    optimizer.step()
    return loss.detach()


def timed(state: State) -> float:
    begin = time.process_time()
    step.train_step(state)
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=60)
    pairs = parser.parse_args().pairs
    state, guarded = set_up(configure("dcgan", device="cpu")), step._step_if_finite
    times: dict[Any, list[float]] = {guarded: [], plain: []}
    for i in range(pairs + 3):
        for kind in (guarded, plain) if i % 2 else (plain, guarded):
            step._step_if_finite = kind
            seconds = timed(state)
            if i >= 3:
                times[kind].append(seconds)
    ratios = [with_it / without for with_it, without in zip(times[guarded], times[plain], strict=True)]
    for name, found in (("guarded", times[guarded]), ("plain", times[plain])):
        print(f"{name}: {1e3 * statistics.median(found):.2f} ms of processor time a step")
    print(f"ratio: {statistics.median(ratios):.4f}, {pairs} pairs")


if __name__ == "__main__":
    main()
