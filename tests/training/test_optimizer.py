import copy

import pytest
import torch
from torch import nn

from dcgan.training.optimizer import Adam

SETTINGS = {"lr": 0.01, "betas": (0.5, 0.999)}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1))


def steps(net: nn.Module, optimizer: torch.optim.Optimizer, count: int, *, overflow: int = -1) -> None:
    """Steps on a fixed sum, one of them told that its gradients overflowed."""
    x = torch.linspace(-1, 1, 15).view(3, 5)
    for i in range(count):
        optimizer.zero_grad()
        net(x).square().sum().backward()
        if optimizer.defaults["fused"]:
            optimizer.found_inf = torch.tensor(float(i == overflow))
        optimizer.step()


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("fused", [True, False])
def test_it_is_torchs_to_the_bit(fused: bool):
    ours, theirs = network(), network()
    mine = Adam(ours.parameters(), fused=fused, **SETTINGS)
    other = torch.optim.Adam(theirs.parameters(), fused=fused, **SETTINGS)
    for net, optimizer in ((ours, mine), (theirs, other)):
        steps(net, optimizer, 6, overflow=3)
    assert same(ours, theirs)
    assert not same(ours, network())
    for state, expected in zip(mine.state.values(), other.state.values(), strict=True):
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[name], expected[name]) for name in state)


def test_either_goes_on_from_the_others_state():
    net = network()
    mine = Adam(net.parameters(), fused=True, **SETTINGS)
    steps(net, mine, 3)
    ends = []
    for kind in (Adam, torch.optim.Adam):
        later = copy.deepcopy(net)
        optimizer = kind(later.parameters(), fused=True, **SETTINGS)
        optimizer.load_state_dict(copy.deepcopy(mine.state_dict()))
        steps(later, optimizer, 3)
        ends.append(later)
    assert same(*ends)


def test_what_is_called_around_a_step_is():
    net, called = network(), []
    optimizer = Adam(net.parameters(), fused=True, **SETTINGS)
    optimizer.register_step_pre_hook(lambda *_: called.append("before"))
    optimizer.register_step_post_hook(lambda *_: called.append("after"))
    steps(net, optimizer, 1)
    assert called == ["before", "after"]
    assert all(not state["exp_avg"].requires_grad for state in optimizer.state.values())


def test_it_knows_how_long_its_gradients_were():
    net = network()
    optimizer = Adam(net.parameters(), fused=True, **SETTINGS | {"betas": (0.0, 0.5)})
    assert optimizer.usual_length() is None
    lengths = []
    for _ in range(3):
        steps(net, optimizer, 1)
        lengths.append(torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in net.parameters()])).item())
    mean = sum(share * length**2 for share, length in zip((1 / 7, 2 / 7, 4 / 7), lengths, strict=True))
    assert optimizer.usual_length().item() == pytest.approx(mean**0.5, rel=1e-5)


def test_of_a_first_step_that_was_skipped_it_remembers_nothing():
    optimizer = Adam((net := network()).parameters(), fused=True, **SETTINGS)
    steps(net, optimizer, 1, overflow=0)
    assert not optimizer.usual_length() > 0


def test_what_it_remembers_is_the_same_to_the_bit_in_whatever_order_it_was_loaded():
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Linear(5, 5) for _ in range(30)), nn.Linear(5, 1))
    optimizer = Adam(net.parameters(), fused=True, **SETTINGS)
    steps(net, optimizer, 2)
    usual = optimizer.usual_length()
    for _ in range(5):
        order = torch.randperm(len(optimizer.state)).tolist()
        items = list(optimizer.state.items())
        optimizer.state.clear()
        optimizer.state.update(items[i] for i in order)
        assert torch.equal(optimizer.usual_length(), usual)
