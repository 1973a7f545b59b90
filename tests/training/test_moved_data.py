"""A run finds its pictures again, and what it shows to others does not say where they are."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dcgan
from dcgan.data.rules import CURRENT_RULES, RULES_OF_0_1
from dcgan.errors import UserError
from dcgan.evaluation.measure import evaluate
from dcgan.evaluation.training_data import training_data_of
from dcgan.exporting.hub import write_hub_folder
from dcgan.exporting.web import write_web_bundle
from dcgan.files import read_json
from dcgan.presets import configure
from dcgan.reporting.page import write_run_report
from dcgan.run.folder import RunFolder
from dcgan.training import set_up as set_up_module
from tests.conftest import SMALL, make_picture_folder

pytestmark = pytest.mark.usefixtures("without_report")


def train_on(data: Path | str, out: Path, **settings: object) -> RunFolder:
    return dcgan.train("dcgan", data=str(data), out=out, **{**SMALL, "steps": 2, **settings})


def other_pictures(root: Path) -> Path:
    root.mkdir(parents=True)
    for i in range(20):
        Image.new("RGB", (20, 20), (7, i, 90)).save(root / f"{i}.png")
    return root


@pytest.fixture
def moved_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """Return a run that began on `photos` in another folder than the current one, which has other `photos`."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    make_picture_folder(tmp_path / "home" / "photos", 120)
    run = train_on("photos", tmp_path / "r")
    other_pictures(tmp_path / "work" / "photos")
    monkeypatch.chdir(tmp_path / "work")
    return run


def test_a_run_is_resumed_and_evaluated_from_another_folder(moved_run: RunFolder):
    dcgan.resume(moved_run, steps=3)
    evaluation = evaluate(moved_run, split="all", n=100, features="random", show_progress=False)
    assert evaluation.data == "photos"
    assert evaluation.reference_count == 120


def test_moved_pictures_are_asked_for_and_found(moved_run: RunFolder, tmp_path: Path):
    (tmp_path / "home" / "photos").rename(tmp_path / "home" / "moved")
    with pytest.raises(UserError, match=r"work/photos holds other pictures now than when the run began; give --data"):
        dcgan.resume(moved_run, steps=3)
    with pytest.raises(UserError, match=r"work/photos holds other pictures than those that .*/r was trained on"):
        evaluate(moved_run, split="all", n=100, features="random", show_progress=False)
    shutil.rmtree(tmp_path / "work" / "photos")
    with pytest.raises(UserError, match=r"its pictures are not at .*home/photos or .*work/photos: give --data"):
        dcgan.resume(moved_run, steps=3)
    with pytest.raises(UserError, match=r"there is no data .*home/photos or .*work/photos, which .* was trained on"):
        evaluate(moved_run, split="all", n=100, features="random", show_progress=False)
    dcgan.resume(moved_run, steps=3, data=tmp_path / "home" / "moved")
    assert moved_run.data_record().path == str(tmp_path / "home" / "moved")
    assert moved_run.config().data == "moved"
    dcgan.resume(moved_run, steps=4)
    moved = str(tmp_path / "home" / "moved")
    notes = evaluate(moved_run, data=moved, split="all", n=100, features="random", show_progress=False).notes
    assert not any("holds other pictures" in note for note in notes)


def test_other_pictures_than_those_of_the_training_are_said(moved_run: RunFolder, tmp_path: Path):
    other = str(make_picture_folder(tmp_path / "other", 100))
    notes = evaluate(moved_run, data=other, split="all", n=100, features="random", show_progress=False).notes
    assert f"{other} holds other pictures than those that the model was trained on" in notes
    with pytest.raises(UserError, match="holds other pictures now"):
        dcgan.resume(moved_run, steps=3, data=other)


def test_an_interrupted_run_of_other_pictures_is_not_resumed_with_data(moved_run: RunFolder):
    for data in ("", " "):
        with pytest.raises(UserError, match="the name of the data is empty"):
            dcgan.resume(moved_run, steps=3, data=data)
    with pytest.raises(UserError, match="the name of the run is empty"):
        dcgan.resume("")
    with pytest.raises(UserError, match="is empty: give a model"):
        evaluate("")


def test_a_run_of_version_0_1_0_is_compared_by_the_key_of_its_checkpoint(moved_run: RunFolder, tmp_path: Path):
    """Such a run knows no path and no rules, and its model no key."""
    forget_what_0_1_0_did_not_know(moved_run)
    training = training_data_of(dcgan.load(moved_run))
    assert (training.pictures_key, training.record.path, training.rules) == (None, None, RULES_OF_0_1)
    with pytest.raises(UserError, match=r"work/photos holds other pictures than those"):
        evaluate(moved_run, split="all", n=100, features="random", show_progress=False)
    shutil.rmtree(tmp_path / "work" / "photos")
    shutil.copytree(tmp_path / "home" / "photos", tmp_path / "work" / "photos")
    assert evaluate(moved_run, split="all", n=100, features="random", show_progress=False).reference_count == 120


def forget_what_0_1_0_did_not_know(run: RunFolder) -> None:
    """Remove from a run what version 0.1.0 did not write."""
    from dcgan.training.checkpoint import _checksum

    path = run.checkpoint / "state.json"
    content = read_json(path)
    for name in ("checksum", "data_path", "data_rules"):
        del content[name]
    del content["settings"]["value_range"]
    path.write_text(json.dumps(content | {"checksum": _checksum(content)}))
    for file, key, names in (
        (run.config_path, "settings", ["value_range"]),
        (run.model / "config.json", "trained", ["value_range", "data_key", "data_rules"]),
    ):
        content = read_json(file)
        for name in names:
            del content[key][name]
        file.write_text(json.dumps(content))


def test_a_run_of_version_0_1_0_keeps_its_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 20, 20)).astype(np.uint8)
    np.savez(tmp_path / "a.npz", arr_0=pixels, arr_1=np.arange(40) % 2 + 1)
    with monkeypatch.context() as patch:
        open_data = set_up_module.open_data
        patch.setattr(set_up_module, "open_data", lambda config, source, rules: open_data(config, source, RULES_OF_0_1))
        run = train_on(tmp_path / "a.npz", tmp_path / "r", conditional=True)
        uninterrupted = train_on(tmp_path / "a.npz", tmp_path / "u", conditional=True, steps=4)
    assert dcgan.load(run).classes == ("0", "1", "2")
    forget_what_0_1_0_did_not_know(run)
    config = read_json(run.config_path)
    config["settings"]["data"] = str(tmp_path / "a.npz")
    run.config_path.write_text(json.dumps(config))
    dcgan.resume(run, steps=4)
    assert run.data_record().rules == RULES_OF_0_1
    assert dcgan.load(run).classes == ("0", "1", "2")
    tensors = "checkpoint/state.safetensors"
    assert (run.path / tensors).read_bytes() == (uninterrupted.path / tensors).read_bytes()
    new = train_on(tmp_path / "a.npz", tmp_path / "n", conditional=True)
    assert (dcgan.load(new).classes, new.data_record().rules) == (("1", "2"), CURRENT_RULES)


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("small_validation")
@pytest.mark.parametrize("kind", ["relative", pytest.param("absolute", marks=pytest.mark.slow)])
def test_no_absolute_path_is_written_but_into_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    secret = tmp_path / "name-of-the-user"
    make_picture_folder(secret / "photos", 120)
    (secret / "photos" / "broken.png").write_bytes(b"x")
    monkeypatch.chdir(secret)
    init = train_on("photos", secret / "first")
    preset = secret / "config.json"
    shutil.copy(init.config_path, preset)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere if kind == "absolute" else secret)
    prefix = secret if kind == "absolute" else Path()
    run = dcgan.train(
        preset if kind == "absolute" else preset.name,
        data=str(prefix / "photos"),
        init=str(prefix / "first"),
        out=Path("r"),
        steps=3,
        evaluate_every=3,
    )
    dcgan.resume(run, steps=4, data=secret / "photos")
    evaluate(Path("r").absolute(), split="all", n=100, features="random", save_in_run=True, show_progress=False)
    write_run_report(run.path)
    model = dcgan.load(run.path.absolute())
    write_hub_folder(model, Path("hub"))
    if shutil.which("npm"):  # which brings the page's runtime
        write_web_bundle(model, Path("web"), single_file=False)
    written = [*files_below(run.path), *files_below(Path("hub")), *files_below(Path("web"))]
    assert len(written) > 15
    names = {path.name for path in written if secret.name.encode() in path.read_bytes()}
    assert names == {"state.json"}
    assert run.data_record().path == str(secret / "photos")
    assert configure(run.config_path).data == str(secret / "photos")


def test_what_a_preset_of_a_run_is_trained_on_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The settings have only a name: the path is found in the checkpoint beside them."""
    folder = make_picture_folder(tmp_path / "photos", 30)
    run = train_on(folder, tmp_path / "r")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    again = dcgan.train(run.config_path, out=tmp_path / "again")
    assert again.data_record() == run.data_record()


def test_the_range_of_the_values_is_kept_with_the_run(tmp_path: Path):
    folder = tmp_path / "s"
    folder.mkdir()
    values = np.random.default_rng(0)
    for i in range(120):
        Image.fromarray(values.integers(0, 4096, (28, 28)).astype(np.uint16)).save(folder / f"{i}.png")
    messages = Messages()
    run = dcgan.train("dcgan", data=str(folder), out=tmp_path / "r", callbacks=[messages], **SMALL, steps=2)
    assert any("0 to 4095 (12 bits) are black to white" in text for text in messages.texts)
    assert run.config().value_range == (0.0, 4095.0)
    model = dcgan.load(run)
    assert model.trained["value_range"] == [0.0, 4095.0]
    dark = Image.fromarray((np.arange(784).reshape(28, 28)).astype(np.uint16))
    dark.save(tmp_path / "dark.png")
    from dcgan.sampling.invert import read_image

    assert read_image(model, tmp_path / "dark.png")[0].max() == round(783 / 4095 * 255)
    dcgan.resume(run, steps=3)
    task_range = evaluate(run, split="all", n=100, features="random", show_progress=False)
    assert task_range.reference_count == 120
    assert "--value-range 0.0 4095.0" in read_json(run.config_path)["command"]
    for i in range(120):  # a set without any value above 1,023 is other pictures, in the same range
        Image.fromarray(values.integers(0, 1024, (28, 28)).astype(np.uint16)).save(folder / f"{i}.png")
    with pytest.raises(UserError, match="holds other pictures now"):
        dcgan.resume(run, steps=4)


class Messages:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_message(self, event: object) -> None:
        self.texts.append(event.text)


def test_every_guess_is_said_at_the_start(tmp_path: Path):
    folder = make_picture_folder(tmp_path / "s", 30, classes=2)
    for path in (folder / "@eaDir" / "x.png", folder / "stray.png"):
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (20, 20)).save(path)
    (folder / "a.cr2").touch()
    messages = Messages()
    dcgan.train(
        "dcgan", data=str(folder), out=tmp_path / "r", callbacks=[messages], value_range=(0, 1), **SMALL, steps=1
    )
    texts = [text.removeprefix(f"{folder}: ") for text in messages.texts]
    assert texts[:4] == [
        "1 picture in folders of thumbnails, trash or metadata is passed over: @eaDir/",
        "not read: 1 .cr2 (raw photos: export as .jpg)",
        "1 picture lies beside the folders class 0, class 1, such as stray.png: move it into one of them to have "
        "classes",
        "--value-range changes nothing, because all pictures have 8 bits",
    ]
    for preset, named in (("dcgan", "preset dcgan"), ("fast", "preset fast")):
        with pytest.raises(UserError, match=rf"^--conditional \({named}\) needs labels, and .*1 picture lies beside "):
            dcgan.train(preset, data=str(folder), out=tmp_path / "c", conditional=True)
