import csv
import json
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import dcgan
from dcgan import UserError
from dcgan.cli.main import run as command
from dcgan.config import Config, config_from_json, config_to_json
from dcgan.devices.processes import TrainingStopped
from dcgan.presets import train_command
from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_run
from dcgan.training import loggers, loop, validate
from dcgan.training.callbacks import EndReason, MessageEvent, StepEvent
from dcgan.training.loggers import LOGGERS, LoggedRun, LoggerEntry
from dcgan.training.trackers import CsvLogger
from tests.conftest import SMALL, SMALL_FLAGS, make_picture_folder
from tests.extras import require

pytestmark = [pytest.mark.usefixtures("without_report"), pytest.mark.filterwarnings("ignore")]  # other packages warn
START_TIMEOUT_S = 400
"""Time for a training in another process to begin and to measure."""
METRICS = {"loss_d", "loss_g", "d_real", "d_fake", "d_right", "grad_d", "grad_g"}


@dataclass
class Recorder:
    """A logger that keeps what it is told."""

    told: list[tuple[Any, ...]] = field(default_factory=list)
    failing: str = ""

    def _keep(self, *what: Any) -> None:
        self.told.append(what)
        if what[0] == self.failing:
            raise OSError("the server is away\nand more")

    def start(self, run: LoggedRun) -> str:
        self._keep("start", run.id, run.is_resumed, run.images_seen)
        return str(run.id)

    def log_metrics(self, metrics: Mapping[str, float], images_seen: int) -> None:
        self._keep("metrics", set(metrics), images_seen)

    def log_picture(self, path: Path, images_seen: int) -> None:
        assert path.is_file()
        self._keep("picture", images_seen)

    def finish(self, reason: EndReason) -> None:
        self._keep("finish", reason)


class Messages:
    """A callback that keeps the messages."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_message(self, event: MessageEvent) -> None:
        self.texts.append(event.text)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setitem(LOGGERS, "recorder", LoggerEntry(lambda: recorder))
    return recorder


def train(out: Path, steps: int, *names: str, **settings: Any) -> RunFolder:
    return dcgan.train("dcgan", out=out, steps=steps, logger=names, show_progress=False, **SMALL | settings)


def logged_ids(folder: RunFolder) -> dict[str, str]:
    ids: dict[str, str] = json.loads((folder.loggers / "ids.json").read_text())["ids"]
    return ids


def logged_images(folder: RunFolder) -> list[int]:
    """Return after how many images the metrics log has a measurement."""
    return [entry["images_seen"] for entry in folder.log.measurements()]


def test_a_logger_is_told_in_order_and_a_resumed_run_keeps_its_id(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(validate, "prepare_validation", lambda state: None)
    monkeypatch.setattr(validate, "sample_distance", lambda *_: 3.0)
    folder = train(tmp_path / "r", 4, "recorder")
    (run_id,) = logged_ids(folder).values()
    metrics = METRICS | {"step", "seconds"}
    assert recorder.told == [
        ("start", run_id, False, 0), ("picture", 0),
        ("metrics", metrics, 32), ("picture", 48),
        ("metrics", metrics, 64), ("picture", 64), ("finish", "finished"),
    ]  # fmt: skip
    recorder.told.clear()
    dcgan.resume(folder, steps=6, show_progress=False)
    assert recorder.told == [
        ("start", run_id, True, 64), ("metrics", metrics, 96), ("picture", 96), ("finish", "finished")
    ]  # fmt: skip
    assert logged_ids(folder) == {"recorder": run_id}


def test_evaluations_are_logged(tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch):
    distances = iter([3.0, 2.0])
    monkeypatch.setattr(validate, "MAX_REFERENCE_IMAGES", 200)
    monkeypatch.setattr(validate, "prepare_validation", lambda state: REFERENCE)
    monkeypatch.setattr(validate, "sample_distance", lambda *_: next(distances))
    train(tmp_path / "r", 4, "recorder", evaluate_every=2)
    names = {"frechet_inception_distance", "best_frechet_inception_distance"}
    assert [told for told in recorder.told if told[:2] == ("metrics", names)] == [
        ("metrics", names, 32), ("metrics", names, 64)
    ]  # fmt: skip


def train_on_few(tmp_path: Path, steps: int, *names: str) -> RunFolder:
    """Train on a set of few pictures, which is evaluated fast."""
    data = make_picture_folder(tmp_path / "pictures", 120)
    return train(tmp_path / "r", steps, *names, data=str(data))


def evaluate_command(folder: RunFolder, *words: str) -> int:
    flags = ["--features", "random", "--n", "50", "--split", "all", "--skip-copies"]
    return command(["evaluate", str(folder.path), *flags, *words])


def test_an_evaluation_after_the_training_is_logged_under_the_same_id(tmp_path: Path, recorder: Recorder):
    folder = train_on_few(tmp_path, 4, "recorder")
    (run_id,) = logged_ids(folder).values()
    recorder.told.clear()
    assert evaluate_command(folder) == 0
    start, (kind, names, images_seen), finish = recorder.told
    assert (start, finish) == (("start", run_id, True, 64), ("finish", "finished"))
    assert (kind, images_seen) == ("metrics", 64)
    assert {"evaluate_random_all/precision", "evaluate_random_all/recall"} <= names
    assert len(names) == len(json.loads((folder.evaluation / "figures.json").read_text())["metrics"])
    assert logged_ids(folder) == {"recorder": run_id}


def test_an_evaluation_of_a_run_without_loggers_tells_none(
    tmp_path: Path, recorder: Recorder, capsys: pytest.CaptureFixture[str]
):
    assert evaluate_command(train_on_few(tmp_path, 1)) == 0
    assert recorder.told == []
    assert "logged" not in capsys.readouterr().err


@pytest.mark.parametrize("failing", ["start", "metrics", "finish"])
def test_a_tool_that_fails_does_not_end_an_evaluation(
    tmp_path: Path, recorder: Recorder, failing: str, capsys: pytest.CaptureFixture[str]
):
    folder = train_on_few(tmp_path, 1, "recorder")
    recorder.failing = failing
    capsys.readouterr()
    assert evaluate_command(folder, "--json") == 0
    out, err = capsys.readouterr()
    assert "precision" in json.loads(out)["metrics"]
    assert err.endswith("the evaluation is not logged to recorder: the server is away\n")


def test_an_evaluation_while_the_run_is_trained_is_not_logged(
    tmp_path: Path, recorder: Recorder, capsys: pytest.CaptureFixture[str]
):
    folder = train_on_few(tmp_path, 1, "recorder")
    recorder.told.clear()
    with lock_run(folder.path):
        assert evaluate_command(folder) == 0
    assert "the evaluation is not logged to recorder: " in capsys.readouterr().err
    assert recorder.told == []


def test_the_csv_table_keeps_its_rows_when_an_evaluation_is_added(tmp_path: Path):
    folder = train_on_few(tmp_path, 4, "csv")
    assert evaluate_command(folder) == 0
    dcgan.resume(folder, steps=6, show_progress=False)
    with (folder.loggers / "csv" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [32, 64, 64, 96]
    figures = json.loads((folder.evaluation / "figures.json").read_text())["metrics"]
    precisions = [row["evaluate_random_all/precision"] for row in rows]
    assert precisions[:2] + precisions[3:] == ["", "", ""]
    assert float(precisions[2]) == figures["precision"]["mean"]
    assert all(row["loss_d"] for row in (rows[0], rows[1], rows[3]))


REFERENCE: Any = type("Reference", (), {"features_name": "random", "split": "validation"})()


def test_a_logger_that_cannot_start_ends_the_run_in_one_line(tmp_path: Path, recorder: Recorder):
    recorder.failing = "start"
    with pytest.raises(UserError, match=r"^--logger recorder cannot start: the server is away$"):
        train(tmp_path / "r", 4, "recorder")
    recorder.failing = ""
    assert logged_images(train(tmp_path / "r", 2, "recorder")) == [32]  # the folder can be used again


@pytest.mark.parametrize("failing", ["metrics", "picture", "finish"])
def test_a_logger_that_fails_later_is_off_and_the_training_goes_on(tmp_path: Path, recorder: Recorder, failing: str):
    recorder.failing, messages = failing, Messages()
    folder = dcgan.train(
        "dcgan", out=tmp_path / "r", steps=4, logger=["recorder"], callbacks=[messages], show_progress=False, **SMALL
    )
    assert logged_images(folder) == [32, 64]
    (text,) = [text for text in messages.texts if "logger" in text]
    assert text.startswith("logger recorder has failed and is off until the run is resumed: the server is away; ")
    assert [told[0] for told in recorder.told].count(failing) == 1
    assert recorder.told[-1][0] == failing


def test_a_failed_training_is_logged_as_failed(tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch):
    def fail(state: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(loop, "train_step", fail)
    with pytest.raises(RuntimeError, match="broken"):
        train(tmp_path / "r", 4, "recorder")
    assert recorder.told[-1] == ("finish", "failed")


def test_a_new_run_forgets_the_loggers_of_one_that_never_began(tmp_path: Path, recorder: Recorder):
    folder = RunFolder(tmp_path / "r")
    folder.loggers.mkdir(parents=True)
    (folder.loggers / "ids.json").write_text('{"format_version": 1, "ids": {"recorder": "old"}}')
    train(folder.path, 2, "recorder")
    assert recorder.told[0][2] is False
    assert logged_ids(folder)["recorder"] != "old"


def test_the_setting_is_kept_and_its_command_is_right():
    config = Config(logger=("csv", "wandb", "csv"), steps=5)
    assert config.logger == ("csv", "wandb")
    assert config_from_json(json.loads(json.dumps(config_to_json(config))), Path("c")) == config
    assert train_command(config).endswith("--logger csv --logger wandb")
    for wrong in ("csv", ("csv", 3)):
        with pytest.raises(UserError, match="--logger must be a list of names"):
            Config(logger=wrong)  # type: ignore[arg-type]


def test_unknown_and_missing_loggers_are_refused_before_anything_is_written(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished_run: RunFolder
):
    out = tmp_path / "r"
    words = ["train", "--preset", "dcgan", *SMALL_FLAGS, "--steps", "2", "--out", str(out)]
    assert "there is no logger 'wnadb', did you mean 'wandb'?: use csv, " in refused(*words, "--logger", "wnadb")
    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    for name in ("tensorboard", "wandb", "trackio", "mlflow"):
        assert f"--logger {name} needs the package {name}: pip install " in refused(
            *words, "--logger", "csv", f"--logger={name}"
        )
    assert not out.exists()


def test_the_csv_table_has_every_measurement_of_a_run_and_its_continuation(tmp_path: Path):
    folder = train(tmp_path / "r", 5, "csv")
    path = folder.loggers / "csv" / "metrics.csv"
    with path.open("a") as file:
        file.write("0.5,0.5,1,1,1,1,1,1,999,999\n0.5,0.")  # rows after the checkpoint, and half of one
    dcgan.resume(folder, steps=8, show_progress=False)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [32, 64, 80, 96, 128]
    for row in rows[3:]:
        (entry,) = [entry for entry in folder.log.measurements() if entry["images_seen"] == int(row["step"])]
        assert int(row["training_step"]) == entry["step"]
        assert {name: float(row[name]) for name in METRICS} == {name: entry[name] for name in METRICS}


def test_a_resumed_run_that_is_killed_before_it_logs_keeps_the_rows_of_its_csv_table(tmp_path: Path):
    folder = train(tmp_path / "r", 4, "csv")
    path = folder.loggers / "csv" / "metrics.csv"
    before = path.read_text()
    CsvLogger().start(LoggedRun(folder, "an id", True, 64, {}))  # and nothing after that
    assert path.read_text() == before
    path.replace(path.with_suffix(".before"))  # killed before the rows were written again
    CsvLogger().start(LoggedRun(folder, "an id", True, 64, {}))
    assert path.read_text() == before


def trained_twice(tmp_path: Path, name: str) -> RunFolder:
    """Return a run of four steps that was resumed for three more, with one logger."""
    folder = train(tmp_path / "r", 4, name)
    dcgan.resume(folder, steps=7, show_progress=False)
    assert logged_images(folder) == [32, 64, 96, 112]
    return folder


def test_tensorboard_reads_scalars_pictures_and_settings(tmp_path: Path):
    require("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    folder = trained_twice(tmp_path, "tensorboard")
    events = EventAccumulator(str(folder.loggers / "tensorboard"), size_guidance={"images": 0}).Reload()
    measured = {entry["images_seen"]: entry["loss_d"] for entry in folder.log.measurements()}
    scalars = {event.step: event.value for event in events.Scalars("loss_d")}
    assert scalars == pytest.approx(measured, rel=1e-6)
    assert set(events.Tags()["scalars"]) >= METRICS
    pictures = {event.step: event.encoded_image_string for event in events.Images("samples")}
    assert sorted(pictures) == [0, 48, 64, 96, 112]
    (tmp_path / "a.png").write_bytes(pictures[112])
    with Image.open(tmp_path / "a.png") as image, Image.open(folder.grid_path(112)) as grid:
        assert (np.asarray(image.convert("L")) == np.asarray(grid.convert("L"))).all()
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["batch_size"].number_value == 16
    assert settings["preset"].string_value == "dcgan"


def test_an_evaluation_leaves_the_rows_after_the_last_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Interrupt:
        def on_step(self, event: StepEvent) -> None:
            if event.step == 2:  # the run stops after the next step
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(validate, "MAX_REFERENCE_IMAGES", 200)
    monkeypatch.setattr(validate, "prepare_validation", lambda state: REFERENCE)
    monkeypatch.setattr(validate, "sample_distance", lambda *_: 3.0)
    with pytest.raises(TrainingStopped):
        train(tmp_path / "r", 9, "csv", log_every=2, evaluate_every=3, callbacks=[Interrupt()])
    folder = RunFolder(tmp_path / "r")
    assert max(entry["images_seen"] for entry in folder.log.measurements()) == 32
    before = (folder.loggers / "csv" / "metrics.csv").read_text().splitlines()
    assert before[-1].split(",")[before[0].split(",").index("step")] == "48", before
    loggers.log_evaluation(folder, {"distance": 1.0}, print)
    with (folder.loggers / "csv" / "metrics.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)][-2:] == ["48", "48"]


def read_wandb_file(path: Path) -> Iterator[Any]:
    """Yield the records of a file of W&B, which is a log in the format of LevelDB after seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, position, parts = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while position + 7 <= len(data):
        left = 32_768 - position % 32_768
        if left < 7:
            position += left
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + 7])
        if not length or position + 7 + length > len(data):  # its process was killed while it wrote
            return
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a whole record, or the end of one
            yield Record.FromString(parts)
            parts = b""


def test_wandb_offline_has_two_folders_of_one_id_with_rising_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    require("wandb")
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # without a key, it is offline
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    folder = trained_twice(tmp_path, "wandb")
    run_id = logged_ids(folder)["wandb"]
    files = sorted((folder.loggers / "wandb").glob(f"offline-run-*/run-{run_id}.wandb"))
    assert len(files) == 2
    steps, losses, pictures, settings = [], {}, [], {}
    for file in files:
        for record in read_wandb_file(file):
            if record.HasField("run"):
                assert (record.run.run_id, record.run.display_name, record.run.project) == (run_id, "r", "dcgan")
                settings = {item.key: json.loads(item.value_json) for item in record.run.config.update} | settings
            if record.HasField("history"):
                row = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item}
                steps.append(record.history.step.num)
                losses |= {row["images_seen"]: row["loss_d"]} if "loss_d" in row else {}
                pictures += [path for name, path in row.items() if name == "samples/path"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 112
    assert losses == {entry["images_seen"]: entry["loss_d"] for entry in folder.log.measurements()}
    assert len(pictures) == 5
    assert (settings["batch_size"], settings["preset"]) == (16, "dcgan")
    found = list((folder.loggers / "wandb").glob("offline-run-*/files/media/images/samples_112_*.png"))
    assert [path.read_bytes() for path in found] == [folder.grid_path(112).read_bytes()]


def logged_losses(file: Path) -> list[tuple[int, float]]:
    """Return the step of W&B and the loss of each measurement in a file, in the order in which they were logged."""
    rows = []
    for record in read_wandb_file(file):
        if record.HasField("history"):
            row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            rows += [(record.history.step.num, row["loss_d"])] if "loss_d" in row else []
    return rows


@pytest.mark.timeout(1200)
def test_wandb_offline_goes_on_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What was measured after the last checkpoint is measured again, with the same step and the same value."""
    require("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    # The training starts W&B's service itself, as a command does, and not that of an earlier test in this process.
    monkeypatch.delenv("WANDB_SERVICE", raising=False)
    out = tmp_path / "r"
    settings = [*SMALL_FLAGS, "--save-every=80", "--log-every=1", "--steps=1000000", "--logger=wandb", f"--out={out}"]
    words = [sys.executable, "-m", "dcgan", "train", "--preset=dcgan", *settings]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as training:
        deadline = time.monotonic() + START_TIMEOUT_S
        # 32 KB are written at a time: with fewer measurements the first file would hold none.
        while time.monotonic() < deadline and len(list(RunFolder(out).log.measurements())) < 230:
            assert training.poll() is None
            time.sleep(0.05)
        training.kill()
    folder = RunFolder(out)
    run_id, saved_step = logged_ids(folder)["wandb"], json.loads((folder.checkpoint / "state.json").read_text())["step"]
    dcgan.resume(out, steps=saved_step + 200, show_progress=False)
    files = sorted((folder.loggers / "wandb").glob("offline-run-*/run-*.wandb"))
    assert [file.name for file in files] == [f"run-{run_id}.wandb"] * 2
    assert logged_ids(folder)["wandb"] == run_id
    before, after = (logged_losses(file) for file in files)
    measured = {entry["images_seen"]: entry["loss_d"] for entry in folder.log.measurements()}
    for rows in (before, after):
        steps = [step for step, _ in rows]
        assert steps == sorted(set(steps))
        assert dict(rows).items() <= measured.items()
    assert before
    assert after[0][0] > max(images for images in measured if images <= saved_step * SMALL["batch_size"])
    assert after[-1][0] == max(measured) > before[-1][0]


def test_wandb_steps_do_not_fall_after_a_recovery():
    require("wandb")
    rows = []
    logger = loggers.WandbLogger()
    logger._run = type("Run", (), {"log": lambda self, row, step: rows.append((step, row["images_seen"]))})()
    logger._last_step = 0
    for images_seen in (32, 64, 48, 80):
        logger.log_metrics({}, images_seen)
    assert rows == [(32, 32), (64, 64), (64, 48), (80, 80)]


def test_mlflow_with_a_local_database_has_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    require("mlflow")
    import mlflow

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    folder = trained_twice(tmp_path, "mlflow")
    client, run_id = mlflow.MlflowClient(uri), logged_ids(folder)["mlflow"]
    (run,) = client.search_runs([client.get_experiment_by_name("dcgan").experiment_id])
    assert (run.info.run_id, run.info.run_name, run.info.status) == (run_id, "r", "FINISHED")
    assert (run.data.params["batch_size"], run.data.params["preset"]) == ("16", "dcgan")
    history = {metric.step: metric.value for metric in client.get_metric_history(run_id, "loss_d")}
    assert history == {entry["images_seen"]: entry["loss_d"] for entry in folder.log.measurements()}
    (picture,) = [a.path for a in client.list_artifacts(run_id, "images") if "+112+" in a.path and ".png" in a.path]
    with Image.open(client.download_artifacts(run_id, picture)) as image, Image.open(folder.grid_path(112)) as grid:
        assert (np.asarray(image.convert("L")) == np.asarray(grid.convert("L"))).all()
    capfd.readouterr()  # the bar of the download
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other.db'}")
    assert command(["resume", str(folder.path), "--steps", "9"]) == 2
    error = capfd.readouterr().err.strip().split("\n")[-1]
    assert f"dcgan: MLflow cannot go on with the run {run_id}: " in error
    assert "set MLFLOW_TRACKING_URI to the store where it began" in error


def test_trackio_on_this_machine_has_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    require("trackio")
    import trackio.sqlite_storage
    import trackio.utils

    for module in (trackio.utils, trackio.sqlite_storage):  # it reads TRACKIO_DIR when it is imported
        monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
    for name in ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    folder = trained_twice(tmp_path, "trackio")
    assert capfd.readouterr().out == ""
    storage, name = trackio.sqlite_storage.SQLiteStorage, f"r-{logged_ids(folder)['trackio']}"
    assert storage.get_runs("dcgan") == [name]
    rows = storage.get_logs("dcgan", name)
    losses = {row["step"]: row["loss_d"] for row in rows if "loss_d" in row}
    assert losses == {entry["images_seen"]: entry["loss_d"] for entry in folder.log.measurements()}
    assert sorted(row["step"] for row in rows if "samples" in row) == [0, 48, 64, 96, 112]
    assert storage.get_run_config("dcgan", name)["batch_size"] == 16
