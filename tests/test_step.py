import torch

from dcgan.config import configure
from dcgan.run import RunFolder
from dcgan.state import setup
from dcgan.step import _noise, due, update, update_generator
from tests.conftest import SMALL


def test_the_generators_update_leaves_no_gradient_in_the_discriminator(finished_run: RunFolder):
    state = setup(configure("dcgan", **SMALL))
    update(state)
    before = [p.grad.clone() for p in state.discriminator.parameters()]
    batch = due(state)
    fake = state.generator(_noise(state, batch, 9))
    update_generator(state, batch, fake.detach(), fake, ())
    assert all(torch.equal(a, p.grad) for a, p in zip(before, state.discriminator.parameters(), strict=True))
    assert all(p.requires_grad for p in state.discriminator.parameters())
