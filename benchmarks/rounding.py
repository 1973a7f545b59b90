"""How far the gradients of a step are from those in float64: computed by the study's own code and by ours.

    python -m benchmarks.rounding [--steps 0 1 50 500 5000] [--batches 15]

The preset `dcgan` is trained, and from each of some states of it both compute the gradients of both networks and the
running statistics of their BatchNorm for the same latents and real pictures. The reference is the study's code in
float64. A distance is the norm of the difference over that of the reference, all weights of a network together. Prints
JSON: for each state the median distance of each over some batches, and the ratio of ours to the study's. What differs
between the two is the networks, their layout in memory, and whether the first samples are drawn with a graph.
"""

import argparse
import copy
import json
import statistics
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks import study
from dcgan.images import to_float
from dcgan.presets import configure
from dcgan.training.set_up import set_up
from dcgan.training.state import State
from dcgan.training.step import train_step

PARTS = ("discriminator", "generator", "running statistics")
"""What is compared: the gradients of both networks, and what BatchNorm has measured."""


def compute_step(
    generator: nn.Module, discriminator: nn.Module, batch: list[Tensor], *, as_we_do: bool
) -> list[Tensor]:
    """Return the gradients of the discriminator, those of the generator, and the running statistics, as vectors.

    Args:
        generator: in training mode; it is changed.
        discriminator: the same.
        batch: latents (N, z_dim) of the discriminator's and of the generator's update, and real pictures.
        as_we_do: draw the samples of the discriminator's update without a graph; the study detaches them.
    """
    z_d, z_g, reals = batch
    with torch.no_grad() if as_we_do else nullcontext():
        fakes = generator(z_d)
    fake_scores, real_scores = discriminator(fakes.detach()), discriminator(reals)
    loss_d = (_loss(fake_scores, 0.0) + _loss(real_scores, 1.0)) / 2
    d_gradients = torch.autograd.grad(loss_d, list(discriminator.parameters()))
    loss_g = _loss(discriminator(generator(z_g)), 1.0)
    g_gradients = torch.autograd.grad(loss_g, list(generator.parameters()))
    statistics_ = [
        buffer
        for network in (generator, discriminator)
        for name, buffer in network.named_buffers()
        if name.endswith(("running_mean", "running_var"))
    ]
    return [torch.cat([t.double().flatten() for t in part]) for part in (d_gradients, g_gradients, statistics_)]


def _loss(scores: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


def measure_distances(state: State, batches: int) -> dict[str, list[list[float]]]:
    """Return the distances from the reference at a state of the training: of `study` and `ours`, for each batch."""
    generator, discriminator = state.generator, state.discriminator
    assert discriminator is not None
    studys: tuple[nn.Module, nn.Module] = study.Generator(state.config.z_dim), study.Discriminator()
    for network, trained in zip(studys, (generator, discriminator), strict=True):
        network.load_state_dict(trained.state_dict())
    random, size = torch.Generator().manual_seed(0), state.config.batch_size
    distances: dict[str, list[list[float]]] = {"study": [], "ours": []}
    for _ in range(batches):
        latents = [torch.randn(size, state.config.z_dim, generator=random) for _ in range(2)]
        rows = torch.randint(len(state.data.pixels), (size,), generator=random)
        batch = [*latents, to_float(state.data.pixels[rows])]
        exact_generator, exact_discriminator = (network.double() for network in copy.deepcopy(studys))
        exact_batch = [tensor.double() for tensor in batch]
        reference = compute_step(exact_generator, exact_discriminator, exact_batch, as_we_do=False)
        for name, networks in (("study", studys), ("ours", (generator, discriminator))):
            vectors = compute_step(*copy.deepcopy(networks), batch, as_we_do=name == "ours")
            distances[name].append([float((v - r).norm() / r.norm()) for v, r in zip(vectors, reference, strict=True)])
    return distances


def compare_state(state: State, batches: int) -> dict[str, Any]:
    """Return the median distances at a state of the training, and the ratio of ours to the study's."""
    medians = {
        name: dict(zip(PARTS, (statistics.median(column) for column in zip(*rows, strict=True)), strict=True))
        for name, rows in measure_distances(state, batches).items()
    }
    ratios = {part: medians["ours"][part] / medians["study"][part] for part in PARTS}
    return {"step": state.progress.step, **medians, "ratio": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 1, 50, 500, 5000])
    parser.add_argument("--batches", type=int, default=15)
    args = parser.parse_args()
    state = set_up(configure("dcgan", device="cpu"))
    results = []
    for step in sorted(args.steps):
        while state.progress.step < step:
            train_step(state)
        results.append(compare_state(state, args.batches))
        print(json.dumps(results[-1]), flush=True)


if __name__ == "__main__":
    main()
