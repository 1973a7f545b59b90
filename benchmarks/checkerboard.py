"""Is the power of samples around (π,π) a checkerboard, or are their strokes rough?

    python -m benchmarks.checkerboard RUN --data SET          # SET as for `dcgan train --data`

A checkerboard of a network (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016) has a fixed place: it
follows the grid of the upsampling, so that pixels in even rows and columns differ from the others in all samples alike,
in flat areas too. The roughness of a stroke is where the stroke is. Three numbers tell them apart, each beside that of
the real pictures.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import dcgan
from dcgan.data.open import open_images

SAMPLE_COUNT, SAMPLE_SEED = 6_000, 1
FLAT_LEVELS = 60
"""An area of 3x3 pixels is flat if their levels differ by less than this, of 255."""


def measure_checkerboard(pixels: Tensor) -> dict[str, float]:
    """Measure gray pictures uint8 (N, 1, H, W).

    Returns:
        `fixed`: the share of the power at (π,π) that is in the same place in all pictures; 1/N by chance.
        `uneven`: the response to a checker of 3x3 pixels in the strongest of the four classes of even and odd rows and
        columns, over that in the weakest; 1 if these places are alike. It shows roughness that is stronger in some of
        them; a regular pattern, whose response is equally strong everywhere, is seen in `fixed`.
        `flat`: the share of that response which is in flat areas.
    """
    images = pixels[:, 0].double()
    height, width = images.shape[1:]
    window = [torch.hann_window(extent, periodic=False, dtype=torch.double) for extent in (height, width)]
    signs = [(-1.0) ** torch.arange(extent, dtype=torch.double) for extent in (height, width)]
    corner = torch.outer(window[0] * signs[0], window[1] * signs[1])  # both even and odd pixels, with opposite signs
    amplitudes = ((images - images.mean((1, 2), keepdim=True)) * corner).sum((1, 2))
    side = torch.tensor([1.0, -2.0, 1.0], dtype=torch.double) / 2
    energy = F.conv2d(images[:, None], torch.outer(side, side)[None, None])[:, 0].square()
    by_place = [float(energy[:, row::2, column::2].mean()) for row in (0, 1) for column in (0, 1)]
    return {
        "fixed": float(amplitudes.mean().square() / amplitudes.square().mean()),
        "uneven": max(by_place) / min(by_place),
        "flat": float((energy * _is_flat(images)).sum() / energy.sum()),
    }


def _is_flat(images: Tensor) -> Tensor:
    """Return whether the 3x3 pixels around each inner pixel of images (N, H, W) are flat, (N, H - 2, W - 2)."""
    highest, lowest = F.max_pool2d(images[:, None], 3, 1), -F.max_pool2d(-images[:, None], 3, 1)
    return (highest - lowest)[:, 0] < FLAT_LEVELS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", required=True)
    args = parser.parse_args()
    model = dcgan.load(args.run)
    samples = torch.from_numpy(np.asarray(model.sample(SAMPLE_COUNT, seed=SAMPLE_SEED))).permute(0, 3, 1, 2)
    reals = open_images(args.data, "all", size=model.generator.picture_shape[1:], channels=1).pixels
    for name, pixels in (("samples", samples), ("real pictures", reals)):
        measured = ", ".join(f"{key} {value:.4f}" for key, value in measure_checkerboard(pixels).items())
        print(f"{len(pixels):,} {name}: {measured}")


if __name__ == "__main__":
    main()
