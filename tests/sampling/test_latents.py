import math

import pytest
import torch

from dcgan.sampling.latents import cycle_labels, draw_latents, truncate_latents

FIRST_LATENT = [-0.6702854633331299, 0.0035137836821377277, 1.6181552410125732]
"""The first latent of seed 0 and length 3. Another numpy, torch or processor must give the same numbers."""


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_a_latent_does_not_depend_on_how_many_are_drawn(n: int):
    assert torch.equal(draw_latents(3, n, 10), draw_latents(3, 300, 10)[:n])


def test_latents_and_labels_may_start_at_any_block():
    assert torch.equal(draw_latents(3, 40, 10, first=128), draw_latents(3, 300, 10)[128:168])
    assert cycle_labels(4, 3, first=128).tolist() == [128 % 3, 129 % 3, 130 % 3, 131 % 3]


def test_latents_are_the_same_on_every_machine():
    assert draw_latents(0, 1, 3)[0].tolist() == FIRST_LATENT


def test_seeds_and_blocks_differ():
    z = draw_latents(0, 128, 16)
    assert not torch.equal(z[:64], z[64:])
    assert not torch.equal(z, draw_latents(1, 128, 16))


def test_latents_are_standard_normal():
    z = draw_latents(0, 4096, 64)
    n = z.numel()
    assert z.dtype == torch.float32
    assert abs(z.mean()) < 4 / math.sqrt(n)
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / n)


def test_truncation_is_the_truncated_normal():
    z = draw_latents(0, 4096, 16)
    truncated = truncate_latents(z, 1.0)
    assert truncated.abs().max() <= 1
    # Variance of N(0, 1) truncated at ±1: 1 - 2 f(1) / (2 F(1) - 1)
    density = math.exp(-0.5) / math.sqrt(2 * math.pi)
    assert truncated.var().item() == pytest.approx(1 - 2 * density / math.erf(1 / math.sqrt(2)), rel=0.01)
    order = z.flatten().argsort()
    assert (truncated.flatten()[order].diff() >= 0).all()


def test_a_wide_truncation_changes_nothing():
    z = draw_latents(0, 64, 16)
    assert torch.allclose(truncate_latents(z, 30.0), z, atol=1e-5)


def test_labels_are_all_classes_in_turn_for_every_n():
    assert cycle_labels(7, 3).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert cycle_labels(3, 3).tolist() == cycle_labels(100, 3)[:3].tolist()
    assert cycle_labels(3, 0) is None
