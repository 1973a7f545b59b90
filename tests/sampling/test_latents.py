import math

import pytest
import torch

from dcgan.rng import derive_seed
from dcgan.sampling import latents
from dcgan.sampling.interpolate import lerp, principal_directions, slerp, walk_latents


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_a_latent_does_not_depend_on_how_many_are_drawn(n: int):
    assert torch.equal(latents.draw_latents(3, n, 10), latents.draw_latents(3, 300, 10)[:n])


def test_latents_are_the_same_on_every_machine():
    # Written down once: another numpy, torch or processor must give these very numbers.
    assert latents.draw_latents(0, 1, 3)[0].tolist() == PINNED


PINNED = [-0.6702854633331299, 0.0035137836821377277, 1.6181552410125732]


def test_seeds_and_blocks_differ():
    z = latents.draw_latents(0, 128, 16)
    assert not torch.equal(z[:64], z[64:])
    assert not torch.equal(z, latents.draw_latents(1, 128, 16))


def test_latents_are_standard_normal():
    z = latents.draw_latents(0, 4096, 64)
    n = z.numel()
    assert z.dtype == torch.float32
    assert abs(z.mean()) < 4 / math.sqrt(n)
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / n)


def test_truncation_is_the_truncated_normal():
    z = latents.draw_latents(0, 4096, 16)
    t = latents.truncate_latents(z, 1.0)
    assert t.abs().max() <= 1
    # Var of N(0, 1) cut at ±1: 1 - 2 f(1) / (2 F(1) - 1)
    density = math.exp(-0.5) / math.sqrt(2 * math.pi)
    assert t.var().item() == pytest.approx(1 - 2 * density / math.erf(1 / math.sqrt(2)), rel=0.01)
    order = z.flatten().argsort()
    assert (t.flatten()[order].diff() >= 0).all()


def test_a_wide_truncation_changes_nothing():
    z = latents.draw_latents(0, 64, 16)
    assert torch.allclose(latents.truncate_latents(z, 30.0), z, atol=1e-5)


def test_derived_seeds_differ_and_fit_torch():
    seeds = {derive_seed(s, a, b) for s in range(3) for a in range(3) for b in range(3)}
    assert len(seeds) == 27
    assert all(0 <= s < 2**63 for s in seeds)
    torch.Generator().manual_seed(max(seeds))


def test_labels_go_through_the_classes_in_turn_whatever_n_is():
    assert latents.cycle_labels(7, 3).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert latents.cycle_labels(3, 3).tolist() == latents.cycle_labels(100, 3)[:3].tolist()
    assert latents.cycle_labels(3, 0) is None


@pytest.mark.parametrize("between", [lerp, slerp])
def test_a_way_begins_and_ends_at_its_ends(between):
    a, b = latents.draw_latents(0, 2, 50)
    assert torch.allclose(between(a, b, 0.0), a, atol=1e-5)
    assert torch.allclose(between(a, b, 1.0), b, atol=1e-5)
    both = between(torch.stack([a, b]), torch.stack([b, a]), 0.3)
    assert torch.allclose(both[0], between(a, b, 0.3), atol=1e-6)


def test_a_straight_way_shortens_latents_and_an_arc_does_not():
    a, b = latents.draw_latents(0, 2, 512)
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
    stops = latents.draw_latents(0, 3, 8)
    way, loop = walk_latents(stops, 4, closed=False), walk_latents(stops, 4, closed=True)
    assert way.shape == (9, 8)
    assert loop.shape == (12, 8)
    for i, stop in enumerate(stops):
        assert torch.allclose(way[4 * i], stop, atol=1e-5)
        assert torch.allclose(loop[4 * i], stop, atol=1e-5)
    step = (loop.roll(-1, 0) - loop).norm(dim=1)
    assert step.max() < 2 * step.min()  # the last frame is one step from the first


def test_principal_directions_are_those_of_the_features():
    """Against principal components of many samples' features, brought back to z by least squares (GANSpace)."""
    weight = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)) * torch.tensor([5.0, 1.0, 3.0, 0.2, 2.0])
    found = principal_directions(weight)
    assert torch.allclose(found @ found.T, torch.eye(5), atol=1e-5)
    z = latents.draw_latents(0, 20_000, 5)
    features = z @ weight.T
    _, _, components = torch.linalg.svd(features - features.mean(0), full_matrices=False)
    for i in range(3):
        back = torch.linalg.lstsq(features @ components[i][:, None], z).solution[0]
        assert abs(torch.nn.functional.cosine_similarity(back, found[i], dim=0)) > 0.99
    spread = (z @ found.T @ found @ weight.T).var(0).sum()
    assert spread.item() == pytest.approx(features.var(0).sum().item(), rel=1e-3)
    assert (found.gather(1, found.abs().argmax(1, keepdim=True)) > 0).all()
