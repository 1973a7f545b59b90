"""Ways through latent space: straight, along arcs, and along principal directions."""

import torch
from torch import Tensor


def lerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The straight way from `a` (t = 0) to `b` (t = 1). It passes nearer to 0 than latents of N(0, 1) lie."""
    return a + (b - a) * t


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """The way along the arc from `a` (t = 0) to `b` (t = 1), which keeps a latent's length typical (White 2016).

    sin((1 - t) Ω) / sin Ω · a + sin(t Ω) / sin Ω · b, Ω the angle between them; straight where they are parallel.

    Args:
        a: (..., z_dim).
        b: the same shape.
        t: a number, or a tensor that fits (..., 1).
    """
    cosine = (a * b).sum(-1, keepdim=True) / (a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True))
    angle = torch.acos(cosine.clamp(-1, 1))
    straight = (angle.sin().abs() < 1e-4) | cosine.isnan()
    safe = torch.where(straight, torch.ones_like(angle), angle)
    arc = (torch.sin((1 - t) * safe) * a + torch.sin(t * safe) * b) / safe.sin()
    return torch.where(straight, lerp(a, b, t), arc)


def walk_latents(stops: Tensor, frames: int, *, closed: bool) -> Tensor:
    """A way along arcs through `stops` (S, z_dim): `frames` latents from each to the next.

    Closed, it ends a frame before the first stop, so that it can be shown in a loop; open, at the last stop.
    """
    ends = torch.roll(stops, -1, 0) if closed else stops[1:]
    t = torch.arange(frames).view(-1, 1) / frames
    parts = [slerp(a.expand(frames, -1), b.expand(frames, -1), t) for a, b in zip(stops, ends, strict=False)]
    return torch.cat([*parts, stops[:0] if closed else stops[-1:]])


def principal_directions(weight: Tensor) -> Tensor:
    """The directions in which the features W z of latents from N(0, 1) vary most, strongest first: (K, z_dim), unit.

    Principal components of a generator's first features (Härkönen et al. 2020, GANSpace), brought back to z. The
    first layer is linear, so they need no samples: cov(W z) = W Wᵀ, and the right singular vectors of W are the
    directions (Shen and Zhou 2021, SeFa). The sign is such that the largest coordinate is positive. Directions that
    move nothing at all are left out.

    Args:
        weight: W, (features, z_dim).
    """
    _, strengths, directions = torch.linalg.svd(weight.double(), full_matrices=False)
    directions = directions[strengths > strengths[0] * 1e-9]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    found: Tensor = (directions * largest.sign()).float()
    return found
