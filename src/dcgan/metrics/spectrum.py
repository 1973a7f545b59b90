"""How much coarse and fine structure pictures have: their power spectra, by the cosine transform of each channel."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

MAX_GAIN = 4.0
"""A frequency of pictures that have hardly any of it is not amplified by more than this: that would be noise."""
BATCH_SIZE = 256
"""Pictures that are transformed at a time."""
MIN_POWER = 1e-9


class MeanSpectrum:
    """The mean power spectrum of pictures that pass by in batches, and how their brightness varies."""

    def __init__(self) -> None:
        self._powers: list[Tensor] = []
        self._brightness: list[Tensor] = []

    def watch(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """Give batches of pictures, uint8 (n, C, H, W), on, and take them into the mean."""
        for pixels in batches:
            for part in torch.split(pixels, BATCH_SIZE):
                cosines = _cosines(part)
                self._powers.append(cosines.square().mean(1).sum(0).cpu())
                self._brightness.append(cosines[:, :, 0, 0].cpu())
            yield pixels

    @property
    def brightness(self) -> Tensor:
        """The brightness of each channel of the pictures, (N, C)."""
        return torch.cat(self._brightness)

    @property
    def power(self) -> Tensor:
        """The mean power of each frequency, (H, W); that of the brightness is its variance."""
        power = torch.stack(self._powers).sum(0) / len(self.brightness)
        power[0, 0] = self.brightness.var(0, correction=0).mean()
        return power


@dataclass(frozen=True)
class Equalizer:
    """Gives pictures the power spectrum and the brightness of others.

    Other means than that of the brightness stay: those of samples that are all copies of one picture are this picture,
    and pictures with its means would be as near to it as the copies are.

    Attributes:
        gains: the factor of each frequency, (H, W); that of the brightness is for what differs from its mean.
        brightness: the mean of each channel before, (C,).
        new_brightness: the same afterwards.
    """

    gains: Tensor
    brightness: Tensor
    new_brightness: Tensor

    @classmethod
    def between(cls, pixels: Tensor, target: MeanSpectrum) -> "Equalizer":
        """Return what gives pictures like some, uint8 (n, C, H, W), the power of those that `target` has seen."""
        own = MeanSpectrum()
        for _ in own.watch([pixels]):
            pass
        gains = (target.power / own.power.clamp_min(MIN_POWER)).sqrt().clamp_max(MAX_GAIN)
        return cls(gains, own.brightness.mean(0), target.brightness.mean(0))

    def __call__(self, pixels: Tensor) -> Tensor:
        """Take pictures, uint8 (n, C, H, W); return altered ones."""
        return torch.cat([self._alter(part) for part in torch.split(pixels, BATCH_SIZE)])

    def _alter(self, pixels: Tensor) -> Tensor:
        rows, columns = _cosine_matrices(pixels)
        cosines = _cosines(pixels)
        cosines[:, :, 0, 0] -= self.brightness.to(pixels.device)
        cosines *= self.gains.to(pixels.device)
        cosines[:, :, 0, 0] += self.new_brightness.to(pixels.device)
        return (rows.T @ cosines @ columns).round().clamp(0, 255).to(torch.uint8)


def _cosines(pixels: Tensor) -> Tensor:
    """Return the cosine transform of pictures, float (n, C, H, W)."""
    rows, columns = _cosine_matrices(pixels)
    return rows @ pixels.float() @ columns.T


def _cosine_matrices(pixels: Tensor) -> tuple[Tensor, Tensor]:
    height, width = pixels.shape[2:]
    return _cosine_matrix(height).to(pixels.device), _cosine_matrix(width).to(pixels.device)


@lru_cache
def _cosine_matrix(side: int) -> Tensor:
    """Return the orthonormal matrix of the cosine transform (DCT-II), (side, side): one frequency in each row."""
    numbers = torch.arange(side, dtype=torch.float64)
    matrix = torch.cos(math.pi * (numbers + 0.5) * numbers[:, None] / side) * math.sqrt(2 / side)
    matrix[0] /= math.sqrt(2)
    return matrix.float()
