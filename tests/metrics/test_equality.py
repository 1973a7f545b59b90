import torch

from dcgan.metrics import equality, fidelity
from dcgan.metrics.equality import permutation_test

GENERATOR = torch.Generator().manual_seed(0)


def test_equal_distributions_are_told_apart_in_5_percent_of_all_cases():
    p_values = [
        permutation_test(torch.randn(30, 3, generator=GENERATOR), torch.randn(20, 3, generator=GENERATOR), i).p_value
        for i in range(200)
    ]
    false_alarms = sum(p <= 0.05 for p in p_values) / 200
    assert 0.02 <= false_alarms <= 0.08
    assert 0.4 < sum(p_values) / 200 < 0.6


def test_other_distributions_are_told_apart():
    test = permutation_test(torch.randn(100, 3, generator=GENERATOR), 1 + torch.randn(80, 3, generator=GENERATOR))
    assert test.p_value == 1 / 500
    assert (test.n_fake, test.n_real, test.permutations) == (100, 80, 499)


def test_the_statistic_is_the_kernel_distance():
    fake, real = torch.randn(230, 4, generator=GENERATOR), torch.randn(210, 4, generator=GENERATOR)
    is_fake = torch.zeros(440, 2, dtype=torch.float64)
    is_fake[:230, 0] = 1
    is_fake[210:, 1] = 1
    features = torch.cat([fake, real])
    distances = equality._kernel_distances(features.double(), is_fake, 230, 210)
    assert torch.allclose(distances[0], torch.tensor(fidelity.kernel_distance(fake, real), dtype=torch.float64))
    other = fidelity.kernel_distance(features[210:], features[:210])
    assert torch.allclose(distances[1], torch.tensor(other, dtype=torch.float64))


def test_equal_pictures_are_not_told_apart():
    assert permutation_test(torch.ones(20, 3), torch.ones(20, 3)).p_value == 1
