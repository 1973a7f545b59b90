"""The run folder: its files, its settings, and how a new run gets its folder."""

import contextlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import cast, get_args

from dcgan.config import Config, ScoreKind, config_to_json, read_config, short_name
from dcgan.errors import UserError
from dcgan.files import (
    MAX_JSON_CHARS,
    atomic_file,
    current_folder,
    printable,
    read_json,
    recover_interrupted_folder,
    write_json,
    write_reason,
)
from dcgan.presets import train_command
from dcgan.run.lock import HOLDER_NAME, LOCK_NAME
from dcgan.run.log import MetricsLog

DEFAULT_RUNS = Path("runs")
"""Where runs are made that are given no folder."""
CONFIG_FILE = "config.json"
SETTINGS_FILES = (CONFIG_FILE, "compare.json")
"""Files of which a run and a comparison have one each."""
FILES_BEFORE_CHECKPOINT = ("config.json", "reals.png", "skipped.json", "samples", "model", "metrics.jsonl", "loggers")
UNSTARTED_FILES = {
    LOCK_NAME,
    HOLDER_NAME,
    ".checkpoint.new",
    *FILES_BEFORE_CHECKPOINT,
    *(f".{name}.new" for name in FILES_BEFORE_CHECKPOINT),
}
"""What a run folder may hold whose process was killed before its first checkpoint. A new run may start there."""
GRID_NAME = re.compile(r"[0-9]{8,18}\.png")
"""The name of a grid: the images seen, in eight digits or, from 10^8 images, in more. Names are not in order then."""
RECORDED_PACKAGES = ("dcgan", "torch", "torchvision", "lightning-fabric", "numpy")
"""Packages whose versions are written into `config.json`."""
MAX_RUN_NUMBER = 1_000_000
SCORE_KINDS_OF_0_1: dict[str, ScoreKind] = {
    "minimax": "probability",
    "non-saturating": "probability",
    "relativistic": "relative",
}
"""Version 0.1.0 did not write the kind of the scores into `config.json`. These are its objectives whose scores are not
`raw`; the table is never extended."""


@dataclass(frozen=True)
class DataRecord:
    """What a checkpoint knows of the pictures of its run.

    Attributes:
        key: key of their content with the settings of the run; None if there is no checkpoint.
        path: their absolute path when the run was saved; None for a set that is opened by its name.
        rules: by which they are read, see `dcgan.data.rules`; None after version 0.1.0.
    """

    key: str | None = None
    path: str | None = None
    rules: int | None = None


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run, and where each of its files is. The README lists the files."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def config_path(self) -> Path:
        """Every setting, the versions, and the command that trains the run again."""
        return self.path / "config.json"

    @property
    def samples(self) -> Path:
        """A folder with the fixed-noise grid of each snapshot, named by images seen."""
        return self.path / "samples"

    @property
    def model(self) -> Path:
        """The averaged generator, as `dcgan.load` reads it."""
        return self.path / "model"

    @property
    def checkpoint(self) -> Path:
        """The state to resume from."""
        return self.path / "checkpoint"

    @property
    def log(self) -> MetricsLog:
        """The metrics log, `metrics.jsonl`."""
        return MetricsLog(self.path / "metrics.jsonl")

    @property
    def loggers(self) -> Path:
        """A folder with the id of the run in each tool that it is logged to, and with what such tools write."""
        return self.path / "loggers"

    @property
    def evaluation(self) -> Path:
        """What `dcgan evaluate` found last: the metrics as figures.json, and what is to be looked at beside them."""
        return self.path / "evaluation"

    @property
    def curves(self) -> Path:
        """Losses and scores over images seen, as a PNG."""
        return self.path / "curves.png"

    @property
    def report(self) -> Path:
        """The report of the run, one HTML file."""
        return self.path / "report.html"

    def grid_path(self, images_seen: int) -> Path:
        """Return the path of the grid that is drawn after so many images."""
        return self.samples / f"{images_seen:08d}.png"

    def grids(self) -> list[tuple[int, Path]]:
        """Return (images seen, path) of every grid in `samples`, in the order in which they were drawn."""
        paths = self.samples.iterdir() if self.samples.is_dir() else ()
        return sorted((int(path.stem), path) for path in paths if GRID_NAME.fullmatch(path.name))

    def data_record(self) -> DataRecord:
        """Return what the checkpoint knows of the pictures; nothing if there is no checkpoint that can be read."""
        try:
            content = read_json(current_folder(self.checkpoint) / "state.json")
        except UserError:
            return DataRecord()
        key, path, rules = (content.get(name) for name in ("data", "data_path", "data_rules"))
        return DataRecord(
            key if isinstance(key, str) else None,
            path if isinstance(path, str) else None,
            rules if isinstance(rules, int) else None,
        )

    def config(self) -> Config:
        """Return the settings that the run was started with."""
        return read_config(self.config_path)

    def custom_parts(self) -> list[str]:
        """Return which parts of the run were the user's own objects: `generator`, `discriminator`, `loss`."""
        names = read_json(self.config_path).get("own", [])
        return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    def resume_call(self, own_parts: list[str]) -> str:
        """Return the Python call that continues the run; no command can name the user's own parts."""
        return f"dcgan.resume({', '.join([repr(str(self.path)), *(f'{name}=...' for name in own_parts)])})"

    def score_kind(self) -> ScoreKind:
        """Return what the discriminator's scores in the log are, see `config.ScoreKind`."""
        content = read_json(self.config_path)
        if (kind := content.get("score_kind")) in get_args(ScoreKind):
            return cast(ScoreKind, kind)
        is_custom = "loss" in self.custom_parts()
        settings = content.get("settings")
        loss = settings.get("loss") if isinstance(settings, dict) and not is_custom else None
        return SCORE_KINDS_OF_0_1.get(str(loss), "raw")

    def write_config(
        self,
        config: Config,
        score_kind: ScoreKind,
        custom_parts: Sequence[str] = (),
        extended_plan: int | None = None,
    ) -> None:
        """Write every setting, the versions, and the command that trains the run again: see `train_command`.

        No command can train a run again that has parts of the user's own: their names are written instead of it.
        """
        content = {
            **({"own": list(custom_parts)} if custom_parts else {"command": train_command(config, extended_plan)}),
            "score_kind": score_kind,
            "settings": config_to_json(config),
            "versions": {name: version(name) for name in RECORDED_PACKAGES},
        }
        write_json(self.config_path, content)

    def write_skipped_files(self, skipped: Sequence[tuple[str, str]]) -> None:
        """Write the data's files that cannot be used, with the reason of each, to `skipped.json`."""
        content = [{"file": name, "reason": reason} for name, reason in skipped]
        with atomic_file(self.path / "skipped.json") as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def complete_interrupted_writes(self) -> None:
        """Give the model and the checkpoint their names back if a killed process left them without.

        Only the process that holds the lock of the run may do this: see `recover_interrupted_folder`.
        """
        for folder in (self.model, self.checkpoint):
            recover_interrupted_folder(folder)

    def remove_unfinished_files(self) -> None:
        """Remove the temporary files that a killed process left."""
        for folder in (self.path, self.samples):
            for path in folder.glob(".*.new"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextlib.contextmanager
def explain_file_errors(folder: Path) -> Iterator[None]:
    """Raise a `UserError` of one line if the block cannot read or write a file of a run.

    It says what is wrong with the run's disk or folder. Errors of other files, such as those of a callback, stay.
    """
    try:
        yield
    except OSError as error:
        if not isinstance(error.filename, str) or not Path(error.filename).is_relative_to(folder):
            raise
        raise UserError(f"cannot read or write {printable(error.filename)}: {error.strerror}") from None


def make_run_folder(out: Path | None, config: Config) -> Path:
    """Make the folder of a new run: `out`, or the next free `runs/PRESET-DATA-NUMBER`.

    Raises:
        UserError: `out` already holds a run or other files, or cannot be written.
    """
    try:
        return _make_given_folder(out) if out else _make_next_folder(DEFAULT_RUNS, config)
    except OSError as error:
        raise UserError(f"cannot write to {error.filename or out}: {write_reason(error)}") from None


def create_run(
    out: Path | None, config: Config, score_kind: ScoreKind = "raw", custom_parts: Sequence[str] = ()
) -> RunFolder:
    """Start a new run in the folder that `make_run_folder` makes.

    Raises:
        UserError: as `make_run_folder`.
    """
    folder = RunFolder(make_run_folder(out, config))
    try:
        folder.log.path.unlink(missing_ok=True)  # a run that was killed before its first checkpoint may have left one
        shutil.rmtree(folder.loggers, ignore_errors=True)
        folder.samples.mkdir(exist_ok=True)
        folder.write_config(config, score_kind, custom_parts)
    except OSError as error:
        raise UserError(f"cannot write to {error.filename or out}: {write_reason(error)}") from None
    return folder


def is_own_output(settings_file: str, content: bytes) -> bool:
    """Return whether a file, one of `SETTINGS_FILES`, makes its folder a run or a comparison."""
    try:
        settings = json.loads(content)
    except (ValueError, RecursionError):
        return False
    if not isinstance(settings, dict) or not isinstance(settings.get("format_version"), int):
        return False
    return settings_file != CONFIG_FILE or isinstance(settings.get("settings"), dict)


def holds_own_output(folder: Path) -> bool:
    """Return whether a folder is a run or a comparison, so that its images are ours."""
    for name in SETTINGS_FILES:
        with contextlib.suppress(OSError), (folder / name).open("rb") as file:
            if is_own_output(name, file.read(MAX_JSON_CHARS)):
                return True
    return False


def open_run(path: Path) -> RunFolder:
    """Open an existing run folder.

    Raises:
        UserError: there is no run at `path`, or its settings cannot be read.
    """
    if not (path / "config.json").is_file():
        hint = suggest_run(path) or ": it has no config.json"
        raise UserError(f"there is no run at {path}{hint}")
    if "settings" not in read_json(path / "config.json"):
        raise UserError(f"{path} is a saved model, not a run: give the run folder")
    return RunFolder(path)


def suggest_run(path: Path) -> str:
    """`, did you mean runs/x?` for a run that lies where runs are made by default, or nothing."""
    place = DEFAULT_RUNS / path
    return f", did you mean {place}?" if (place / CONFIG_FILE).is_file() else ""


def _make_given_folder(out: Path) -> Path:
    if any((out / name).exists() for name in ("checkpoint", ".checkpoint.old")):
        resume = f"dcgan resume {shlex.quote(str(out))}"
        raise UserError(f"{out} already holds a run: continue it with `{resume}`, or give another --out")
    if out.exists() and not (out.is_dir() and {p.name for p in out.iterdir()} <= UNSTARTED_FILES):
        raise UserError(f"{out} is not an empty folder: give another --out")
    out.mkdir(parents=True, exist_ok=True)
    return out


def name_in_runs(data: str) -> str:
    """Return the name of data as it stands in the names of runs and contact sheets.

    It has letters of any alphabet, digits, `_`, `.` and `-`: a shell needs no quotes for it.
    """
    return re.sub(r"[^\w.-]+", "_", short_name(data))


def _make_next_folder(runs: Path, config: Config) -> Path:
    runs.mkdir(exist_ok=True)
    data = name_in_runs(config.data)
    stem = f"{Path(config.preset).stem}-{data}"
    for number in range(1, MAX_RUN_NUMBER):
        path = runs / f"{stem}-{number}"
        try:
            path.mkdir()  # fails if the folder exists: two trainings that start at once get two folders
        except FileExistsError:
            continue
        return path
    raise UserError(f"{runs} is full: give --out")
