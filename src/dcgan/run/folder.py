"""The run folder: its files, its log, and how a new one gets its name."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from dcgan.config import Config, config_to_json, read_config
from dcgan.errors import UserError
from dcgan.files import FORMAT_VERSION, atomic_file, fsync_file, read_json
from dcgan.presets import train_command
from dcgan.run import lock
from dcgan.run.log import LogEntry, parse_entry

WRITTEN_FIRST = ("config.json", "reals.png", "skipped.json", "samples", "model", "metrics.jsonl")
BEFORE_THE_FIRST_STATE = {
    lock.LOCK_NAME,
    ".checkpoint.new",
    *WRITTEN_FIRST,
    *(f".{name}.new" for name in WRITTEN_FIRST),
}
"""What a run holds that was killed before its first state was whole: it may be started anew in the same place."""


@dataclass(frozen=True)
class RunFolder:
    """Where everything of one run lies. See `cli.md` in the project's contract, or the README, for the files."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def samples(self) -> Path:
        """One grid a save, named by images seen."""
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
    def log(self) -> Path:
        """One JSON line a log step."""
        return self.path / "metrics.jsonl"

    @property
    def evaluation(self) -> Path:
        """What `dcgan evaluate` found last: figures.json, neighbours.png and, where there are classes, classes.png."""
        return self.path / "evaluation"

    @property
    def report(self) -> Path:
        """All of this on one page."""
        return self.path / "report.html"

    def config(self) -> Config:
        """The settings that the run was started with."""
        return read_config(self.path / "config.json")

    def own(self) -> list[str]:
        """Which parts of the run were the user's own objects: `generator`, `discriminator`, `loss`."""
        own = read_json(self.path / "config.json").get("own", [])
        return [name for name in own if isinstance(name, str)] if isinstance(own, list) else []

    def write_config(self, config: Config, own: Sequence[str] = ()) -> None:
        """Write every setting with the versions and the command that reproduce the run.

        No command can reproduce a run with parts of the user's `own`: their names are written instead.
        """
        packages = ("dcgan", "torch", "torchvision", "lightning-fabric", "numpy")
        content = {
            "format_version": FORMAT_VERSION,
            **({"own": list(own)} if own else {"command": train_command(config)}),
            "settings": config_to_json(config),
            "versions": {name: version(name) for name in packages},
        }
        with atomic_file(self.path / "config.json") as aside:
            aside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def write_skipped(self, skipped: Sequence[tuple[str, str]]) -> None:
        """List the data's files that could not be used, with the reason of each, in `skipped.json`."""
        content = [{"file": name, "reason": reason} for name, reason in skipped]
        with atomic_file(self.path / "skipped.json") as aside:
            aside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def append(self, line: LogEntry) -> None:
        """Add one line to the log."""
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")

    def entries(self) -> Iterator[LogEntry]:
        """The log's lines and events, in order; a torn or foreign one is left out."""
        return (entry for entry in self._parsed() if entry is not None)

    def damaged(self) -> list[int]:
        """The numbers, from 1, of the log's lines that `entries` leaves out."""
        return [number for number, entry in enumerate(self._parsed(), 1) if entry is None]

    def _parsed(self) -> Iterator[LogEntry | None]:
        if not self.log.exists():
            return
        with self.log.open(encoding="utf-8", errors="replace") as file:
            yield from map(parse_entry, file)

    def lines(self) -> Iterator[LogEntry]:
        """The log's lines of measurements, in order."""
        return (line for line in self.entries() if "event" not in line)

    def events(self) -> Iterator[LogEntry]:
        """What happened, in order: the log's lines with an `event`."""
        return (line for line in self.entries() if "event" in line)

    def write_log(self, entries: Sequence[LogEntry]) -> None:
        """Put these in the place of the whole log."""
        with atomic_file(self.log) as aside:
            aside.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")

    def flush_log(self) -> None:
        """Bring the log to the disk."""
        if self.log.exists():
            fsync_file(self.log)

    def sweep(self) -> None:
        """Remove what a killed process left half written."""
        for folder in (self.path, self.samples):
            for path in folder.glob(".*.new"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def make_run_folder(out: Path | None, config: Config) -> Path:
    """Make a folder for a new run: `out`, or the next free `runs/PRESET-DATA-NUMBER`.

    Raises:
        UserError: `out` holds a run or other files already, or cannot be written.
    """
    try:
        return _fresh(out) if out else _next(Path("runs"), config)
    except OSError as error:
        raise UserError(f"cannot write to {error.filename or out}: {error.strerror}") from None


def create_run(out: Path | None, config: Config, own: Sequence[str] = ()) -> RunFolder:
    """Begin a new run at `out`, or at the next free `runs/PRESET-DATA-NUMBER`.

    Raises:
        UserError: as `place`.
    """
    folder = RunFolder(make_run_folder(out, config))
    try:
        folder.log.unlink(missing_ok=True)  # of a run that was killed before its first state
        folder.samples.mkdir(exist_ok=True)
        folder.write_config(config, own)
    except OSError as error:
        raise UserError(f"cannot write to {error.filename or out}: {error.strerror}") from None
    return folder


def open_run(path: Path) -> RunFolder:
    """Open an existing run folder.

    Raises:
        UserError: there is none at `path`, or its settings cannot be read.
    """
    if not (path / "config.json").is_file():
        raise UserError(f"there is no run at {path}: it has no config.json")
    if "settings" not in read_json(path / "config.json"):
        raise UserError(f"{path} is a saved model, not a run: give the run folder")
    return RunFolder(path)


def _fresh(out: Path) -> Path:
    if any((out / name).exists() for name in ("checkpoint", ".checkpoint.old")):
        resume = f"dcgan resume {shlex.quote(str(out))}"
        raise UserError(f"{out} already holds a run: go on with `{resume}`, or give another --out")
    if out.exists() and not (out.is_dir() and {p.name for p in out.iterdir()} <= BEFORE_THE_FIRST_STATE):
        raise UserError(f"{out} is not an empty folder: give another --out")
    out.mkdir(parents=True, exist_ok=True)
    return out


def _next(runs: Path, config: Config) -> Path:
    runs.mkdir(exist_ok=True)
    data = re.sub(r"[^\w.-]+", "_", Path(config.data).expanduser().absolute().stem, flags=re.ASCII)
    stem = f"{Path(config.preset).stem}-{data}"
    for number in range(1, 1_000_000):
        path = runs / f"{stem}-{number}"
        try:
            path.mkdir()  # fails if it is there: two trainings that start at once get two folders
        except FileExistsError:
            continue
        return path
    raise UserError(f"{runs} is full: give --out")
