"""Loggers: callbacks that also give a run's measurements to another tool, beside the metrics log.

`LOGGERS` is the table of them. All have scalars by images seen, the settings and, where the tool shows pictures, the
grids. A run that is resumed goes on under the same id. Their packages are optional and are imported when a run begins.
"""

import contextlib
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from dcgan.config import config_to_json
from dcgan.errors import UserError, did_you_mean
from dcgan.files import error_reason, read_json, write_json
from dcgan.run.folder import RunFolder
from dcgan.run.lock import lock_run
from dcgan.system.install import install_command
from dcgan.training.callbacks import EndEvent, EvaluateEvent, LogEvent, SnapshotEvent, StartEvent
from dcgan.training.trackers import (
    CsvLogger,
    LoggedRun,
    MlflowLogger,
    RunLogger,
    TensorboardLogger,
    TrackioLogger,
    WandbLogger,
)

ID_CHARS = 8
"""Length of the id that a run gets in a tool that gives none itself."""


@dataclass(frozen=True)
class LoggerEntry:
    """A logger of the table.

    Attributes:
        make: its class.
        package: the optional package that it needs; an extra of the same name installs it. None if it needs none.
        gives_ids: whether the tool itself gives a run its id.
    """

    make: Callable[[], RunLogger]
    package: str | None = None
    gives_ids: bool = False


LOGGERS: dict[str, LoggerEntry] = {
    "csv": LoggerEntry(CsvLogger),
    "tensorboard": LoggerEntry(TensorboardLogger, "tensorboard"),
    "wandb": LoggerEntry(WandbLogger, "wandb"),
    "trackio": LoggerEntry(TrackioLogger, "trackio"),
    "mlflow": LoggerEntry(MlflowLogger, "mlflow", gives_ids=True),
}


def check_loggers(names: Sequence[str]) -> None:
    """Check that loggers can be used, before any work is done.

    Raises:
        UserError: there is no such logger, or its package is not installed.
    """
    for name in names:
        if name not in LOGGERS:
            raise UserError(f"there is no logger {name!r}{did_you_mean(name, LOGGERS)}: use {', '.join(LOGGERS)}")
        package = LOGGERS[name].package
        if package is not None and find_spec(package) is None:
            raise UserError(f"--logger {name} needs the package {package}: {install_command(package)}")


def make_logger_callbacks(names: Sequence[str], tell: Callable[[str], None]) -> list["LoggerCallback"]:
    """Return a callback for each logger.

    Args:
        names: from `LOGGERS`.
        tell: takes a line that the user should read.
    """
    return [LoggerCallback(name, tell) for name in names]


class LoggerCallback:
    """Passes what happens in a training on to one logger.

    A tool that cannot start ends the run before its first step. A tool that fails later, for example when its server
    cannot be reached, is told nothing more, and the user reads why: hours of training are worth more than a log of it.
    """

    def __init__(self, name: str, tell: Callable[[str], None]) -> None:
        self._name, self._tell = name, tell
        self._logger: RunLogger | None = None

    def on_start(self, event: StartEvent) -> None:
        """Begin or go on.

        Raises:
            UserError: the tool cannot start.
        """
        logger = LOGGERS[self._name].make()
        ids = _read_ids(event.run)
        new_id = None if LOGGERS[self._name].gives_ids else uuid.uuid4().hex[:ID_CHARS]
        run = LoggedRun(
            folder=event.run,
            id=ids.get(self._name, new_id),
            is_resumed=self._name in ids,
            images_seen=event.images_seen,
            settings=config_to_json(event.run.config()),
        )
        try:
            with _third_party():
                event.run.loggers.mkdir(exist_ok=True)
                run_id = logger.start(run)
        except UserError:
            raise
        except Exception as error:  # any error of any tool
            raise UserError(f"--logger {self._name} cannot start: {error_reason(error)}") from None
        self._logger = logger
        _write_ids(event.run, ids | {self._name: run_id})

    def on_log(self, event: LogEvent) -> None:
        """Log a measurement."""
        metrics = {"step": event.step, "seconds": event.seconds, **event.metrics}
        self._try(lambda logger: logger.log_metrics(metrics, event.images_seen))

    def on_evaluate(self, event: EvaluateEvent) -> None:
        """Log an evaluation under the name that it has in the metrics log."""
        metrics = {event.metric: event.distance}
        if event.best_distance is not None:
            metrics[f"best_{event.metric}"] = event.best_distance
        self._try(lambda logger: logger.log_metrics(metrics, event.images_seen))

    def on_snapshot(self, event: SnapshotEvent) -> None:
        """Log the grid."""
        self._try(lambda logger: logger.log_picture(event.grid, event.images_seen))

    def on_end(self, event: EndEvent) -> None:
        """Close the logger."""
        self._try(lambda logger: logger.finish(event.reason))
        self._logger = None

    def _try(self, action: Callable[[RunLogger], None]) -> None:
        if self._logger is None:
            return
        try:
            with _third_party():
                action(self._logger)
        except Exception as error:  # any error of any tool
            self._logger = None
            self._tell(
                f"logger {self._name} has failed and is off until the run is resumed: {error_reason(error)}; the "
                "training goes on, and metrics.jsonl has everything"
            )


def log_evaluation(run: RunFolder, metrics: Mapping[str, float], tell: Callable[[str], None]) -> None:
    """Log an evaluation that was made after the training to each tool that knows the run, under the id of the run.

    Args:
        run: the run.
        metrics: the numbers by name. They stand at the images of the run's last entry, since a tool that goes on drops
            what stands after them.
        tell: takes a line for each tool that did not take them, and for a run that is being trained.
    """
    ids = _read_ids(run)
    names = [name for name in run.config().logger if name in LOGGERS and name in ids]
    if not names:
        return
    images_seen = max((int(entry.get("images_seen") or 0) for entry in run.log.entries()), default=0)
    try:
        with lock_run(run.path):  # a training writes to the same files
            for name in names:
                _log_once(
                    name, LoggedRun(run, ids[name], True, images_seen, config_to_json(run.config())), metrics, tell
                )
    except UserError as error:
        tell(f"the evaluation is not logged to {', '.join(names)}: {error}")


def _log_once(name: str, run: LoggedRun, metrics: Mapping[str, float], tell: Callable[[str], None]) -> None:
    """Go on with a run in one tool for the time of one line."""
    try:
        check_loggers([name])
        logger = LOGGERS[name].make()
        with _third_party():
            logger.start(run)
            logger.log_metrics(metrics, run.images_seen)
            logger.finish("finished")
    except Exception as error:  # any error of any tool
        tell(f"the evaluation is not logged to {name}: {error_reason(error)}")


@contextlib.contextmanager
def _third_party() -> Iterator[None]:
    """Run code of other packages, whose warnings are about themselves and not for the user of this one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _read_ids(run: RunFolder) -> dict[str, str]:
    """Return the id of the run in each tool that knows it."""
    path = run.loggers / "ids.json"
    if not path.is_file():
        return {}
    ids = read_json(path).get("ids")
    return {str(name): str(value) for name, value in ids.items()} if isinstance(ids, dict) else {}


def _write_ids(run: RunFolder, ids: dict[str, str]) -> None:
    write_json(run.loggers / "ids.json", {"ids": ids})
