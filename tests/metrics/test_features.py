from pathlib import Path

import pytest
import torch

from dcgan.data.open import open_images
from dcgan.errors import UserError
from dcgan.metrics import features as seen
from dcgan.metrics import fidelity
from dcgan.metrics import judge as judges
from dcgan.metrics.features import FeatureExtractor, RandomVgg, open_extractor


def digits(n: int = 600) -> torch.Tensor:
    return open_images("mnist", "test").pixels[:n]


def random_pixels(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_the_judge_gives_features_and_scores():
    eyes = open_extractor("judge")
    features, scores = eyes.see(digits(50))
    assert (eyes.name, eyes.length, eyes.shape) == ("judge", 64, (1, 28, 28))
    assert features.shape == (50, 64)
    assert scores.shape == (50, 10)
    assert eyes.classes == tuple("0123456789")


def test_stacked_digits_are_judged_channel_by_channel():
    stacks = digits(30).view(10, 3, 28, 28)
    eyes, one = open_extractor("judge", stacked=True), open_extractor("judge")
    features, scores = eyes.see(stacks)
    assert (eyes.length, eyes.shape) == (192, (3, 28, 28))
    for channel in range(3):
        alone = one.see(stacks[:, channel : channel + 1])
        torch.testing.assert_close(features[:, 64 * channel : 64 * channel + 64], alone[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(scores[:, 10 * channel : 10 * channel + 10], alone[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (4, 16, 20), (3, 100, 256)])
def test_random_features_take_any_pictures(shape: tuple[int, int, int]):
    features, scores = open_extractor("random").see(random_pixels((5, *shape)))
    assert features.shape == (5, seen.RANDOM_LENGTH)
    assert features.isfinite().all()
    assert features.std(0).min() > 0
    assert scores is None


def test_random_features_are_the_same_everywhere():
    """The weights do not come from torch's generator: a few of them as they were when this was written."""
    torch.manual_seed(5)
    network = RandomVgg()
    assert open_extractor("random").key == seen._key(network)
    assert network.last.weight[0, :3].tolist() == pytest.approx(PINNED, rel=1e-6)


PINNED = [-0.04486608, -0.3291149, -0.1835376]


def test_gray_is_seen_as_three_equal_channels_and_transparent_as_white():
    gray = random_pixels((4, 1, 16, 16))
    eyes = open_extractor("random")
    assert torch.equal(eyes.see(gray)[0], eyes.see(gray.expand(-1, 3, -1, -1))[0])
    clear = torch.cat([random_pixels((4, 3, 16, 16)), torch.zeros(4, 1, 16, 16, dtype=torch.uint8)], 1)
    assert torch.equal(eyes.see(clear)[0], eyes.see(torch.full((4, 3, 16, 16), 255, dtype=torch.uint8))[0])


def test_features_do_not_depend_on_the_batch(monkeypatch: pytest.MonkeyPatch):
    whole = open_extractor("random").see(digits(40))[0]
    monkeypatch.setattr(seen, "EXTRACT_BATCH", 7)
    torch.testing.assert_close(open_extractor("random").see(digits(40))[0], whole, rtol=1e-4, atol=1e-5)


def noisy(pixels: torch.Tensor, amount: float) -> torch.Tensor:
    noise = torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    return (pixels + amount * noise).clamp(0, 255).round().to(torch.uint8)


def blurred(pixels: torch.Tensor, times: int) -> torch.Tensor:
    images = pixels.float()
    for _ in range(times):
        images = torch.nn.functional.avg_pool2d(images, 3, 1, 1)
    return images.round().to(torch.uint8)


@pytest.mark.parametrize("name", ["judge", "random"])
def test_the_distance_grows_with_noise_with_blur_and_with_dropped_classes(name: str):
    eyes, test = open_extractor(name), open_images("mnist", "test")
    real = fidelity.gaussian_statistics(eyes.see(test.pixels[1000:2500])[0])
    pixels, labels = test.pixels[:1000], test.labels[:1000]

    def rises(versions: list[torch.Tensor]) -> bool:
        distances = [
            fidelity.frechet_distance(fidelity.gaussian_statistics(eyes.see(version)[0]), real) for version in versions
        ]
        return distances == sorted(distances) and distances[-1] > 3 * distances[0]

    assert rises([noisy(pixels, amount) for amount in (0, 16, 32, 64)])
    assert rises([blurred(pixels, times) for times in (0, 1, 2, 3)])
    assert rises([pixels[labels >= first] for first in (0, 3, 6, 9)])


def test_a_judge_of_ones_own_is_named_by_its_folder(tmp_path: Path):
    judge = judges._new((3, 20, 20), 4, 0).eval()
    about = {"data": "d", "accuracy": 1.0, "train_pictures": 2, "test_pictures": 1, "seed": 0, "command": "c"}
    judges.save_judge(judge, tmp_path / "j", about | {"names": ["a", "b", "c", "d"]})
    eyes = open_extractor(str(tmp_path / "j"))
    assert eyes.name == f"judge:{tmp_path / 'j'}"
    assert (eyes.shape, eyes.classes) == ((3, 20, 20), ("a", "b", "c", "d"))
    assert eyes.key != open_extractor("judge").key == open_extractor("judge").key


@pytest.mark.parametrize(
    ("name", "message"),
    [("jugde", "did you mean 'judge'"), ("", "give judge, inception, random"), ("/nowhere", "no features")],
)
def test_unknown_features_are_refused(name: str, message: str):
    with pytest.raises(UserError, match=message):
        open_extractor(name)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch-fidelity's weights would lie; nothing can be fetched."""

    def offline(*words: object, **options: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return tmp_path / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"


def test_inception_without_weights_is_one_line(hub: Path):
    with pytest.raises(UserError, match=r"not there and cannot be fetched.*put https://github.com/.* at .*random"):
        open_extractor("inception")


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x80\x04\x95cposix\nsystem\n(S'true'\ntR."])
def test_damaged_or_foreign_weights_of_inception_are_refused(hub: Path, content: bytes):
    hub.parent.mkdir()
    hub.write_bytes(content)
    with pytest.raises(UserError, match="is damaged, or not Inception's weights"):
        open_extractor("inception")


def test_inception_sees_gray_pictures(hub: Path, monkeypatch: pytest.MonkeyPatch):
    """With weights of the right names and shapes: the true ones cannot be had here."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with monkeypatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, tensors: None)
        patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *a, **k: {})
        empty = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    hub.parent.mkdir()
    torch.save(empty.state_dict(), hub)
    eyes: FeatureExtractor = open_extractor("inception")
    features, scores = eyes.see(random_pixels((2, 1, 28, 28)))
    assert features.shape == (2, 2048)
    assert scores.shape == (2, 1008)
    assert (eyes.name, eyes.length, eyes.classes) == ("inception", 2048, ())
