import math

import pytest
import torch

from dcgan.sampling.interpolate import lerp, loop_latents, principal_directions, slerp, walk_latents
from dcgan.sampling.latents import draw_latents


@pytest.mark.parametrize("interpolate", [lerp, slerp])
def test_a_path_starts_and_ends_at_its_ends(interpolate):
    a, b = draw_latents(0, 2, 50)
    assert torch.allclose(interpolate(a, b, 0.0), a, atol=1e-5)
    assert torch.allclose(interpolate(a, b, 1.0), b, atol=1e-5)
    both = interpolate(torch.stack([a, b]), torch.stack([b, a]), 0.3)
    assert torch.allclose(both[0], interpolate(a, b, 0.3), atol=1e-6)


def test_a_straight_line_shortens_latents_and_an_arc_does_not():
    a, b = draw_latents(0, 2, 512)
    assert torch.allclose(lerp(a, b, 0.5), (a + b) / 2)
    typical = (a.norm() + b.norm()) / 2
    assert lerp(a, b, 0.5).norm() < 0.8 * typical
    assert slerp(a, b, 0.5).norm().item() == pytest.approx(typical.item(), rel=0.02)


def test_an_arc_of_unit_vectors_is_even():
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    for t in (0.0, 0.25, 0.5, 1.0):
        expected = torch.tensor([math.cos(t * math.pi / 2), math.sin(t * math.pi / 2)])
        assert torch.allclose(slerp(a, b, t), expected, atol=1e-6)


@pytest.mark.parametrize("b", [[1.0, 2.0], [2.0, 4.0], [-1.0, -2.0], [0.0, 0.0]])
def test_an_arc_between_parallel_latents_is_straight(b: list[float]):
    a, b = torch.tensor([1.0, 2.0]), torch.tensor(b)
    assert torch.allclose(slerp(a, b, 0.25), 0.75 * a + 0.25 * b, atol=1e-4)


def test_a_walk_passes_its_stops():
    stops = draw_latents(0, 3, 8)
    path = walk_latents(stops, 4, closed=False)
    assert path.shape == (9, 8)
    for i, stop in enumerate(stops):
        assert torch.allclose(path[4 * i], stop, atol=1e-5)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 8])
@pytest.mark.parametrize("frames", [1, 2, 12])
def test_a_loop_passes_its_stops(count: int, frames: int):
    stops = draw_latents(0, count, 8)
    loop = walk_latents(stops, frames, closed=True)
    assert loop.shape == (count * frames, 8)
    assert loop.dtype == stops.dtype
    assert torch.allclose(loop[::frames], stops, atol=1e-5)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_a_loop_is_smooth_and_repeats_without_a_jump(count: int):
    stops = draw_latents(1, count, 64)
    loop = loop_latents(stops, 40)
    velocity = loop.roll(-1, 0) - loop
    turn = (velocity.roll(-1, 0) - velocity).norm(dim=1) / velocity.norm(dim=1).mean()
    assert turn.max() < 0.25
    arcs = torch.cat(
        [slerp(a, b, torch.arange(40).view(-1, 1) / 40) for a, b in zip(stops, stops.roll(-1, 0), strict=True)]
    )
    velocity = arcs.roll(-1, 0) - arcs
    turn_of_arcs = (velocity.roll(-1, 0) - velocity).norm(dim=1) / velocity.norm(dim=1).mean()
    assert turn_of_arcs.max() > 5 * turn.max()  # arcs turn sharply at each stop


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_each_point_of_a_loop_is_as_far_from_0_as_latents_are(count: int):
    loop = loop_latents(draw_latents(2, count, 20_000), 10)
    assert loop.square().mean(1).sqrt().tolist() == pytest.approx([1] * (10 * count), abs=0.02)


def test_principal_directions_are_those_of_the_features():
    """Compare with principal components of the features of samples, mapped back to z by least squares (GANSpace)."""
    weight = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([5.0, 1.0, 3.0, 0.2, 2.0])
    directions = principal_directions(weight)
    assert torch.allclose(directions @ directions.T, torch.eye(5), atol=1e-5)
    z = draw_latents(0, 20_000, 5)
    features = z @ weight.T
    _, _, components = torch.linalg.svd(features - features.mean(0), full_matrices=False)
    for i in range(3):
        back = torch.linalg.lstsq(features @ components[i][:, None], z).solution[0]
        assert abs(torch.nn.functional.cosine_similarity(back, directions[i], dim=0)) > 0.99
    spread = (z @ directions.T @ directions @ weight.T).var(0).sum()
    assert spread.item() == pytest.approx(features.var(0).sum().item(), rel=1e-3)
    assert (directions.gather(1, directions.abs().argmax(1, keepdim=True)) > 0).all()
