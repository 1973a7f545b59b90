"""Paths through latent space: straight lines, arcs, smooth loops, and principal directions."""

import math
from itertools import pairwise

import torch
from torch import Tensor

MIN_SINE = 1e-4
"""Between latents whose angle has a smaller sine, `slerp` is a straight line."""
MIN_RELATIVE_STRENGTH = 1e-9
"""Directions that are weaker than this, relative to the strongest, move nothing but rounding errors."""


def lerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """Return points on the straight line from `a` (t = 0) to `b` (t = 1).

    Between two latents from N(0, 1), the line passes nearer to 0 than such latents lie.
    """
    return a + (b - a) * t


def slerp(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """Return points on the arc from `a` (t = 0) to `b` (t = 1), which have the typical length of latents (White 2016).

    sin((1 - t) Ω) / sin Ω · a + sin(t Ω) / sin Ω · b, where Ω is the angle between both. If they are parallel, the
    points are on a straight line.

    Args:
        a: latents (..., z_dim).
        b: latents of the same shape.
        t: a number, or a tensor whose shape fits (..., 1).
    """
    cosine = (a * b).sum(-1, keepdim=True) / (a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True))
    angle = torch.acos(cosine.clamp(-1, 1))
    is_straight = (angle.sin().abs() < MIN_SINE) | cosine.isnan()
    safe_angle = torch.where(is_straight, torch.ones_like(angle), angle)
    arc = (torch.sin((1 - t) * safe_angle) * a + torch.sin(t * safe_angle) * b) / safe_angle.sin()
    return torch.where(is_straight, lerp(a, b, t), arc)


def walk_latents(stops: Tensor, frames: int, *, closed: bool) -> Tensor:
    """Return a walk through latents, (F, z_dim), with as many frames from each stop to the next.

    Args:
        stops: the latents, (S, z_dim).
        frames: number of frames from each stop to the next.
        closed: whether the walk is a loop, see `loop_latents`. Otherwise it follows arcs, and ends at the last stop.
    """
    if closed:
        return loop_latents(stops, frames)
    t = torch.arange(frames).view(-1, 1) / frames
    arcs = [slerp(a.expand(frames, -1), b.expand(frames, -1), t) for a, b in pairwise(stops)]
    return torch.cat([*arcs, stops[-1:]])


def loop_latents(stops: Tensor, frames: int) -> Tensor:
    """Return a smooth closed path through latents, (S * frames, z_dim); it ends a frame before its start.

    The path is the trigonometric interpolation of its stops: a sum of the slowest circular motions through all of them,
    so it never turns sharply and a film of it repeats without a jump. If the stops are independent and from N(0, I), so
    is each point of the path: it passes as far from 0 as latents lie, as an arc does. For an odd number of stops the
    squares of their weights add up to 1 at every point; for an even number the points are divided by what they lack.

    Args:
        stops: the latents, (S, z_dim).
        frames: number of frames from each stop to the next.
    """
    count = len(stops)
    waves = torch.fft.rfft(stops.double(), dim=0)
    if count % 2 == 0:
        waves[-1] /= 2  # the fastest wave of an even number stands for two frequencies
    path: Tensor = torch.fft.irfft(waves, n=count * frames, dim=0) * frames
    if count % 2 == 0 and frames > 1:
        t = torch.arange(count * frames, dtype=torch.float64).view(-1, 1) / frames
        path = path / (1 - torch.sin(math.pi * t).square() / count).sqrt()
    return path.to(stops.dtype) if frames > 1 else stops.clone()


def principal_directions(weight: Tensor) -> Tensor:
    """Return the directions of z in which the first features W z vary most, strongest first: unit vectors (K, z_dim).

    These are principal components of a generator's first features (Härkönen et al. 2020, GANSpace), mapped back to z.
    The first layer is linear, so no samples are needed: cov(W z) = W Wᵀ, and the directions are the right singular
    vectors of W (Shen and Zhou 2021, SeFa). The largest coordinate of each is positive. Directions that change nothing
    are left out.

    Args:
        weight: W, (features, z_dim).
    """
    _, strengths, directions = torch.linalg.svd(weight.double(), full_matrices=False)
    directions = directions[strengths > strengths[0] * MIN_RELATIVE_STRENGTH]
    return with_fixed_signs(directions).float()


def with_fixed_signs(vectors: Tensor) -> Tensor:
    """Turn unit vectors (K, z_dim) so that the largest coordinate of each is positive."""
    signed: Tensor = vectors * vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()
    return signed
