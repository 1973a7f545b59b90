from pathlib import Path

import pytest
import torch

from dcgan.metrics.features import open_extractor
from dcgan.metrics.judge.network import save_judge
from dcgan.metrics.judge.training import initialize_judge
from tests.metrics.helpers import JUDGE_ORIGIN, mnist_test_pixels


def test_the_judge_gives_features_and_scores():
    extractor = open_extractor("judge")
    features, scores = extractor.extract(mnist_test_pixels(50))
    assert (extractor.name, extractor.feature_count, extractor.image_shape) == ("judge", 64, (1, 28, 28))
    assert features.shape == (50, 64)
    assert scores.shape == (50, 10)
    assert extractor.classes == tuple("0123456789")


def test_stacked_digits_are_judged_channel_by_channel():
    stacks = mnist_test_pixels(30).view(10, 3, 28, 28)
    stacked, single = open_extractor("judge", is_stacked=True), open_extractor("judge")
    features, scores = stacked.extract(stacks)
    assert (stacked.feature_count, stacked.image_shape) == (192, (3, 28, 28))
    for channel in range(3):
        channel_features, channel_scores = single.extract(stacks[:, channel : channel + 1])
        torch.testing.assert_close(
            features[:, 64 * channel : 64 * channel + 64], channel_features, rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(scores[:, 10 * channel : 10 * channel + 10], channel_scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("relative", [False, True])
def test_a_judge_of_the_user_is_named_by_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, relative: bool):
    monkeypatch.chdir(tmp_path)
    folder = "./j" if relative else str(tmp_path / "j")
    save_judge(
        initialize_judge((3, 20, 20), 4, 0).eval(), tmp_path / "j", JUDGE_ORIGIN | {"names": ["a", "b", "c", "d"]}
    )
    extractor = open_extractor(folder)
    assert extractor.name == f"judge:{folder}"
    assert (extractor.image_shape, extractor.classes) == ((3, 20, 20), ("a", "b", "c", "d"))
    shipped_key = open_extractor("judge").weights_key
    assert extractor.weights_key != shipped_key == open_extractor("judge").weights_key
