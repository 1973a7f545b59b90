import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dcgan
from dcgan import UserError
from dcgan.config import configure
from dcgan.state import planned_images


@given(
    n=st.integers(1, 40), batch=st.integers(1, 50), steps=st.integers(1, 30), n_critic=st.integers(1, 3),
)  # fmt: skip
def test_a_length_in_steps_is_that_many_steps(n: int, batch: int, steps: int, n_critic: int):
    from dcgan.data.sampler import next_batch

    planned = planned_images(configure("dcgan", steps=steps, batch_size=batch, n_critic=n_critic), n)
    seen = done = 0
    while seen < planned:
        for _ in range(n_critic):
            seen += len(next_batch(n, batch, seen, 0))
        done += 1
    assert done == steps


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(UserError, match="no cuda device"):
        dcgan.train("dcgan", device="cuda")
