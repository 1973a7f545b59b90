import copy

import pytest
import torch
from torch import nn

from dcgan.training.optimizer import Adam

SETTINGS = {"lr": 0.01, "betas": (0.5, 0.999)}


def make_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1))


def train(network: nn.Module, optimizer: torch.optim.Optimizer, step_count: int, *, overflow_step: int = -1) -> None:
    """Do steps on a fixed sum. In one of them the optimizer learns that the gradients overflowed."""
    x = torch.linspace(-1, 1, 15).view(3, 5)
    for i in range(step_count):
        optimizer.zero_grad()
        network(x).square().sum().backward()
        if optimizer.defaults["fused"]:
            optimizer.found_inf = torch.tensor(float(i == overflow_step))
        optimizer.step()


def have_equal_weights(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("fused", [True, False])
def test_it_equals_torchs_adam_to_the_bit(fused: bool):
    network, other_network = make_network(), make_network()
    optimizer = Adam(network.parameters(), fused=fused, **SETTINGS)
    other = torch.optim.Adam(other_network.parameters(), fused=fused, **SETTINGS)
    train(network, optimizer, 6, overflow_step=3)
    train(other_network, other, 6, overflow_step=3)
    assert have_equal_weights(network, other_network)
    assert not have_equal_weights(network, make_network())
    for state, expected in zip(optimizer.state.values(), other.state.values(), strict=True):
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[name], expected[name]) for name in state)


def test_both_continue_from_the_same_state():
    network = make_network()
    optimizer = Adam(network.parameters(), fused=True, **SETTINGS)
    train(network, optimizer, 3)
    continued = []
    for kind in (Adam, torch.optim.Adam):
        copied = copy.deepcopy(network)
        other = kind(copied.parameters(), fused=True, **SETTINGS)
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        train(copied, other, 3)
        continued.append(copied)
    assert have_equal_weights(*continued)


def test_the_hooks_of_a_step_are_called():
    network, calls = make_network(), []
    optimizer = Adam(network.parameters(), fused=True, **SETTINGS)
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    train(network, optimizer, 1)
    assert calls == ["before", "after"]
    assert all(not state["exp_avg"].requires_grad for state in optimizer.state.values())


def test_the_usual_norm_is_the_root_mean_square_of_the_gradients_norms():
    network = make_network()
    optimizer = Adam(network.parameters(), fused=True, **SETTINGS | {"betas": (0.0, 0.5)})
    assert optimizer.usual_norm() is None
    norms = []
    for _ in range(3):
        train(network, optimizer, 1)
        norms.append(torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in network.parameters()])).item())
    mean_square = sum(share * norm**2 for share, norm in zip((1 / 7, 2 / 7, 4 / 7), norms, strict=True))
    assert optimizer.usual_norm().item() == pytest.approx(mean_square**0.5, rel=1e-5)


def test_a_first_step_that_was_skipped_does_not_count():
    optimizer = Adam((network := make_network()).parameters(), fused=True, **SETTINGS)
    train(network, optimizer, 1, overflow_step=0)
    assert not optimizer.usual_norm() > 0


def test_the_usual_norm_is_the_same_to_the_bit_in_whatever_order_the_moments_were_loaded():
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Linear(5, 5) for _ in range(30)), nn.Linear(5, 1))
    optimizer = Adam(network.parameters(), fused=True, **SETTINGS)
    train(network, optimizer, 2)
    norm = optimizer.usual_norm()
    for _ in range(5):
        order = torch.randperm(len(optimizer.state)).tolist()
        items = list(optimizer.state.items())
        optimizer.state.clear()
        optimizer.state.update(items[i] for i in order)
        assert torch.equal(optimizer.usual_norm(), norm)
