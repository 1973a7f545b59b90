import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dcgan.cli.main import parse, run
from dcgan.data.open import ImageSet
from dcgan.presets import configure
from dcgan.training import advise
from dcgan.training.callbacks import MessageEvent
from dcgan.training.start import train
from tests.conftest import make_picture_folder


@pytest.fixture
def _few_timed_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advise, "TIMED_STEPS", 1)
    monkeypatch.setattr(advise, "WARM_UP_STEPS", 0)


@pytest.mark.usefixtures("_few_timed_steps")
def test_data_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    make_picture_folder(tmp_path / "my set", 40, classes=2)
    (tmp_path / "my set" / "class 0" / "b.png").write_bytes(b"x")
    assert run(["data", "check", "my set", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["parts"] == {"train": 36, "validation": 2, "test": 2}
    assert content["advice"]["size"] == content["size"]
    assert content["advice"]["settings"] == {"preset": "match", "image_size": "16", "batch_size": 8}
    assert content["advice"]["hours"] > 0
    assert content["advice"]["memory_mib"] > 50
    assert content["advice"]["expect"]["measured_on"] == "1,492 emoji at 64x64"
    with Image.open(content["contact_sheet"]) as sheet:
        assert sheet.mode == "RGB"

    assert run(["data", "check", "my set", "--out", "s.png"]) == 0
    text = capsys.readouterr().out
    for part in (
        "40; to train 36",
        "2: class 0 20, class 1 20",
        "b.png: not a picture",
        "--preset match, which dcgan train chooses by itself, because it has 36 different color pictures to train on",
        "expect    36 pictures are too few to learn from: expect copies, whatever the settings; collect at least 100; "
        "of 1,492 emoji at 64x64, the only set whose samples readers have named, most could be named after 41,840 "
        "images, and were better after 66,672",
        "s.png",
    ):
        assert part in text
    command = content["advice"]["command"].replace("'my set'", "my_set").split()
    assert parse(command[1:]).config.preset == "match"


@pytest.mark.parametrize(
    ("preset", "sizes", "size", "picture_count", "expected"),
    [
        ("fast", None, (28, 28), 60_000, {}),
        ("fast", np.array([[28, 28]]), (28, 28), 5_000, {}),
        ("fast", np.array([[20, 60], [64, 30], [28, 28]]), (16, 16), 50_000, {"fit": "pad"}),
        ("fast", np.array([[28, 28]]), (28, 28), 40, {"batch_size": 8}),
        ("fast", np.array([[28, 28]]), (28, 28), 3, {"batch_size": 2}),
        ("match", None, (64, 64), 1_265, {}),
        ("match", None, (64, 64), 20, {"batch_size": 4}),
    ],
)
def test_recommended_settings(preset: str, sizes, size: tuple, picture_count: int, expected: dict):
    settings, reasons = advise.recommend_settings(preset, "it suits", sizes, size, picture_count)
    assert settings == {"preset": preset, "image_size": str(size[0])} | expected
    has_augmentation = preset == "fast" and picture_count < 10_000
    assert len(reasons) == 2 + len(expected) + has_augmentation


def test_wide_pictures_of_the_size_that_is_trained_are_not_cropped():
    settings, reasons = advise.recommend_settings("fast", "it suits", np.array([[24, 48]] * 3), (24, 48), 5_000)
    assert "fit" not in settings
    assert not any("cropping" in reason for reason in reasons)


@pytest.mark.usefixtures("_few_timed_steps")
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_too_few_pictures_are_said_to_be_too_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mode: str
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my pictures").mkdir()
    for i in range(10):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(tmp_path / "my pictures" / f"{i}.png")
    assert run(["data", "check", "my pictures", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["advice"]["expect"] == {
        "text": "9 pictures are too few to learn from: expect copies, whatever the settings; collect at least 100"
    }
    assert content["contact_sheet"] == "runs/my_pictures-contact.png"
    notices: list[str] = []

    class Recorder:
        def on_message(self, event: MessageEvent) -> None:
            notices.append(event.text)

    words = {"L": {"preset": "fast"}, "RGB": {"preset": "match", "evaluate_every": 0}}[mode]
    train(data="my pictures", steps=1, callbacks=[Recorder()], show_progress=False, **words)
    assert "my pictures: 9 pictures are too few to learn from" in "\n".join(notices)


@pytest.mark.parametrize(
    ("preset", "hours", "seconds_per_image", "minutes"),
    [
        ("fast", 0.4, 0.001, None),  # all of it takes less than half an hour
        ("fast", 3.7, 0.04, 20),
        ("match", 1.5, 0.05, 56),  # 66,672 images, after which the measured set was better than recognizable
        ("match", 0.6, 0.08, None),
    ],
)
def test_a_long_training_is_recommended_with_a_duration(
    preset: str, hours: float, seconds_per_image: float, minutes: int | None
):
    assert advise.recommend_minutes(configure(preset), hours, seconds_per_image) == minutes


def make_set(picture_count: int, channels: int) -> ImageSet:
    return ImageSet("pictures", torch.zeros(1, channels, 16, 16).expand(picture_count, -1, -1, -1), None, ())


@pytest.mark.parametrize(
    ("preset", "data", "picture_count", "channels", "expected"),
    [
        ("match", "pictures", 1_265, 3, "better after 66,672: 17 minutes and 27 minutes at this speed"),
        ("match", "pictures", 1_265, 4, "of 1,492 emoji at 64x64, the only set whose samples readers have named"),
        ("fast", "pictures", 300, 3, "few color pictures become blobs with fast"),
        ("fast", "pictures", 17, 3, "17 pictures are too few to learn from"),
        ("fast", "pictures", 17, 1, "17 pictures are too few to learn from"),
        ("match", "pictures", 60, 3, "at least 100; of 1,492 emoji at 64x64"),
        ("match", "pictures", 286, 3, "may end early: of three sets with 185 to 299 pictures"),
        ("fast", "pictures", 36_000, 3, "so many color pictures was not measured"),
        ("fast", "pictures", 300, 1, None),
        ("fast", "cifar10", 50_000, 3, None),
    ],
)
def test_what_to_expect(preset: str, data: str, picture_count: int, channels: int, expected: str | None):
    expect = advise.expect_pictures(configure(preset, data=data), make_set(picture_count, channels), 0.024)
    assert expect is None if expected is None else expected in expect["text"]
    if preset == "match":
        assert expect["recognizable"] == {"images": 41_840, "seconds": 1004, "kid_lite2": 0.52}
        assert expect["better"] == {"images": 66_672, "seconds": 1600, "kid_lite2": 0.41}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data"], "say what to do"),
        (["data", "chek", "x"], "say what to do"),
        (["data", "check"], "SPEC"),
        (["data", "check", "nowhere"], "no data 'nowhere'"),
        (["data", "check", "mnist", "--out", "a.jpg"], "give the name of a .png"),
    ],
)
def test_mistakes_are_refused_in_one_line(refused, words: list[str], message: str):
    assert message in refused(*words)


@pytest.mark.usefixtures("_few_timed_steps")
def test_data_check_says_what_was_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "s"
    for i in range(40):
        (folder / f"class {i % 2}").mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(i).integers(0, 1024, (20, 20)).astype(np.uint16)
        Image.fromarray(values).save(folder / f"class {i % 2}" / f"{i}.png")
    (folder / "film.mp4").touch()
    (folder / "class 1" / "1.png").rename(folder / "stray.png")
    assert run(["data", "check", "s", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["contact_sheet"] == "runs/s-contact.png"
    assert content["value_range"] == [0, 1023]
    starts = ("not read: 1 .mp4", "1 picture lies beside the folders", "no value of the 16-bit pictures is above 1023")
    assert [notice.startswith(start) for notice, start in zip(content["notices"], starts, strict=True)] == [True] * 3
    assert run(["data", "check", "s", "--value-range", "0", "2046"]) == 0
    text = capsys.readouterr().out
    assert "none: 1 picture lies beside the folders class 0, class 1, such as stray.png" in text
    assert "note      not read: 1 .mp4 (videos: save their frames as .png)" in text
    assert "10 bits" not in text
    assert "--value-range 0.0 2046.0" in text
