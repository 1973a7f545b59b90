"""The tools that loggers speak to: CSV, TensorBoard, Weights & Biases, MLflow and Trackio, a class each.

Their packages are optional and are imported when a run begins. `loggers` has the table of them.
"""

import contextlib
import csv
import logging
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dcgan.errors import UserError
from dcgan.files import error_reason
from dcgan.run.folder import RunFolder
from dcgan.system.console import standard_error
from dcgan.training.callbacks import EndReason

PROJECT = "dcgan"
"""The project or experiment that runs belong to, if the tool's own environment variable names no other."""


@dataclass(frozen=True)
class LoggedRun:
    """The run that a logger is told of.

    Attributes:
        folder: the run folder.
        id: the id of the run in the tool, the same each time it is resumed; None before a tool that gives ids gave one.
        is_resumed: whether the tool knows the run already.
        images_seen: real images seen so far.
        settings: every setting, as JSON types.
    """

    folder: RunFolder
    id: str | None
    is_resumed: bool
    images_seen: int
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        """The name under which the tool shows the run."""
        return self.folder.path.resolve().name


class RunLogger(Protocol):
    """What a logger must do."""

    def start(self, run: LoggedRun) -> str:
        """Begin, or go on with, a run. Return its id."""

    def log_metrics(self, metrics: Mapping[str, float], images_seen: int) -> None:
        """Log numbers by name."""

    def log_picture(self, path: Path, images_seen: int) -> None:
        """Log a grid of samples, a PNG."""

    def finish(self, reason: EndReason) -> None:
        """Write what is not written yet, and close everything."""


class CsvLogger:
    """Fabric's CSV logger: `RUN/loggers/csv/metrics.csv`. It has no pictures."""

    def start(self, run: LoggedRun) -> str:
        """Open the table; of a run that is resumed, keep the rows up to the images that its checkpoint has seen."""
        from lightning_fabric.loggers.csv_logs import CSVLogger

        path = run.folder.loggers / "csv" / "metrics.csv"
        before = path.with_suffix(".before")  # holds the rows until they are written again, whenever this is killed
        if path.exists() and not before.exists():
            path.replace(before)
        path.unlink(missing_ok=True)  # Fabric would delete it, with a warning
        rows = _read_rows(before, run.images_seen) if run.is_resumed else []
        self._logger = CSVLogger(run.folder.loggers, name="", version="csv")
        self._logger.experiment.metrics.extend(rows)
        if rows:
            self._logger.save()
        before.unlink(missing_ok=True)
        return str(run.id)

    def log_metrics(self, metrics: Mapping[str, float], images_seen: int) -> None:
        """Write a row at once, whose column `step` has the images seen."""
        row: dict[str, Any] = {("training_step" if name == "step" else name): v for name, v in metrics.items()}
        self._logger.log_metrics(row, images_seen)  # Fabric names its own column `step`
        self._logger.save()

    def log_picture(self, path: Path, images_seen: int) -> None:
        """Do nothing: a table has no pictures."""

    def finish(self, reason: EndReason) -> None:
        """Write the last rows."""
        self._logger.finalize(reason)


def _read_rows(path: Path, images_seen: int) -> list[dict[str, Any]]:
    """Return the rows of a table up to so many images seen; a killed process may have left half a row."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = [{name: text for name, text in row.items() if name and text} for row in csv.DictReader(file)]
    return [row for row in rows if row.get("step", "").isdecimal() and int(row["step"]) <= images_seen]


class TensorboardLogger:
    """Fabric's TensorBoard logger: `tensorboard --logdir runs` shows all runs below that folder."""

    def start(self, run: LoggedRun) -> str:
        """Open a new file of events; TensorBoard then leaves out what earlier files have after these images."""
        from lightning_fabric.loggers.tensorboard import TensorBoardLogger

        purge_step = run.images_seen + 1 if run.is_resumed else None
        self._logger = TensorBoardLogger(run.folder.loggers, name="", version="tensorboard", purge_step=purge_step)
        if not run.is_resumed:
            settings = {name: _plain(value) for name, value in run.settings.items()}
            self._logger.log_hyperparams(settings, {"images_seen": run.images_seen}, run.images_seen)
        return str(run.id)

    def log_metrics(self, metrics: Mapping[str, float], images_seen: int) -> None:
        """Add a scalar for each number."""
        self._logger.log_metrics(metrics, images_seen)

    def log_picture(self, path: Path, images_seen: int) -> None:
        """Add the grid as an image."""
        self._logger.experiment.add_image("samples", _read_pixels(path), images_seen, dataformats="HWC")
        self._logger.save()

    def finish(self, reason: EndReason) -> None:
        """Close the file of events."""
        self._logger.finalize(reason)


class WandbLogger:
    """Weights & Biases. Without a key of the user's, or with WANDB_MODE=offline, it writes into `RUN/loggers/wandb`."""

    def start(self, run: LoggedRun) -> str:
        """Begin a run, or go on with it. Offline, that is another folder with the same id."""
        import wandb

        mode = os.environ.get("WANDB_MODE") or ("online" if wandb.login(prompt=False) else "offline")
        run.folder.loggers.mkdir(exist_ok=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run.id,
            name=run.name,
            dir=run.folder.loggers,
            config=run.settings,
            resume=None if mode == "offline" else "allow",  # offline, W&B only warns that it cannot look
            mode=mode,
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", init_timeout=60),
        )
        self._image = wandb.Image
        self._last_step = run.images_seen
        return str(run.id)

    def log_metrics(self, metrics: Mapping[str, float], images_seen: int) -> None:
        """Log the numbers.

        A step of W&B cannot fall: after a recovery, numbers stand at the last step until the training has passed it.
        """
        self._last_step = max(self._last_step, images_seen)
        self._run.log({**metrics, "images_seen": images_seen}, step=self._last_step)

    def log_picture(self, path: Path, images_seen: int) -> None:
        """Log the grid as an image."""
        self._last_step = max(self._last_step, images_seen)
        self._run.log({"samples": self._image(str(path))}, step=self._last_step)

    def finish(self, reason: EndReason) -> None:
        """Send or write what is left."""
        self._run.finish(exit_code=int(reason == "failed"))


class MlflowLogger:
    """MLflow, at the address in MLFLOW_TRACKING_URI, or in MLflow's own local database `mlflow.db`."""

    STATUS: Mapping[EndReason, str] = {
        "finished": "FINISHED",
        "out_of_patience": "FINISHED",
        "copies": "FINISHED",
        "stopped": "KILLED",
        "failed": "FAILED",
    }

    def start(self, run: LoggedRun) -> str:
        """Create a run in the experiment, or set the one with this id to running again.

        Raises:
            UserError: the store has no run with this id.
        """
        import mlflow
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException

        self._metric = Metric
        uri = os.environ.get("MLFLOW_TRACKING_URI") or mlflow.get_tracking_uri()
        with _quiet_log("alembic", "mlflow"):
            self._client = mlflow.MlflowClient(tracking_uri=uri)
            if run.is_resumed and run.id is not None:
                try:
                    self._client.update_run(run.id, status="RUNNING")
                except MlflowException as error:
                    reason = error_reason(error)
                    raise UserError(
                        f"MLflow cannot go on with the run {run.id}: {reason}; set MLFLOW_TRACKING_URI to the store "
                        "where it began, and start in the same folder if that is mlflow.db"
                    ) from None
                self._run_id = run.id
                return run.id
            experiment = self._experiment_id(os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
            self._run_id = str(self._client.create_run(experiment, run_name=run.name).info.run_id)
            params = [Param(name, str(value)) for name, value in run.settings.items()]
            self._client.log_batch(self._run_id, params=params)
        return self._run_id

    def _experiment_id(self, name: str) -> str:
        if (experiment := self._client.get_experiment_by_name(name)) is not None:
            return str(experiment.experiment_id)
        return str(self._client.create_experiment(name))

    def log_metrics(self, metrics: Mapping[str, float], images_seen: int) -> None:
        """Log the numbers as one batch."""
        now = int(time.time() * 1000)
        batch = [self._metric(name, float(value), now, images_seen) for name, value in metrics.items()]
        self._client.log_batch(self._run_id, metrics=batch)

    def log_picture(self, path: Path, images_seen: int) -> None:
        """Log the grid as an image."""
        from PIL import Image

        with Image.open(path) as image:
            self._client.log_image(self._run_id, image, key="samples", step=images_seen, synchronous=True)

    def finish(self, reason: EndReason) -> None:
        """Set the status of the run."""
        self._client.set_terminated(self._run_id, self.STATUS[reason])


class TrackioLogger:
    """Trackio, on this machine; `trackio show --project dcgan` shows it. With TRACKIO_SPACE_ID also in a Space."""

    def start(self, run: LoggedRun) -> str:
        """Begin a run, or go on with the one of the same name."""
        import trackio

        self._image = trackio.Image
        with contextlib.redirect_stdout(standard_error()):  # standard output is for results
            self._run = trackio.init(
                project=os.environ.get("TRACKIO_PROJECT", PROJECT),
                name=f"{run.name}-{run.id}",
                config=run.settings,
                resume="allow",
                embed=False,
            )
        return str(run.id)

    def log_metrics(self, metrics: Mapping[str, float], images_seen: int) -> None:
        """Log the numbers."""
        row = {("training_step" if name == "step" else name): value for name, value in metrics.items()}
        self._run.log(row, step=images_seen)  # Trackio names its own column `step`

    def log_picture(self, path: Path, images_seen: int) -> None:
        """Log the grid as an image."""
        self._run.log({"samples": self._image(path)}, step=images_seen)

    def finish(self, reason: EndReason) -> None:
        """Write what is left."""
        with contextlib.redirect_stdout(standard_error()):
            self._run.finish()


@contextlib.contextmanager
def _quiet_log(*names: str) -> Iterator[None]:
    """Hide what packages log below the level of warnings, such as each step of a database's creation."""
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _plain(value: Any) -> Any:
    """Return a setting as a type that TensorBoard's table of settings takes."""
    return value if isinstance(value, bool | int | float | str) else str(value)


def _read_pixels(path: Path) -> Any:
    """Return a PNG as uint8 (H, W, C)."""
    import numpy as np
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image).reshape(image.height, image.width, -1)
