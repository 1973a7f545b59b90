"""One run of a comparison: trained in parts, probed after each part, and evaluated at the end.

The parts end at the same fractions of the work for every preset. A finished part is never trained again.
"""

from collections.abc import Callable
from pathlib import Path

from dcgan.comparison.plan import Plan
from dcgan.comparison.probe import probe_run
from dcgan.comparison.progress import RunProgress
from dcgan.config import Config
from dcgan.devices.processes import TrainingStopped
from dcgan.errors import UserError
from dcgan.evaluation.measure import evaluate
from dcgan.files import current_folder, read_json, write_json
from dcgan.metrics.features import open_default_extractor
from dcgan.metrics.fidelity import NEIGHBOR_K
from dcgan.metrics.intervals import MIN_SEEDS
from dcgan.run.folder import RunFolder
from dcgan.run.log import LogEntry
from dcgan.sampling.model import load
from dcgan.training.checkpoint import read_checkpoint
from dcgan.training.progress import CheckpointRecord
from dcgan.training.recovery import MAX_RECOVERIES_IN_A_ROW
from dcgan.training.start import resume, train_config

PARTS_FILE = "parts.json"


def comparison_run(out: Path, preset: str, seed: int) -> RunFolder:
    """Return the folder of one run of the comparison in `out`."""
    return RunFolder(out / f"{preset}-{seed}")


def read_parts(folder: RunFolder) -> tuple[list[LogEntry], str]:
    """Return what was measured after each finished part, and why the run failed, or an empty text.

    Raises:
        UserError: the file is damaged.
    """
    path = folder.path / PARTS_FILE
    if not path.exists():
        return [], ""
    content = read_json(path)
    parts, failure = content.get("parts"), content.get("failed")
    if not isinstance(parts, list) or not isinstance(failure, str):
        raise UserError(f"{path} is damaged: remove {folder.path} to train this run again")
    return parts, failure


def write_parts(folder: RunFolder, parts: list[LogEntry], failure: str) -> None:
    """Write what `read_parts` reads."""
    write_json(folder.path / PARTS_FILE, {"parts": parts, "failed": failure})


def is_finished_run(plan: Plan, out: Path, preset: str, seed: int) -> bool:
    """Return whether nothing is left to do for a run: it is trained and evaluated, or it has failed."""
    folder = comparison_run(out, preset, seed)
    parts, failure = read_parts(folder)
    is_trained = len(parts) == len(plan.part_lengths())
    return bool(failure) or (is_trained and _is_evaluated(plan, folder))


def finish_run(plan: Plan, out: Path, preset: str, seed: int, show: Callable[[str, float], None]) -> None:
    """Do what is left of a run.

    Args:
        plan: the plan of the comparison.
        out: its folder.
        preset: of the run.
        seed: of the run.
        show: takes the name of the run and the fraction of it that is done.

    Raises:
        TrainingStopped: a signal arrived; the run was saved.
    """
    name = comparison_run(out, preset, seed).path.name
    if not is_finished_run(plan, out, preset, seed):
        train_run(plan, out, preset, seed, RunProgress(len(plan.part_lengths()), lambda done: show(name, done)))
        evaluate_run(plan, out, preset, seed)
    show(name, 1)


def train_run(plan: Plan, out: Path, preset: str, seed: int, progress: RunProgress) -> None:
    """Train and probe the parts of a run that are not finished yet.

    A run that diverges is not an error: the reason is written instead of the part.

    Raises:
        TrainingStopped: a signal arrived; the run was saved.
    """
    folder = comparison_run(out, preset, seed)
    parts, failure = read_parts(folder)
    lengths = plan.part_lengths()
    for part in range(len(parts) + 1, len(lengths) + 1):
        if failure:
            return
        progress.start_part(part)
        config, whole_run = (plan.config(preset, seed, length) for length in (lengths[part - 1], lengths[-1]))
        failure = _train_part(config, whole_run, plan.unit, folder, progress)
        parts = parts if failure else [*parts, probe_run(plan.data, folder, plan.probe_seed, plan.split)]
        write_parts(folder, parts, failure)


def _train_part(config: Config, whole_run: Config, unit: str, folder: RunFolder, progress: RunProgress) -> str:
    """Train a run to the end of a part; return why it diverged, or an empty text."""
    try:
        _train_until_end(config, whole_run, unit, folder, progress)
    except TrainingStopped as stop:
        text = "stopped and saved; the same command again continues"
        raise TrainingStopped(text, stop.signal_number) from None
    except UserError as error:
        if not has_diverged(folder):
            raise
        return str(error)
    return ""


def _train_until_end(config: Config, whole_run: Config, unit: str, folder: RunFolder, progress: RunProgress) -> None:
    """Train a run until it has the length in its settings, starting it or continuing from where it is.

    A run that has ended because of copies is left as it is.
    """
    length = getattr(config, unit)
    if not current_folder(folder.checkpoint).is_dir():
        train_config(config, folder.path, callbacks=[progress], show_progress=False, whole_run=whole_run)
        return
    record = read_checkpoint(folder.checkpoint)
    if record.copies_step is not None:
        return
    if getattr(folder.config(), unit) == length:
        if record.planned_images is None or record.images_seen < record.planned_images:
            resume(folder.path, callbacks=[progress], show_progress=False)
    elif _work(record, unit) < length:  # the last step of a short part may reach the end of the next part, too
        resume(folder.path, callbacks=[progress], show_progress=False, **{unit: length})


def _work(record: CheckpointRecord, unit: str) -> float:
    """Return the work that was done until a checkpoint, in the plan's unit."""
    return {"minutes": record.seconds / 60, "images": record.images_seen, "steps": record.step}[unit]


def has_diverged(folder: RunFolder) -> bool:
    """Return whether a run gave up because its numbers were not finite: a result of the preset, not a user's error."""
    recoveries = [event for event in folder.log.events() if event["event"] == "recovery"]
    return bool(recoveries) and recoveries[-1].get("in_a_row") == MAX_RECOVERIES_IN_A_ROW


def evaluate_run(plan: Plan, out: Path, preset: str, seed: int) -> None:
    """Evaluate a trained run, unless it failed. The metrics are written into the run."""
    folder = comparison_run(out, preset, seed)
    if not read_parts(folder)[1]:
        evaluate(folder.path, n=plan.n, split=plan.split, copies=False, save_in_run=True, show_progress=False)


def describe_end(folder: RunFolder) -> str:
    """Return how a run ended before its planned length, or an empty text."""
    step = read_checkpoint(folder.checkpoint).copies_step
    return f"at step {step}, because its samples were copies of training pictures" if step is not None else ""


def _is_evaluated(plan: Plan, folder: RunFolder) -> bool:
    """Return whether the model that a run keeps, which may be an earlier one than its last, is evaluated."""
    path = folder.evaluation / "figures.json"
    if not path.exists():
        return False
    content = read_json(path)
    # Figures that were measured otherwise, by the user or by an earlier version, cannot stand in one table.
    expected = {
        "features": _default_features(folder),
        "step": load(folder.path).trained.get("step"),
        "n": plan.n,
        "split": plan.split,
        "neighbours": NEIGHBOR_K,
        "seeds": list(range(MIN_SEEDS)),
    }
    return all(content.get(name) == value for name, value in expected.items())


def _default_features(folder: RunFolder) -> str:
    """Return the name of the features with which `evaluate` reports the metrics of a run if no others are named."""
    data, shape = folder.config().data, load(folder.path).generator.picture_shape
    return open_default_extractor(data, shape, is_stacked=data == "stacked-mnist").name_for(shape)
