from collections.abc import Callable
from pathlib import Path

import pytest

import dcgan
from dcgan.data.rules import CURRENT_RULES
from dcgan.errors import UserError
from dcgan.evaluation.task import open_task
from dcgan.models.dcgan64 import Generator
from dcgan.models.store import save_generator
from tests.evaluation.helpers import write_digits, write_noise


def test_gray_samples_and_color_pictures_of_another_set_are_said(tmp_path: Path):
    data = write_noise(tmp_path / "color.npz", (60, 32, 30, 3))
    switches = dict.fromkeys(("resize", "infinite", "train_on_fakes", "show_progress"), False)
    options = {"n": 20, "features": "random", "seeds": 5, "k": 3, "device": "cpu"}
    task = open_task("mnist", data=str(data), split="all", **options, **switches)
    assert f"the color pictures of {data} are compared as gray ones" in task.notes
    assert f"{data} holds other pictures than those that the model was trained on" in task.notes


def test_a_color_model_that_gray_features_judge_is_said_to_be_compared_as_gray(tmp_path: Path):
    """Also if its data follow from the model, whose size and channels they then have."""
    data = str(write_noise(tmp_path / "color.npz", (60, 28, 28, 3)))
    generator = Generator(z_dim=4, picture_shape=(3, 28, 28), width=2).eval()
    save_generator(generator, tmp_path / "m", {"data": data, "data_rules": CURRENT_RULES})
    switches = dict.fromkeys(("infinite", "train_on_fakes", "show_progress"), False)
    options = {"n": 20, "seeds": 5, "k": 3, "device": "cpu", "resize": True, "split": "all"}
    for name in (None, data):
        judged = open_task(str(tmp_path / "m"), data=name, features="judge", **options, **switches)
        assert f"the color pictures of {data} are compared as gray ones" in judged.notes
        in_color = open_task(str(tmp_path / "m"), data=name, features="random", **options, **switches)
        assert not any("compared as gray" in note for note in in_color.notes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"device": "meta"}, "the device must be cuda, mps, cpu, not meta"),
        ({"data": Path("nowhere")}, "there is no data 'nowhere'"),
        ({"neighbours": "n.gif"}, "cannot write n.gif"),
        ({"sheets": "s.npz"}, "cannot write the sheets to s.npz: File exists"),
    ],
)
def test_paths_and_devices_in_python(
    settings: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    write_noise(tmp_path / "s.npz", (20, 28, 28, 1))
    with pytest.raises(UserError, match=message):
        dcgan.evaluate("s.npz", **({"data": Path("s.npz"), "split": "all", "features": "random"} | settings))


@pytest.mark.usefixtures("small_reference")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no nowhere"),
        (["s.npz"], "give --data"),
        (["s.npz", "--data", "mnits"], "did you mean 'mnist'"),
        (["s.npz", "--data", "mnist", "--features", "jugde"], "did you mean 'judge'"),
        (["s.npz", "--data", "mnist", "--n", "2"], "s.npz: metrics need at least 3 pictures, not 2: draw more"),
        (["s.npz", "--data", "mnist", "--k", "0"], "--k is a number of neighbors, at least 1, not 0"),
        (["s.npz", "--data", "mnist", "--n", "0"], "at least 1"),
        (["s.npz", "--data", "mnist", "--seeds", "4"], "from 5 to 20 seeds"),
        (
            ["s.npz", "--data", "mnist", "--infinite"],
            "--infinite with 64 features needs at least 320 samples in each part, and s.npz gives 5 parts of 110",
        ),
        (
            ["s.npz", "--data", "mnist", "--infinite", "--n", "546"],
            "--infinite with 64 features needs at least 320 samples in each part, and s.npz gives 5 parts of 109",
        ),
        (
            ["mnist", "--infinite", "--n", "319"],
            "--infinite with 64 features needs at least 320 samples, and --n is 319: draw more, or leave it out",
        ),
        (
            ["mnist", "--data", "some.npz", "--split", "all", "--features", "random", "--infinite"],
            "--infinite with 64 features needs at least 128 real pictures, and there are 127 in all splits of some.npz",
        ),
        (["s.npz", "--data", "mnist", "--split", "some"], "--split"),
        (["s.npz", "--data", "mnist", "--train-on-fakes"], "needs classes"),
        (["big.npz", "--data", "mnist"], "has pictures of 32x30 RGB, mnist has 28x28 gray: add --resize"),
        (["big.npz", "--data", "mnist", "--features", "judge"], "the features judge read 28x28 gray: add --resize"),
        (
            ["s.npz", "--data", "few.npz", "--split", "test"],
            "the test split of few.npz: metrics need at least 3 pictures, not 1: use --split all",
        ),
        (["torn.npz", "--data", "mnist"], "torn.npz is damaged"),
        (["empty", "--data", "mnist"], "empty"),
        (["s.npz", "--data", "mnist", "--neighbours", "n.gif"], "cannot write n.gif"),
        (["s.npz", "--data", "mnist", "--neighbours", "s.npz/n.png"], "cannot write s.npz/n.png: "),
        (["s.npz", "--data", "mnist", "--sheets", "s.npz"], "cannot write the sheets to s.npz: File exists"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
):
    monkeypatch.chdir(tmp_path)
    write_digits(tmp_path / "s.npz")
    write_noise(tmp_path / "big.npz", (550, 32, 30, 3))
    write_noise(tmp_path / "few.npz", (20, 28, 28, 1))
    write_noise(tmp_path / "some.npz", (127, 28, 28, 1))
    Path("torn.npz").write_bytes(Path("s.npz").read_bytes()[:5000])
    Path("empty").mkdir()
    assert message in refused("evaluate", *words)
